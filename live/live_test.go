package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	"alerthub/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is when the fake store received everything.
var received = time.Date(2026, 11, 23, 18, 30, 0, 123456000, time.UTC)

// truth is a database in memory with fault switches. Its order lock makes
// commits and hand-overs follow each other as the committer's do.
type truth struct {
	order sync.Mutex
	reads atomic.Int64 // of tables
	seen  atomic.Int64 // reads of anything

	matches atomic.Int64 // counts of what filters select
	slow    atomic.Int64 // nanoseconds of each

	mu     sync.Mutex
	events []models.Event // oldest first, ids from 1 on without holes
	alerts []models.EmailAlert
	health models.Health
	fail   error // of every read
}

// begin counts a read, and takes mu.
func (s *truth) begin() func() {
	s.seen.Add(1)
	s.mu.Lock()
	return s.mu.Unlock
}

func (s *truth) EventsAfter(_ context.Context, after int64, limit int) ([]models.Event, error) {
	s.reads.Add(1)
	defer s.begin()()
	from := slices.IndexFunc(s.events, func(e models.Event) bool { return e.ID > after })
	if from < 0 || s.fail != nil {
		return nil, s.fail
	}
	return slices.Clone(s.events[from:min(len(s.events), from+limit)]), nil
}

func (s *truth) EventsByID(_ context.Context, ids []int64) (found []models.Event, err error) {
	defer s.begin()()
	for _, e := range slices.Backward(s.events) {
		if slices.Contains(ids, e.ID) {
			found = append(found, e)
		}
	}
	return found, s.fail
}

func (s *truth) Events(_ context.Context, f models.EventFilter) (models.EventPage, error) {
	s.reads.Add(1)
	defer s.begin()()
	var page models.EventPage
	matcher := query.Compile(f)
	for _, e := range slices.Backward(s.events) {
		if f.Before > 0 && e.ID >= f.Before || !matcher.Match(&e) {
			continue
		}
		if len(page.Events) == f.Limit {
			break
		}
		page.Events = append(page.Events, e)
	}
	return page, s.fail
}

func (s *truth) EmailAlerts(_ context.Context, f models.EmailFilter) (found []models.EmailAlert, err error) {
	defer s.begin()()
	for _, a := range slices.Backward(s.alerts) {
		if len(found) < f.Limit && (f.Status == "" || f.Status == a.Status) &&
			(f.Channel == "" || f.Channel == a.Channel) && (f.Contact == "" || f.Contact == a.Contact) && (f.MailID == 0 || f.MailID == a.MailID) &&
			(f.EventIDs == nil || slices.Contains(f.EventIDs, a.EventID)) {
			found = append(found, a)
		}
	}
	return found, s.fail
}

func (s *truth) Attention(_ context.Context, limit int) (a models.Attention, err error) {
	defer s.begin()()
	for _, e := range slices.Backward(s.events) {
		if !e.NeedsAck() {
			continue
		}
		if e.Severity == models.SeverityCritical {
			a.Critical++
		} else {
			a.Errors++
		}
		if len(a.Events) < limit {
			a.Events = append(a.Events, e)
		}
	}
	return a, s.fail
}

func (s *truth) Series(_ context.Context, w models.Window) (models.Series, error) {
	defer s.begin()()
	return models.Series{Window: w, Counts: make([]models.Counts, w.Bars())}, s.fail
}

func (s *truth) Match(_ context.Context, f models.EventFilter) (m models.Match, err error) {
	s.matches.Add(1)
	time.Sleep(time.Duration(s.slow.Load()))
	defer s.begin()()
	severities := f.Severities
	f.Severities, m.Exact = nil, true
	matcher := query.Compile(f)
	for i := range s.events {
		if e := &s.events[i]; matcher.Match(e) {
			m.Severity[e.Severity.Rank()]++
		}
	}
	for _, severity := range models.Severities() {
		if len(severities) == 0 || slices.Contains(severities, severity) {
			m.Total += m.Severity[severity.Rank()]
		}
	}
	return m, s.fail
}

func (s *truth) TopSources(context.Context, models.Window, int) ([]models.SourceCount, error) {
	defer s.begin()()
	return nil, s.fail
}

func (s *truth) Stats(context.Context) (models.Stats, error) {
	defer s.begin()()
	stats := models.Stats{Events: int64(len(s.events)), LastEventID: s.last(), Email: make(map[models.EmailStatus]int64)}
	for i := range s.alerts {
		stats.Email[s.alerts[i].Status]++
	}
	return stats, s.fail
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

// insert stores n warnings as one commit, without telling anybody. payload is
// the size of each raw payload.
func (s *truth) insert(n, payload int) []models.Receipt {
	return s.insertEach(n, func(e *models.Event) { e.CreatedAt, e.RawPayload = received, strings.Repeat("x", payload) })
}

// insertEach stores n warnings, two seconds apart, that change has had its way with.
func (s *truth) insertEach(n int, change func(e *models.Event)) []models.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipts := make([]models.Receipt, n)
	for i := range receipts {
		id := s.last() + 1
		e := models.Event{
			ID: id, CreatedAt: received.Add(time.Duration(id) * 2 * time.Second), Source: "sw-1",
			Severity: models.SeverityWarning, Message: fmt.Sprintf("message %d", id), Channel: models.ChannelTCP,
		}
		change(&e)
		s.events = append(s.events, e)
		receipts[i] = models.Receipt{Event: e}
	}
	return receipts
}

// mail stores a pending email of each receipt's event, born with it.
func (s *truth) mail(receipts []models.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range receipts {
		// Each third is for duty, by webhook.
		a := models.EmailAlert{ID: int64(len(s.alerts) + 1), EventID: receipts[i].Event.ID, Status: models.EmailPending, Channel: models.DeliveryEmail, Contact: "noc"}
		if a.ID%3 == 0 {
			a.Channel, a.Contact = models.DeliveryWebhook, "duty"
		}
		s.alerts = append(s.alerts, a)
		receipts[i].Alerts = []models.EmailAlert{a}
	}
}

// rig is a Live on a real server.
type rig struct {
	*Live
	t       *testing.T
	truth   *truth
	server  *httptest.Server
	dialer  websocket.Dialer
	log     *strings.Builder // read it after stop
	stop    func()
	allowed atomic.Bool
}

func newRig(t *testing.T, cfg Config, stored int) *rig {
	t.Helper()
	return startRig(t, cfg, stored, nil)
}

// bubbleRig is newRig on pipes, for a bubble of testing/synctest: time goes by
// at once, and the same on every machine.
func bubbleRig(t *testing.T, cfg Config, stored int) *rig {
	t.Helper()
	return startRig(t, cfg, stored, &pipes{conns: make(chan net.Conn), closed: make(chan struct{})})
}

// pipes is a network of one server.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Dial(_, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	p.conns <- server
	return client, nil
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func startRig(t *testing.T, cfg Config, stored int, network *pipes) *rig {
	t.Helper()
	r := &rig{t: t, truth: &truth{}, log: &strings.Builder{}}
	r.truth.insert(stored, 0)
	cfg.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	if cfg.PoliteClose == 0 {
		cfg.PoliteClose = 200 * time.Millisecond
	}
	r.Live = New(cfg)
	r.allow(true)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, req *http.Request) { _ = r.ServePanel(w, req, r.may) })
	mux.HandleFunc("/ws/events", func(w http.ResponseWriter, req *http.Request) { _ = r.ServeFeed(w, req, r.may) })
	r.server = httptest.NewUnstartedServer(mux)
	if network != nil {
		r.server.Listener.Close()
		r.server.Listener, r.dialer.NetDial = network, network.Dial
	}
	r.server.Start()
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

// commitEach is commit for events that change has had its way with; those that
// escalate cause an email.
func (r *rig) commitEach(n int, change func(e *models.Event)) {
	r.truth.order.Lock()
	defer r.truth.order.Unlock()
	receipts := r.truth.insertEach(n, change)
	for i := range receipts {
		if receipts[i].Event.Severity.Escalates() {
			r.truth.mail(receipts[i : i+1])
		}
	}
	r.EventsRecorded(receipts)
}

// ack acknowledges events, or takes that back, and tells it.
func (r *rig) ack(by string, ids ...int64) {
	var changed []models.Event
	r.truth.set(func(s *truth) {
		for _, id := range ids {
			e := &s.events[id-1]
			e.AckedBy, e.AckedAt = by, time.Time{}
			if by != "" {
				e.AckedAt = received
			}
			changed = append(changed, *e)
		}
	})
	r.EventsChanged(changed)
}

// deliver ends an email and tells it.
func (r *rig) deliver(id int64, status models.EmailStatus) {
	var a models.EmailAlert
	r.truth.set(func(s *truth) {
		s.alerts[id-1].Status = status
		a = s.alerts[id-1]
	})
	r.AlertUpdated(a)
}

func (r *rig) url(path string) string { return "ws" + strings.TrimPrefix(r.server.URL, "http") + path }

func (r *rig) dial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	conn, response, err := r.dialer.DialContext(t.Context(), r.url(path), nil)
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

// anybody may read.
func anybody() bool { return true }

// may is whether those who have a socket here may read; allow changes that.
func (r *rig) may() bool     { return r.allowed.Load() }
func (r *rig) allow(it bool) { r.allowed.Store(it) }
