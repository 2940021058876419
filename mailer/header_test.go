package mailer

import (
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"alerthub/models"
)

func TestCompose_SubjectSaysWhatMatters(t *testing.T) {
	for _, c := range []struct{ source, text, want string }{
		{"core-sw-1", "uplink down", "core-sw-1 – uplink down"},
		{"core-sw-1", " two\n\tlines ", "core-sw-1 – two lines"},
		{"core-sw-1", "", "core-sw-1"},
		{"a", strings.Repeat("w", 60), "a – " + strings.Repeat("w", 60)},
		{"a", strings.Repeat("w", 61), "a – " + strings.Repeat("w", 59) + "…"},
		{"a", strings.Repeat("word ", 20), "a – " + strings.TrimSpace(strings.Repeat("word ", 12)) + "…"},
		{"a", strings.Repeat("e\u0301", 31), "a – " + strings.Repeat("e\u0301", 29) + "…"}, // no accent is lost alone
		{"a", strings.Repeat("👩\u200D🔧", 30), "a – " + strings.Repeat("👩\u200D🔧", 9) + "…"},
		{"=?utf-8?q?X?=", "a\u202Etfel\u2066", "=?utf-8?q?X?= – a\uFFFDtfel\uFFFD"},
	} {
		got := parseMail(t, mustCompose(t, due(c.source, c.text)).data).Subject
		if want := "[NetworkAlertHub] Alert CRITICAL: " + c.want; got != want {
			t.Errorf("%q, %q: subject\n%q, want\n%q", c.source, c.text, got, want)
		}
	}
	n := limited()
	for lang, want := range map[string]string{
		"en": "[NetworkAlertHub] Digest CRITICAL: 37 events of 5 sources", "es": "[NetworkAlertHub] Digest CRITICAL: 37 eventos de 5 orígenes",
		"": "[NetworkAlertHub] Digest CRITICAL: 37 events of 5 sources",
	} {
		n.Contact.Language = lang
		if got := parseMail(t, mustCompose(t, n).data).Subject; got != want {
			t.Errorf("%q: subject %q, want %q", lang, got, want)
		}
	}
}

// Filters that look at the raw header find ASCII words as they are.
func TestFold_LeavesPlainWordsReadable(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "Subject: x:",
		"core-sw-1 – uplink down":  "Subject: x: core-sw-1 =?utf-8?b?4oCT?= uplink down",
		"Caída de tensión en casa": "Subject: x: =?utf-8?b?Q2HDrWRh?= de =?utf-8?b?dGVuc2nDs24=?= en casa",
		"two  blanks":              "Subject: x: =?utf-8?b?dHdvICBibGFua3M=?=",
		strings.Repeat("w", 75):    "Subject: x:\r\n " + strings.Repeat("w", 75),
		"=?utf-8?q?=0D=0ABcc:?= x": "Subject: x: =?utf-8?b?PT91dGYtOD9xPz0wRD0wQUJjYzo/PQ==?= x",
	} {
		if got := fold("Subject: x:", text); got != want {
			t.Errorf("%q:\n%q, want\n%q", text, got, want)
		}
	}
}

func TestFold_DecodesToTheSameText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune(" ab=?\"<ñ–…😀e\u0301\uFFFD")), 0, 200, -1).Draw(t, "text")
		field := fold("Subject:", text)
		for line := range strings.SplitSeq(field, "\r\n") {
			if len(line) > maxHeaderLine || strings.TrimSpace(line) == "" {
				t.Fatalf("line %q", line)
			}
		}
		msg, err := mail.ReadMessage(strings.NewReader(field + "\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || got != text {
			t.Fatalf("%q is read as %q (%v)", text, got, err)
		}
	})
}

func TestFoldAddress_LongNamesStayWithinALine(t *testing.T) {
	a := &mail.Address{Name: strings.Repeat("ñandú de guardia ", 30), Address: "ops@example.net"}
	header := "To: " + foldAddress(a)
	for line := range strings.SplitSeq(header, "\r\n") {
		if len(line) > 80 {
			t.Errorf("line of %d bytes: %s", len(line), line)
		}
	}
	msg, err := mail.ReadMessage(strings.NewReader(header + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := mail.ParseAddress(msg.Header.Get("To"))
	if err != nil || *got != *a {
		t.Errorf("read as %v (%v)", got, err)
	}
}

var oneToken = regexp.MustCompile(`^<[!-;=?-~]+@[!-;=?-~]+>$`)

func TestMessageID_IsOneToken(t *testing.T) {
	for _, sender := range []string{"hub@example.net", `"odd @ name"@example.net`, "hub@[192.0.2.1]"} {
		m, err := compose(sender, "", due("a b>\r\n", "c"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Message-ID", "References", "In-Reply-To"} {
			if id := parseMail(t, m.data).Header.Get(name); !oneToken.MatchString(id) {
				t.Errorf("%s for %s: %s", name, sender, id)
			}
		}
	}
}

func TestThreadID_OneForASourceAndDay(t *testing.T) {
	base := due("core-sw-1", "a")
	id := func(change func(n *models.Notice)) string {
		n := base
		change(&n)
		return threadID("example.net", n)
	}
	want := threadID("example.net", base)
	same := map[string]string{
		"another event": id(func(n *models.Notice) { n.Alert.ID, n.Event.ID, n.Event.Message = 9, 99, "b" }),
		"graver":        id(func(n *models.Notice) { n.Event.Severity = models.SeverityInfo }),
		"same day":      id(func(n *models.Notice) { n.Event.CreatedAt = born.Add(5 * time.Hour).In(time.FixedZone("", 9*3600)) }),
	}
	for name, got := range same {
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	others := map[string]string{
		"another source": id(func(n *models.Notice) { n.Event.Source = "core-sw-2" }),
		"the next day":   id(func(n *models.Notice) { n.Event.CreatedAt = born.Add(6 * time.Hour) }),
		"a digest":       id(func(n *models.Notice) { n.Digest, n.Contact.Name = &models.Digest{}, "core-sw-1" }),
	}
	seen := map[string]string{want: "the event"}
	for name, got := range others {
		if other, ok := seen[got]; ok {
			t.Errorf("%s is in the thread of %s", name, other)
		}
		seen[got] = name
	}
}
