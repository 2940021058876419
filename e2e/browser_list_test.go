package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// What the browser's own Back does, and its key for submitting.
var (
	chromedpBack = chromedp.NavigateBack()
	ctrl         = chromedp.ModifierCtrl
)

// waits checks that the page is paused for this reason, takes no row that
// comes now, and counts it in its pill; ids are what it shows.
func (b *tab) waits(p *process, why string) {
	b.t.Helper()
	b.Is(`document.getElementById('tail').dataset.state + ' ' + document.getElementById('tail').dataset.why`, "paused "+why)
	before := b.Rows("rows")
	sendMany(p, 2, alarm)
	b.Until(`/↑?\s*2 new events\s+2\s+critical/.test(document.querySelector('#pill button')?.textContent.trim())`, settled)
	b.Shows("rows", before, settled)
}

// goesOn checks that the page shows everything again.
func (b *tab) goesOn(p *process) {
	b.t.Helper()
	b.Shows("rows", stored(p, 100), settled)
	b.Becomes("live", settled)
	b.Is(`document.getElementById('pill').textContent.trim()`, "")
	b.Fresh(5 * time.Second)
}

// Rows stand still while somebody reads, and until somebody who stopped them
// lets them go on.
func TestBrowser_Pause(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := watch(t, p, p.URL(""), 60)
	for _, way := range []struct {
		why        string
		begin, end func()
	}{
		{"hand", func() { b.Click("#pause") }, func() { b.Click("#pause") }},
		{"hand", func() { b.Type("p") }, func() { b.Type("p") }},
		{"hand", func() { b.Type("p") }, func() { b.Click("#pill button") }},
		{"hand", func() { b.Type("p") }, func() { b.Type(".") }},
		{"reading", func() {
			b.Type(kb.End)
			// Chromium ignores a key that scrolls back while it still scrolls.
			b.Until(`scrollY > 80 && scrollY + innerHeight > document.documentElement.scrollHeight - 2`, settled)
		}, func() { b.Type(kb.Home) }},
		{"reading", func() { b.Hide(true) }, func() { b.Hide(false) }},
		{"reading", func() { b.Click("#rows tr.ev:nth-of-type(5) .c-msg a"); b.Opens(-1) }, func() { b.Type(kb.Escape); eval[bool](b, `document.activeElement.blur(), true`) }},
		{"reading", func() {
			eval[bool](b, `getSelection().selectAllChildren(document.querySelector('#rows tr.ev .c-src')), true`)
		},
			func() { eval[bool](b, `getSelection().removeAllRanges(), true`) }},
	} {
		way.begin()
		b.waits(p, way.why)
		way.end()
		b.goesOn(p)
		eval[bool](b, `document.activeElement.blur(), true`) // the pill leads to the first row
	}
	b.Untouched()
	if pressed := eval[string](b, `document.getElementById('pause').getAttribute('aria-pressed')`); pressed != "false" {
		t.Errorf("the button is pressed: %s", pressed)
	}
	// After the pill the first row has the focus, and the page is live.
	b.Type("p")
	b.waits(p, "hand")
	b.Click("#pill button")
	b.goesOn(p)
	if on := eval[string](b, `document.activeElement.closest('tr')?.id`); on == "" || on == "undefined" {
		t.Error("the focus is not in the rows")
	}
	// Much more than a table holds, while paused.
	eval[bool](b, `document.activeElement.blur(), true`)
	b.Type("p")
	b.Becomes("paused", settled)
	sendMany(p, 300, calm)
	b.Until(`document.querySelector('#pill button')?.textContent.includes('300')`, settled)
	b.Type("p")
	b.goesOn(p)
	b.Untouched()
}

// Nothing that stays in view lies on what else does, however narrow the window
// is and however long its words are.
func TestBrowser_WhatStaysInViewIsReached(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	sendMany(p, 60, alarm)
	b := openTab(t)
	for _, lang := range []string{"en", "es"} {
		b.Go(p.URL("/events?range=7d&lang=" + lang))
		b.Becomes("live", settled)
		b.Type("p")
		b.Becomes("paused", settled)
		sendMany(p, 2, alarm)
		b.Until(`document.querySelector('#pill button') !== null`, settled)
		for _, width := range []int64{701, 800, 1100, 1201, 1280, 1366, 1920} {
			b.reached(lang, width, "#pill button", "#q", "#reset")
		}
		eval[bool](b, `document.querySelector('#rows .ev .c-msg a').click(), true`)
		b.Opens(-1)
		for _, width := range []int64{390, 701, 1100, 1201, 1280, 1366, 1920} {
			b.reached(lang, width, "#drawer [data-act=close-drawer]")
		}
		b.Sees(1440, 900, "light")
	}
}

// reached fails if something lies on one of these in a window of that width.
func (b *tab) reached(lang string, width int64, selectors ...string) {
	b.t.Helper()
	b.Sees(width, 700, "light")
	eval[bool](b, `scrollTo(0, 400), true`)
	b.painted()
	for _, s := range selectors {
		if hit := eval[string](b, fmt.Sprintf(`(() => {
			const el = document.querySelector(%q), at = el.getBoundingClientRect();
			const hit = document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2);
			return el.contains(hit) ? '' : hit?.outerHTML.slice(0, 80) ?? 'nothing'; })()`, s)); hit != "" {
			b.t.Errorf("in %s at %d px %s is covered by %s", lang, width, s, hit)
		}
	}
}

// Opens waits until the drawer shows this event; -1 for any.
func (b *tab) Opens(id int64) {
	b.t.Helper()
	if id < 0 {
		b.Until(`document.getElementById('drawer') !== null`, settled)
		return
	}
	b.Is(`document.getElementById('drawer')?.dataset.id + ' ' + location.pathname`, fmt.Sprintf("%d /events/%[1]d", id))
	b.Until(fmt.Sprintf(`document.querySelector('#rows [aria-current]')?.id === 'e%d'`, id), settled)
}

// Closed waits until there is no drawer and the focus is back in its row.
func (b *tab) Closed(id int64) {
	b.t.Helper()
	b.Is(`String(document.getElementById('drawer')) + location.pathname`, "null/events")
	if id > 0 {
		b.Is(`document.activeElement.closest('tr')?.id`, fmt.Sprintf("e%d", id))
	}
}

// The drawer is opened, read, left through and closed by mouse and by keys,
// and its address is a page.
func TestBrowser_Drawer(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events?src=sw-1"))
	b.Becomes("live", settled)
	b.Mark()
	b.Click("#e3 .c-msg a")
	b.Opens(3)
	b.Is(`location.search`, "?src=sw-1")
	b.Is(`document.activeElement.id`, "drawer")
	b.Click("#drawer [data-act=next]")
	b.Opens(2)
	b.Click("#drawer [data-act=prev]")
	b.Opens(3)
	b.Click("#drawer [data-act=close-drawer]")
	b.Closed(3)
	b.Click("#e4 .c-time") // anywhere in the row
	b.Opens(4)
	b.Type("j")
	b.Opens(3)
	b.Type("j")
	b.Opens(2)
	b.Type("k")
	b.Opens(3)
	b.Type(kb.Escape)
	b.Closed(3)
	b.Type("k") // moves without opening
	b.Closed(4)
	b.Type(kb.Enter)
	b.Opens(4)
	b.do(chromedpBack)
	b.Closed(0)
	b.Untouched()
	b.Is(`location.search`, "?src=sw-1")
	b.Click("#e3 .c-msg a")
	b.Opens(3)
	b.Click("#drawer [data-act=copy-link]")
	b.Until(`document.getElementById('toasts').textContent.includes('Copied')`, settled)
	b.Type("y")
	b.Until(`document.querySelectorAll('#toasts .toast').length === 2`, settled)

	// The same by its address, beside the same list, and live.
	b.Go(p.URL("/events/3?src=sw-1"))
	b.Opens(3)
	b.Lists(4, 3, 2, 1)
	b.Click(`#drawer a[href*="from="]`) // around
	b.Until(`location.search.includes('from=') && document.readyState === 'complete'`, settled)
	b.Lists(8, 7, 6, 5, 4, 3, 2, 1)
	b.Go(p.URL("/events/7"))
	b.Opens(7)
	b.Click("#drawer .facts a")
	b.At("/events?src=ups-9")
	b.Lists(8, 7, 6, 5)
	// One that the list does not show.
	b.Go(p.URL("/events/2?src=ups-9"))
	b.Is(`document.getElementById('drawer-h').textContent`, "Port 2 flaps")
	b.Lists(8, 7, 6, 5)
	b.Type(kb.Escape)
	b.Closed(0)
}

// How the list is shown is a choice that is kept.
func TestBrowser_DensityAndZone(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events?sev=critical"))
	height := `document.getElementById('e8').getBoundingClientRect().height`
	tall := eval[float64](b, height)
	b.Click(`.livebar a[href*="density=compact"]`)
	b.Until(`location.search.includes('density=compact') && document.readyState === 'complete'`, settled)
	b.Lists(8, 4)
	if low := eval[float64](b, height); low >= tall {
		t.Errorf("compact rows are %v px high, the others %v", low, tall)
	}
	b.Go(p.URL("/events"))
	b.Is(`document.documentElement.dataset.density`, "compact")
	b.Click(`.livebar a[href*="density=comfortable"]`)
	b.Until(`!document.documentElement.dataset.density && document.readyState === 'complete'`, settled)

	// A browser elsewhere reads its own times, after one reload.
	far := openTab(t)
	far.In("Australia/Adelaide")
	far.Go(p.URL("/events"))
	far.Until(`document.documentElement.dataset.zone === 'Australia/Adelaide' && document.readyState === 'complete'`, settled)
	var e storedEvent
	p.getJSON("/api/events/8", &e)
	at, err := time.Parse(time.RFC3339, e.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	clock := func(zone *time.Location) string { return at.In(zone).Format("15:04:05.000") }
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	if got := far.Text("#e8 .c-time"); got != clock(adelaide) {
		t.Errorf("it was at %s, want %s", got, clock(adelaide))
	}
	if title := eval[string](far, `document.querySelector('#e8 time').title`); !strings.Contains(title, at.UTC().Format("15:04:05")) {
		t.Errorf("on hover it says %q", title)
	}
	far.Becomes("live", settled)
	sendMany(p, 1, calm)
	far.Fresh(5 * time.Second)
	far.Click(`.livebar a[href*="tz=utc"]`)
	far.Until(`location.search.includes('tz=utc') && document.readyState === 'complete'`, settled)
	far.Is(`document.querySelector('#e8 .c-time').textContent.trim()`, clock(time.UTC))
	far.Go(p.URL("/events"))
	far.Mark()
	far.Is(`document.querySelector('#e8 .c-time').textContent.trim()`, clock(time.UTC))
	far.Becomes("live", settled)
	far.Untouched()
	far.Click(`.livebar a[href*="tz=local"]`)
	far.Is(`document.querySelector('#e8 .c-time')?.textContent.trim()`, clock(adelaide))
}
