package live

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

// policy is the content security policy of the product's pages.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// servePage serves the panel's pages as they are when they are asked for.
func (r *rig) servePage(w http.ResponseWriter, req *http.Request) {
	section := views.Section(req.URL.Path[1:])
	p := views.Page{Title: "Test", Section: section, Live: true, Assets: views.Assets{
		Stylesheet: static.URL("css/panel.css"), Script: static.URL("js/all.js"),
		Favicon: static.URL("img/favicon.svg"), FaviconOffline: static.URL("img/favicon-offline.svg"),
	}}
	events, _ := r.truth.Events(req.Context(), models.EventFilter{Limit: max(1, eventsCap(section))})
	alerts, _ := r.truth.EmailAlerts(req.Context(), models.EmailFilter{Limit: max(1, alertsCap(section))})
	stats, _ := r.truth.Stats(req.Context())
	var body templ.Component
	switch section {
	case views.SectionDashboard:
		body = views.Dashboard(p, views.DashboardData{Stats: stats, Events: events.Events, Alerts: alerts})
	case views.SectionEvents:
		body = views.Events(p, views.EventsData{Events: events.Events})
	case views.SectionAlerts:
		body = views.Alerts(p, views.AlertsData{Stats: stats, Alerts: alerts})
	case views.SectionAudit:
		body = views.Audit(p, stats)
	default:
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	templ.Handler(body).ServeHTTP(w, req)
}

// tab is a page in a real browser.
type tab struct {
	ctx    context.Context
	mu     sync.Mutex
	errors []string // exceptions and console.error
}

func (r *rig) browse(t *testing.T, path string) *tab {
	t.Helper()
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox)...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &tab{ctx: ctx}
	err := chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, ev.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.ConsoleAPICalledTypeError {
				b.errors = append(b.errors, fmt.Sprintf("console: %s", ev.Args[0].Value))
			}
		}
	})
	if err != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(r.server.URL+path)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.errors {
			t.Errorf("in the browser: %s", e)
		}
	})
	return b
}

func eval[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) ids(t *testing.T, table string) []int64 {
	t.Helper()
	return eval[[]int64](t, b, fmt.Sprintf(`[...document.querySelectorAll('#%s > tr[id]')].map(r => Number(r.id.slice(3)))`, table))
}

func (b *tab) state(t *testing.T) string {
	t.Helper()
	return eval[string](t, b, `document.getElementById('conn').dataset.state`)
}

// shows waits until the table holds exactly the rows want.
func (b *tab) shows(t *testing.T, table string, want []int64) {
	t.Helper()
	var got []int64
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = b.ids(t, table); slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("#%s (-want +got):\n%s", table, cmp.Diff(want, got))
}

func (b *tab) becomes(t *testing.T, state string) {
	t.Helper()
	eventually(t, "the page is "+state, func() bool { return b.state(t) == state })
}

func TestBrowser_RowsArriveAndTheOldestLeave(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 95)
	b := r.browse(t, "/events")
	b.becomes(t, "live")
	b.shows(t, "rows", newestIDs(95, 100))
	for range 10 {
		r.commit(1, 0)
	}
	b.shows(t, "rows", newestIDs(105, 100))
	if last := eval[string](t, b, `document.getElementById('rows').dataset.lastId`); last != "105" {
		t.Errorf("data-last-id is %s, want 105", last)
	}
	r.commit(500, 0)
	want := append(newestIDs(605, rowsPerFrame), newestIDs(105, 80)...)
	b.shows(t, "rows", want)
	if gap := eval[string](t, b, `document.querySelector('#rows > tr.gap a').getAttribute('href')`); gap != "/events?before=586" {
		t.Errorf("the gap links to %s", gap)
	}
}

func TestBrowser_DashboardMovesAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 3)
	b := r.browse(t, "/dashboard")
	b.becomes(t, "live")
	receipts := r.truth.insert(40, 0)
	for i := range receipts {
		a := models.EmailAlert{ID: int64(i + 1), EventID: receipts[i].Event.ID, Status: models.EmailPending}
		receipts[i].Alerts = []models.EmailAlert{a}
		r.truth.set(func(s *truth) { s.alerts = append(s.alerts, a) })
	}
	r.EventsRecorded(receipts)
	b.shows(t, "rows", newestIDs(43, views.DashboardCap))
	b.shows(t, "alert-rows", newestIDs(40, views.DashboardCap))
	eventually(t, "the counters move", func() bool {
		return eval[string](t, b, `document.querySelector('#counters .kpi-num').textContent`) == "43"
	})
}

func TestBrowser_EmailChangesWhereItStands(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 3)
	for id := range int64(3) {
		r.truth.alerts = append(r.truth.alerts, models.EmailAlert{ID: id + 1, EventID: id + 1, CreatedAt: received, Status: models.EmailPending, Attempts: 1})
	}
	b := r.browse(t, "/alerts")
	eval[bool](t, b, `document.getElementById('al-3').mine = true`)
	b.becomes(t, "live")
	if !eval[bool](t, b, `document.getElementById('al-3').mine === true`) {
		t.Error("joining replaced rows that were right")
	}
	r.AlertUpdated(models.EmailAlert{ID: 2, EventID: 2, CreatedAt: received, Status: models.EmailSent})
	r.AlertUpdated(models.EmailAlert{ID: 99, EventID: 2, CreatedAt: received, Status: models.EmailSent}) // newer than all: a row of its own
	b.shows(t, "alert-rows", []int64{99, 3, 2, 1})
	eventually(t, "the state of the middle row", func() bool {
		return eval[string](t, b, `document.querySelector('#al-2 .mail').dataset.st`) == "sent"
	})
	r.AlertUpdated(models.EmailAlert{ID: 0, EventID: 2, CreatedAt: received, Status: models.EmailSent}) // older than all
	r.AlertUpdated(models.EmailAlert{ID: 1, EventID: 2, CreatedAt: received, Status: models.EmailFailed})
	eventually(t, "the state of the last row", func() bool {
		return eval[string](t, b, `document.querySelector('#al-1 .mail').dataset.st`) == "failed"
	})
	b.shows(t, "alert-rows", []int64{99, 3, 2, 1})
	if !eval[bool](t, b, `document.getElementById('al-3').mine === true`) {
		t.Error("an update of other rows replaced this one")
	}
}

// Whatever ends a connection, the page comes back by itself and shows what is
// stored; and it has one connection, not several.
func TestBrowser_ComesBackAfterEveryClose(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 3)
	b := r.browse(t, "/events")
	b.becomes(t, "live")
	last := int64(3)
	for _, code := range []int{1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 1013} {
		r.panel.sockets.mu.Lock()
		for s := range r.panel.sockets.open {
			switch code {
			case websocket.CloseNoStatusReceived:
				_ = s.Close()
			case websocket.CloseAbnormalClosure:
				hardClose(s)
			default:
				_ = s.CloseWithMsg(melody.FormatCloseMessage(code, ""))
			}
		}
		r.panel.sockets.mu.Unlock()
		r.commit(4, 0)
		last += 4
		b.shows(t, "rows", newestIDs(last, 100))
	}
	for range 5 {
		eval[bool](t, b, `dispatchEvent(new Event('online'))`)
		eval[bool](t, b, `document.dispatchEvent(new Event('visibilitychange'))`)
	}
	eventually(t, "one connection is left", func() bool { return r.Counters().Panels == 1 })
	r.commit(1, 0)
	b.shows(t, "rows", newestIDs(last+1, 100))
	b.becomes(t, "live")
}

// freezer is a listener whose connections can be made to swallow what is
// written: to the browser they look open and silent.
type freezer struct {
	net.Listener
	generation atomic.Int64 // connections made before this are frozen
	made       atomic.Int64
}

type frozenConn struct {
	net.Conn
	number int64
	f      *freezer
}

func (f *freezer) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return frozenConn{conn, f.made.Add(1), f}, nil
}

func (c frozenConn) Write(p []byte) (int, error) {
	if c.number <= c.f.generation.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// A connection that is open and says nothing is not taken for live, and is
// replaced.
func TestBrowser_SilenceIsNotLive(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 3)
	server := &http.Server{Handler: r.server.Config.Handler}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{Listener: listener}
	go func() { _ = server.Serve(f) }()
	t.Cleanup(func() { server.Close() })
	r.server.URL = "http://" + listener.Addr().String()

	b := r.browse(t, "/events")
	b.becomes(t, "live")
	f.generation.Store(f.made.Load())
	began := time.Now()
	r.commit(2, 0)
	b.becomes(t, "stale")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v not to be live any more", took)
	}
	if words := eval[string](t, b, `document.getElementById('conn-age').textContent`); words == "" {
		t.Error("the age is not told")
	}
	offline := false
	for end := began.Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		state := b.state(t)
		if state == "offline" && !offline {
			offline = true
			if took := time.Since(began); took > 13*time.Second {
				t.Errorf("offline after %v", took)
			}
		}
		if state == "live" {
			break
		}
	}
	b.shows(t, "rows", newestIDs(5, 100))
	b.becomes(t, "live")
	if hidden := eval[bool](t, b, `document.getElementById('offline').hidden`); !hidden {
		t.Error("the banner stays")
	}
}

// With the hub away the page says so, and with the hub back on the same
// address it is whole again, without a reload.
func TestBrowser_HubRestarts(t *testing.T) {
	t.Parallel()
	old := newRig(t, Config{}, 20)
	b := old.browse(t, "/events")
	b.becomes(t, "live")
	eval[bool](t, b, `window.untouched = true`)
	address := old.server.Listener.Addr().String()
	old.stop()
	b.becomes(t, "stale")

	r := newRig(t, Config{}, 0)
	r.truth.events = slices.Clone(old.truth.events)
	r.commit(150, 0)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r.server.Config.Handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	b.shows(t, "rows", newestIDs(170, 100))
	b.becomes(t, "live")
	if !eval[bool](t, b, `window.untouched === true`) {
		t.Error("the page was reloaded")
	}
}
