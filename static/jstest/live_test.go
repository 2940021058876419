package jstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"

	"alerthub/models"
	"alerthub/views"
)

// Each cause pauses, which the server is told; what comes all the same is not
// shown, but for rows that are. When the cause ends, what was missed is asked
// for from where the page stood.
func TestPause(t *testing.T) {
	const hide = `Object.defineProperty(document, 'hidden', { configurable: true, value: %t }); document.dispatchEvent(new Event('visibilitychange'))`
	for name, c := range map[string]struct{ begin, end, state string }{
		"scrolled off the top": {`scrollTo(0, 200); true`, `scrollTo(0, 0); true`, "reading"},
		"focus in the rows":    {`document.querySelector('#e99 .c-msg a').focus({ preventScroll: true }); true`, `document.activeElement.blur(); true`, "reading"},
		"text is selected": {
			`getSelection().selectAllChildren(document.querySelector('#e100 .c-src')); true`, `getSelection().removeAllRanges(); true`, "reading",
		},
		"the tab is hidden": {fmt.Sprintf(hide+`; true`, true), fmt.Sprintf(hide+`; true`, false), "reading"},
		"by hand":           {`document.getElementById('pause').click(); true`, `document.getElementById('pause').click(); true`, "hand"},
		"the drawer is open": {
			`document.querySelector('#e100 .c-msg a').click(); true`, `document.querySelector('[data-act=close-drawer]').click(); document.activeElement.blur(); true`, "reading",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, evs(100, 1)...)
			b := h.live("/events")
			eval[bool](b, c.begin)
			b.Until(`location.pathname === '/events' || document.querySelector('#drawer h2') !== null`)
			b.Until(fmt.Sprintf(`document.getElementById('tail').dataset.why === %q && document.getElementById('conn').dataset.state === 'paused'`, c.state))
			eventually(t, "the server is told", func() bool { return h.Heard() == `{"op":"pause","last":100}` })
			changed := ev(99)
			changed.Event.AckedAt, changed.Event.AckedBy = time.Now(), "ana"
			h.set(func(h *hub) { h.last = 101 })
			h.Say(rows(101, ev(101), changed))
			b.Until(`document.querySelector('#e99[data-acked]') !== null`)
			if eval[bool](b, `document.getElementById('e101') !== null`) {
				t.Error("a row came while the page was paused")
			}
			h.Say()
			eval[bool](b, c.end)
			b.Becomes("live")
			eventually(t, "it connects again for what it missed", func() bool { return len(h.Dialled()) == 2 })
			if since := h.Dialled()[1].Get("since"); since != "100" {
				t.Errorf("it asks for what came since %s", since)
			}
			b.Same()
		})
	}
}

// When nothing came meanwhile, the same connection goes on.
func TestPause_resumes(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	b.Type("p")
	b.Until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
	h.Say(html(views.Pill(3, [4]int64{0, 0, 2, 1})))
	b.Until(`document.querySelector('#pill button') !== null`)
	eval[bool](b, `dispatchEvent(new Event('scroll'))`)
	b.Stays(300*time.Millisecond, `document.getElementById('tail').dataset.why === 'hand'`) // by hand only
	b.Type("p")
	b.Becomes("live")
	eventually(t, "the server is told", func() bool { return h.Heard() == `{"op":"pause","last":9}{"op":"resume","last":9}` })
	if n := len(h.Dialled()); n != 1 {
		t.Errorf("%d connections", n)
	}
	b.Until(`document.getElementById('pill').children.length === 0`)
}

// The pill leads to the top: the first row has the focus and rows come, until
// another one is looked at.
func TestPause_pill(t *testing.T) {
	for name, use := range map[string]func(b *tab){
		"click": func(b *tab) { b.Click("#pill button") },
		"key":   func(b *tab) { b.Type(".") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, evs(60, 1)...)
			b := h.live("/events")
			eval[bool](b, `scrollTo(0, 300); true`)
			b.Becomes("paused")
			h.Say(html(views.Pill(3, [4]int64{0, 0, 2, 1})))
			b.Until(`document.querySelector('#pill button') !== null`)
			use(b)
			b.Becomes("live")
			b.Until(`scrollY === 0 && document.activeElement === document.querySelector('#e60 .c-msg a')`)
			h.set(func(h *hub) { h.last = 61 })
			h.Say(rows(61, ev(61)))
			b.Until(`document.getElementById('e61') !== null`)
			b.Stays(700*time.Millisecond, `document.getElementById('conn').dataset.state === 'live'`)
			b.Type("j")
			b.Becomes("paused")
		})
	}
}

// A page that is paused when its connection breaks says so to the new one.
func TestPause_outlivesTheConnection(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	b.Type("p")
	b.Becomes("paused")
	h.End(websocket.CloseServiceRestart)
	eventually(t, "it connects again", func() bool { return len(h.Dialled()) == 2 })
	if first, second := h.Dialled()[0].Get("paused"), h.Dialled()[1].Get("paused"); first != "" || second != "1" {
		t.Errorf("it says that it is paused by %q and %q", first, second)
	}
	b.Becomes("paused")
}

// Whatever ends a connection, the page is back within two seconds, and asks
// for what it has missed.
func TestReconnect(t *testing.T) {
	for _, code := range []int{1000, 1001, 1005, 1006, 1011, 1012, 1013} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			h := newHub(t, evs(9, 1)...)
			b := h.live("/events?sev=error&q=link")
			if first := h.Dialled()[0]; first.Get("since") != "9" || first.Get("sev") != "error" || first.Get("q") != "link" || first.Get("view") != "events" {
				t.Errorf("it dials %v", first)
			}
			h.set(func(h *hub) { h.last = 12 })
			h.Say()
			b.Until(`document.getElementById('rows').dataset.lastId === '12'`) // what others' events have moved on
			h.End(code)
			eventually(t, "it connects again", func() bool { return len(h.Dialled()) > 1 })
			second := h.Dialled()[1]
			if since := second.Get("since"); since != "12" {
				t.Errorf("it asks for what came since %s", since)
			}
			if _, err := models.ParseTime(second.Get("at")); err != nil {
				t.Errorf("it asks for what has changed since %q", second.Get("at"))
			}
			if took := b.Becomes("live"); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			b.Same()
		})
	}
}

// Who is not known any more is led elsewhere by a reload, once.
func TestReconnect_1008(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	h.set(func(h *hub) { h.mute = true }) // after the reload nothing is heard
	h.End(websocket.ClosePolicyViolation)
	b.Until(`window.same !== true && document.getElementById('conn') !== null`)
	eventually(t, "the loaded page connects", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.sockets) > 0 })
	eval[bool](b, `window.same = true`)
	h.End(websocket.ClosePolicyViolation)
	eventually(t, "it connects again", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.sockets) > 0 })
	b.Same()
}

// A page that was live hears of it, too, when it comes back after a while.
func TestReconnect_1008AfterAnInterruption(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	h.set(func(h *hub) { h.mute = true })
	h.End(websocket.CloseServiceRestart)
	eventually(t, "it connects again", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.sockets) > 0 })
	b.Same()
	h.End(websocket.ClosePolicyViolation)
	b.Until(`window.same !== true && document.getElementById('conn') !== null`)
}

// A connection that is open and silent is not live, then lost, then replaced;
// the way back is told.
func TestSilence(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	h.set(func(h *hub) { h.mute = true })
	began := time.Now()
	b.Becomes("stale")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("shown as live for %v", took)
	}
	if !strings.Contains(b.Text("#conn [data-when=stale]"), "s old") || !eval[bool](b, `getComputedStyle(document.querySelector('.age')).textDecorationLine === 'underline'`) {
		t.Errorf("the age is told as %q", b.Text("#conn [data-when=stale]"))
	}
	b.Becomes("offline")
	if took := time.Since(began); took > 12500*time.Millisecond {
		t.Errorf("offline after %v", took)
	}
	b.Until(`!document.getElementById('offline').hidden && document.getElementById('favicon').href.includes('offline')`)
	b.Until(`/Connection lost at \d\d:\d\d:\d\d\. What you see is 1\d s old\. Trying again in \d s \(attempt \d+\)\./.test(document.getElementById('offline').textContent.replace(/\s+/g, ' '))`)
	eventually(t, "the connection is replaced", func() bool { return len(h.Dialled()) > 1 })
	b.Until(`parseInt(document.querySelector('#conn [data-when=stale]').textContent) >= 13`)
	began = time.Now()
	h.set(func(h *hub) { h.mute, h.last = false, 21 })
	b.Becomes("live")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("back after %v", took)
	}
	b.Until(`document.getElementById('offline').hidden && !document.getElementById('favicon').href.includes('offline') && getComputedStyle(document.querySelector('.age')).textDecorationLine === 'none'`)
	b.Until(`document.querySelector('.toast strong').textContent === 'Back online. New events while you were away: 12.'`)
	b.Same()
}

// A handshake that is not answered is begun again.
func TestHangingHandshake(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	h.set(func(h *hub) { h.hang = true })
	h.End(websocket.CloseServiceRestart)
	eventually(t, "it tries", func() bool { return len(h.Dialled()) > 1 })
	h.set(func(h *hub) { h.hang = false })
	b.Within(4*time.Second, `document.getElementById('conn').dataset.state === 'live'`)
}

func TestRetryNow(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	n := len(h.Dialled())
	eval[bool](b, `document.querySelector('[data-act=retry-now]').click(); true`)
	eventually(t, "it connects", func() bool { return len(h.Dialled()) == n+1 })
}

// Title and icon count what nobody has acknowledged; the rate and a newer hub
// are told.
func TestHeader(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events")
	title := eval[string](b, `document.title`)
	h.Say(html(views.HeaderCounts(views.HeaderData{Critical: 3}, true)))
	b.Until(`document.title === '(3) ' + ` + fmt.Sprintf("%q", title) + ` && document.getElementById('favicon').href.includes('favicon-alert')`)
	h.Say(html(views.HeaderCounts(views.HeaderData{}, true)))
	b.Until(fmt.Sprintf(`document.title === %q && !document.getElementById('favicon').href.includes('alert')`, title))
	if rate := b.Text("#rate"); rate != "2.5 events/s" {
		t.Errorf("the rate is %q", rate)
	}
	h.set(func(h *hub) {
		h.extra = `<i id="beat" hx-swap-oob="true" data-last-id="9" data-at="2026-02-24T10:00:00Z" data-rate="10240.0" data-build="2" hidden></i>`
	})
	b.Until(`!document.getElementById('updated').hidden && document.documentElement.dataset.rate === 'high'`)
	if rate := b.Text("#rate"); rate != "10,240 events/s" {
		t.Errorf("the rate is %q", rate)
	}
}

// What is pointed at or has the focus does not move; then its newest state comes.
func TestHeldFrames(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(3, 1)...)
	b := h.live("/")
	point := func(x, y float64) { b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y)) }
	at := eval[[]float64](b, `(() => { const r = document.getElementById('attn').getBoundingClientRect(); return [r.x + r.width / 2, r.y + 5]; })()`)
	point(at[0], at[1])
	for _, word := range []string{"first", "second"} {
		h.Say(`<section id="attn" hx-swap-oob="true">` + word + `</section><i id="news" hx-swap-oob="true" data-crit="" data-after="` + word + `" hidden></i>`)
		b.Until(`document.querySelector('#news[data-after=` + word + `]') !== null`)
	}
	b.Stays(700*time.Millisecond, `document.querySelector('#attn a') !== null`)
	point(1, 899)
	b.Until(`document.getElementById('attn').textContent === 'second'`)
	h.Say(`<section id="attn" hx-swap-oob="true">third</section>`)
	b.Until(`document.getElementById('attn').textContent === 'third'`)
}

// The wall tells the time of the server's clock, and shows whole rows alone.
func TestWall(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(50, 1)...)
	b := h.live("/?wall=1", `const now = Date.now; Date.now = () => now() + 86400e3 * 40`)
	b.Until(`document.getElementById('today').textContent === new Date(Date.now() - 86400e3 * 40).toUTCString().replace(/(...), 0?(\d+ ...).*/, '$1 $2')`)
	first := b.Text("#clock")
	b.Until(fmt.Sprintf(`/^\d\d:\d\d:\d\d$/.test(document.getElementById('clock').textContent) && document.getElementById('clock').textContent !== %q`, first))
	cut := `(() => { const end = document.querySelector('.d-ev').getBoundingClientRect(), shown = [...document.querySelectorAll('#rows tr')].map((r) => r.getBoundingClientRect()).filter((r) => r.left < end.right && r.top < end.bottom);
		return shown.length > 1 && shown.length < 50 && shown.every((r) => r.bottom <= end.bottom); })()`
	if !eval[bool](b, cut) {
		t.Error("a row is cut, or none is shown")
	}
}

// Nobody reloads a wall when the hub has been updated: it does so itself, once.
func TestWall_updated(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(50, 1)...)
	b := h.live("/?wall=1")
	h.set(func(h *hub) { h.extra = `<i id="beat" hx-swap-oob="true" data-last-id="50" data-build="2" hidden></i>` })
	b.Until(`window.same !== true && document.getElementById('conn')?.dataset.state === 'live'`)
	eval[bool](b, `window.same = true`)
	h.Say()
	b.Stays(time.Second, `window.same === true`)
}

// A page without rows that hears of the hub late does not tell what it missed:
// it does not know.
func TestReconnect_withoutRows(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.hang = true
	b := h.open("/alerts")
	b.Becomes("offline")
	h.set(func(h *hub) { h.hang = false })
	b.Becomes("live")
	if text := b.Text("#toasts"); text != "" {
		t.Errorf("it says %q", text)
	}
}

// Ages count on, by the server's clock.
func TestAges(t *testing.T) {
	t.Parallel()
	h := newHub(t, ev(9))
	b := h.live("/events", `const skew = 3600e3, now = Date.now; Date.now = () => now() + skew`)
	set := func(s int) {
		eval[bool](b, fmt.Sprintf(`document.querySelector('.age').dataset.at = new Date(Date.now() - 3600e3 - %d * 1000).toISOString(); true`, s))
	}
	for s, want := range map[int]string{20: `/^2\d s$/`, 150: `/^2 min$/`, 7300: `/^2 h$/`, 3 * 86400: `/^3 d$/`} {
		set(s)
		b.Until(want + `.test(document.querySelector('.age').textContent)`)
	}
}

// When a day ends its rows are not those of today any more: they are drawn
// anew, also when the page was paused just then.
func TestMidnight(t *testing.T) {
	yesterday := strings.Replace(html(views.AllFrame(evs(9, 1), 9)), ">Tuesday", ">Yesterday, Tuesday", 1)
	for name, paused := range map[string]bool{"live": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, evs(9, 1)...)
			b := h.live("/events")
			if paused {
				b.Type("p")
				b.Becomes("paused")
			}
			// On a busy machine it may connect again for other reasons, too.
			anew := func(before int) bool {
				d := h.Dialled()
				return len(d) > before && !d[len(d)-1].Has("since")
			}
			h.set(func(h *hub) { h.day, h.table = "2100-01-01", yesterday }) // a new connection brings the rows
			eventually(t, "it asks for its rows", func() bool { return anew(1) })
			if paused {
				b.Stays(300*time.Millisecond, `document.querySelector('#rows .day').textContent.startsWith('Tuesday')`)
				before := len(h.Dialled())
				b.Type("p")
				eventually(t, "it asks again", func() bool { return anew(before) })
			}
			b.Until(`document.querySelector('#rows .day').textContent.startsWith('Yesterday, ')`)
			h.End(websocket.CloseServiceRestart)
			eventually(t, "it knows what it shows", func() bool { d := h.Dialled(); return d[len(d)-1].Get("since") == "9" })
			b.Same()
		})
	}
}
