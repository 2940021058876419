package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// mixed starts a hub with eight events: of every severity, from two sources,
// through both channels.
func mixed(t *testing.T) *process {
	t.Helper()
	p := startHub(t, options{})
	d := dialDevice(t, p)
	d.Ask(event("sw-1", "info", "Puerto 1 está activo"))                     // 1
	d.Ask(event("sw-1", "warning", "Port 2 flaps"))                          // 2
	d.Ask(event("sw-1", "error", "Port 3 is down"))                          // 3
	d.Ask(event("sw-1", "critical", "Chassis 4 has no power"))               // 4
	p.postJSON("/api/events", event("ups-9", "info", "Self-test 5"), nil)    // 5
	p.postJSON("/api/events", event("ups-9", "warning", "Load 6 %"), nil)    // 6
	p.postJSON("/api/events", event("ups-9", "error", "Battery 7"), nil)     // 7
	p.postJSON("/api/events", event("ups-9", "critical", "On battery"), nil) // 8
	p.waitIndexed()
	return p
}

// waitIndexed waits until the search index has taken everything.
func (p *process) waitIndexed() {
	p.t.Helper()
	eventually(p.t, 20*time.Second, func() error {
		if behind := p.metric("alerthub_index_behind_events"); behind != 0 {
			return fmt.Errorf("the index is %.0f events behind", behind)
		}
		return nil
	})
}

// Lists waits until the events list is exactly these.
func (b *tab) Lists(ids ...int64) {
	b.t.Helper()
	want := make([]row, len(ids))
	for i, id := range ids {
		want[i] = row{ID: id}
	}
	b.Shows("rows", want, settled)
}

// Every control of the filter changes the address, the list, the counts, and
// what comes live; the way back is the browser's.
func TestBrowser_FilterByMouse(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events"))
	b.Becomes("live", settled)
	b.Mark()
	b.Lists(8, 7, 6, 5, 4, 3, 2, 1)
	chip := func(severity string) string { return fmt.Sprintf(`#filter .chip[data-sev=%s]`, severity) }
	for _, step := range []struct {
		click, search string
		list          []int64
	}{
		{chip("info"), "?sev=critical%2Cerror%2Cwarning", []int64{8, 7, 6, 4, 3, 2}},
		{chip("warning"), "?sev=critical%2Cerror", []int64{8, 7, 4, 3}},
		{chip("error"), "?sev=critical", []int64{8, 4}},
		{`#filter label:has([name=ch][value=tcp])`, "?sev=critical&ch=tcp", []int64{4}},
		{`#filter label:has([name=ch][value=http])`, "?sev=critical&ch=http", []int64{8}},
		{chip("critical"), "?ch=http", []int64{8, 7, 6, 5}}, // none is all
		{`#filter label:has([name=ack])`, "?ack=no&ch=http", []int64{8, 7}},
		{`#filter label:has([name=range][value="15m"])`, "?ack=no&ch=http&range=15m", []int64{8, 7}},
	} {
		b.Click(step.click)
		b.Is(`location.search`, step.search)
		b.Lists(step.list...)
	}
	b.Untouched()
	b.Becomes("live", settled)
	b.Is(`document.querySelector('[data-export][href*=csv]').search`, "?ack=no&ch=http&range=15m")

	// Only what the filter selects comes, and it comes.
	d := dialDevice(t, p)
	d.Ask(event("sw-1", "critical", "Not through this door"))                        // 9
	p.postJSON("/api/events", event("ups-9", "info", "Nothing to acknowledge"), nil) // 10
	p.postJSON("/api/events", event("ups-9", "critical", "Battery is empty"), nil)   // 11
	b.Lists(11, 8, 7)
	b.Fresh(5 * time.Second)

	for _, step := range []struct {
		search string
		list   []int64
	}{{"?ack=no&ch=http", []int64{11, 8, 7}}, {"?ch=http", []int64{11, 10, 8, 7, 6, 5}}} {
		b.Mark()
		b.do(chromedpBack)
		b.Until(`window.marked === undefined`, settled) // the page was loaded again
		b.Is(`location.search`, step.search)
		b.Lists(step.list...)
	}
	if !eval[bool](b, `document.querySelector('#filter [name=ch][value=http]').checked && !document.querySelector('#filter [name=ack]').checked`) {
		t.Error("the form does not say what the address says")
	}
	b.Becomes("live", settled)
	b.Click("#reset")
	b.At("/events")
	b.Lists(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	b.Becomes("live", settled)
	p.postJSON("/api/events", event("ups-9", "info", "Everything comes again"), nil)
	b.Lists(12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
}

func TestBrowser_FilterByKeyboard(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events"))
	b.Becomes("live", settled)
	b.Mark()
	b.Type("4") // info off
	b.Lists(8, 7, 6, 4, 3, 2)
	b.Type("3")
	b.Lists(8, 7, 4, 3)
	b.Type("2")
	b.Lists(8, 4)
	b.Type("1")
	b.Lists(8, 7, 6, 5, 4, 3, 2, 1)
	b.Type("/")
	b.Is(`document.activeElement.id`, "q")
	b.Type("port -flaps")
	b.Is(`location.search`, "?q=port+-flaps")
	b.Lists(3)
	b.Type(kb.Escape)
	if got := eval[string](b, `document.activeElement.id + '|' + document.getElementById('q').value`); got != "|port -flaps" {
		t.Errorf("Escape leaves the field, and what it says: %q", got)
	}
	b.Untouched()
	b.Type(kb.Escape)                               // clears the filter
	b.Until(`window.marked === undefined`, settled) // by the page without one
	b.At("/events")
	b.Lists(8, 7, 6, 5, 4, 3, 2, 1)
	b.Becomes("live", settled)
	// The source, the most recent first.
	for range 40 {
		if eval[bool](b, `document.activeElement.name === 'src'`) {
			break
		}
		b.Type(kb.Tab)
	}
	b.Type(kb.ArrowDown)
	b.Is(`location.search`, "?src=ups-9")
	b.Lists(8, 7, 6, 5)
	b.Type(kb.Tab)
	b.Type(kb.ArrowRight)
	b.Is(`location.search`, "?src=ups-9&range=15m")
	b.Lists(8, 7, 6, 5)
	// What selects nothing says so, offers ways out, and stays live.
	b.Type("/")
	b.Type("nowhere")
	b.Is(`document.querySelector('#results .empty h2')?.textContent`, "No event matches")
	if n := b.Count("#results .empty .acts a"); n < 3 {
		t.Errorf("%d ways out", n)
	}
	b.Becomes("live", settled)
	p.postJSON("/api/events", event("ups-9", "info", "It is nowhere to be seen"), nil)
	b.Lists(9)
	b.Until(`!document.querySelector('#results .empty').checkVisibility()`, settled)
}

// A search reads the whole history; the page and the API mean the same by it.
func TestBrowser_Search(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events"))
	for q, want := range map[string][]int64{
		"port":              {3, 2},
		"PORT down":         {3},
		"down port":         {3},
		`"down port"`:       nil,
		`"is down"`:         {3},
		"port -flaps":       {3},
		"-port":             {8, 7, 6, 5, 4, 1},
		"esta ACTIVO":       {1},
		"está":              {1},
		"#4":                {4},
		"#4 nothing":        nil,
		"ups":               {8, 7, 6, 5},
		"sw-1 chass":        {4},
		"atter":             {8, 7},
		"on":                {8},
		"6":                 {6},
		"127.0.0.1 battery": {8, 7},
		"%":                 {6},
		"po_t":              nil,
	} {
		b.Go(p.URL("/events?q=" + url.QueryEscape(q)))
		var page, api []int64
		for _, r := range b.Rows("rows") {
			page = append(page, r.ID)
		}
		for _, e := range p.list("?q=" + url.QueryEscape(q)).Events {
			api = append(api, e.ID)
		}
		if diff := cmp.Diff(want, page); diff != "" {
			t.Errorf("%s: the page (-want +got):\n%s", q, diff)
		}
		if diff := cmp.Diff(want, api); diff != "" {
			t.Errorf("%s: the API (-want +got):\n%s", q, diff)
		}
	}
	b.Go(p.URL("/events?q=port&sev=critical&sev=error&src=sw-1&ch=tcp&ack=no&range=1h"))
	b.Lists(3)
	b.Go(p.URL("/events?sev=loud&range=2y&q=port"))
	b.Lists(3, 2)
	if !strings.Contains(b.Text("#toasts"), "sev") {
		t.Errorf("what was not understood is not told: %q", b.Text("#toasts"))
	}
}

// Words too short for the index are looked for a bounded way back; the page
// says how far, and goes on.
func TestBrowser_BoundedSearchGoesOn(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{args: []string{"--limit-source=0"}})
	d := dialDevice(t, p)
	d.Ask(event("old", "info", "Qx is here"))
	sendMany(p, 30_000, calm)
	b := browse(t, p.URL("/events?q=qx"))
	pages, back := 0, int64(30_002) // how far back a page looks depends on how busy the machine is
	for b.Count("#rows tr.ev") == 0 {
		pages++
		next := eval[int64](b, `Number(new URL(document.querySelector('.searched a').href).searchParams.get('before'))`)
		if next >= back {
			t.Fatalf("page %d goes on at %d, the one before it at %d", pages, next, back)
		}
		back = next
		if notice := b.Text(".searched"); !strings.Contains(notice, "earched back to") {
			t.Fatalf("page %d says %q", pages, notice)
		}
		before := eval[string](b, `location.search`)
		b.Click(".searched a")
		b.Until(fmt.Sprintf(`location.search !== %q && document.readyState === 'complete'`, before), settled)
	}
	if pages == 0 {
		t.Error("it was not bounded: this proves nothing")
	}
	b.Lists(1)
}
