package views

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/i18n"
)

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// attacks are texts that become something else where escaping is forgotten.
var attacks = []string{
	`"><img src=x onerror=alert(1)>`,
	`'><svg onload=alert(1)>`,
	`<tr hx-get=/x hx-trigger=load><td>`,
	`</textarea><script>alert(1)</script>`,
	`</script></title></style></table></pre><b>`,
	`" autofocus onfocus="alert(1)" hx-get="/x" x="`,
	`javascript:alert(1)`,
	`&lt;b&gt; &amp;quot; &#34;><i>`,
	"<!-- --><![CDATA[<b>]]>\u2028\u0000<b>",
	`{{.}}<% %>${alert(1)}`,
}

// TestInjection compares each page with hostile texts to the same page with
// plain ones: it must have the same elements with the same attributes, and
// the texts must be there as texts.
func TestInjection(t *testing.T) {
	ctx := in(i18n.English)
	plain := pages(ctx, plainWords)
	for i, attack := range attacks {
		hostile := pages(ctx, words{
			source: attack, message: attack, payload: attack, severity: plainWords.severity, channel: attack,
			recipient: attack, status: attack, detail: attack, health: attack,
		})
		for _, name := range slices.Sorted(maps.Keys(plain)) {
			t.Run(fmt.Sprint(name, "/", i), func(t *testing.T) {
				want, got := shape(parse(t, render(ctx, t, plain[name]))), shape(parse(t, render(ctx, t, hostile[name])))
				if !slices.Equal(want, got) {
					t.Errorf("%s changes the page's elements", attack)
				}
			})
		}
	}
}

// TestInjection_frames does the same for what is pushed by itself, as rows.
func TestInjection_frames(t *testing.T) {
	ctx := in(i18n.Spanish)
	for _, attack := range attacks {
		w := words{source: attack, message: attack, payload: attack, severity: attack, channel: attack, recipient: attack, detail: attack}
		for name, pair := range map[string][2]string{
			"event": {render(ctx, t, EventRow(plainWords.event(7))), render(ctx, t, EventRow(w.event(7)))},
			"alert": {render(ctx, t, AlertRow(plainWords.alert(7, "pending"))), render(ctx, t, AlertRow(w.alert(7, "pending")))},
		} {
			if want, got := shape(rows(t, pair[0])), shape(rows(t, pair[1])); !slices.Equal(want, got) {
				t.Errorf("%s: %s changes the row's elements", name, attack)
			}
		}
	}
}

func TestInjection_textsStayWhatTheyWere(t *testing.T) {
	ctx := in(i18n.English)
	for _, attack := range attacks {
		// The parser replaces NUL, as browsers do.
		shown := strings.ReplaceAll(attack, "\u0000", "")
		w := plainWords
		w.source, w.message, w.payload = attack, attack, attack
		event := parse(t, render(ctx, t, pages(ctx, w)["event"]))
		for _, n := range []*html.Node{byID(event, "message"), elements(event, "pre")[0]} {
			if got := strings.ReplaceAll(text(n), "\uFFFD", ""); got != shown {
				t.Errorf("<%s> shows %q, want %q", n.Data, got, shown)
			}
		}
		form := parse(t, render(ctx, t, Form(w.form())))
		if got := strings.ReplaceAll(text(byID(form, "message")), "\uFFFD", ""); got != shown {
			t.Errorf("the form's message is %q, want %q", got, shown)
		}
		if got := strings.ReplaceAll(attr(byID(form, "source"), "value"), "\uFFFD", ""); got != shown {
			t.Errorf("the form's source is %q, want %q", got, shown)
		}
	}
}

// shape lists the elements of a document with the names of their attributes.
func shape(doc *html.Node) []string {
	var all []string
	for _, n := range elements(doc, "*") {
		line := n.Data
		for _, a := range n.Attr {
			line += " " + a.Key
		}
		all = append(all, line)
	}
	return all
}

// A text area swallows the first line end: the message keeps its own.
func TestForm_keepsLeadingLineEnds(t *testing.T) {
	doc := parse(t, render(in(i18n.English), t, Form(EventForm{Message: "\n\nindented"})))
	if got := text(byID(doc, "message")); got != "\n\nindented" {
		t.Errorf("got %q", got)
	}
}
