package mailer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"alerthub/models"
)

// markup returns the elements and attributes of an HTML page in its order,
// with the depth of each, and the texts that stand in <bdi>: a device's.
func markup(t testing.TB, page string) (tree, said []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	var walk func(n *html.Node, depth int, inside bool)
	walk = func(n *html.Node, depth int, inside bool) {
		switch n.Type {
		case html.TextNode:
			if inside {
				said[len(said)-1] += n.Data
			}
			return
		case html.CommentNode:
			tree = append(tree, fmt.Sprintf("%d <!--%s-->", depth, n.Data))
		case html.ElementNode:
			tree = append(tree, fmt.Sprintf("%d <%s %v>", depth, n.Data, n.Attr))
			switch n.Data {
			case "bdi":
				inside, said = true, append(said, "")
			case "br":
				if inside {
					said[len(said)-1] += "\n"
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1, inside)
		}
	}
	walk(root, 0, false)
	return tree, said
}

// checkHostile composes and proves that the texts arrive as texts only.
func checkHostile(t testing.TB, source, text string) {
	t.Helper()
	// The rules for a device's texts, written a second time.
	one := bounded(replaced(source, ""), 160)
	many := bounded(replaced(strings.NewReplacer("\r\n", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text), "\n\t"), 2000)
	start := replaced(strings.Join(strings.Fields(manyLines(text)), " "), "")

	p := checkLike(t, due(source, text), due("core-sw-1", strings.Repeat("x\n", strings.Count(many, "\n"))+"x"))
	subject := "[NetworkAlertHub] Alert CRITICAL: " + one
	switch {
	case start != "":
		subject += " – " + bounded(start, 60)
	case one == "":
		subject = strings.TrimSpace(subject) // a header field's end holds no blanks
	}
	if p.Subject != subject {
		t.Fatalf("subject %q, want %q", p.Subject, subject)
	}
	if want := "\nSource:   " + one + "\n\nMessage:\n    " + strings.ReplaceAll(many, "\n", "\n    ") + "\n\nOpen the event:\n"; !strings.Contains(p.Plain, want) {
		t.Fatalf("plain part %q lacks %q", p.Plain, want)
	}
	_, said := markup(t, p.HTML)
	if diff := cmp.Diff([]string{one, many}, said); diff != "" {
		t.Fatalf("a device's texts (-want +got):\n%s", diff)
	}

	message := "x"
	if start == "" {
		message = ""
	}
	p = checkLike(t, sampleDigest(source, text), sampleDigest("core-sw-1", message))
	if p.Subject != "[NetworkAlertHub] Digest CRITICAL: 2 events of 1 source" {
		t.Fatalf("subject %q", p.Subject)
	}
	short, line := bounded(replaced(source, ""), 50), bounded(start, 120)
	_, said = markup(t, p.HTML)
	if diff := cmp.Diff([]string{short, short, line, short, line}, said); diff != "" {
		t.Fatalf("a device's texts in a digest (-want +got):\n%s", diff)
	}
}

// checkLike proves that n's mail is built like that of harmless, whatever its
// device says: the same header fields but for the subject and the thread, the
// same elements, and the same lines of ours.
func checkLike(t testing.TB, n, harmless models.Notice) mailParts {
	t.Helper()
	data, tame := mustCompose(t, n).data, mustCompose(t, harmless).data
	checkWire(t, data, 998)
	p, want := parseMail(t, data), parseMail(t, tame)
	for name, values := range p.Header {
		if len(values) != 1 {
			t.Fatalf("%s: %q", name, values)
		}
		switch name {
		case "Subject":
		case "References", "In-Reply-To":
			if !oneToken.MatchString(values[0]) {
				t.Fatalf("%s: %q", name, values)
			}
			want.Header[name] = values
		default:
			if !slices.Equal(values, want.Header[name]) {
				t.Fatalf("%s: %q", name, values)
			}
		}
	}
	if len(p.Header) != len(want.Header) {
		t.Fatalf("header %v, want %v", p.Header, want.Header)
	}
	tree, _ := markup(t, p.HTML)
	wantTree, _ := markup(t, want.HTML)
	if diff := cmp.Diff(wantTree, tree); diff != "" {
		t.Fatalf("markup (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ours(want.Plain), ours(p.Plain)); diff != "" {
		t.Fatalf("lines of ours (-want +got):\n%s", diff)
	}
	return p
}

// ours are the lines of a text that begin at its edge.
func ours(plain string) []string {
	var lines []string
	for line := range strings.SplitSeq(plain, "\n") {
		if strings.HasPrefix(line, "Source:   ") {
			line = "Source:"
		}
		if !strings.HasPrefix(line, " ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// replaced is the rule for what has no place in a text.
func replaced(s, keep string) string {
	var b bytes.Buffer
	for _, r := range s {
		if strings.ContainsRune("\u2028\u2029\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069", r) ||
			unicode.In(r, unicode.Cc) && !strings.ContainsRune(keep, r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// bounded is the rule for long texts; where exactly is a test of its own.
func bounded(s string, columns int) string { return cut(s, columns) }

var hostile = []string{
	"x\r\nBcc: victim@example.net", "x\nSubject: other", "x\r\n\r\nbody", "\r\n.\r\nMAIL FROM:<x@example.net>\r\n",
	".", "..", ".\r\n.", "\n.\nQUIT\n", "bare\rreturn", "--=_alerthub", "--=_alerthub--", "--=_alerthub\r\nContent-Type: text/html\r\n\r\n<b>",
	`<img src="cid:x" onerror=alert(1)>`, `src="cid:" src="cid:" href="cid:a"`, "</td></table><script>", "</bdi></title></style>", "{{.}}", "a &amp; b",
	"<!--", "<!--[if mso]>", "<![endif]-->", "=?utf-8?q?=0D=0ABcc:?= x", "=?utf-8?b?PGI+?=", "=3D=", "double  blanks", " edges ", "\tTab\t", "trailing \n \n",
	"Añasco ñandú Çedilla", strings.Repeat("😀", 80), strings.Repeat("ñ", 300), strings.Repeat("w", 300), strings.Repeat("e\u0301", 90),
	strings.Repeat("w", 2001), strings.Repeat("\n", 300), strings.Repeat("\u0301", 300), strings.Repeat("👩\u200D🔧", 40),
	"\xff\xfe broken", "\x00nul\x1b[31m", "\u2028line\u2029", "\u0085next", "From x", "", " ", "%s%d%!", "\u202Etfel", "\u2067\u2069\u202C", "שלום\u202E",
	"\nSeverity: INFO\n\n-- \nAn automatic mail", "\nOpen the event:\nhttps://evil.example.net/",
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

// What a person wrote into the routes file is text, too.
func TestCompose_KeepsAContactsNameText(t *testing.T) {
	for _, name := range hostile {
		n, harmless := sampleDigest("a", "b"), sampleDigest("a", "b")
		n.Contact.Name, harmless.Contact.Name = "x"+name, "x"
		tree, _ := markup(t, parseMail(t, mustCompose(t, n).data).HTML)
		want, _ := markup(t, parseMail(t, mustCompose(t, harmless).data).HTML)
		if diff := cmp.Diff(want, tree); diff != "" {
			t.Errorf("%q: markup (-want +got):\n%s", name, diff)
		}
	}
}

// A mail shows the same without a network, and tells nobody that it was read.
func TestCompose_LoadsNothing(t *testing.T) {
	for name, n := range samples() {
		page := parseMail(t, mustCompose(t, n).data).HTML
		tree, _ := markup(t, page)
		for _, element := range tree {
			for _, tag := range []string{"<img", "<link", "<script", "<iframe", "<object", "<form", "{ src", "{ background "} {
				if strings.Contains(element, tag) {
					t.Errorf("%s: %s", name, element)
				}
			}
		}
		if rest := strings.ReplaceAll(page, `href="`+samplePanel+`/events`, ""); strings.Contains(rest, "://") || strings.Contains(rest, "url(") || strings.Contains(rest, "@import") {
			t.Errorf("%s names something that is elsewhere:\n%s", name, rest)
		}
	}
}
