package mailer

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"alerthub/i18n"
	"alerthub/models"
)

var update = flag.Bool("update", false, "rewrite the golden mails")

func due(source, text string) models.DueAlert {
	return models.DueAlert{
		Alert: models.EmailAlert{ID: 7, EventID: 42, CreatedAt: born, Recipient: "ops@example.net", Status: models.EmailPending},
		Event: models.Event{ID: 42, CreatedAt: born, Source: source, Severity: models.SeverityCritical, Message: text, Channel: models.ChannelTCP},
	}
}

func mustCompose(t testing.TB, d models.DueAlert) message {
	t.Helper()
	m, err := compose("Network Alert Hub <hub@example.net>", d, i18n.English)
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

// markup returns the elements and attributes of an HTML page, and its table's
// cells as text.
func markup(t testing.TB, page string) (tags, cells []string) {
	t.Helper()
	cell := -1
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatalf("tokenize: %v", z.Err())
			}
			return tags, cells
		case html.TextToken:
			if cell >= 0 {
				cells[cell] += z.Token().Data
			}
		default:
			tok := z.Token()
			tags = append(tags, tok.String())
			if tok.Data == "td" {
				if kind == html.StartTagToken {
					cells = append(cells, "")
					cell = len(cells) - 1
				} else {
					cell = -1
				}
			}
		}
	}
}

func TestCompose_MatchesGoldenMail(t *testing.T) {
	for name, d := range map[string]models.DueAlert{
		"plain.eml":    due("core-sw-1", "Uplink Gi0/1 is down.\nNo carrier since 18:25."),
		"spanish.eml":  due("Añasco – central eléctrica", "Caída de tensión: 187 V\tfase 2 = crítica"),
		"dangling.eml": due("=?utf-8?q?X?=", ".\n..\nFrom here\n--=_alerthub--\n<b>&amp;</b> src=\"cid:x\""),
	} {
		t.Run(name, func(t *testing.T) {
			got := mustCompose(t, d).data
			if strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\r") {
				t.Error("a line does not end with CRLF")
			}
			for line := range strings.SplitSeq(got, "\r\n") {
				if len(line) > 78 {
					t.Errorf("a line of %d bytes: %s", len(line), line)
				}
			}
			got = strings.ReplaceAll(got, "\r\n", "\n")
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("mail (-golden +got):\n%s", diff)
			}
		})
	}
}

func TestCompose_SaysWhatHappenedToThisRecipient(t *testing.T) {
	m := mustCompose(t, due("core-sw-1", "uplink down"))
	if m.from != "hub@example.net" || m.to != "ops@example.net" {
		t.Errorf("envelope %q -> %q", m.from, m.to)
	}
	p := parseMail(t, m.data)
	for name, want := range map[string]string{
		"Subject":        "[NetworkAlertHub] Alert CRITICAL: core-sw-1",
		"From":           `"Network Alert Hub" <hub@example.net>`,
		"To":             "<ops@example.net>",
		"Message-Id":     "<alert-7.1795458360123456@example.net>",
		"Auto-Submitted": "auto-generated",
		"Date":           "Mon, 23 Nov 2026 18:26:00 +0000",
	} {
		if got := p.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	want := "Network Alert Hub recorded an alert.\n\n" +
		"Event:    42\nDate:     2026-11-23 18:26:00 UTC\nSource:   core-sw-1\nSeverity: CRITICAL\n\n" +
		"Message:\nuplink down\n"
	if diff := cmp.Diff(want, p.Plain); diff != "" {
		t.Errorf("plain part (-want +got):\n%s", diff)
	}
	_, cells := markup(t, p.HTML)
	if diff := cmp.Diff([]string{"42", "2026-11-23 18:26:00 UTC", "core-sw-1", "CRITICAL", "uplink down"}, cells); diff != "" {
		t.Errorf("HTML cells (-want +got):\n%s", diff)
	}
}

func TestCompose_RepeatsToTheByte(t *testing.T) {
	d := due("Añasco", "caída")
	first := mustCompose(t, d)
	d.Alert.Attempts, d.Alert.Detail, d.Alert.NextAttemptAt = 5, "451 later", born.AddDate(0, 0, 1)
	if diff := cmp.Diff(first.data, mustCompose(t, d).data); diff != "" {
		t.Errorf("the repeat differs (-first +repeat):\n%s", diff)
	}
	d.Alert.ID++
	if parseMail(t, first.data).Header.Get("Message-ID") == parseMail(t, mustCompose(t, d).data).Header.Get("Message-ID") {
		t.Error("two rows share a Message-ID")
	}
}

func TestCompose_RefusesBadAddresses(t *testing.T) {
	d := due("a", "b")
	_, err := compose("nobody", d, i18n.English)
	if f := asFault(t, err); !f.server || !strings.Contains(f.words, "nobody") {
		t.Errorf("bad sender: %+v", f)
	}
	for _, to := range []string{"", "not an address", "a@example.net\r\nBcc: x@example.net", "a@example.net, b@example.net"} {
		d.Alert.Recipient = to
		_, err = compose("hub@example.net", d, i18n.English)
		if f := asFault(t, err); f.server || !f.permanent {
			t.Errorf("recipient %q: %+v", to, f)
		}
	}
}

func asFault(t testing.TB, err error) *fault {
	t.Helper()
	var f *fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v (%T), want a fault", err, err)
	}
	return f
}

// checkHostile composes and proves that the texts arrive as texts only.
func checkHostile(t testing.TB, source, text string) {
	t.Helper()
	m := mustCompose(t, due(source, text))
	for _, b := range []byte(m.data) {
		if b > '~' || b < ' ' && b != '\r' && b != '\n' && b != '\t' {
			t.Fatalf("byte %#x in the mail", b)
		}
	}
	for line := range strings.SplitSeq(m.data, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("bad line %q", line)
		}
	}
	p := parseMail(t, m.data)
	benign := parseMail(t, mustCompose(t, due("core-sw-1", "uplink down")).data)
	if len(p.Header) != len(benign.Header) {
		t.Fatalf("header %v", p.Header)
	}
	for name := range benign.Header {
		if len(p.Header[name]) != 1 {
			t.Fatalf("%s: %q", name, p.Header[name])
		}
	}
	one := replaceControls(source, "")
	want := "[NetworkAlertHub] Alert CRITICAL: " + one
	if one == "" {
		want = strings.TrimSpace(want) // a header field's end holds no blanks
	}
	if p.Subject != want {
		t.Fatalf("subject %q, want %q", p.Subject, want)
	}
	many := replaceControls(strings.ReplaceAll(text, "\r\n", "\n"), "\n\t")
	if !strings.HasSuffix(p.Plain, "\nSource:   "+one+"\nSeverity: CRITICAL\n\nMessage:\n"+many+"\n") {
		t.Fatalf("plain part %q lacks %q", p.Plain, many)
	}
	tags, cells := markup(t, p.HTML)
	wantTags, _ := markup(t, benign.HTML)
	if diff := cmp.Diff(wantTags, tags); diff != "" {
		t.Fatalf("markup (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"42", "2026-11-23 18:26:00 UTC", one, "CRITICAL", many}, cells); diff != "" {
		t.Fatalf("cells (-want +got):\n%s", diff)
	}
}

// replaceControls is the rule for control characters and bytes that are not
// UTF-8, written a second time.
func replaceControls(s, keep string) string {
	var b bytes.Buffer
	for _, r := range s {
		if unicode.In(r, unicode.Cc) && !strings.ContainsRune(keep, r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}

var hostile = []string{
	"x\r\nBcc: victim@example.net", "x\nSubject: other", "x\r\n\r\nbody", "\r\n.\r\nMAIL FROM:<x@example.net>\r\n",
	".", "..", ".\r\n.", "\n.\nQUIT\n", "bare\rreturn", "--=_alerthub--", "--=_alerthub\r\nContent-Type: text/html\r\n\r\n<b>",
	`<img src="cid:x" onerror=alert(1)>`, `src="cid:" src="cid:" href="cid:a"`, "</td></table><script>", "{{.}}", "a &amp; b", "<!--",
	"=?utf-8?q?=0D=0ABcc:?= x", "=?utf-8?b?PGI+?=", "=3D=", "double  blanks", " edges ", "\tTab\t", "trailing \n \n",
	"Añasco ñandú Çedilla", strings.Repeat("😀", 80), strings.Repeat("ñ", 300), strings.Repeat("w", 300),
	"\xff\xfe broken", "\x00nul\x1b[31m", "\u2028line\u2029", "\u0085next", "From x", "", " ", "%s%d%!", "\u202Etfel",
}

func TestCompose_KeepsHostileTextsTexts(t *testing.T) {
	for _, text := range hostile {
		checkHostile(t, text, text)
	}
}

func FuzzCompose(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, source, text string) { checkHostile(t, source, text) })
}

var oneToken = regexp.MustCompile(`^<[!-;=?-~]+@[!-;=?-~]+>$`)

func TestMessageID_IsOneToken(t *testing.T) {
	for _, sender := range []string{"hub@example.net", `"odd @ name"@example.net`, "hub@[192.0.2.1]"} {
		if id := messageID(sender, models.EmailAlert{ID: 1, CreatedAt: born}); !oneToken.MatchString(id) {
			t.Errorf("%s for %s", id, sender)
		}
	}
}
