package views

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/i18n"
)

// eachPage runs a check on every page in every language.
func eachPage(t *testing.T, check func(t *testing.T, name string, l i18n.Lang, doc *html.Node)) {
	for _, l := range i18n.Langs() {
		ctx := in(l)
		all := pages(ctx, plainWords)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			t.Run(name+"."+l.String(), func(t *testing.T) {
				check(t, name, l, parse(t, render(ctx, t, all[name])))
			})
		}
	}
}

func TestPages_areSoundDocuments(t *testing.T) {
	eachPage(t, func(t *testing.T, name string, l i18n.Lang, doc *html.Node) {
		root := elements(doc, "html")[0]
		if attr(root, "lang") != l.String() || attr(root, "data-zone") != "Test/East" {
			t.Errorf("lang is %q, the zone %q", attr(root, "lang"), attr(root, "data-zone"))
		}
		main := byID(doc, "main")
		if n := len(elements(main, "h1")); n != 1 {
			t.Errorf("%d h1", n)
		}
		level := 1
		for _, h := range elements(main, "h1", "h2", "h3", "h4") {
			next := int(h.Data[1] - '0')
			if next > level+1 {
				t.Errorf("%s %q follows h%d", h.Data, text(h), level)
			}
			level = next
		}
		current := 0
		for _, a := range elements(doc, "a") {
			if attr(a, "aria-current") == "page" {
				current++
			}
			href := attr(a, "href")
			if again := href == "" && attr(a.Parent.Parent, "id") == "updated"; !again && href == "" || strings.HasPrefix(href, "javascript:") || strings.HasPrefix(href, "about:") {
				t.Errorf("a link leads to %q", href)
			}
		}
		bare := name == "wall" || isBare(name)
		if want := name != "error" && !bare; (current == 1) != want {
			t.Errorf("%d links are current", current)
		}
		if skip := elements(doc, "a")[0]; !bare && attr(skip, "href") != "#main" {
			t.Error("the first link does not skip to the content")
		}
	})
}

// What refers to something by id finds it, once.
func TestPages_refersToWhatIsThere(t *testing.T) {
	eachPage(t, func(t *testing.T, name string, _ i18n.Lang, doc *html.Node) {
		seen := map[string]bool{}
		for _, n := range elements(doc, "*") {
			if id := attr(n, "id"); id != "" && seen[id] {
				t.Errorf("id %s is there twice", id)
			} else {
				seen[id] = true
			}
		}
		for _, n := range elements(doc, "*") {
			if form := attr(n, "form"); isViewers(name) && (strings.HasSuffix(form, "ack") || form == "retry") {
				continue // style hides it
			}
			for _, key := range []string{"for", "form", "list", "aria-labelledby", "aria-describedby", "data-count", "data-open"} {
				for _, id := range strings.Fields(attr(n, key)) {
					if !seen[id] {
						t.Errorf("<%s %s=%q>: no such id", n.Data, key, id)
					}
				}
			}
			if ref := attr(n, "href"); strings.HasPrefix(ref, "#") && !seen[ref[1:]] {
				t.Errorf("<%s href=%q>: no such id", n.Data, ref)
			}
			if target := attr(n, "hx-target"); target != "" && !seen[target[1:]] {
				t.Errorf("hx-target %s is not there", target)
			}
		}
	})
}

func TestPages_nameWhatCanBeOperated(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		labelled := map[string]bool{}
		for _, label := range elements(doc, "label") {
			labelled[attr(label, "for")] = text(label) != ""
		}
		for _, n := range elements(doc, "input", "textarea", "select") {
			inside := n.Parent.Data == "label" && text(n.Parent) != ""
			if attr(n, "type") != "hidden" && !inside && !labelled[attr(n, "id")] && attr(n, "aria-label") == "" {
				t.Errorf("<%s name=%q> has no label", n.Data, attr(n, "name"))
			}
		}
		for _, n := range elements(doc, "a", "button", "nav", "table", "section", "dialog", "aside", "summary") {
			name := attr(n, "aria-label") + attr(n, "aria-labelledby")
			switch n.Data {
			case "table":
				name += text(elements(n, "caption")[0])
			case "a", "button", "summary":
				name += text(n)
				if n.Parent.Data == "svg" {
					name += text(elements(n, "title")[0])
				}
			case "section":
				if attr(n, "class") == "card" && len(elements(n, "h1")) == 1 {
					continue
				}
			}
			if strings.TrimSpace(name) == "" {
				t.Errorf("<%s class=%q> has no name", n.Data, attr(n, "class"))
			}
		}
	})
}

// The content security policy allows no inline script and no inline style.
func TestPages_keepTheContentPolicy(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		for _, n := range elements(doc, "*") {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") || strings.HasPrefix(a.Val, "js:") {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
			switch {
			case n.Data == "style":
				t.Error("an inline style")
			case n.Data == "script" && (attr(n, "src") != "/static/all.js" || n.FirstChild != nil):
				t.Error("an inline script, or another one")
			}
		}
	})
}

// Everything that can be done is a link or a form: without script, what needs
// script is not there to be tried.
func TestPages_workWithoutScript(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		for _, n := range elements(doc, "button") {
			if attr(n, "type") == "button" && !under(n, "only-js", "banner", "toast", "dialog") {
				t.Errorf("%q does nothing without script", text(n)+attr(n, "aria-label"))
			}
		}
		for _, n := range elements(doc, "form") {
			if method := attr(n, "method"); method != "dialog" && attr(n, "action") == "" {
				t.Errorf("a form goes nowhere: %v", n.Attr)
			}
		}
	})
}

func under(n *html.Node, classes ...string) bool {
	for ; n != nil; n = n.Parent {
		for _, class := range strings.Fields(attr(n, "class")) {
			if slices.Contains(classes, class) {
				return true
			}
		}
	}
	return false
}

// A page is live or says that it is not; it never claims one and does the other.
func TestPages_areLiveOnlyWhereTheySaySo(t *testing.T) {
	eachPage(t, func(t *testing.T, name string, l i18n.Lang, doc *html.Node) {
		var connects []string
		for _, n := range elements(doc, "*") {
			if url, ok := lookup(n, "ws-connect"); ok {
				connects = append(connects, url)
				if attr(n, "hx-ext") != "ws" || n.FirstChild != nil {
					t.Error("the socket's element is not its own")
				}
			}
		}
		view, _, _ := strings.Cut(name, "-")
		section := map[string]string{"dashboard": "dashboard", "wall": "dashboard", "events": "events", "event": "events", "alerts": "alerts", "audit": "audit", "create": "create"}[view]
		live := section != ""
		if want := "/ws?view=" + section; live && !slices.Equal(connects, []string{want}) || !live && len(connects) > 0 {
			t.Errorf("sockets %v", connects)
		}
		for _, id := range []string{"conn", "offline", "updated", "beat", "news"} {
			if (byID(doc, id) != nil) != live {
				t.Errorf("#%s is there: %v, live: %v", id, !live, live)
			}
		}
		refreshes := false
		for _, n := range elements(doc, "noscript") {
			refreshes = refreshes || strings.Contains(exactText(n), `http-equiv="refresh"`) || len(elements(n, "meta")) > 0
		}
		if refreshes != (live && (section == "dashboard" && name != "wall" || section == "events" && name != "events-older")) && name != "wall" {
			t.Errorf("reloads by itself: %v", refreshes)
		}
	})
}

// What live frames rely on.
func TestTables_offerWhatFramesNeed(t *testing.T) {
	ctx := in(i18n.English)
	all := pages(ctx, plainWords)
	for _, test := range []struct{ page, id, lastID, limit string }{
		{"dashboard", "rows", "48213", "5"}, {"dashboard-first", "rows", "0", "5"}, {"wall", "rows", "48213", "7"},
		{"events", "rows", "48213", "100"}, {"events-first", "rows", "0", "100"}, {"events-none", "rows", "48213", "100"},
		{"alerts", "alert-rows", "", "100"}, {"alerts-first", "alert-rows", "", "100"},
	} {
		body := byID(parse(t, render(ctx, t, all[test.page])), test.id)
		if body == nil || body.Data != "tbody" {
			t.Errorf("%s: no <tbody id=%s>", test.page, test.id)
			continue
		}
		if attr(body, "data-cap") != test.limit || attr(body, "data-last-id") != test.lastID {
			t.Errorf("%s: %s keeps %s rows after %s", test.page, test.id, attr(body, "data-cap"), attr(body, "data-last-id"))
		}
		if strings.HasSuffix(test.page, "-first") && len(elements(body, "tr")) > 0 {
			t.Errorf("%s: #%s is not empty", test.page, test.id)
		}
	}
}

// keyLike is a catalogue's key, which is shown where its text is missing.
var keyLike = regexp.MustCompile(`^[a-z]+(\.[a-z0-9]+)+$|{{|<no value>`)

func TestPages_lackNoWords(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		for n := range doc.Descendants() {
			if word := strings.TrimSpace(n.Data); n.Type == html.TextNode && keyLike.MatchString(word) {
				t.Errorf("%q is shown", word)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "aria-l") && keyLike.MatchString(a.Val) {
					t.Errorf("%s=%q", a.Key, a.Val)
				}
			}
		}
	})
}

// Every class has a style and every style a class: on some page, in a frame,
// or set by script.
func TestClasses_areThoseOfTheStyleSheets(t *testing.T) {
	styled, used := map[string]bool{}, map[string]bool{}
	sheets, err := filepath.Glob("../static/css/*.css")
	if err != nil || len(sheets) == 0 {
		t.Fatalf("no style sheets: %v", err)
	}
	selectors := regexp.MustCompile(`(?s)/\*.*?\*/|{[^{}]*}`)
	class := regexp.MustCompile(`\.([a-z][a-z0-9_-]*)`)
	for _, sheet := range sheets {
		css, err := os.ReadFile(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range class.FindAllStringSubmatch(selectors.ReplaceAllString(string(css), " "), -1) {
			styled[m[1]] = true
		}
	}
	ctx := in(i18n.English)
	all := pages(ctx, plainWords)
	maps.Copy(all, frames(plainWords))
	for _, c := range all {
		for _, n := range elements(template(t, render(ctx, t, c)), "*") {
			for _, name := range strings.Fields(attr(n, "class")) {
				used[name] = true
			}
		}
	}
	used["htmx-request"] = true // by script
	// They tell script and tests what something is, and look like what they stand in.
	for _, plain := range []string{"c-sev", "c-src", "c-st", "rec", "word", "age"} {
		styled[plain] = true
	}
	for name := range used {
		if !styled[name] {
			t.Errorf("class %s has no style", name)
		}
	}
	for name := range styled {
		if !used[name] {
			t.Errorf("the style of class %s is for nobody", name)
		}
	}
}
