package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp/kb"
)

// Everything on the dashboard that counts something leads to what it counts.
func TestBrowser_DashboardLeadsOn(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := openTab(t)
	var e storedEvent
	p.getJSON("/api/events/8", &e)
	for name, step := range map[string]struct {
		click, address string
		list           []int64
	}{
		"events":         {`.kpi[data-tint=violet]`, "/events?range=24h", []int64{8, 7, 6, 5, 4, 3, 2, 1}},
		"criticals":      {`.kpi[data-tint=red]`, "/events?range=24h&sev=critical", []int64{8, 4}},
		"warnings":       {`.kpi[data-tint=amber]`, "/events?range=24h&sev=warning", []int64{6, 2}},
		"TCP":            {`.kpi[data-tint=blue]`, "/events?range=24h&ch=tcp", []int64{4, 3, 2, 1}},
		"HTTP":           {`.kpi[data-tint=cyan]`, "/events?range=24h&ch=http", []int64{8, 7, 6, 5}},
		"a source":       {`#srcs a[href*=ups]`, "/events?src=ups-9", []int64{8, 7, 6, 5}},
		"what waits":     {`#attn .card-head a`, "/events?ack=no", []int64{8, 7, 4, 3}},
		"a latest one":   {`#m6 .c-msg a`, "/events/6", []int64{8, 7, 6, 5, 4, 3, 2, 1}},
		"one that waits": {`#attn li:first-child div > a`, "/events/8", []int64{8, 7, 6, 5, 4, 3, 2, 1}},
		"all of them":    {`.d-ev .card-head a`, "/events", []int64{8, 7, 6, 5, 4, 3, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b.Go(p.URL("/"))
			b.Click(step.click)
			b.At(step.address)
			b.Lists(step.list...)
		})
	}
	b.Go(p.URL("/"))
	b.Click(`.kpi[data-tint=green]`)
	b.At("/alerts?st=sent")
	for _, path := range []string{"/", "/audit"} {
		for _, length := range []string{"1h", "6h", "7d", "24h"} {
			b.Go(p.URL(path))
			b.Click(fmt.Sprintf(`.page-head .seg a[href="%s?range=%s"]`, path, length))
			b.At(path + "?range=" + length)
			b.Is(`document.querySelector('.page-head .seg [aria-current]').textContent`, length)
		}
	}
	// The bar that holds the events, by mouse; by keyboard the table of the bars.
	b.Go(p.URL("/?range=1h"))
	b.clickBar("#histo")
	b.Until(`location.pathname === '/events' && location.search.includes('from=') && document.readyState === 'complete'`, settled)
	if n := len(b.Rows("rows")); n == 0 {
		t.Error("the bar leads to no event")
	}
	b.Go(p.URL("/?range=1h"))
	eval[bool](b, `document.querySelector('.as-table summary').focus(), true`)
	b.Type(kb.Enter)
	b.Until(`document.querySelector('.as-table').open`, settled)
	eval[bool](b, `[...document.querySelectorAll('#histo-table tbody tr')].find(r => /[1-9]/.test([...r.querySelectorAll('td')].map(c => c.textContent).join(''))).querySelector('a').focus(), true`)
	b.Type(kb.Enter)
	b.Until(`location.pathname === '/events' && location.search.includes('from=') && document.readyState === 'complete'`, settled)
	if n := len(b.Rows("rows")); n == 0 {
		t.Error("the table leads to no event")
	}
	b.Go(p.URL("/events?range=1h")) // the strip
	b.clickBar("#strip")
	b.Until(`location.search.includes('from=') && document.readyState === 'complete'`, settled)
	if n := len(b.Rows("rows")); n == 0 {
		t.Error("the strip leads to no event")
	}
	b.Go(p.URL("/"))
	b.Click(`.page-head a[href*=wall]`)
	b.Is(`document.documentElement.hasAttribute('data-wall')`, "true")
	b.Go(p.URL("/?wall=1&rows=3"))
	b.Until(`document.querySelectorAll('#rows tr.ev').length === 3`, settled)
	if n := b.Count("#rows ~ *, .top, button:not(.attn button, dialog button, template button)"); n > 2 {
		t.Logf("%d controls on the wall", n)
	}
	sendMany(p, 1, alarm)
	b.Shows("rows", stored(p, 3), settled)
}

// clickBar clicks the last bar that holds an event: by its address, since a new
// minute moves the bars.
func (b *tab) clickBar(chart string) {
	b.t.Helper()
	href := eval[string](b, fmt.Sprintf(`[...document.querySelectorAll('%s svg a')].findLast(a => /[1-9]/.test(a.querySelector('title').textContent.replace(/\d\d:\d\d/g, '')))?.getAttribute('href') ?? ''`, chart))
	if href == "" {
		b.t.Fatalf("no bar of %s holds an event", chart)
	}
	b.Click(fmt.Sprintf(`%s svg a[href=%q] rect`, chart, href))
}

// Every key of the list of keys does what it says, elsewhere than in fields,
// and none does when they are switched off.
func TestBrowser_Shortcuts(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/"))
	for _, section := range []struct{ keys, path string }{
		{"ge", "/events"}, {"gm", "/alerts"}, {"ga", "/audit"}, {"gd", "/"}, {"c", "/create"},
	} {
		for _, key := range section.keys {
			b.Type(string(key))
		}
		b.At(section.path)
	}
	b.Type("?")
	b.Until(`document.getElementById('dlg-keys').open`, settled)
	b.Type("gd") // a dialog is open
	b.Type(kb.Escape)
	b.Until(`!document.getElementById('dlg-keys').open`, settled)
	b.Click("#message")
	b.Type("ga?t12")
	b.Is(`location.pathname + document.getElementById('message').value`, "/createga?t12")
	b.Go(p.URL("/events"))
	theme := eval[string](b, `getComputedStyle(document.documentElement).backgroundColor`)
	b.Type("t")
	if got := eval[string](b, `getComputedStyle(document.documentElement).backgroundColor`); got == theme {
		t.Error("t does not change the theme")
	}
	b.Type("t")
	b.Type("?")
	b.Click("#keys-on")
	b.Click("#dlg-keys .primary")
	b.Until(`!document.getElementById('dlg-keys').open`, settled)
	for range 2 { // and after a reload
		b.Type("1")
		b.Type("p")
		b.Type("c")
		b.Type("a")
		if at := eval[string](b, `location.pathname + location.search`); at != "/events" || b.Count("dialog[open]") > 0 {
			t.Errorf("switched off, the keys lead to %s", at)
		}
		b.Go(p.URL("/events"))
	}
	b.Click(".top [data-open=dlg-keys]")
	b.Click("#keys-on")
	b.Type(kb.Escape)
	b.Type("1")
	b.Is(`location.search`, "?sev=error%2Cwarning%2Cinfo")
	// Away from the list, / leads to the search.
	b.Go(p.URL("/audit"))
	b.Type("/")
	b.Until(`location.pathname === '/events' && document.readyState === 'complete'`, settled)
	b.Is(`document.activeElement.id`, "q")
}

// The bell is silent until it is pressed; then it rings and notifies for
// criticals of this page's filter, not too often.
func TestBrowser_Bell(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := openTab(t)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.notes = []; window.tones = 0;
		window.Notification = class { constructor(text, { tag }) { notes.push(tag + ' ' + text); this.id = tag; window.last = this; } };
		Notification.permission = 'granted';
		Notification.requestPermission = async () => 'granted';
		const start = OscillatorNode.prototype.start;
		OscillatorNode.prototype.start = function (...a) { tones++; return start.apply(this, a); };`})
	b.Go(p.URL("/events?src=ups-9"))
	b.Becomes("live", settled)
	b.Mark()
	d := dialDevice(t, p)
	d.Ask(event("ups-9", "critical", "before the bell"))
	b.Lists(1)
	b.Is(`tones + notes.join()`, "0")
	b.Click("#sound")
	b.Is(`document.getElementById('sound').getAttribute('aria-pressed')`, "true")
	d.Ask(event("sw-1", "critical", "not in the filter"))
	d.Ask(event("ups-9", "error", "not critical"))
	d.Ask(event("ups-9", "critical", "On battery"))
	b.Lists(4, 3, 1)
	b.Is(`tones + notes.join()`, "14 ups-9: On battery")
	b.Is(`document.getElementById('say-now').textContent`, "ups-9: before the bell") // at most one in 10 s
	d.Ask(event("ups-9", "critical", "Empty"))
	b.Lists(5, 4, 3, 1)
	b.Is(`notes.length + ' ' + tones`, "2 1") // one tone in 30 s
	eval[bool](b, `last.onclick(), true`)
	b.Opens(5)
	b.Type(kb.Escape)
	b.Click("#sound")
	b.Is(`document.getElementById('sound').getAttribute('aria-pressed')`, "false")
	eval[bool](b, `document.activeElement.blur(), true`)
	d.Ask(event("ups-9", "critical", "after the bell"))
	b.Lists(6, 5, 4, 3, 1)
	b.Is(`notes.length`, "2")
	b.Untouched()
}

// Emails are listed by their outcome.
func TestBrowser_AlertsByStatus(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/alerts"))
	b.Shows("alert-rows", []row{{ID: 4}, {ID: 3}, {ID: 2}, {ID: 1}}, settled)
	if text := b.Text("main .banner"); !strings.Contains(text, "SMTP_") {
		t.Errorf("it does not tell what is missing: %q", text)
	}
	b.Click(`a[href="/alerts?st=failed"]`)
	b.At("/alerts?st=failed")
	b.Shows("alert-rows", []row{}, settled)
	b.Click(`a[href="/alerts?st=skipped"]`)
	b.At("/alerts?st=skipped")
	b.Becomes("live", settled)
	sendMany(p, 1, alarm)
	b.Shows("alert-rows", []row{{ID: 5}, {ID: 4}, {ID: 3}, {ID: 2}, {ID: 1}}, settled)
	b.Click(`#al-5 a`)
	b.At("/alerts/5")
	b.Shows("alert-rows", []row{{ID: 5}, {ID: 4}, {ID: 3}, {ID: 2}, {ID: 1}}, settled) // of the same filter
	b.Click(`#alert a[href="/events/9"]`)
	b.Opens(9)
}

// The form previews what it will make, counts characters, and is sent by Ctrl+Enter.
func TestBrowser_FormPreviews(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/create"))
	b.fill("ups-2", "critical", "On battery 🔋")
	b.Is(`document.getElementById('preview').innerText.replace(/\s+/g, ' ').trim()`, "Critical On battery 🔋 ups-2 · HTTP")
	b.Is(`document.getElementById('message-count').value`, "12 / 300")
	b.Is(`[...document.querySelectorAll('.steps li')].filter(e => e.checkVisibility()).length`, "3")
	b.Click(`label:has([value=info])`)
	b.Until(`document.getElementById('preview').innerText.startsWith('Info')`, settled)
	b.Click("#message")
	b.Type(kb.Enter, ctrl)
	b.Until(`document.querySelector('#create-form .done') !== null`, settled)
	eval[bool](b, `(m => { m.value = 'x'.repeat(301); m.dispatchEvent(new Event('input', { bubbles: true })); return true })(document.getElementById('message'))`)
	b.Is(`document.getElementById('message-count').value + document.getElementById('message-count').hasAttribute('data-over')`, "301 / 300true")
}
