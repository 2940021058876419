package live

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"alerthub/views"
)

// element is one top-level element of a frame.
type element struct {
	node *html.Node
	oob  string // hx-swap-oob
}

// parseFrame reads a frame as htmx does, as the content of a <template>, and
// checks its grammar: at most one table body, first, and every element says
// where it goes.
func parseFrame(text string) ([]element, error) {
	template := &html.Node{Type: html.ElementNode, Data: "template", DataAtom: atom.Template}
	nodes, err := html.ParseFragment(strings.NewReader(text), template)
	if err != nil {
		return nil, err
	}
	var elements []element
	for i, n := range nodes {
		oob := attr(n, "hx-swap-oob")
		switch {
		case n.Type != html.ElementNode:
			return nil, fmt.Errorf("%q stands outside of all elements", n.Data)
		case n.Data == "tbody" && (i > 0 || len(nodes) > 2): // what follows but the beat may lose its own tables
			return nil, fmt.Errorf("a table body in place %d", i)
		case n.Data == "tr", n.Data == "td":
			return nil, fmt.Errorf("a <%s> without its table body", n.Data)
		case n.Data == "tbody" && !slices.Contains([]string{"afterbegin:#rows", "innerHTML:#rows", "afterbegin:#alert-rows", "innerHTML:#alert-rows"}, oob):
			return nil, fmt.Errorf("a table body for %q", oob)
		case n.Data != "tbody" && (oob != "true" || attr(n, "id") == ""):
			return nil, fmt.Errorf("<%s> goes to %q", n.Data, oob)
		}
		elements = append(elements, element{n, oob})
	}
	if len(elements) == 0 || attr(elements[len(elements)-1].node, "id") != "beat" {
		return nil, fmt.Errorf("a frame without a beat at its end")
	}
	return elements, nil
}

func lookup(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func attr(n *html.Node, name string) string {
	value, _ := lookup(n, name)
	return value
}

// text is what n says, without what script writes: ages and counts of repeats.
func text(n *html.Node) string {
	if class := attr(n, "class"); class == "c-age" || class == "rep" {
		return ""
	}
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := range n.ChildNodes() {
		b.WriteString(text(c))
	}
	return b.String()
}

// row is one row of a table, without the rows of days.
type row struct {
	id       int64 // 0 for a gap
	n        int64 // events that it stands for; of a gap, those that are left out
	group    string
	from, to int64 // of a gap
	gone     bool
	text     string
	url      string
}

// key is where a row stands: a gap at the newest event that it leaves out.
func (r *row) key() int64 { return cmp.Or(r.id, r.to) }

// page is what live.js makes of frames: the open page, reduced to what counts.
// It is the reference for how rows merge.
type page struct {
	params  string // of its socket
	cap     int
	rows    []row
	alerts  []row
	lastID  int64
	asOf    string // of the last beat
	paused  bool
	parts   map[string]*html.Node // the newest of each other element, by id
	came    map[string]int        // how often each came
	newRows []int                 // rows of each frame that brought some
	doubles int                   // new rows that were there already
	all     int                   // frames that replaced the table
}

// apply does with one frame what htmx and live.js do.
func (p *page) apply(t *testing.T, message string) {
	t.Helper()
	elements, err := parseFrame(message)
	if err != nil {
		t.Fatalf("%v in the frame\n%.500s", err, message)
	}
	if p.parts == nil {
		p.parts, p.came = make(map[string]*html.Node), make(map[string]int)
	}
	for _, e := range elements {
		if e.node.Data == "tbody" {
			p.body(t, e)
			continue
		}
		id := attr(e.node, "id")
		p.parts[id] = e.node
		p.came[id]++
	}
	beat := p.parts["beat"]
	last, err := strconv.ParseInt(attr(beat, "data-last-id"), 10, 64)
	if err != nil || last < p.lastID {
		t.Fatalf("the last id goes from %d to %d (%v)", p.lastID, last, err)
	}
	p.lastID, p.asOf = last, attr(beat, "data-as-of")
}

func (p *page) body(t *testing.T, e element) {
	t.Helper()
	rows := rowsOf(t, e.node)
	_, changes := lookup(e.node, "data-changes")
	_, all := lookup(e.node, "data-all")
	if p.paused && !changes {
		t.Fatalf("a paused page got %d rows", len(rows))
	}
	table, limit := &p.rows, p.cap
	if strings.HasSuffix(e.oob, "#alert-rows") {
		table, limit = &p.alerts, views.AlertsCap
	}
	switch {
	case all:
		*table = rows
		p.all++
		return
	case changes:
		for _, r := range rows {
			p.change(r)
		}
		return
	case table == &p.rows:
		p.newRows = append(p.newRows, len(rows))
	}
	p.merge(table, rows)
	ids := 0
	for i, r := range *table {
		if r.id > 0 {
			ids++
		}
		if ids > limit {
			*table = (*table)[:i]
			break
		}
	}
}

// change gives a row that is shown its new state.
func (p *page) change(r row) {
	at := slices.IndexFunc(p.rows, func(have row) bool { return have.id == r.id })
	switch {
	case at < 0:
	case r.gone:
		p.rows = slices.Delete(p.rows, at, at+1)
	default:
		r.n = p.rows[at].n
		p.rows[at] = r
	}
}

// merge puts new rows where their ids belong. One that is shown takes its new
// state where it stands; one that repeats a shown older one takes it over, with
// its count; one older than all, within a gap or counted by a newer one stays
// out.
func (p *page) merge(table *[]row, rows []row) {
	had := slices.Clone(*table)
	for _, r := range rows {
		at := slices.IndexFunc(*table, func(have row) bool { return r.id > 0 && have.id == r.id })
		if at >= 0 {
			r.n = max(r.n, (*table)[at].n)
			(*table)[at] = r
			p.doubles++
			continue
		}
		twin := slices.IndexFunc(*table, func(have row) bool { return r.group != "" && have.group == r.group })
		if len(had) > 0 && r.key() < had[len(had)-1].key() || twin >= 0 && (*table)[twin].id > r.id ||
			slices.ContainsFunc(had, func(g row) bool { return g.id == 0 && r.key() >= g.from && r.key() <= g.to }) {
			continue
		}
		if twin >= 0 {
			r.n += (*table)[twin].n
			*table = slices.Delete(*table, twin, twin+1)
		}
		place := slices.IndexFunc(*table, func(have row) bool { return have.key() < r.key() })
		if place < 0 {
			place = len(*table)
		}
		*table = slices.Insert(*table, place, r)
	}
}

func rowsOf(t *testing.T, body *html.Node) (rows []row) {
	t.Helper()
	number := func(n *html.Node, name string) int64 {
		value, err := strconv.ParseInt(attr(n, name), 10, 64)
		if err != nil {
			t.Fatalf("%s of a row: %v", name, err)
		}
		return value
	}
	for tr := range body.ChildNodes() {
		if tr.Type == html.TextNode && strings.TrimSpace(tr.Data) == "" || strings.HasPrefix(attr(tr, "id"), "day-") {
			continue
		}
		if tr.Data != "tr" {
			t.Fatalf("<%s> in a table body", tr.Data)
		}
		r := row{n: 1, group: attr(tr, "data-g"), text: strings.Join(strings.Fields(text(tr)), " ")}
		_, r.gone = lookup(tr, "data-gone")
		if id := strings.TrimLeft(attr(tr, "id"), "aelm-"); id != "" {
			var err error
			if r.id, err = strconv.ParseInt(id, 10, 64); err != nil {
				t.Fatal(err)
			}
			if _, ok := lookup(tr, "data-n"); ok {
				r.n = number(tr, "data-n")
			}
			// What became of it counts, the age does not.
			_, acked := lookup(tr, "data-acked")
			r.text = fmt.Sprint(acked, " ", r.text)
		} else {
			r.from, r.to = number(tr, "data-from"), number(tr, "data-to")
			r.url = link(tr)
		}
		rows = append(rows, r)
	}
	return rows
}

func link(n *html.Node) (url string) {
	if n.Data == "a" {
		return attr(n, "href")
	}
	for c := range n.ChildNodes() {
		url = cmp.Or(url, link(c))
	}
	return url
}

// ids are the rows without the gaps.
func ids(rows []row) (out []int64) {
	for _, r := range rows {
		if r.id > 0 {
			out = append(out, r.id)
		}
	}
	return out
}

// gaps are the gaps among rows.
func gaps(rows []row) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.id > 0 })
}
