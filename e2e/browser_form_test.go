package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// typed is what a person sees of an event that they made.
type typed struct{ Source, Severity, Message, Channel string }

func made(p *process) (all []typed) {
	for _, e := range p.list("?limit=100").Events {
		all = append(all, typed{e.Source, e.Severity, e.Message, e.Channel})
	}
	return all
}

// fill clicks into the fields and types.
func (b *tab) fill(source, severity, message string) {
	b.t.Helper()
	b.Click("#source")
	if len(source) > 20 { // a paste
		call(b, input.InsertText, input.InsertTextParams{Text: source})
	} else {
		b.Type(source)
	}
	b.Click(`label:has([value=` + severity + `])`)
	b.Click("#message")
	b.Type(message)
}

func TestBrowser_FormByMouse(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/create"))
	b.Mark()
	b.fill("ups-2", "critical", "On battery,\n12 min left")
	if got := b.Text("#message-count"); got != "23 / 300" {
		t.Errorf("the counter says %q", got)
	}
	b.Click("#submit")
	b.Until(`document.querySelector('#create-form .done') !== null`, settled)
	if got := b.Text("#create-form .done"); got != "Event #1 is stored." {
		t.Errorf("it says %q", got)
	}
	want := []typed{{"ups-2", "critical", "On battery,\n12 min left", "http_api"}}
	if diff := cmp.Diff(want, made(p)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	b.Until(`document.getElementById('source').value === 'ups-2' && document.getElementById('message').value === ''`, settled)
	b.Untouched()
	// The next one is another event, though it be the same.
	b.fill("", "critical", "On battery,\n12 min left")
	b.Click("#submit")
	b.Until(`document.querySelector('#create-form .done')?.textContent.includes('#2')`, settled)
	b.Click("#create-form .done a")
	b.Until(`location.pathname === '/events/2' && document.readyState === 'complete'`, settled)
}

func TestBrowser_FormByKeyboard(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/create"))
	b.Mark()
	for range 20 {
		if eval[string](b, `document.activeElement.id`) == "source" {
			break
		}
		b.Type(kb.Tab)
	}
	b.Type("door-7")
	b.Type(kb.Tab)
	b.Type(kb.ArrowDown) // from info to warning
	b.Type(kb.Tab)
	b.Type("Left open")
	b.Type(kb.Tab)
	b.Type(kb.Enter)
	b.Until(`document.querySelector('#create-form .done') !== null`, settled)
	want := []typed{{"door-7", "warning", "Left open", "http_api"}}
	if diff := cmp.Diff(want, made(p)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	b.Untouched()
	if id := eval[string](b, `document.activeElement.id`); id != "submit" {
		t.Errorf("the focus went to %q", id)
	}
}

// What is wrong is said where it is wrong, what was typed stays, and nothing
// is stored.
func TestBrowser_FormTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			b := openTab(t)
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
			b.Go(p.URL("/create"))
			b.Click("#submit")
			b.Until(`document.querySelectorAll('#create-form [aria-invalid=true]').length === 2`, settled)
			if got := b.Text("#trouble"); got != "There are 2 problems. Nothing was saved." {
				t.Errorf("in sum it says %q", got)
			}
			for field, want := range map[string]string{"source": "Enter a source, for example core-rtr-mad-01.", "message": "Enter a message."} {
				got := eval[string](b, fmt.Sprintf(`document.getElementById(document.getElementById(%q).getAttribute('aria-describedby').split(' ')[0]).textContent.trim()`, field))
				if got != want {
					t.Errorf("at %s it says %q", field, got)
				}
			}
			long := strings.Repeat("w", 81)
			b.fill(long, "error", "kept <b>text</b>")
			b.Click("#submit")
			b.Until(`document.querySelectorAll('#create-form [aria-invalid=true]').length === 1`, settled)
			if got := b.Text("#source-error"); got != "1 character too many: at most 80." {
				t.Errorf("at the source it says %q", got)
			}
			kept := eval[[]string](b, `[document.getElementById('source').value, document.querySelector('[name=severity]:checked').value, document.getElementById('message').value]`)
			if diff := cmp.Diff([]string{long, "error", "kept <b>text</b>"}, kept); diff != "" {
				t.Errorf("typed (-want +got):\n%s", diff)
			}
			if n := len(made(p)); n != 0 {
				t.Errorf("%d events are stored", n)
			}
			b.Excuse("422") // the answer to a form with problems
		})
	}
}

// However often it is sent, one form is one event.
func TestBrowser_FormIsStoredOnce(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	l := newLink(t, p)
	b := browse(t, l.URL+"/create")
	b.fill("pump-1", "error", "No flow")
	b.do(chromedp.DoubleClick(chromedp.CSS("#submit")))
	b.Until(`document.querySelector('#create-form .done') !== null`, settled)
	want := []typed{{"pump-1", "error", "No flow", "http_api"}}
	if diff := cmp.Diff(want, made(p)); diff != "" {
		t.Errorf("after a double click (-want +got):\n%s", diff)
	}
	// Stored, but the answer is lost: it says so, and the next try finds it.
	b.fill("", "error", "Flow is back")
	l.Mute()
	b.Click("#submit")
	eventually(t, settled, func() error {
		if n := len(made(p)); n != 2 {
			return fmt.Errorf("%d events are stored", n)
		}
		return nil
	})
	l.Cut()
	b.Until(`document.querySelector('#trouble .err') !== null`, settled)
	if got := b.Text("#trouble"); got != "The hub did not answer. Send it again: it will not be stored twice." {
		t.Errorf("it says %q", got)
	}
	b.Excuse("htmx:") // which tells the console of it too
	l.Resume()
	b.Click("#submit")
	b.Until(`document.querySelector('#create-form .done')?.textContent.includes('#2')`, settled)
	if n := len(made(p)); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// Without scripts everything can be read, and events can be made.
func TestBrowser_WithoutScripts(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	sendMany(p, 130, alarm)
	b := openTab(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.Go(p.URL("/create"))
	b.fill("gate-1", "warning", "Opened by hand")
	b.Click("#submit")
	b.Until(`location.pathname === '/events/131' && document.readyState === 'complete'`, settled)
	if got := b.Text("#drawer-h"); got != "Opened by hand" {
		t.Errorf("the event's page says %q", got)
	}
	for _, link := range []struct{ name, path, first string }{
		{"Events", "/events", "#e131"},
		{"Email alerts", "/alerts", "#al-130"},
		{"Audit", "/audit", "#by-severity"},
		{"Dashboard", "/", "#m131"},
	} {
		b.Click(fmt.Sprintf(`nav a[href=%q]`, link.path))
		b.Until(fmt.Sprintf(`location.pathname === %q && document.readyState === 'complete'`, link.path), settled)
		if h1 := b.Text("h1"); h1 != link.name {
			t.Errorf("%s has the title %q", link.path, h1)
		}
		if b.Count(link.first) != 1 {
			t.Errorf("%s shows no %s", link.path, link.first)
		}
		if dead := eval[int](b, `[...document.querySelectorAll('.only-js')].filter(e => e.checkVisibility()).length`); dead > 0 {
			t.Errorf("%s has %d controls that do nothing", link.path, dead)
		}
	}
	if n := b.Count(`noscript meta[http-equiv=refresh]`); n != 1 {
		t.Errorf("the dashboard has %d ways to stay fresh", n)
	}
	b.Go(p.URL("/events"))
	b.Click("#older")
	b.Until(`location.search === '?before=32' && document.readyState === 'complete'`, settled)
	if n := b.Count("tr.ev"); n != 31 {
		t.Errorf("%d older events", n)
	}
	b.Click("a.lang")
	b.Until(`document.documentElement?.lang === 'es' && document.readyState === 'complete' && location.search.includes('before=32')`, settled)
	for _, r := range b.Requests() {
		if strings.Contains(r, "/ws") {
			t.Errorf("without scripts, %s", r)
		}
	}
}
