package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"
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
		if s := p.stats(); s.Email["sent"] != 12 {
			return fmt.Errorf("emails: %v", s.Email)
		}
		return nil
	})
	return p
}

// The addresses of all pages, of a hub that holds something and of one that
// holds nothing.
var (
	fullPages  = []string{"/", "/create", "/events", "/events?before=9", "/events/1", "/events/12", "/alerts", "/alerts?before=9", "/audit", "/nowhere"}
	emptyPages = []string{"/", "/events", "/events?before=9", "/alerts", "/alerts?before=9", "/audit"}
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
			b.Becomes("live", 10*time.Second)
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

// compressed is the size of what path answers, as gzip makes it at its usual level.
func compressed(t *testing.T, p *process, path string) int {
	t.Helper()
	_, body := p.get(path)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(body)) // into memory
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
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
// best practice.
func (b *tab) accessible(where string) {
	b.t.Helper()
	for _, c := range eval[[]complaint](b, `axe.run({
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'],
	}).then(r => r.violations.map(v => ({ ID: v.id, Nodes: v.nodes.map(n => ({ HTML: n.html, FailureSummary: n.failureSummary })) })))`) {
		for _, n := range c.Nodes {
			b.t.Errorf("%s: %s: %s\n%s", where, c.ID, n.HTML, n.FailureSummary)
		}
	}
}

func TestBrowser_PagesAreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	hubs := map[*process][]string{furnished(t): fullPages, startHub(t, options{}): emptyPages}
	judged := 0
	for p, pages := range hubs {
		for _, lang := range []string{"en", "es"} {
			b := openTab(t)
			for _, page := range pages {
				b.Go(p.URL(in(lang, page)))
				if got := eval[string](b, `document.documentElement.lang`); got != lang {
					t.Errorf("%s speaks %s", page, got)
				}
				eval[bool](b, string(axe)+"; true") // as the debugger, whom no policy stops
				for _, theme := range []string{"light", "dark"} {
					for _, width := range []int64{1440, 390} {
						b.Sees(width, 900, theme)
						b.accessible(fmt.Sprintf("%s in %s, %s, %d px", page, lang, theme, width))
						judged++
					}
				}
				if page == "/create" { // and with problems
					eval[bool](b, `document.getElementById('create-form').requestSubmit(), true`)
					b.Until(`document.querySelector('#source-error') !== null`, 5*time.Second)
					b.accessible(page + " with problems")
					b.Excuse("422")
				}
			}
			b.Excuse("404")
		}
	}
	t.Logf("%d looks at pages", judged)
}

// A page is as wide as the window, however narrow that is, and nothing in it
// sticks out of its card.
func TestBrowser_PagesFitEveryWindow(t *testing.T) {
	t.Parallel()
	hubs := map[*process][]string{furnished(t): fullPages, startHub(t, options{}): emptyPages}
	for p, pages := range hubs {
		b := openTab(t)
		for _, lang := range []string{"en", "es"} {
			for _, page := range pages {
				b.Go(p.URL(in(lang, page)))
				for _, width := range []int64{320, 390, 700, 701, 800, 1024, 1101, 1280, 1440} {
					b.Sees(width, 700, "light")
					wide := eval[[]string](b, `[
						...(document.documentElement.scrollWidth > innerWidth ? ['the page'] : []),
						...[...document.querySelectorAll('main *, header *, footer *')].filter(e => {
							const frame = e.parentElement.closest('.card')?.getBoundingClientRect().right ?? innerWidth;
							return !e.parentElement.closest('td, thead') && // which cut what is in them
								e.checkVisibility() && e.getBoundingClientRect().width > 1 && e.getBoundingClientRect().right > frame + 1;
						}).map(e => e.outerHTML.slice(0, 120))].slice(0, 5)`)
					if len(wide) > 0 {
						t.Errorf("%s in %s at %d px: too wide is %q", page, lang, width, wide)
					}
				}
			}
		}
		b.Excuse("404")
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
	b.Until(`document.documentElement?.lang === 'es' && document.readyState === 'complete'`, 5*time.Second)
	b.Go(p.URL("/events")) // without asking again
	if h1 := b.Text("h1"); h1 != "Eventos" {
		t.Errorf("the title is %q", h1)
	}
	b.Becomes("live", 10*time.Second)
	sendMany(p, 1, alarm)
	b.Shows("rows", []row{{ID: 1}}, 5*time.Second)
	if got := b.Text("#ev-1 .sev"); got != "Crítico" {
		t.Errorf("a live row says %q", got)
	}
	b.Click("a.lang")
	b.Until(`document.documentElement?.lang === 'en' && document.querySelector('h1')?.textContent === 'Events'`, 5*time.Second)
}

// stop is where the Tab key leads.
type stop struct {
	Name  string
	Index int // among the controls that can be seen; -1 for others
	Ring  bool
}

// Every control can be reached with Tab, in the order of the page, and shows
// that it has the focus; the first leads past the header.
func TestBrowser_KeyboardReachesEverything(t *testing.T) {
	t.Parallel()
	p := furnished(t)
	b := openTab(t)
	for _, page := range []string{"/", "/create", "/events", "/events/12", "/alerts", "/audit"} {
		b.Go(p.URL(page))
		const controls = `window.controls = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, [tabindex="0"]')]
			.filter(e => e.checkVisibility({ visibilityProperty: true }) && !(e.type === 'radio' && !e.checked))`
		total := eval[int](b, `(`+controls+`).length`)
		var stops []stop
		for range total + 20 {
			b.Type(kb.Tab)
			s := eval[stop](b, `(() => {
				const e = document.activeElement, shown = e.type === 'radio' ? e.closest('label') : e;
				const s = getComputedStyle(e), o = getComputedStyle(shown);
				const ring = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
				return { Name: e.outerHTML.slice(0, 100), Index: controls.indexOf(e), Ring: ring(s) || ring(o) } })()`)
			if len(stops) > 0 && s.Index == stops[0].Index || strings.HasPrefix(s.Name, "<body") {
				break
			}
			stops = append(stops, s)
		}
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
				t.Errorf("%s: Tab does not reach %s", page, eval[string](b, fmt.Sprintf(`controls[%d].outerHTML.slice(0, 100)`, i)))
			}
		}
	}
	b.Go(p.URL("/events"))
	b.Type(kb.Tab)
	if !eval[bool](b, `(r => r.top >= 0 && r.left >= 0 && r.width > 20)(document.activeElement.getBoundingClientRect())`) {
		t.Error("the skip link does not appear")
	}
	b.Type(kb.Enter)
	b.Until(`document.activeElement.id === 'main'`, time.Second)
}
