package views

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"alerthub/i18n"
	"alerthub/models"
)

// template reads a frame as htmx does: as the content of a <template>.
func template(t testing.TB, text string) *html.Node {
	t.Helper()
	root := &html.Node{Type: html.ElementNode, Data: "template", DataAtom: atom.Template}
	nodes, err := html.ParseFragment(strings.NewReader(text), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		root.AppendChild(n)
	}
	return root
}

// A frame is at most one table body, first, and every element says where it
// goes: after anything else the parser drops table rows without a word.
func TestFrames_keepTheirGrammar(t *testing.T) {
	bodies := []string{"afterbegin:#rows", "innerHTML:#rows", "afterbegin:#alert-rows", "innerHTML:#alert-rows"}
	for _, l := range i18n.Langs() {
		for name, c := range frames(plainWords) {
			first := true
			for n := range template(t, render(in(l), t, c)).ChildNodes() {
				oob := attr(n, "hx-swap-oob")
				switch {
				case n.Type != html.ElementNode:
					t.Errorf("%s: %q stands outside of all elements", name, n.Data)
				case n.Data == "tbody" && (!first || !slices.Contains(bodies, oob)):
					t.Errorf("%s: a table body for %q, first: %v", name, oob, first)
				case n.Data != "tbody" && (oob != "true" || attr(n, "id") == ""):
					t.Errorf("%s: <%s id=%q> goes to %q", name, n.Data, attr(n, "id"), oob)
				}
				first = false
			}
		}
	}
}

// What is swapped whole is there on a page, under the same id.
func TestFrames_findTheirPlace(t *testing.T) {
	ctx := in(i18n.English)
	onPages := map[string]bool{}
	for _, c := range pages(ctx, plainWords) {
		for _, n := range elements(parse(t, render(ctx, t, c)), "*") {
			onPages[attr(n, "id")] = true
		}
	}
	for name, c := range frames(plainWords) {
		for n := range template(t, render(ctx, t, c)).ChildNodes() {
			id := attr(n, "id")
			if _, target, ok := strings.Cut(attr(n, "hx-swap-oob"), "#"); ok {
				id = target
			}
			if !onPages[id] {
				t.Errorf("%s: no page has #%s", name, id)
			}
		}
	}
}

// A frame's rows are those that a page would render, so that an open page and
// a fresh one show the same.
func TestFrames_rowsAreThoseOfThePage(t *testing.T) {
	for _, l := range i18n.Langs() {
		ctx := in(l)
		rows := plainWords.rows()
		page := elements(parse(t, render(ctx, t, eventTable(EventsData{Rows: rows}, 0))), "tr")[1:]
		frame := elements(template(t, render(ctx, t, AllFrame(rows, 1))), "tr")
		mini := elements(parse(t, render(ctx, t, miniTable(rows, 1, MiniCap))), "tr")[1:]
		miniFrame := elements(template(t, render(ctx, t, MiniFrame(rows, 1))), "tr")
		alerts := elements(parse(t, render(ctx, t, alertTable(plainWords.alerts().Alerts, 0))), "tr")[1:]
		alertFrame := elements(template(t, render(ctx, t, AlertsFrame(plainWords.alerts().Alerts, true))), "tr")
		for name, pair := range map[string][2][]*html.Node{"events": {page, frame}, "mini": {mini, miniFrame}, "alerts": {alerts, alertFrame}} {
			if want, got := source(t, pair[0]), source(t, pair[1]); !slices.Equal(want, got) {
				t.Errorf("%s: the page has\n%s\nthe frame\n%s", name, strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
		}
	}
}

func source(t *testing.T, nodes []*html.Node) []string {
	var all []string
	for _, n := range nodes {
		var b strings.Builder
		if err := html.Render(&b, n); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.String())
	}
	return all
}

// Rows are many and arrive often: one id each, on the row, and no behaviour.
func TestRows_areLight(t *testing.T) {
	ctx := in(i18n.English)
	for _, name := range []string{"rows", "mini", "alerts"} {
		for _, n := range elements(template(t, render(ctx, t, frames(plainWords)[name])), "*") {
			if id := attr(n, "id"); id != "" && n.Data != "tr" {
				t.Errorf("%s: <%s id=%q>", name, n.Data, id)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "hx-") && n.Data != "tbody" {
					t.Errorf("%s: <%s %s>", name, n.Data, a.Key)
				}
			}
		}
	}
}

func TestRows_standUnderTheirDays(t *testing.T) {
	rows := plainWords.rows()
	rows[1].Event.CreatedAt = at.Add(-9 * time.Hour) // yesterday in UTC, today an hour east
	rows[1].Event.AckedAt = at
	var got []string
	for _, tr := range elements(template(t, render(in(i18n.Spanish), t, AllFrame(rows, 1))), "tr") {
		line := attr(tr, "id")
		if attr(tr, "class") == "day" {
			line += " " + text(tr)
		}
		got = append(got, line)
	}
	want := []string{"day-2026-02-24 Hoy, martes 24 de febrero", "e48213", "e48210", "day-2026-02-23 Ayer, lunes 23 de febrero", "e48100"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestRow_offersWhatItNeeds(t *testing.T) {
	ctx := in(i18n.English)
	quiet := plainWords.event(1)
	quiet.Severity = models.SeverityInfo
	for name, test := range map[string]struct {
		row    Row
		button bool
		shows  string
	}{
		"a critical waits":          {Row{Event: plainWords.event(1), N: 1}, true, "Ack #1"},
		"an acknowledged one shows": {Row{Event: plainWords.acked(1), N: 1}, false, "Acknowledged by Ana"},
		"information needs nobody":  {Row{Event: quiet, N: 1}, false, "bgp-mon-01"},
		"repeats are counted":       {Row{Event: quiet, N: 1204}, false, "×1204"},
	} {
		tr := elements(template(t, render(ctx, t, RowsFrame([]Row{test.row}, 1, nil))), "tr")[1]
		if got := len(elements(tr, "button")) == 1; got != test.button || !strings.Contains(text(tr), test.shows) {
			t.Errorf("%s: button %v, %q", name, got, text(tr))
		}
		if attr(tr, "data-n") != strconv.Itoa(test.row.N) || attr(tr, "data-g") != groupName(&test.row.Event) {
			t.Errorf("%s: %v", name, tr.Attr)
		}
	}
}

func TestPill_namesTheWorst(t *testing.T) {
	ctx := in(i18n.English)
	for want, severity := range map[string][4]int64{
		"23 new events 1 critical": {20, 2, 5, 1},
		"23 new events 5 errors":   {20, 2, 5, 0},
		"23 new events":            {20, 3, 0, 0},
	} {
		if got := text(template(t, render(ctx, t, Pill(23, severity)))); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNewsFlash_tellsTheNewest(t *testing.T) {
	newer := plainWords.event(9)
	newer.Source = "ups"
	n := elements(template(t, render(in(i18n.English), t, NewsFlash([]models.Event{newer, plainWords.event(8)}))), "i")[0]
	if attr(n, "data-crit") != "9,8" || attr(n, "data-text") != "ups: Session down: hold timer expired" {
		t.Errorf("%v", n.Attr)
	}
}
