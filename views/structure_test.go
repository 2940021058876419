package views

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/i18n"
	"alerthub/models"
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
		if got := attr(elements(doc, "html")[0], "lang"); got != l.String() {
			t.Errorf("lang is %q", got)
		}
		if n := len(elements(doc, "h1")); n != 1 {
			t.Errorf("%d h1", n)
		}
		level := 1
		for _, h := range elements(doc, "h1", "h2", "h3", "h4") {
			next := int(h.Data[1] - '0')
			if next > level+1 {
				t.Errorf("%s %q follows h%d", h.Data, text(h), level)
			}
			level = next
		}
		want := 1
		if name == "error" {
			want = 0
		}
		current := 0
		for _, a := range elements(doc, "a") {
			if attr(a, "aria-current") == "page" {
				current++
			}
			if href := attr(a, "href"); href == "" || strings.HasPrefix(href, "javascript:") || strings.HasPrefix(href, "about:") {
				t.Errorf("a link leads to %q", href)
			}
		}
		if current != want {
			t.Errorf("%d links are current, want %d", current, want)
		}
		if skip := elements(doc, "a")[0]; attr(skip, "href") != "#main" || byID(doc, "main") == nil {
			t.Error("the first link does not skip to the content")
		}
	})
}

// What refers to something by id finds it, once.
func TestPages_refersToWhatIsThere(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		seen := map[string]bool{}
		for _, n := range elements(doc, "*") {
			if id := attr(n, "id"); id != "" && seen[id] {
				t.Errorf("id %s is there twice", id)
			} else {
				seen[id] = true
			}
		}
		for _, n := range elements(doc, "*") {
			for _, key := range []string{"for", "aria-labelledby", "aria-describedby", "data-count"} {
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
			labelled[attr(label, "for")] = strings.TrimSpace(text(label)) != ""
		}
		for _, n := range elements(doc, "input", "textarea", "select") {
			inside := n.Parent.Data == "label"
			if attr(n, "type") != "hidden" && !inside && !labelled[attr(n, "id")] {
				t.Errorf("<%s name=%q> has no label", n.Data, attr(n, "name"))
			}
		}
		for _, n := range elements(doc, "a", "button", "nav", "table", "section") {
			name := attr(n, "aria-label") + attr(n, "aria-labelledby")
			switch n.Data {
			case "table":
				name += text(elements(n, "caption")[0])
			case "a", "button":
				name += text(n)
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
			case n.Data == "script" && (attr(n, "src") == "" || n.FirstChild != nil):
				t.Error("an inline script")
			}
		}
	})
}

// One script, which blocks no drawing.
func TestPages_loadOneScript(t *testing.T) {
	eachPage(t, func(t *testing.T, _ string, _ i18n.Lang, doc *html.Node) {
		var sources []string
		for _, s := range elements(doc, "script") {
			if _, ok := lookup(s, "defer"); !ok {
				t.Errorf("%s is not deferred", attr(s, "src"))
			}
			sources = append(sources, attr(s, "src"))
		}
		if want := []string{"/static/all.js"}; !slices.Equal(sources, want) {
			t.Errorf("scripts %v, want %v", sources, want)
		}
	})
}

// A page is live or says that it is not; it never claims one and does the other.
func TestPages_areLiveOnlyWhereTheySaySo(t *testing.T) {
	views := map[string]string{
		"dashboard": "dashboard", "dashboard-first": "dashboard", "events": "events", "events-first": "events",
		"alerts": "alerts", "alerts-first": "alerts", "audit": "audit", "audit-ill": "audit",
	}
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
		view, live := views[name]
		if want := "/ws?view=" + view + "&lang=" + l.String(); live && !slices.Equal(connects, []string{want}) || !live && len(connects) > 0 {
			t.Errorf("sockets %v", connects)
		}
		for _, id := range []string{"conn", "offline"} {
			if (byID(doc, id) != nil) != live {
				t.Errorf("#%s is there: %v, live: %v", id, !live, live)
			}
		}
		for _, id := range []string{"rows", "alert-rows"} {
			if !live && byID(doc, id) != nil {
				t.Errorf("#%s is there for frames that never come", id)
			}
		}
		if refresh := strings.Contains(render(in(l), t, pages(in(l), plainWords)[name]), `http-equiv="refresh"`); refresh != (live && (view == "dashboard" || view == "events")) {
			t.Errorf("reloads by itself: %v", refresh)
		}
	})
}

// What live frames rely on.
func TestTables_offerWhatFramesNeed(t *testing.T) {
	ctx := in(i18n.English)
	all := pages(ctx, plainWords)
	for _, test := range []struct{ page, id, lastID, limit string }{
		{"dashboard", "rows", "48213", "10"}, {"dashboard", "alert-rows", "", "10"},
		{"dashboard-first", "rows", "0", "10"}, {"dashboard-first", "alert-rows", "", "10"},
		{"events", "rows", "48213", "100"}, {"events-first", "rows", "0", "100"},
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
		if strings.HasSuffix(test.page, "-first") && body.FirstChild != nil {
			t.Errorf("%s: #%s is not empty", test.page, test.id)
		}
	}
}

// Rows are many and arrive often: one id each, on the row, and no behaviour.
func TestRows_areLight(t *testing.T) {
	ctx := in(i18n.English)
	for want, row := range map[string]string{
		"ev-48213": render(ctx, t, EventRow(plainWords.event(48213))),
		"al-902":   render(ctx, t, AlertRow(plainWords.alert(902, "failed"))),
	} {
		doc := rows(t, row)
		for _, n := range elements(elements(doc, "tbody")[0], "*") {
			id := attr(n, "id")
			if n.Data == "tr" && id != want || n.Data != "tr" && id != "" {
				t.Errorf("<%s id=%q>", n.Data, id)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "hx-") {
					t.Errorf("<%s %s>", n.Data, a.Key)
				}
			}
		}
	}
}

func TestFrames_nameWhatTheyReplace(t *testing.T) {
	ctx := in(i18n.Spanish)
	for id, pair := range map[string][2]string{
		"counters":      {render(ctx, t, Counters(testStats, true)), render(ctx, t, Counters(testStats, false))},
		"alert-figures": {render(ctx, t, AlertFigures(testStats, true)), render(ctx, t, AlertFigures(testStats, false))},
		"audit-tables":  {render(ctx, t, AuditTables(testStats, true)), render(ctx, t, AuditTables(testStats, false))},
		"notices":       {render(ctx, t, Notices(models.Health{}, true)), render(ctx, t, Notices(models.Health{}, false))},
	} {
		for i, want := range []string{"true", ""} {
			root := byID(parse(t, pair[i]), id)
			if root == nil || root.Parent.Data != "body" || root.NextSibling != nil {
				t.Errorf("%s is not the one root", id)
				continue
			}
			if got := attr(root, "hx-swap-oob"); got != want {
				t.Errorf("%s: hx-swap-oob is %q, want %q", id, got, want)
			}
		}
	}
}

func TestTime_saysWhenInUTC(t *testing.T) {
	doc := parse(t, render(in(i18n.English), t, Time(at)))
	n := elements(doc, "time")[0]
	if attr(n, "datetime") != "2026-02-24T08:41:52.118234Z" || attr(n, "title") != "2026-02-24 08:41:52.118 UTC" || text(n) != "2026-02-24 08:41:52.118" {
		t.Errorf("%q %q %q", attr(n, "datetime"), attr(n, "title"), text(n))
	}
}

func TestWords_ofOtherProgramsAreShownAsTheyAre(t *testing.T) {
	ctx := in(i18n.Spanish)
	w := plainWords
	w.severity, w.channel = "notice", "carrier_pigeon"
	row := text(rows(t, render(ctx, t, EventRow(w.event(1)))))
	alert := text(rows(t, render(ctx, t, AlertRow(w.alert(1, "bounced")))))
	for _, want := range []string{"notice", "carrier_pigeon", "bounced"} {
		if !strings.Contains(row+alert, want) {
			t.Errorf("%s is not shown", want)
		}
	}
}

func TestAlertRow_saysWhenTheNextAttemptIs(t *testing.T) {
	ctx := in(i18n.English)
	fresh := plainWords.alert(1, "pending")
	fresh.Attempts = 0
	for want, a := range map[string]models.EmailAlert{
		"Next attempt at 08:42:52.": plainWords.alert(1, "pending"),
		"":                          fresh,
	} {
		if got := render(ctx, t, AlertRow(a)); strings.Contains(got, "Next attempt") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%d attempts: %s", a.Attempts, got)
		}
	}
}

func TestStackBar_fillsItsWidth(t *testing.T) {
	for _, counts := range [][]int64{{1}, {1, 1}, {29, 403, 2604, 15391}, {1, 0, 0, 10_000_000}, {0, 5, 0, 0}} {
		var parts []part
		for _, n := range counts {
			parts = append(parts, part{fill: "info", n: n})
		}
		rects := layOut(parts)
		last := rects[len(rects)-1]
		if end := number(t, last.x) + number(t, last.width); end < barWidth-0.2 || end > barWidth+0.2 {
			t.Errorf("%v ends at %v", counts, end)
		}
		for _, r := range rects {
			if number(t, r.width) < barLeast {
				t.Errorf("%v: a part is %s wide", counts, r.width)
			}
		}
	}
	if got := layOut([]part{{n: 0}, {n: 0}}); len(got) != 0 {
		t.Errorf("nothing is drawn as %v", got)
	}
}
