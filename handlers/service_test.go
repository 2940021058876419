package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alerthub/models"
)

// received is when the fake service receives everything.
var received = time.Date(2026, 11, 23, 18, 30, 0, 123456000, time.UTC)

// fakeService keeps events in memory and fails on request. Set its switches
// before it is used.
type fakeService struct {
	fail         error // of every read
	failRegister error // of Register, at once
	stall        bool  // Register waits for its context, then fails with failRegister or the context's error
	forget       bool  // Register returns no receipt
	panics       bool  // Stats panics
	panicsCount  bool  // Match panics
	health       models.Health
	stats        models.Stats
	nextBefore   int64
	searchedTo   time.Time
	sources      []models.SourceCount
	index        models.IndexState
	contact      string // of every email

	mu      sync.Mutex
	drafts  []models.Draft // of the events, by id-1
	events  []models.Event // oldest first
	alerts  []models.EmailAlert
	groups  []int // sizes of the groups that were registered
	filter  models.EventFilter
	filterE models.EmailFilter
	match   models.EventFilter // of the last Match
	windows []models.Window    // of every Series and TopSources
	acks    []models.Ack       // of every acknowledgement that was asked for
	bulk    []models.Event     // what the last AcknowledgeAll changed
	breaks  error              // of AcknowledgeAll, when it has changed some
	asked   int64              // the alert that AlertAttempts was asked of
	sel     models.Cancellation
	limit   int // of CountPending
	pending int64
}

func (s *fakeService) Register(ctx context.Context, drafts []models.Draft) ([]models.Receipt, error) {
	if s.stall {
		<-ctx.Done()
		return nil, cmp.Or(s.failRegister, ctx.Err())
	}
	if s.failRegister != nil || s.forget {
		return nil, s.failRegister
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(s.groups, len(drafts))
	receipts := make([]models.Receipt, len(drafts))
	for i, d := range drafts {
		receipts[i] = s.register(d)
	}
	return receipts, nil
}

func (s *fakeService) register(d models.Draft) models.Receipt {
	for i, old := range s.drafts {
		if d.Key == "" || d.Key != old.Key || d.Source != old.Source {
			continue
		}
		if d.Fingerprint != old.Fingerprint {
			return models.Receipt{Err: models.ErrKeyConflict}
		}
		return models.Receipt{Event: models.Event{ID: int64(i + 1)}, Duplicate: true, Truncated: d.Truncated}
	}
	event := models.Event{
		ID: int64(len(s.events) + 1), CreatedAt: received, Source: d.Source, Severity: d.Severity,
		Message: d.Message, Channel: d.Channel, RawPayload: d.RawPayload,
	}
	s.events, s.drafts = append(s.events, event), append(s.drafts, d)
	if d.Severity.Escalates() {
		s.alerts = append(s.alerts, models.EmailAlert{
			ID: int64(len(s.alerts) + 1), EventID: event.ID, CreatedAt: received, UpdatedAt: received,
			Contact: s.contact, Channel: models.DeliveryEmail, Recipient: "noc@example.net", Status: models.EmailPending, NextAttemptAt: received,
		})
	}
	return models.Receipt{Event: event, Truncated: d.Truncated}
}

func (s *fakeService) Events(_ context.Context, f models.EventFilter) (models.EventPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Before == 0 || f.Limit > 1 {
		s.filter = f // not that of a look at one event's neighbours
	}
	var events []models.Event
	for _, e := range slices.Backward(s.events) {
		if (f.Before == 0 || e.ID < f.Before) && (len(f.Severities) == 0 || slices.Contains(f.Severities, e.Severity)) {
			events = append(events, e)
		}
	}
	return models.EventPage{Events: events[:min(f.Limit, len(events))], NextBefore: s.nextBefore, SearchedTo: s.searchedTo}, s.fail
}

func (s *fakeService) EventsAfter(_ context.Context, after int64, limit int) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events[min(int(after), len(s.events)):]
	return events[:min(limit, len(events))], s.fail
}

func (s *fakeService) EventsByID(_ context.Context, ids []int64) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []models.Event
	for _, e := range slices.Backward(s.events) {
		if slices.Contains(ids, e.ID) {
			events = append(events, e)
		}
	}
	return events, s.fail
}

func (s *fakeService) Event(_ context.Context, id int64) (models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return models.Event{}, s.fail
	}
	if id < 1 || id > int64(len(s.events)) {
		return models.Event{}, fmt.Errorf("event %d: %w", id, models.ErrNotFound)
	}
	return s.events[id-1], nil
}

func (s *fakeService) EmailAlerts(_ context.Context, f models.EmailFilter) ([]models.EmailAlert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filterE = f
	var out []models.EmailAlert
	for _, a := range slices.Backward(s.alerts) {
		if (len(f.EventIDs) == 0 || slices.Contains(f.EventIDs, a.EventID)) && (f.Status == "" || f.Status == a.Status) &&
			(f.Contact == "" || f.Contact == a.Contact) && (f.Channel == "" || f.Channel == a.Channel) && (f.MailID == 0 || f.MailID == a.MailID) && (f.Before == 0 || a.ID < f.Before) {
			out = append(out, a)
		}
	}
	return out[:min(f.Limit, len(out))], s.fail
}

func (s *fakeService) Stats(context.Context) (models.Stats, error) {
	if s.panics {
		panic("stats are broken")
	}
	return s.stats, s.fail
}

func (s *fakeService) Health() models.Health { return s.health }

func (s *fakeService) Index() models.IndexState { return s.index }

func (s *fakeService) Match(_ context.Context, f models.EventFilter) (models.Match, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.match = f
	if s.panicsCount {
		panic("counting is broken")
	}
	return models.Match{Total: int64(len(s.events)), Exact: true}, s.fail
}

func (s *fakeService) Series(_ context.Context, w models.Window) (models.Series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows = append(s.windows, w)
	return models.Series{Window: w, Counts: make([]models.Counts, w.Bars())}, s.fail
}

func (s *fakeService) TopSources(_ context.Context, w models.Window, n int) ([]models.SourceCount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows = append(s.windows, w)
	return s.sources[:min(n, len(s.sources))], s.fail
}

func (s *fakeService) Sources(_ context.Context, n int) ([]string, error) {
	names := make([]string, len(s.sources))
	for i, source := range s.sources {
		names[i] = source.Source
	}
	return names[:min(n, len(names))], s.fail
}

func (s *fakeService) Attention(_ context.Context, limit int) (models.Attention, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a models.Attention
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

func (s *fakeService) Acknowledge(_ context.Context, ids []int64, ack models.Ack) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, ack)
	return s.change(func(e *models.Event) bool { return slices.Contains(ids, e.ID) && !e.Acked() }, ack)
}

func (s *fakeService) AcknowledgeGroup(_ context.Context, id int64, ack models.Ack) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, ack)
	if id > int64(len(s.events)) {
		return nil, fmt.Errorf("event %d: %w", id, models.ErrNotFound)
	}
	named := s.events[id-1]
	return s.change(func(e *models.Event) bool {
		return e.ID <= id && e.Source == named.Source && e.Message == named.Message && !e.Acked()
	}, ack)
}

func (s *fakeService) AcknowledgeAll(_ context.Context, f models.EventFilter, ack models.Ack) (string, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks, s.filter = append(s.acks, ack), f
	changed, err := s.change(func(e *models.Event) bool { return e.ID < f.Before && e.NeedsAck() }, ack)
	if s.bulk = changed; len(changed) == 0 {
		return "", 0, err
	}
	return bulkToken, len(changed), errors.Join(err, s.breaks)
}

// bulkToken names the last AcknowledgeAll.
const bulkToken = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func (s *fakeService) UndoAll(ctx context.Context, token string) (int, error) {
	if token != bulkToken {
		return 0, fmt.Errorf("undo: %w", models.ErrNotFound)
	}
	ids := make([]int64, len(s.bulk))
	for i := range s.bulk {
		ids[i] = s.bulk[i].ID
	}
	events, err := s.Unacknowledge(ctx, ids)
	return len(events), err
}

func (s *fakeService) Unacknowledge(_ context.Context, ids []int64) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change(func(e *models.Event) bool { return slices.Contains(ids, e.ID) && e.Acked() }, models.Ack{})
}

// change gives the events that match this acknowledgement. The caller holds mu.
func (s *fakeService) change(match func(*models.Event) bool, ack models.Ack) (changed []models.Event, err error) {
	for i := range s.events {
		if e := &s.events[i]; s.fail == nil && match(e) {
			e.AckedAt, e.AckedBy, e.AckedPeer, e.AckedVerified = time.Time{}, ack.By, ack.Peer, ack.Verified
			if ack.By != "" {
				e.AckedAt = received.Add(time.Minute)
			}
			changed = append(changed, *e)
		}
	}
	return changed, s.fail
}

func (s *fakeService) EmailAlert(_ context.Context, id int64) (models.EmailAlert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return models.EmailAlert{}, s.fail
	}
	if id < 1 || id > int64(len(s.alerts)) {
		return models.EmailAlert{}, fmt.Errorf("alert %d: %w", id, models.ErrNotFound)
	}
	return s.alerts[id-1], nil
}

func (s *fakeService) AlertAttempts(_ context.Context, id int64) ([]models.Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = id
	return []models.Attempt{
		{At: received, Status: models.EmailPending, Detail: "451 later", NextAttemptAt: received.Add(time.Minute)},
		{At: received.Add(time.Minute), Status: models.EmailFailed, Detail: "550 no such <user>"},
	}, s.fail
}

func (s *fakeService) RetryAlert(ctx context.Context, id int64, ack models.Ack) (models.EmailAlert, error) {
	a, err := s.EmailAlert(ctx, id)
	if err != nil {
		return a, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, ack)
	if a.Status != models.EmailFailed {
		return models.EmailAlert{}, models.ErrNotFailed
	}
	s.alerts[id-1].Status = models.EmailPending
	return s.alerts[id-1], nil
}

func (s *fakeService) CountPending(_ context.Context, sel models.Cancellation, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sel, s.limit = sel, limit
	return min(s.pending, int64(limit)), s.fail
}

func (s *fakeService) CancelAlerts(_ context.Context, sel models.Cancellation, ack models.Ack) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sel == (models.Cancellation{}) {
		return 0, &models.FieldError{Field: "contact", Reason: "or a source must be named"}
	}
	s.sel, s.acks = sel, append(s.acks, ack)
	n := s.pending
	s.pending = 0
	return n, s.fail
}

// fakeSockets answers without a socket.
type fakeSockets struct{}

func (fakeSockets) ServePanel(w http.ResponseWriter, _ *http.Request, _ func() bool) error {
	_, err := io.WriteString(w, "panel")
	return err
}

func (fakeSockets) ServeFeed(w http.ResponseWriter, _ *http.Request, _ func() bool) error {
	_, err := io.WriteString(w, "feed")
	return err
}

// testInfo is what the servers of these tests tell about themselves.
var testInfo = Info{
	HTTPPort: 5080, FeedPort: 8767, TCPPort: 5090, SMTPConfigured: true, Recipients: []string{"noc@example.net"}, Version: "1.2.3",
}

// testOptions are options around svc that log to t.
func testOptions(t testing.TB, svc Service) Options {
	access := newAccess(t)
	return Options{
		Service: svc, Sockets: fakeSockets{}, Transfer: &fakeTransfer{}, Access: access, Keys: access, Senders: access, Info: testInfo,
		Hosts: []string{"example.com", "hub", "hub.example.net", "h", "*.below.example.net"}, // httptest asks for example.com
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(w, "alerthub_up 1\n")
		}),
		Now:    func() time.Time { return received.Add(time.Second) },
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// serve starts the whole handler on a real socket.
func serve(t testing.TB, svc Service) *httptest.Server { return serveOptions(t, testOptions(t, svc)) }

func serveOptions(t testing.TB, options Options) *httptest.Server {
	server := httptest.NewServer(New(options))
	t.Cleanup(server.Close)
	return server
}

// serveHere is serve as a command on this machine reaches it, which may all but
// what is a person's own.
func serveHere(t testing.TB, options Options) *httptest.Server {
	server := httptest.NewUnstartedServer(New(options))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return Local(ctx) }
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// send makes a request; headers are alternating names and values. The answer's
// body is read and closed.
func send(t testing.TB, server *httptest.Server, method, target, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer, string(text)
}
