package live

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
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
		case n.Data == "tbody" && i > 0:
			return nil, fmt.Errorf("a table body in place %d", i)
		case n.Data == "tr", n.Data == "td":
			return nil, fmt.Errorf("a <%s> without its table body", n.Data)
		case n.Data == "tbody" && !slices.Contains([]string{"afterbegin:#rows", "innerHTML:#rows", "afterbegin:#alert-rows", "innerHTML:#alert-rows"}, oob):
			return nil, fmt.Errorf("a table body for %q", oob)
		case n.Data != "tbody" && oob != "innerHTML:[ws-connect]" && (oob != "true" || attr(n, "id") == ""):
			return nil, fmt.Errorf("<%s> goes to %q", n.Data, oob)
		}
		elements = append(elements, element{n, oob})
	}
	if len(elements) == 0 {
		return nil, fmt.Errorf("an empty frame")
	}
	return elements, nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func find(n *html.Node, id string) *html.Node {
	if attr(n, "id") == id {
		return n
	}
	for c := range n.ChildNodes() {
		if found := find(c, id); found != nil {
			return found
		}
	}
	return nil
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := range n.ChildNodes() {
		b.WriteString(text(c))
	}
	return b.String()
}

// row is one row of a table: an id, or a gap with its words and link.
type row struct {
	id        int64 // 0 for a gap
	text, url string
}

// page is what live.js makes of frames: the open page, reduced to what counts.
type page struct {
	cap         int
	rows        []row
	alerts      []row
	lastID      int64
	notices     string
	figures     []string // ids of the counters that came
	doubles     int      // rows that came although they were there
	gaps, beats int
	newRows     []int // rows of each frame that brought some
}

// apply does with one frame what htmx and live.js do.
func (p *page) apply(t *testing.T, message string) {
	t.Helper()
	elements, err := parseFrame(message)
	if err != nil {
		t.Fatalf("%v in the frame\n%s", err, message)
	}
	for _, e := range elements {
		switch {
		case e.node.Data == "tbody":
			table := &p.rows
			if strings.HasSuffix(e.oob, "#alert-rows") {
				table = &p.alerts
			}
			rows := rowsOf(t, e.node)
			if table == &p.rows {
				p.newRows = append(p.newRows, len(rows))
			}
			if strings.HasPrefix(e.oob, "innerHTML") {
				*table = rows
			} else {
				p.merge(table, rows)
			}
		case e.oob == "true":
			id := attr(e.node, "id")
			if id == "notices" {
				p.notices = strings.TrimSpace(text(e.node))
			} else {
				p.figures = append(p.figures, id)
			}
		default:
			p.beats++
			last, err := strconv.ParseInt(attr(find(e.node, "beat"), "data-last-id"), 10, 64)
			if err != nil || last < p.lastID {
				t.Fatalf("the last id goes from %d to %d (%v)", p.lastID, last, err)
			}
			p.lastID = last
		}
	}
}

func (p *page) merge(table *[]row, rows []row) {
	newest := int64(0)
	for _, r := range *table {
		newest = max(newest, r.id)
	}
	var top []row
	for _, r := range rows {
		at := slices.IndexFunc(*table, func(have row) bool { return r.id > 0 && have.id == r.id })
		switch {
		case at >= 0:
			(*table)[at] = r
			p.doubles++
		case r.id == 0:
			top = append(top, r)
			p.gaps++
		case r.id > newest:
			top = append(top, r)
		}
	}
	*table = append(top, *table...)
	ids := 0
	for i, r := range *table {
		if r.id > 0 {
			ids++
		}
		if ids > p.cap {
			*table = (*table)[:i]
			break
		}
	}
}

func rowsOf(t *testing.T, body *html.Node) (rows []row) {
	t.Helper()
	for tr := range body.ChildNodes() {
		if tr.Type == html.TextNode && strings.TrimSpace(tr.Data) == "" {
			continue
		}
		if tr.Data != "tr" {
			t.Fatalf("<%s> in a table body", tr.Data)
		}
		r := row{text: strings.Join(strings.Fields(text(tr)), " ")}
		if id := attr(tr, "id"); id != "" {
			n, err := strconv.ParseInt(id[3:], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.id = n
		} else if attr(tr, "class") != "gap" {
			t.Fatalf("a row without an id: %s", r.text)
		}
		var link func(*html.Node)
		link = func(n *html.Node) {
			if n.Data == "a" {
				r.url = attr(n, "href")
			}
			for c := range n.ChildNodes() {
				link(c)
			}
		}
		link(tr)
		rows = append(rows, r)
	}
	return rows
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
