package views

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/i18n"
)

// attacks are texts that become something else where escaping is forgotten.
var attacks = []string{
	`"><img src=x onerror=alert(1)>`,
	`'><svg onload=alert(1)>`,
	`<tr hx-get=/x hx-trigger=load><td>`,
	`</textarea><script>alert(1)</script>`,
	`</script></title></style></table></pre></template></option></select><b>`,
	`" autofocus onfocus="alert(1)" hx-get="/x" x="`,
	`javascript:alert(1)`,
	`&lt;b&gt; &amp;quot; &#34;><i>`,
	"<!-- --><![CDATA[<b>]]>\u2028\u0000<b>",
	`{{.}}<% %>${alert(1)}`,
}

// hostile says the attack wherever people and devices choose the words.
func hostile(attack string) words {
	return words{
		source: attack, message: attack, payload: attack, severity: plainWords.severity, channel: attack, recipient: attack,
		status: attack, detail: attack, health: attack, name: attack, peer: attack, text: attack, contact: attack,
	}
}

// TestInjection compares each page with hostile texts to the same page with
// plain ones: it must have the same elements with the same attributes.
func TestInjection(t *testing.T) {
	ctx := in(i18n.English)
	plain := map[string][]string{}
	for name, c := range pages(ctx, plainWords) {
		plain[name] = shape(parse(t, render(ctx, t, c)))
	}
	for _, attack := range attacks {
		for name, c := range pages(ctx, hostile(attack)) {
			if !slices.Equal(plain[name], shape(parse(t, render(ctx, t, c)))) {
				t.Errorf("%s: %s changes the page's elements", name, attack)
			}
		}
	}
}

// TestInjection_frames does the same for what is pushed by itself, as the
// browser reads it.
func TestInjection_frames(t *testing.T) {
	ctx := in(i18n.Spanish)
	plain := frames(plainWords)
	for _, attack := range attacks {
		w := hostile(attack)
		w.severity = attack
		sameSeverity := frames(hostile(attack))
		for name, component := range frames(w) {
			// A severity that is none of the four needs no acknowledgement.
			if name == "rows" || name == "all" || name == "mini" {
				component = sameSeverity[name]
			}
			if want, got := shape(template(t, render(ctx, t, plain[name]))), shape(template(t, render(ctx, t, component))); !slices.Equal(want, got) {
				t.Errorf("%s: %s changes the frame's elements", name, attack)
			}
		}
	}
}

func TestInjection_textsStayWhatTheyWere(t *testing.T) {
	ctx := in(i18n.English)
	for _, attack := range attacks {
		// The parser replaces NUL, as browsers do.
		shown := strings.ReplaceAll(attack, "\u0000", "")
		event := parse(t, render(ctx, t, pages(ctx, hostile(attack))["event"]))
		payload := elements(byID(event, "drawer"), "code")[0]
		for _, n := range []*html.Node{byID(event, "drawer-h"), payload} {
			if got := strings.ReplaceAll(exactText(n), "\uFFFD", ""); got != shown {
				t.Errorf("<%s> shows %q, want %q", n.Data, got, shown)
			}
		}
		form := parse(t, render(ctx, t, Form(hostile(attack).form())))
		if got := strings.ReplaceAll(exactText(byID(form, "message")), "\uFFFD", ""); got != shown {
			t.Errorf("the form's message is %q, want %q", got, shown)
		}
		if got := strings.ReplaceAll(attr(byID(form, "source"), "value"), "\uFFFD", ""); got != shown {
			t.Errorf("the form's source is %q, want %q", got, shown)
		}
	}
}

// No text becomes the address of a link, except as a parameter of our own.
func TestInjection_linksStayHere(t *testing.T) {
	ctx := in(i18n.English)
	for _, attack := range attacks {
		w := hostile(attack)
		all := pages(ctx, w)
		gap := &Gap{Count: 1, Link: attack}
		all["gap"] = RowsFrame(nil, 1, gap)
		d := w.drawer()
		d.Back = attack
		all["drawer"] = DrawerAside(d)
		all["name-next"] = AskName(testPage(ctx, SectionEvents, false), NameData{Next: attack})
		for name, c := range all {
			for _, a := range elements(template(t, render(ctx, t, c)), "a") {
				href := attr(a, "href")
				scheme, _, _ := strings.Cut(href, ":")
				if strings.EqualFold(strings.TrimSpace(scheme), "javascript") {
					t.Errorf("%s: a link leads to %q", name, href)
				}
			}
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
	if got := exactText(byID(doc, "message")); got != "\n\nindented" {
		t.Errorf("got %q", got)
	}
}
