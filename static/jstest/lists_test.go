package jstest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The drawer opens by mouse and by key, is in the address, and gives the focus
// back to the row that it was about.
func TestDrawer(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events?sev=error")
	b.Click("#e8 .c-sev") // anywhere in the row
	b.Until(`document.activeElement.id === 'drawer' && document.activeElement.dataset.id === '8' && location.pathname + location.search === '/events/8?sev=error'`)
	if asked := h.Asked("GET", "/events/8"); len(asked) != 1 || asked[0].Target != "drawer" || asked[0].Form.Get("sev") != "error" {
		t.Errorf("it asked %v", asked)
	}
	if !eval[bool](b, `document.getElementById('e8').getAttribute('aria-current') === 'true'`) {
		t.Error("its row is not marked")
	}
	b.Type("j")
	b.Until(`document.getElementById('drawer').dataset.id === '7' && location.pathname === '/events/7' && document.activeElement === document.querySelector('#e7 .c-msg a')`)
	b.Click("#drawer [data-act=prev]")
	b.Until(`document.getElementById('drawer').dataset.id === '8'`)
	b.Type(kb.Escape)
	b.Until(`document.getElementById('drawer') === null && location.pathname + location.search === '/events?sev=error' && document.activeElement === document.querySelector('#e8 .c-msg a')`)
	b.Type(kb.Enter)
	b.Until(`document.getElementById('drawer')?.dataset.id === '8'`)
	eval[bool](b, `history.back(); true`)
	b.Until(`document.getElementById('drawer') === null && location.pathname === '/events'`)
	eval[bool](b, `history.forward(); true`)
	b.Until(`document.getElementById('drawer')?.dataset.id === '8'`)
	b.Click("#drawer [data-act=close-drawer]")
	b.Until(`document.getElementById('drawer') === null && document.activeElement === document.querySelector('#e8 .c-msg a')`)
	b.Same()
	if marked := eval[int](b, `document.querySelectorAll('#rows [aria-current]').length`); marked != 1 {
		t.Errorf("%d rows are marked", marked)
	}
}

// A page that was loaded with an event closes it too.
func TestDrawer_loaded(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.open("/events/5")
	b.Becomes("paused")
	b.Type(kb.Escape)
	b.Until(`document.getElementById('drawer') === null && location.pathname === '/events'`)
	b.Same()
}

// The newest of several quick moves is what is shown.
func TestDrawer_quickMoves(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	slow := make(chan struct{})
	h.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/events/8" {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
		return false
	}
	b := h.live("/events")
	b.Click("#e9 .c-msg a")
	b.Until(`document.getElementById('drawer')?.dataset.id === '9'`)
	b.Type("j")
	b.Until(`document.getElementById('results').getAttribute('aria-busy') === 'true'`)
	b.Type("j")
	b.Until(`document.getElementById('drawer').dataset.id === '7' && !document.getElementById('results').hasAttribute('aria-busy')`)
	close(slow)
	b.Stays(300*time.Millisecond, `document.getElementById('drawer').dataset.id === '7'`)
}

// Typing waits for its end and leaves one step in the history; other controls
// leave one each. The socket and the links follow.
func TestFilter(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	before := eval[int](b, `history.length`)
	b.Click("#q")
	// At once, since every key by itself may take longer than typing does.
	eval[bool](b, `(() => { for (const letter of 'link') { document.activeElement.value += letter; document.activeElement.dispatchEvent(new Event('input', { bubbles: true })); } return true; })()`)
	b.Until(`location.search === '?q=link'`)
	eventually(t, "the socket follows", func() bool { d := h.Dialled(); return d[len(d)-1].Get("q") == "link" })
	var results []request
	for _, r := range h.Asked("GET", "/events") {
		if r.Target == "results" {
			results = append(results, r)
		}
	}
	if len(results) != 1 || results[0].Form.Encode() != "q=link" {
		t.Errorf("it asked %v", results)
	}
	if n := eval[int](b, `history.length`); n != before {
		t.Errorf("typing made %d steps", n-before)
	}
	if !eval[bool](b, `document.activeElement.id === 'q'`) {
		t.Error("the focus is lost")
	}
	h.set(func(h *hub) { h.rows = evs(9, 5) })
	b.Click(".chip[data-sev=info]")
	b.Until(`new URLSearchParams(location.search).get('sev') === 'critical,error,warning' && document.querySelectorAll('#rows > .ev').length === 5`)
	eventually(t, "the socket follows", func() bool {
		last := h.Dialled()[len(h.Dialled())-1]
		return last.Get("sev") == "critical,error,warning" && last.Get("view") == "events" && last.Get("lang") == "en" && last.Get("since") == "9"
	})
	b.Until(`[...document.querySelectorAll('[data-export]')].every((a) => a.search === location.search) && new URLSearchParams(document.querySelector('.lang').search).get('lang') === 'es'`)
	if n := eval[int](b, `history.length`); n != before+1 {
		t.Errorf("a chip made %d steps", n-before)
	}
	b.Same()
	b.Becomes("live")
	eval[bool](b, `history.back(); true`)
	b.Until(`location.search === '?q=link' && document.getElementById('q')?.value === 'link' && document.querySelector('[name=sev][value=info]')?.checked`)
}

// An answer that comes while the reader has moved on, into the list, leaves the
// focus on its row.
func TestFilter_focusStays(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	found := make(chan struct{})
	h.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.FormValue("q") != "" {
			select {
			case <-found:
			case <-r.Context().Done():
			}
		}
		return false
	}
	b := h.live("/events")
	b.Click("#q")
	b.Type("link")
	b.Until(`location.search === '?q=link'`)
	b.Type(kb.Escape)
	b.Type("j")
	b.Type("j")
	b.Until(`document.activeElement === document.querySelector('#e8 .c-msg a')`)
	eval[bool](b, `document.getElementById('results').old = true`)
	close(found)
	b.Until(`document.getElementById('results').old !== true`)
	if on := eval[string](b, `document.activeElement.closest('.ev')?.id ?? document.activeElement.tagName`); on != "e8" {
		t.Errorf("the focus is on %s", on)
	}
	b.Same()
}

// From a page of older rows, which is still, a filter leads to the live list.
func TestFilter_older(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.open("/events?before=5")
	b.Click(".chip[data-sev=info]")
	b.Until(`location.search.startsWith('?sev=') && document.getElementById('conn')?.dataset.state === 'live'`)
}

func toastOn(w http.ResponseWriter, status int, toast string) bool {
	w.Header().Set("HX-Reswap", "none")
	w.Header().Set("HX-Trigger", `{"toast":`+toast+`}`)
	w.WriteHeader(status)
	return true
}

// A name is asked for once, before the first acknowledgement; what is done can
// be undone; what fails says so. The row itself changes by the socket only.
func TestAck(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method != "POST":
			return false
		case r.FormValue("id") == "7" && r.URL.Path == "/events/ack":
			return toastOn(w, 503, `{"tone":"error","text":"Not stored."}`)
		case r.URL.Path == "/events/ack":
			return toastOn(w, 204, `{"tone":"success","text":"#9 acknowledged","undo":"id=9&id=8"}`)
		case r.URL.Path == "/events/unack":
			return toastOn(w, 204, `{"tone":"info","text":"Undone"}`)
		}
		w.WriteHeader(204)
		return true
	}
	b := h.live("/events")
	b.Expects("503")
	b.Click("#e9 .c-ack button")
	b.Until(`document.getElementById('dlg-name').open`)
	b.Click("#dlg-name [value=cancel]")
	b.Until(`!document.getElementById('dlg-name').open`)
	if n := len(h.Asked("POST", "/events/ack")); n != 0 {
		t.Errorf("acknowledged %d times without a name", n)
	}
	b.Click("#e9 .c-ack button")
	b.Until(`document.getElementById('dlg-name').open`)
	eval[bool](b, `document.querySelector('#dlg-name [name=by]').focus(); true`)
	b.Type("Ana Ruiz")
	b.Type(kb.Enter)
	b.Until(`document.querySelector('.toast')?.dataset.tone === 'success'`)
	asked := h.Asked("POST", "/events/ack")
	if len(asked) != 1 || asked[0].Form.Encode() != "by=Ana+Ruiz&group=1&id=9" {
		t.Errorf("it asked %v", asked)
	}
	if named := h.Asked("POST", "/name"); len(named) != 1 || named[0].Form.Get("by") != "Ana Ruiz" {
		t.Errorf("the name is kept by %v", named)
	}
	if eval[bool](b, `document.querySelector('#e9[data-acked]') !== null`) {
		t.Error("the row changed without a frame")
	}
	b.Click(".toast [data-act=undo]")
	b.Until(`[...document.querySelectorAll('.toast')].map((e) => e.querySelector('strong').textContent).join() === 'Undone'`)
	if undone := h.Asked("POST", "/events/unack"); len(undone) != 1 || strings.Join(undone[0].Form["id"], ",") != "9,8" {
		t.Errorf("undone by %v", undone)
	}
	b.Click("#e7 .c-ack button")
	b.Until(`document.querySelector('.toast[data-tone=error] strong')?.textContent === 'Not stored.'`)
	if eval[bool](b, `document.querySelector('#e7 .c-ack button').disabled || document.getElementById('dlg-name').open`) {
		t.Error("it cannot be tried again")
	}
	if n := len(h.Asked("POST", "/events/ack")); n != 2 {
		t.Errorf("%d requests", n)
	}
	b.Same()
}

// In the drawer, the answer brings the new state; a hub that is away is told.
func TestAck_drawer(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/events/ack" && toastOn(w, 204, `{"tone":"success","text":"done"}`)
	}
	b := h.open("/events/5")
	b.Becomes("paused")
	eval[bool](b, `document.getElementById('ack').dataset.name = 'ana'; document.getElementById('drawer').old = true`)
	b.Type("a")
	b.Until(`document.getElementById('drawer').old !== true`)
	b.Expects("ERR_")
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/events/ack" {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	b.Type("a")
	b.Until(`document.querySelector('.toast[data-tone=error]') !== null`)
}

// On the dashboard the key a is about the row that was moved to.
func TestKeys_dashboard(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	h.answer = func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/events/ack" && toastOn(w, 204, `{"tone":"success","text":"done"}`)
	}
	b := h.live("/")
	eval[bool](b, `document.getElementById('ack').dataset.name = 'ana'; true`)
	b.Type("j")
	b.Type("j")
	b.Until(`document.activeElement === document.querySelector('#m8 .c-msg a')`)
	b.Type("a")
	eventually(t, "it is acknowledged", func() bool { return len(h.Asked("POST", "/events/ack")) == 1 })
	if id := h.Asked("POST", "/events/ack")[0].Form.Get("id"); id != "8" {
		t.Errorf("acknowledged %s", id)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	b.Type("/")
	b.Until(`document.activeElement.id === 'q'`)
	eval[bool](b, `document.getElementById('q').value = ''; true`) // DevTools types what a page prevented
	b.Type("tpj?")
	b.Until(`document.getElementById('q').value === 'tpj?'`)
	if theme := eval[string](b, `document.documentElement.dataset.theme ?? ''`); theme != "" || eval[bool](b, `document.getElementById('dlg-keys').open`) {
		t.Error("a key acts while it is typed")
	}
	b.Type(kb.Escape)
	b.Until(`document.activeElement !== document.getElementById('q')`)
	b.Type("a") // about no row yet
	b.Type("j")
	b.Type("j")
	b.Until(`document.activeElement === document.querySelector('#e8 .c-msg a')`)
	b.Type("k")
	b.Until(`document.activeElement === document.querySelector('#e9 .c-msg a')`)
	b.Type("p", chromedp.ModifierAlt)
	b.Type("t")
	b.Until(`document.documentElement.dataset.theme === 'dark' && document.cookie.includes('theme=dark')`)
	if eval[bool](b, `document.getElementById('pause').getAttribute('aria-pressed') === 'true'`) {
		t.Error("a key acts with a modifier")
	}
	eval[bool](b, `new MutationObserver(() => { window.copied ||= document.querySelector('.toast[data-tone=success]') !== null }).observe(document.getElementById('toasts'), { childList: true }); true`)
	b.Type("y")
	b.Until(`window.copied === true`)
	b.Type("?")
	b.Until(`document.getElementById('dlg-keys').open`)
	b.Type("t")
	b.Click("#keys-on")
	b.Type(kb.Escape)
	b.Until(`!document.getElementById('dlg-keys').open`)
	b.Type("t")
	b.Type("4")
	b.Stays(300*time.Millisecond, `document.documentElement.dataset.theme === 'dark'`) // off, and not in the dialog
	eval[bool](b, `document.getElementById('keys-on').click(); true`)
	b.Type("4")
	b.Until(`location.search.includes('sev=critical') && !location.search.includes('info')`)
	b.Same()
	b.Type(kb.Escape)
	b.Until(`location.pathname + location.search === '/events' && window.same !== true && document.getElementById('conn') !== null`)
	for keys, path := range map[string]string{"ga": "/audit", "gm": "/alerts", "gd": "/", "c": "/create"} {
		b.do(chromedp.Navigate(h.URL + "/events"))
		b.Expects("404") // the audit is not served here
		b.Type(keys)
		b.Until(`location.pathname === '` + path + `'`)
	}
	b.do(chromedp.Navigate(h.URL + "/create"))
	b.Click("#message")
	b.Type("Fire")
	b.Type(kb.Enter, chromedp.ModifierCtrl)
	eventually(t, "the form is sent", func() bool { return len(h.Asked("POST", "/events")) == 1 })
}
