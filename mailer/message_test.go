package mailer

import (
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

var update = flag.Bool("update", false, "write the golden mails instead of comparing with them")

func mustCompose(t testing.TB, n models.Notice) message {
	t.Helper()
	m, err := compose(sampleSender, samplePanel, n)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return m
}

// mailParts is a mail as a reader sees it.
type mailParts struct {
	Header      mail.Header
	Subject     string
	Plain, HTML string
}

func parseMail(t testing.TB, data string) mailParts {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("read the message: %v\n%s", err, data)
	}
	p := mailParts{Header: msg.Header}
	if p.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Fatalf("decode the subject: %v", err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", msg.Header.Get("Content-Type"), err)
	}
	var kinds, texts []string
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := r.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("next part: %v", err)
		}
		text, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("read a part: %v", err)
		}
		kinds = append(kinds, part.Header.Get("Content-Type"))
		texts = append(texts, strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	if diff := cmp.Diff([]string{"text/plain; charset=utf-8", "text/html; charset=utf-8"}, kinds); diff != "" {
		t.Fatalf("parts (-want +got):\n%s", diff)
	}
	p.Plain, p.HTML = texts[0], texts[1]
	return p
}

func TestCompose_MatchesGoldenMail(t *testing.T) {
	for name, n := range samples() {
		for _, l := range i18n.Langs() {
			n.Contact.Language = l.String()
			name := name + "." + l.String() + ".eml"
			t.Run(name, func(t *testing.T) {
				got := mustCompose(t, n).data
				checkWire(t, got, 76)
				got = strings.ReplaceAll(got, "\r\n", "\n")
				path := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("mail (-golden +got); if it is meant to differ, run the test with -update:\n%s", diff)
				}
			})
		}
	}
}

// checkWire proves that every server takes the mail as it is.
func checkWire(t testing.TB, data string, longest int) {
	t.Helper()
	for line := range strings.SplitSeq(data, "\r\n") {
		if len(line) > longest {
			t.Fatalf("a line of %d bytes: %s", len(line), line)
		}
		for _, b := range []byte(line) {
			if b > '~' || b < ' ' && b != '\t' {
				t.Fatalf("byte %#x in the line %q", b, line)
			}
		}
	}
}

func TestCompose_SaysWhatHappenedToThisRecipient(t *testing.T) {
	m := mustCompose(t, due("core-sw-1", "uplink\n down"))
	if m.from != "hub@example.net" || m.to != "ops@example.net" {
		t.Errorf("envelope %q -> %q", m.from, m.to)
	}
	p := parseMail(t, m.data)
	const thread = "<thread-3d6b48d133f56260.20261123@example.net>"
	for name, want := range map[string]string{
		"From":           `"Network Alert Hub" <hub@example.net>`,
		"To":             "<ops@example.net>",
		"Message-Id":     "<alert-7.1795458360123456@example.net>",
		"In-Reply-To":    thread,
		"References":     thread,
		"Auto-Submitted": "auto-generated",
		"Importance":     "high",
		"Date":           "Mon, 23 Nov 2026 18:26:00 +0000",
	} {
		if got := p.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if p.Subject != "[NetworkAlertHub] Alert CRITICAL: core-sw-1 – uplink down" {
		t.Errorf("subject %q", p.Subject)
	}
	want := `Network Alert Hub recorded an alert.

Severity: CRITICAL
Event:    42
Date:     2026-11-23 18:26:00 UTC
Channel:  TCP
Source:   core-sw-1

Message:
    uplink
     down

Open the event:
https://alerts.example.net/events/42

-- 
An automatic mail: Network Alert Hub tells this address of events.
`
	if diff := cmp.Diff(want, p.Plain); diff != "" {
		t.Errorf("plain part (-want +got):\n%s", diff)
	}
}

func TestCompose_OnlyCriticalsAreUrgent(t *testing.T) {
	for name, n := range samples() {
		critical := n.Digest == nil && n.Event.Severity == models.SeverityCritical || n.Digest != nil && n.Digest.Worst() == models.SeverityCritical
		if got := parseMail(t, mustCompose(t, n).data).Header.Get("X-Priority") != ""; got != critical {
			t.Errorf("%s: urgent is %v, want %v", name, got, critical)
		}
	}
}

func TestCompose_LinksIntoThePanel(t *testing.T) {
	for panel, want := range map[string]string{
		"": "", "http://hub:5080": "http://hub:5080/events/42", "https://example.net/alerts/": "https://example.net/alerts/events/42",
	} {
		if l := newLetter(panel, due("a", "b")); l.Link != want {
			t.Errorf("panel %q: link %q, want %q", panel, l.Link, want)
		}
		m, err := compose(sampleSender, panel, due("a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		if p := parseMail(t, m.data); strings.Contains(p.HTML, `href="`+want+`"`) != (want != "") || strings.Contains(p.Plain, "://") != (want != "") {
			t.Errorf("panel %q: the mail is\n%s\n%s", panel, p.Plain, p.HTML)
		}
	}
	unstored := due("a", "b")
	unstored.Event.ID = 0
	if l := newLetter(samplePanel, unstored); l.Link != "" {
		t.Errorf("an event that is not stored has the link %q", l.Link)
	}
}

// The address of a digest is read by the panel, as what it is meant for.
func TestCompose_ADigestLinksToItsEvents(t *testing.T) {
	n := limited()
	u, err := url.Parse(newLetter(samplePanel, n).Link)
	if err != nil || u.Path != "/events" {
		t.Fatalf("link %v: %v", u, err)
	}
	q, problems := query.Parse(u.Query(), born.Add(time.Minute))
	if len(problems) > 0 || !q.From.Equal(n.Digest.From) || !q.To.After(n.Digest.To) {
		t.Errorf("%s reads as %+v, problems %v", u, q, problems)
	}
	if diff := cmp.Diff([]models.Severity{models.SeverityWarning, models.SeverityError, models.SeverityCritical}, q.Severities); diff != "" {
		t.Errorf("severities (-want +got):\n%s", diff)
	}
}

func TestCompose_RepeatsToTheByte(t *testing.T) {
	for name, n := range samples() {
		first := mustCompose(t, n)
		n.Alert.Attempts, n.Alert.Detail, n.Alert.NextAttemptAt = 5, "451 later", born.AddDate(0, 0, 1)
		if diff := cmp.Diff(first.data, mustCompose(t, n).data); diff != "" {
			t.Errorf("%s: the repeat differs (-first +repeat):\n%s", name, diff)
		}
		n.Alert.ID++
		if parseMail(t, first.data).Header.Get("Message-ID") == parseMail(t, mustCompose(t, n).data).Header.Get("Message-ID") {
			t.Errorf("%s: two rows share a Message-ID", name)
		}
	}
}

func TestCompose_RefusesBadAddresses(t *testing.T) {
	n := due("a", "b")
	_, err := compose("nobody", "", n)
	if f := asFault(t, err); !f.Server || !strings.Contains(f.Words, "nobody") {
		t.Errorf("bad sender: %+v", f)
	}
	for _, to := range []string{"", "not an address", "a@example.net\r\nBcc: x@example.net", "a@example.net, b@example.net"} {
		n.Alert.Recipient = to
		_, err = compose("hub@example.net", "", n)
		if f := asFault(t, err); f.Server || !f.Permanent {
			t.Errorf("recipient %q: %+v", to, f)
		}
	}
}

func asFault(t testing.TB, err error) *models.Fault {
	t.Helper()
	var f *models.Fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v (%T), want a fault", err, err)
	}
	return f
}

// A digest as large as its bounds, of the characters that take most bytes,
// stays below what Gmail shows whole (102 kB).
func TestCompose_StaysSmall(t *testing.T) {
	n := quiet()
	for _, wide := range []string{"😀", "\uFFFD", "ñ", "\"", "\u202E", "\x00"} {
		for i := range n.Digest.Sources {
			n.Digest.Sources[i].Source = strings.Repeat(wide, models.MaxSource)
		}
		for i := range n.Digest.Newest {
			n.Digest.Newest[i].Source, n.Digest.Newest[i].Message = strings.Repeat(wide, models.MaxSource), strings.Repeat(wide, models.MaxMessage)
		}
		if size := len(mustCompose(t, n).data); size > 100_000 {
			t.Errorf("a mail of %q has %d bytes", wide, size)
		}
	}
}
