package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// furnished starts a hub that holds something of everything: all severities,
// channels and email outcomes, long words and long texts.
func furnished(t testing.TB) *process {
	t.Helper()
	mail := newMailServer(t, false)
	mail.Start()
	p := startHub(t, options{env: mail.Settings("noc@example.net,night-shift-of-the-operations-centre@an-office-with-a-long-name.example.net")})
	d := dialDevice(t, p)
	for _, severity := range []string{"info", "warning", "error", "critical"} {
		d.Ask(fmt.Sprintf(`{"source":"core-rtr-mad-01","severity":%q,"message":"BGP session with 192.0.2.1 is down"}`, severity))
		d.Ask(fmt.Sprintf(`{"source":%q,"severity":%q,"message":%q,"x":%[1]q}`, strings.Repeat("wide", 20), severity, strings.Repeat("unbroken", 37)))
		p.postJSON("/api/events", fmt.Sprintf(`{"source":"billing","severity":%q,"message":%q}`, severity, strings.Repeat("many words ", 27)), nil)
	}
	eventually(t, 10*time.Second, func() error {
		// The second event of each source waits for a digest.
		if s := p.stats(); s.Email["sent"] != 6 || s.Email["pending"] != 6 {
			return fmt.Errorf("emails: %v", s.Email)
		}
		return nil
	})
	return p
}

// The addresses of all pages, of a hub that holds something and of one that
// holds nothing.
var (
	fullPages = []string{"/", "/?range=1h", "/?wall=1", "/create", "/events", "/events?q=nothing+of+that+kind&sev=error", "/events?before=9", "/events/1", "/events/12",
		"/events/ack-all?ack=no&upto=99", "/alerts", "/alerts?st=failed", "/alerts?before=9", "/alerts/5", "/alerts?contact=noc&ch=webhook",
		"/alerts/cancel?source=sw-1", "/audit", "/nowhere"}
	emptyPages = []string{"/", "/?wall=1", "/events", "/events?before=9", "/alerts", "/audit"}
)

// in is the address of a page in a language.
func in(lang, page string) string {
	if strings.Contains(page, "?") {
		return page + "&lang=" + lang
	}
	return page + "?lang=" + lang
}

// Every page is quiet: no error in the console, nothing that the policy had to
// stop, nothing from elsewhere, few requests, small files.
func TestBrowser_PagesAreLeanAndClean(t *testing.T) {
	t.Parallel()
	p := furnished(t)
	var scripts, styles int
	for _, page := range fullPages {
		b := openTab(t) // with an empty cache
		b.Go(p.URL(page))
		if eval[bool](b, `document.getElementById('conn') !== null`) {
			b.Until(`/live|paused/.test(document.getElementById('conn').dataset.state)`, settled)
		}
		requests := b.Requests()
		if len(requests) > 6 || len(requests) < 3 { // page, style, script; icon and socket
			t.Errorf("%s takes the requests %q", page, requests)
		}
		scripts, styles = 0, 0
		for _, r := range requests {
			u, err := url.Parse(r[strings.LastIndex(r, " ")+1:])
			if err != nil || u.Host != p.HTTP {
				t.Errorf("%s asks %q", page, r)
			}
			switch path.Ext(u.Path) {
			case ".js":
				scripts += compressed(t, p, u.Path)
			case ".css":
				styles += compressed(t, p, u.Path)
			}
		}
		if size := compressed(t, p, page); size > 15<<10 {
			t.Errorf("%s is %d bytes, compressed", page, size)
		}
		if page == "/nowhere" {
			b.Excuse("404")
		}
		if lost := b.Lost(); len(lost) > 0 {
			t.Errorf("%s: %q", page, lost)
		}
	}
	t.Logf("scripts %d bytes, styles %d bytes, compressed", scripts, styles)
	if scripts == 0 || scripts > 24<<10 || styles == 0 || styles > 12<<10 {
		t.Errorf("too much: scripts %d bytes, styles %d bytes, compressed", scripts, styles)
	}
}

// compressed is the size of what path answers to a browser, which takes gzip.
func compressed(t *testing.T, p *process, path string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip") // asked for by hand it comes as it is
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return int(n)
}

// complaint is what axe-core has against a page.
type complaint struct {
	ID    string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

// accessible judges the open page by WCAG 2.0 to 2.2, A and AA, and axe-core's
// best practice. Of a long table it takes the first rows: the others are like them, and cost a
// second a page.
func (b *tab) accessible(where string) {
	b.t.Helper()
	for _, c := range eval[[]complaint](b, `axe.run({ exclude: ['tbody > tr:nth-child(n+16)'] }, {
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'],
	}).then(r => r.violations.map(v => ({ ID: v.id, Nodes: v.nodes.map(n => ({ HTML: n.html, FailureSummary: n.failureSummary })) })))`) {
		for _, n := range c.Nodes {
			b.t.Errorf("%s: %s: %s\n%s", where, c.ID, n.HTML, n.FailureSummary)
		}
	}
}

// look is how somebody sees a page.
type look struct {
	Lang, Theme string
	Width       int64
}

// looks are such that every page is seen in each language, in both themes and
// in all widths, and pages one after the other in other combinations.
func looks(page int) []look {
	return [][]look{
		{{"en", "light", 1440}, {"es", "dark", 390}, {"es", "light", 1024}},
		{{"es", "dark", 1440}, {"en", "light", 390}, {"en", "dark", 1024}},
	}[page%2]
}

// axe makes axe-core known to the open page, as the debugger, whom no policy stops.
func (b *tab) axe() {
	b.t.Helper()
	eval[bool](b, axeSource()+"; true")
}

var axeSource = sync.OnceValue(func() string {
	source, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		panic(err)
	}
	return string(source)
})

// A page is as wide as the window, however narrow that is, and nothing in it
// sticks out of its card. Every full page is judged in both languages and both
// themes, the tabs in the third width too, and the empty pages once each; make
// test-long judges all of them in all looks.
func TestBrowser_PagesFitAndAreAccessible(t *testing.T) {
	t.Parallel()
	tabs := []string{"/", "/create", "/events", "/alerts", "/audit"}
	judgePages(t, func(i int, page string, empty bool) []look {
		switch {
		case empty:
			return looks(i)[i%3:][:1]
		case slices.Contains(tabs, page):
			return looks(i)
		}
		return looks(i)[:2]
	})
}

// judgePages looks at all pages in windows of many widths, and has axe-core
// judge them as chosen.
func judgePages(t *testing.T, chosen func(i int, page string, empty bool) []look) {
	judged := 0
	for p, pages := range map[*process][]string{furnished(t): fullPages, startHub(t, options{}): emptyPages} {
		b := openTab(t)
		for i, page := range pages {
			for lang, widths := range map[string][]int64{"en": {320, 701, 1024}, "es": {320, 390, 701, 1199}} {
				b.Go(p.URL(in(lang, page)))
				if got := eval[string](b, `document.documentElement.lang`); got != lang {
					t.Errorf("%s speaks %s", page, got)
				}
				for _, width := range widths {
					if !strings.Contains(page, "wall") || width > 700 { // nobody hangs that on a wall
						b.Sees(width, 700, "light")
						b.fits(page+" in "+lang, width)
					}
				}
				b.axe()
				for _, l := range chosen(i, page, len(pages) == len(emptyPages)) {
					if l.Lang == lang {
						b.Sees(l.Width, 900, l.Theme)
						b.accessible(fmt.Sprintf("%s, %+v", page, l))
						judged++
					}
				}
			}
		}
		b.Excuse("404")
	}
	t.Logf("%d looks at pages", judged)
}

// fits tells what is wider than a window of that width, or than its card.
func (b *tab) fits(where string, width int64) {
	b.t.Helper()
	wide := eval[[]string](b, fmt.Sprintf("(width => %s)(%d)", `[
		...(document.documentElement.scrollWidth > width || innerWidth > width ? ['the page'] : []), // phones zoom out
		...[...document.querySelectorAll('main *, header *, footer *')].filter(e => {
			for (let up = e.parentElement; up !== document.documentElement; up = up.parentElement)
				if (/auto|scroll/.test(getComputedStyle(up).overflowX) || up.matches('[data-wall] .d-ev')) return false; // moves sideways by itself, or hides the rows that have no room
			const frame = e.parentElement.closest('.card')?.getBoundingClientRect().right ?? innerWidth;
			return !e.parentElement.closest('td, thead') && // which cut what is in them
				e.checkVisibility() && e.getBoundingClientRect().width > 1 && e.getBoundingClientRect().right > frame + 1;
		}).map(e => e.outerHTML.slice(0, 120))].slice(0, 5)`, width))
	if len(wide) > 0 {
		b.t.Errorf("%s at %d px: too wide is %q", where, width, wide)
	}
}

// What opens, fails or is asked on a page is as accessible as the page.
func TestBrowser_StatesAreAccessible(t *testing.T) {
	t.Parallel()
	p := furnished(t)
	b := openTab(t)
	for i, state := range []struct {
		name, page string
		enter      func()
	}{
		{"form with problems", "/create", func() {
			eval[bool](b, `document.getElementById('create-form').requestSubmit(), true`)
			b.Until(`document.querySelector('#source-error') !== null`, settled)
			b.Excuse("422")
		}},
		{"drawer", "/events", func() {
			b.Click("#e12 .c-msg a")
			b.Opens(12)
		}},
		{"keys", "/events", func() { b.Type("?") }},
		{"name", "/events", func() {
			eval[bool](b, `document.querySelector('.c-ack button').click(), true`)
			b.Until(`document.getElementById('dlg-name').open`, settled)
		}},
		{"export menu", "/events", func() { b.Click(".menu summary") }},
		{"pill", "/events", func() {
			b.Type("p")
			b.Becomes("paused", settled)
			sendMany(p, 3, alarm)
			b.Until(`document.querySelector('#pill button') !== null`, settled)
		}},
		{"toasts", "/events", func() {
			eval[bool](b, `['success', 'info', 'warning', 'error', 'error'].forEach((tone) => document.body.dispatchEvent(
				new CustomEvent('toast', { bubbles: true, detail: { tone, text: 'Something', undo: 'id=1' } }))), true`)
			b.Until(`document.querySelectorAll('#toasts .toast').length >= 5`, settled)
		}},
		{"table of the histogram", "/", func() { b.Click(".as-table summary") }},
		{"stale", "/", func() {
			eval[bool](b, `document.getElementById('offline').hidden = false, true`)
		}},
	} {
		l := looks(i)[i%3]
		b.Sees(l.Width, 900, l.Theme)
		b.Go(p.URL(in(l.Lang, state.page)))
		if eval[bool](b, `document.getElementById('conn') !== null`) {
			b.Until(`/live|paused/.test(document.getElementById('conn').dataset.state)`, settled)
		}
		state.enter()
		b.axe()
		b.accessible(fmt.Sprintf("%s, %+v", state.name, l))
	}
	b.Excuse("404")
}

// Nothing that is looked at moves by itself, not when a page has loaded and not
// when rows arrive, which move the rows and the footer below them. On a busy machine a page may
// be painted before all of it is there and its scripts have run; the little that moves until it is
// connected is bounded, and so is what moves because a number beside it has gained a digit.
func TestBrowser_NothingJumps(t *testing.T) {
	t.Parallel()
	p := furnished(t)
	d := dialDevice(t, p)
	b := openTab(t)
	for _, width := range []int64{1440, 390} {
		for _, path := range []string{"/", "/events", "/alerts", "/audit", "/create", "/events/12"} {
			b.Sees(width, 900, "light")
			b.Go(p.URL(path))
			eval[bool](b, `window.shifts = [], new PerformanceObserver(list => {
				for (const s of list.getEntries()) {
					const moved = s.sources.filter(x => x.node && !x.node.parentElement?.closest('tbody') && !x.node.matches?.('.foot'));
					const loading = s.startTime < (window.settledAt ?? Infinity);
					if (moved.length && s.value >= (loading ? 0.02 : 0.001)) window.shifts.push(s.value.toFixed(4) + ' ' + moved.map(x => x.node.outerHTML?.slice(0, 90) ?? x.node.textContent).join(' | '));
				}
			}).observe({ type: 'layout-shift', buffered: true }), true`)
			if eval[bool](b, `document.getElementById('conn') !== null`) {
				b.Until(`/live|paused/.test(document.getElementById('conn').dataset.state)`, settled)
				b.painted()
				eval[bool](b, `window.settledAt = performance.now(), true`)
				d.Ask(alarm())
				news := d.Ask(alarm()).EventID
				b.Until(fmt.Sprintf(`document.getElementById('beat').dataset.lastId === '%d' || document.querySelector('#pill button') !== null`, news), settled)
			}
			b.painted()
			if shifts := eval[[]string](b, `window.shifts`); len(shifts) > 0 {
				t.Errorf("%s at %d px: %q", path, width, shifts)
			}
		}
	}
}

func TestBrowser_ThemeIsRemembered(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/"))
	const ground = `getComputedStyle(document.documentElement).backgroundColor`
	light := eval[string](b, ground)
	b.Sees(1440, 900, "dark")
	dark := eval[string](b, ground)
	if light == dark {
		t.Fatalf("both themes have the ground %s", light)
	}
	b.Click("#theme") // away from the system's
	if got := eval[string](b, ground); got != light {
		t.Errorf("after the click the ground is %s, want %s", got, light)
	}
	for _, page := range []string{"/events", "/create"} {
		b.Go(p.URL(page))
		if got := eval[string](b, ground); got != light {
			t.Errorf("%s has the ground %s, want %s", page, got, light)
		}
	}
	b.Click("#theme")
	b.Sees(1440, 900, "light")
	b.Go(p.URL("/"))
	if got := eval[string](b, ground); got != dark {
		t.Errorf("after the second click the ground is %s, want %s", got, dark)
	}
}

func TestBrowser_LanguageIsRememberedAndLive(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/events"))
	b.Click("a.lang")
	b.Until(`document.documentElement?.lang === 'es' && document.readyState === 'complete'`, settled)
	b.Go(p.URL("/events")) // without asking again
	if h1 := b.Text("h1"); h1 != "Eventos" {
		t.Errorf("the title is %q", h1)
	}
	b.Becomes("live", settled)
	sendMany(p, 1, alarm)
	b.Shows("rows", []row{{ID: 1}}, settled)
	if got := b.Text("#e1 .sev"); got != "Crítico" {
		t.Errorf("a live row says %q", got)
	}
	b.Click("a.lang")
	b.Until(`document.documentElement?.lang === 'en' && document.querySelector('h1')?.textContent === 'Events'`, settled)
}

// stop is where the Tab key leads.
type stop struct {
	Name  string
	Index int // among the controls that can be seen; -1 for others
	Ring  bool
	Page  string // the controls of the page at that time
}

// tabThrough presses Tab from the start of a page to its end. It tells where
// that led, and how many controls there are. If a frame brings or takes a
// control meanwhile, it begins anew.
func (b *tab) tabThrough(page string) (stops []stop, total int) {
	b.t.Helper()
	const define = `window.controls = () => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
		.filter(e => e.checkVisibility({ visibilityProperty: true }) && e.getAttribute('tabindex') !== '-1' && !(e.type === 'radio' && !e.checked));
		window.stop = () => {
			const e = document.activeElement, shown = e.closest('label') ?? e;
			const s = getComputedStyle(e), o = getComputedStyle(shown);
			const ring = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
			return { Name: e.outerHTML.slice(0, 100), Index: controls().indexOf(e), Ring: ring(s) || ring(o),
				Page: controls().map(c => c.tagName + c.id + c.getAttribute('href')).join(' ') } };
		controls().length`
	for range 5 {
		b.Go(page)
		stops, total = nil, eval[int](b, define)
		before, changed := eval[stop](b, `stop()`).Page, false
		for range total + 20 {
			b.Type(kb.Tab)
			s := eval[stop](b, `stop()`)
			if changed = s.Page != before; changed {
				break
			}
			if len(stops) > 0 && s.Index == stops[0].Index || strings.HasPrefix(s.Name, "<body") {
				break
			}
			stops = append(stops, s)
		}
		if !changed {
			return stops, total
		}
	}
	b.t.Fatalf("%s: its controls never rest", page)
	return nil, 0
}

// Every control can be reached with Tab, in the order of the page, and shows
// that it has the focus; the first leads past the header.
func TestBrowser_KeyboardReachesEverything(t *testing.T) {
	t.Parallel()
	p := furnished(t)
	b := openTab(t)
	for _, page := range []string{"/", "/create", "/events", "/events/12", "/alerts", "/audit"} {
		stops, total := b.tabThrough(p.URL(page))
		reached := make(map[int]bool)
		last := -1
		for _, s := range stops {
			reached[s.Index] = true
			if !s.Ring {
				t.Errorf("%s: no ring around %s", page, s.Name)
			}
			if s.Index >= 0 && s.Index < last {
				t.Errorf("%s: %s comes too late", page, s.Name)
			}
			last = max(last, s.Index)
		}
		if len(stops) == 0 || !strings.HasPrefix(stops[0].Name, `<a class="skip"`) {
			t.Errorf("%s: the first stop is %+v", page, stops[:min(1, len(stops))])
		}
		for i := range total {
			if !reached[i] {
				t.Errorf("%s: Tab does not reach %s", page, eval[string](b, fmt.Sprintf(`controls()[%d].outerHTML.slice(0, 100)`, i)))
			}
		}
	}
	b.Go(p.URL("/events"))
	b.Type(kb.Tab)
	if !eval[bool](b, `(r => r.top >= 0 && r.left >= 0 && r.width > 20)(document.activeElement.getBoundingClientRect())`) {
		t.Error("the skip link does not appear")
	}
	b.Type(kb.Enter)
	b.Until(`document.activeElement.id === 'main'`, settled)
}
