package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is when the fake store received everything.
var received = time.Date(2026, 11, 23, 18, 30, 0, 123456000, time.UTC)

// truth is a database in memory with fault switches. Its order lock makes
// commits and hand-overs follow each other as the committer's do.
type truth struct {
	order sync.Mutex
	reads atomic.Int64

	mu     sync.Mutex
	events []models.Event // oldest first; ids ascend, with holes if a test wants them
	alerts []models.EmailAlert
	health models.Health
	fail   error // of every read
}

func (s *truth) EventsAfter(_ context.Context, after int64, limit int) ([]models.Event, error) {
	s.reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	from := slices.IndexFunc(s.events, func(e models.Event) bool { return e.ID > after })
	if from < 0 || s.fail != nil {
		return nil, s.fail
	}
	return slices.Clone(s.events[from:min(len(s.events), from+limit)]), nil
}

func (s *truth) Events(_ context.Context, f models.EventFilter) (models.EventPage, error) {
	s.reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	var page models.EventPage
	for _, e := range slices.Backward(s.events) {
		if f.Before > 0 && e.ID >= f.Before {
			continue
		}
		if len(page.Events) == f.Limit {
			break
		}
		page.Events = append(page.Events, e)
	}
	return page, s.fail
}

func (s *truth) EmailAlerts(_ context.Context, f models.EmailFilter) ([]models.EmailAlert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := slices.Clone(s.alerts)
	slices.Reverse(newest)
	return newest[:min(len(newest), f.Limit)], s.fail
}

func (s *truth) Stats(context.Context) (models.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return models.Stats{Events: int64(len(s.events)), LastEventID: s.last()}, s.fail
}

func (s *truth) Health() models.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// last needs mu.
func (s *truth) last() int64 {
	if len(s.events) == 0 {
		return 0
	}
	return s.events[len(s.events)-1].ID
}

func (s *truth) set(change func(*truth)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// insert stores n events as one commit, without telling anybody. payload is
// the size of each raw payload.
func (s *truth) insert(n, payload int) []models.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipts := make([]models.Receipt, n)
	for i := range receipts {
		id := s.last() + 1
		e := models.Event{
			ID: id, CreatedAt: received, Source: "sw-1", Severity: models.SeverityWarning,
			Message: fmt.Sprintf("message %d", id), Channel: models.ChannelTCP, RawPayload: strings.Repeat("x", payload),
		}
		s.events = append(s.events, e)
		receipts[i] = models.Receipt{Event: e}
	}
	return receipts
}

// rig is a Live on a real server.
type rig struct {
	*Live
	truth  *truth
	server *httptest.Server
	log    *strings.Builder // read it after stop
	stop   func()
}

func newRig(t *testing.T, cfg Config, stored int) *rig {
	t.Helper()
	r := &rig{truth: &truth{}, log: &strings.Builder{}}
	r.truth.insert(stored, 0)
	cfg.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	if cfg.PoliteClose == 0 {
		cfg.PoliteClose = 200 * time.Millisecond
	}
	r.Live = New(cfg)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, req *http.Request) { _ = r.ServePanel(w, req) })
	mux.HandleFunc("/ws/events", func(w http.ResponseWriter, req *http.Request) { _ = r.ServeFeed(w, req) })
	mux.Handle(static.Prefix, static.Handler())
	mux.HandleFunc("/", r.servePage)
	r.server = httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, r.truth) }()
	r.stop = sync.OnceFunc(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.server.Close()
	})
	t.Cleanup(r.stop)
	<-r.ready
	return r
}

// commit stores n events and hands them over, as the committer does.
func (r *rig) commit(n, payload int) {
	r.truth.order.Lock()
	defer r.truth.order.Unlock()
	r.EventsRecorded(r.truth.insert(n, payload))
}

func (r *rig) url(path string) string { return "ws" + strings.TrimPrefix(r.server.URL, "http") + path }

func (r *rig) dial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), r.url(path), nil)
	if err != nil {
		t.Fatalf("dial %s: %v, %v", path, err, response)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// read is the next message; it must come within ten seconds.
func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, message, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(message)
}

// closeCode reads until the socket ends, and returns the code.
func closeCode(t *testing.T, conn *websocket.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			var closed *websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("the socket ended without a close frame: %v", err)
			}
			return closed.Code
		}
	}
}

// eventually polls until ok, for at most ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
