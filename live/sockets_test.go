package live

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"alerthub/models"
)

func TestOrigin(t *testing.T) {
	const host = "hub.example.net:5080"
	tests := map[string]struct {
		origins    []string
		same, feed bool
	}{
		"a program":            {nil, true, true},
		"the panel":            {[]string{"http://hub.example.net:5080"}, true, true},
		"in capitals":          {[]string{"http://HUB.example.net:5080"}, true, true},
		"another port":         {[]string{"http://hub.example.net:8000"}, false, true},
		"another scheme":       {[]string{"https://hub.example.net"}, false, true},
		"another site":         {[]string{"http://evil.example.com"}, false, false},
		"our name in front":    {[]string{"http://hub.example.net.evil.example.com"}, false, false},
		"our name in the path": {[]string{"http://evil.example.com/hub.example.net:5080"}, false, false},
		"our name as user":     {[]string{"http://hub.example.net:5080@evil.example.com"}, false, false},
		"a sandbox":            {[]string{"null"}, false, false},
		"empty":                {[]string{""}, false, false},
		"a file":               {[]string{"file://"}, false, false},
		"nonsense":             {[]string{"http://%zz"}, false, false},
		"two":                  {[]string{"http://hub.example.net:5080", "http://evil.example.com"}, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://"+host+"/ws", nil)
			r.Header["Origin"] = tt.origins
			if got := sameOrigin(r); got != tt.same {
				t.Errorf("panel: %v, want %v", got, tt.same)
			}
			if got := sameHost(r); got != tt.feed {
				t.Errorf("feed: %v, want %v", got, tt.feed)
			}
		})
	}
	r := httptest.NewRequest(http.MethodGet, "http://[2001:db8::1]:8767/", nil)
	r.Header.Set("Origin", "http://[2001:db8::1]:5080")
	if !sameHost(r) || sameOrigin(r) {
		t.Error("an IPv6 host is not told from its port")
	}
}

func TestSockets_RefusedBeforeTheUpgrade(t *testing.T) {
	r := newRig(t, Config{MaxPanels: 1, MaxFeed: 1}, 0)
	status := func(path string, header http.Header) int {
		t.Helper()
		conn, response, err := websocket.DefaultDialer.Dial(r.url(path), header)
		if err == nil {
			conn.Close()
			return http.StatusSwitchingProtocols
		}
		if response == nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	evil := http.Header{"Origin": {"http://evil.example.com"}}
	for _, path := range []string{"/ws?view=events", "/ws/events"} {
		if got := status(path, evil); got != http.StatusForbidden {
			t.Errorf("%s from a foreign origin: %d, want 403", path, got)
		}
		response, err := http.Get(r.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("GET %s: %d, want 426", path, response.StatusCode)
		}
		first := r.dial(t, path)
		if got := status(path, nil); got != http.StatusServiceUnavailable {
			t.Errorf("%s beyond the limit: %d, want 503", path, got)
		}
		first.Close()
		eventually(t, "the place is free again", func() bool { return status(path, nil) == http.StatusSwitchingProtocols })
	}
	for _, path := range []string{"/ws", "/ws?view=people", "/ws?view=%3Cb%3E"} {
		if got := status(path, nil); got != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, got)
		}
	}
}

// panicky panics in one of its callbacks.
type panicky struct {
	where string
	ended chan struct{}
}

func (p panicky) at(where string) {
	if p.where == where {
		panic("in " + where)
	}
}
func (p panicky) connected(s *melody.Session) {
	p.at("connect")
	_ = s.Write([]byte("hello"))
}
func (p panicky) message([]byte) { p.at("message") }
func (p panicky) sent(int)       { p.at("sent") }
func (p panicky) disconnected() {
	defer close(p.ended)
	p.at("disconnect")
}

func TestSockets_PanicLeavesNoSession(t *testing.T) {
	for _, where := range []string{"connect", "message", "sent", "disconnect"} {
		t.Run(where, func(t *testing.T) {
			var log lockedBuilder
			k := newSockets(8, 10, sameOrigin, Config{
				WriteWait: time.Second, PoliteClose: time.Second,
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			client := panicky{where, make(chan struct{})}
			served := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served <- k.serve(w, r, client, anybody)
			}))
			defer server.Close()
			conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.WriteMessage(websocket.TextMessage, []byte("x"))
			if where == "disconnect" {
				conn.Close()
			}
			<-client.ended
			if err := <-served; err != nil {
				t.Error(err)
			}
			if k.melody.Len() != 0 || k.now() != 0 || k.count != 0 {
				t.Errorf("left behind: %d in melody, %d open, %d counted", k.melody.Len(), k.now(), k.count)
			}
			if !strings.Contains(log.String(), "in "+where) {
				t.Errorf("the log does not tell of the panic: %s", log.String())
			}
		})
	}
}

func TestClose_TellsEverybodyToComeBack(t *testing.T) {
	r := newRig(t, Config{PoliteClose: 5 * time.Second}, 3)
	var clients sync.WaitGroup
	for i := range 20 {
		conn := r.dial(t, []string{"/ws?view=events&since=0", "/ws/events?since=0"}[i%2])
		clients.Go(func() {
			if code := closeCode(t, conn); code != websocket.CloseServiceRestart {
				t.Errorf("close code %d, want 1012", code)
			}
		})
	}
	eventually(t, "all are there", func() bool { c := r.Counters(); return c.Panels == 10 && c.FeedClients == 10 })
	began := time.Now()
	r.stop()
	clients.Wait()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Close waited %v for clients that answer at once", took)
	}
}

// Whoever may not read any more is told to sign in, panel and feed, also one
// that takes nothing; whoever may not read from the start gets nothing.
func TestSockets_EndWithTheRight(t *testing.T) {
	r := newRig(t, Config{}, 3)
	conns := map[string]*websocket.Conn{}
	for _, path := range []string{"/ws?view=events&since=0", "/ws/events?since=0"} {
		conns[path] = r.dial(t, path)
	}
	eventually(t, "both are there", func() bool { c := r.Counters(); return c.Panels == 1 && c.FeedClients == 1 })
	r.allow(false)
	began := time.Now()
	for path, conn := range conns {
		if code := closeCode(t, conn); code != websocket.ClosePolicyViolation {
			t.Errorf("%s: close code %d, want 1008", path, code)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("they ended after %v", took)
	}
	for path := range conns {
		conn := r.dial(t, path)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, text, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%s, from the start: %q, %v", path, text, err)
		}
	}
	eventually(t, "nobody is left", func() bool { c := r.Counters(); return c.Panels == 0 && c.FeedClients == 0 })
}

// Three closings, twenty hand-overs and clients that come and go, all at once:
// nobody hangs and nobody is left.
func TestClose_RacesWithEverything(t *testing.T) {
	for range 5 {
		r := newRig(t, Config{PoliteClose: 100 * time.Millisecond}, 3)
		for range 6 { // these never read, so they do not leave by themselves
			r.dial(t, "/ws?view=dashboard")
			r.dial(t, "/ws/events")
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { r.commit(50, 10) })
			all.Go(func() {
				if conn, _, err := websocket.DefaultDialer.Dial(r.url("/ws/events?since=0"), nil); err == nil {
					conn.Close()
				}
			})
		}
		for range 3 {
			all.Go(func() {
				if err := r.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if c := r.Counters(); c.Panels+c.FeedClients != 0 {
			t.Errorf("left behind: %+v", c)
		}
		_, response, err := websocket.DefaultDialer.Dial(r.url("/ws/events"), nil)
		if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("dial after Close: %v, %v, want 503", response, err)
		}
		r.stop()
	}
}

// A client that reads nothing has a full buffer, which loses the goodbye.
func TestClose_CutsWhoDoesNotLeave(t *testing.T) {
	r := newRig(t, Config{PoliteClose: 100 * time.Millisecond}, 0)
	for range 3 {
		stuck, _, err := (&websocket.Dialer{NetDial: smallBuffer}).Dial(r.url("/ws/events?batch=1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.Close()
		read(t, stuck) // the greeting: from now on it is sent what is stored
	}
	r.commit(500, 32<<10)
	still := 0
	eventually(t, "their connections take no more", func() bool {
		if still++; !r.windowsFull() {
			still = 0
		}
		return still > 20
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := r.Counters().FeedClients; n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

// windowsFull reports whether no feed client has room for another frame.
func (r *rig) windowsFull() bool {
	r.feed.sockets.mu.Lock()
	defer r.feed.sockets.mu.Unlock()
	for s := range r.feed.sockets.open {
		if clientOf(s).(*subscriber).inFlightBytes.Load() < feedWindowBytes {
			return false
		}
	}
	return true
}

func TestServe_WaitsForRunAndEndsWithClose(t *testing.T) {
	l := New(Config{})
	answered := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		err := l.ServeFeed(w, httptest.NewRequest(http.MethodGet, "/ws/events", nil), anybody)
		if !errors.Is(err, models.ErrClosed) {
			t.Errorf("ServeFeed: %v, want ErrClosed", err)
		}
		answered <- w.Code
	}()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := <-answered; code != http.StatusServiceUnavailable {
		t.Errorf("answer %d, want 503", code)
	}
}

func TestRun_WaitsForTheDatabase(t *testing.T) {
	source := &truth{fail: models.ErrUnavailable}
	source.insert(7, 0)
	l := New(Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, source) }()
	select {
	case <-l.ready:
		t.Error("ready without knowing where the database ends")
	case <-time.After(50 * time.Millisecond):
	}
	source.set(func(s *truth) { s.fail = nil })
	<-l.ready
	if last := l.feed.inbox.seen(); last != 7 {
		t.Errorf("the feed begins after %d, want 7", last)
	}
	if err := l.Run(ctx, source); err == nil {
		t.Error("Run may be called twice")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// lockedBuilder is a strings.Builder for several goroutines.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
