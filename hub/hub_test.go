package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/hub"
	"alerthub/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore keeps records in memory. gate, when set, holds every commit until
// it is fed; fail makes commits and probes fail.
type fakeStore struct {
	hub.Store
	gate chan struct{}

	mu     sync.Mutex
	fail   error
	events []models.Event
	sizes  []int
	alerts [][]models.NewAlert // by event
}

func (s *fakeStore) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *fakeStore) InsertBatch(_ context.Context, records []models.Record) ([]models.Receipt, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, len(records))
	if s.fail != nil {
		return nil, s.fail
	}
	receipts := make([]models.Receipt, len(records))
	for i, r := range records {
		e := models.Event{
			ID: int64(len(s.events) + 1), CreatedAt: r.ReceivedAt,
			Source: r.Source, Severity: r.Severity, Message: r.Message, Channel: r.Channel,
		}
		s.events = append(s.events, e)
		receipts[i].Event = e
		s.alerts = append(s.alerts, r.Alerts)
		for _, a := range r.Alerts {
			receipts[i].Alerts = append(receipts[i].Alerts, models.EmailAlert{EventID: e.ID, Recipient: a.Recipient, Status: a.Status, Detail: a.Detail})
		}
	}
	return receipts, nil
}

func (s *fakeStore) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

func (s *fakeStore) Stats(context.Context) (models.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return models.Stats{Events: int64(len(s.events))}, nil
}

func (s *fakeStore) stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var messages []string
	for _, e := range s.events {
		messages = append(messages, e.Message)
	}
	return messages
}

type fakeLive struct {
	mu      sync.Mutex
	told    []int64
	changed []int64
	alerts  []int64
	redrawn int // calls of AlertsChanged
}

func (l *fakeLive) EventsRecorded(receipts []models.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range receipts {
		l.told = append(l.told, r.Event.ID)
	}
}

func (l *fakeLive) EventsChanged(events []models.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.changed = append(l.changed, e.ID)
	}
}

func (l *fakeLive) AlertUpdated(a models.EmailAlert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alerts = append(l.alerts, a.ID)
}

func (l *fakeLive) AlertsChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.redrawn++
}

type fakeMail struct {
	mu        sync.Mutex
	woken     int
	replanned int
}

func (m *fakeMail) Replan() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replanned++
}

func (m *fakeMail) Wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.woken++
}
func (m *fakeMail) Paused() string                       { return "" }
func (m *fakeMail) Pauses() []models.Pause               { return nil }
func (m *fakeMail) Finished(string) (sent, failed int64) { return 3, 1 }

// start runs a hub and returns the function that closes it and waits.
func start(t *testing.T, store hub.Store, cfg hub.Config) (h *hub.Hub, live *fakeLive, mail *fakeMail, stop func()) {
	t.Helper()
	live, mail = &fakeLive{}, &fakeMail{}
	h = hub.New(store, live, mail, cfg)
	done := make(chan error, 1)
	go func() { done <- h.Run(context.Background()) }()
	return h, live, mail, sync.OnceFunc(func() {
		h.Close()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func drafts(messages ...string) []models.Draft {
	out := make([]models.Draft, len(messages))
	for i, m := range messages {
		out[i] = models.Draft{Source: "sw-1", Severity: models.SeverityInfo, Message: m, Channel: models.ChannelTCP}
	}
	return out
}

func ids(receipts []models.Receipt) []int64 {
	var out []int64
	for _, r := range receipts {
		out = append(out, r.Event.ID)
	}
	return out
}

func TestHub_Register(t *testing.T) {
	store := &fakeStore{}
	h, live, mail, stop := start(t, store, hub.Config{
		Escalation: hub.EscalateTo([]string{"noc@example.net"}, nil),
	})
	in := drafts("one", "two")
	in[1].Severity, in[1].Channel = models.SeverityCritical, models.ChannelHTTP
	receipts, err := h.Register(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{1, 2}, ids(receipts)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if len(receipts[0].Alerts) != 0 || len(receipts[1].Alerts) != 1 {
		t.Errorf("alerts %v and %v, want none for info and one for critical", receipts[0].Alerts, receipts[1].Alerts)
	}
	stop()
	if diff := cmp.Diff([]int64{1, 2}, live.told); diff != "" {
		t.Errorf("told live (-want +got):\n%s", diff)
	}
	if mail.woken != 1 {
		t.Errorf("mailer woken %d times, want once", mail.woken)
	}
	stats, err := h.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := models.ProcessCounters{TCPMessages: 1, HTTPMessages: 1, EmailSentOK: 3, EmailSentFail: 1}
	if diff := cmp.Diff(want, stats.Process); diff != "" {
		t.Errorf("process counters (-want +got):\n%s", diff)
	}
}

func TestHub_Submit(t *testing.T) {
	t.Run("one commit takes all that arrived meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{MaxBatch: 4})
			var waits []func(context.Context) ([]models.Receipt, error)
			for i := range 6 {
				wait, err := h.Submit(t.Context(), drafts(fmt.Sprint(i)))
				if err != nil {
					t.Fatal(err)
				}
				waits = append(waits, wait)
				synctest.Wait()
			}
			close(store.gate)
			for i, wait := range waits {
				receipts, err := wait(t.Context())
				if err != nil || receipts[0].Event.ID != int64(i+1) {
					t.Errorf("group %d: %v, %v", i, receipts, err)
				}
			}
			stop()
			if diff := cmp.Diff([]int{1, 4, 1}, store.sizes); diff != "" {
				t.Errorf("batch sizes (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("busy after ten seconds without a commit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{Queue: 2})
			if _, err := h.Submit(t.Context(), drafts("a", "b")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err := h.Submit(t.Context(), drafts("c"))
			if !errors.Is(err, models.ErrBusy) || time.Since(began) != 10*time.Second {
				t.Errorf("Submit on a full queue: %v after %v, want ErrBusy after 10s", err, time.Since(began))
			}
			close(store.gate)
			stop()
			if diff := cmp.Diff([]string{"a", "b"}, store.stored()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("not busy while commits go by", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{Queue: 1, MaxBatch: 1})
			var group sync.WaitGroup
			for i := range 5 {
				group.Go(func() {
					wait, err := h.Submit(t.Context(), drafts(fmt.Sprint(i)))
					if err != nil {
						t.Errorf("Submit %d: %v", i, err)
						return
					}
					if _, err := wait(t.Context()); err != nil {
						t.Errorf("wait %d: %v", i, err)
					}
				})
			}
			for range 5 { // the last waits 40 s, but never 10 without progress
				time.Sleep(9 * time.Second) // of the bubble's clock
				store.gate <- struct{}{}
			}
			group.Wait()
			stop()
		})
	})
	t.Run("a caller that leaves rolls nobody back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			leaving, err := h.Submit(ctx, drafts("a"))
			if err != nil {
				t.Fatal(err)
			}
			staying, err := h.Submit(t.Context(), drafts("b"))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := leaving(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("wait after leaving: %v, want Canceled", err)
			}
			close(store.gate)
			if _, err := staying(t.Context()); err != nil {
				t.Errorf("wait of the other: %v", err)
			}
			stop()
			if diff := cmp.Diff([]string{"a", "b"}, store.stored()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	})
}

func TestHub_RegisterErrors(t *testing.T) {
	t.Run("busy after one second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{Queue: 1})
			if _, err := h.Submit(t.Context(), drafts("a")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := h.Register(t.Context(), drafts("b")); !errors.Is(err, models.ErrBusy) || time.Since(began) != time.Second {
				t.Errorf("Register: %v after %v, want ErrBusy after 1s", err, time.Since(began))
			}
			close(store.gate)
			stop()
		})
	})
	t.Run("unknown when the context ends during the commit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := h.Register(ctx, drafts("a")); !errors.Is(err, models.ErrUnknown) {
				t.Errorf("Register: %v, want ErrUnknown", err)
			}
			close(store.gate)
			stop()
		})
	})
	t.Run("closed", func(t *testing.T) {
		h, _, _, stop := start(t, &fakeStore{}, hub.Config{})
		stop()
		if _, err := h.Register(t.Context(), drafts("a")); !errors.Is(err, models.ErrClosed) {
			t.Errorf("Register: %v, want ErrClosed", err)
		}
	})
	t.Run("closing answers what was accepted and refuses what waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{gate: make(chan struct{})}
			h, _, _, stop := start(t, store, hub.Config{Queue: 1})
			accepted, err := h.Submit(t.Context(), drafts("a"))
			if err != nil {
				t.Fatal(err)
			}
			refused := make(chan error, 1)
			go func() {
				_, err := h.Submit(t.Context(), drafts("b"))
				refused <- err
			}()
			synctest.Wait()
			go func() {
				synctest.Wait()
				close(store.gate)
			}()
			stop()
			if err := <-refused; !errors.Is(err, models.ErrClosed) {
				t.Errorf("Submit that waited: %v, want ErrClosed", err)
			}
			if _, err := accepted(t.Context()); err != nil {
				t.Errorf("wait of the accepted: %v", err)
			}
		})
	})
}

func TestHub_Health(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		h, live, _, stop := start(t, store, hub.Config{})
		store.setFail(fmt.Errorf("insert batch of 1 into /secret/path: %w", wordedError("disk is full")))
		if _, err := h.Register(t.Context(), drafts("a")); !errors.Is(err, models.ErrUnavailable) {
			t.Errorf("Register on a sick store: %v, want ErrUnavailable", err)
		}
		if why := h.Health().Storage; why != "disk is full" {
			t.Errorf("after a failed write the storage's trouble is %q, want the database's words alone", why)
		}
		store.setFail(nil)
		time.Sleep(2 * time.Second) // of the bubble's clock
		if why := h.Health().Storage; why != "" {
			t.Errorf("still sick two seconds after the store works: %s", why)
		}
		stop()
		if len(live.told) != 0 || len(store.stored()) != 0 {
			t.Errorf("a refused event was told (%v) or stored (%v)", live.told, store.stored())
		}
	})
}

// wordedError is an error with words for people.
type wordedError string

func (e wordedError) Error() string  { return "code 13: " + string(e) }
func (e wordedError) Reason() string { return string(e) }

// Routes may tell of any event, so that the rule is asked about each.
func TestHub_AsksWhoIsToldOfEveryEvent(t *testing.T) {
	store := &fakeStore{}
	h, _, mail, stop := start(t, store, hub.Config{
		Escalation: func(d models.Draft) []models.NewAlert {
			return []models.NewAlert{{Recipient: d.Message, Status: models.EmailPending}}
		},
	})
	in := drafts("one", "two")
	in[1].Severity = models.SeverityCritical
	receipts, err := h.Register(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	for i, r := range receipts {
		if len(r.Alerts) != 1 || r.Alerts[0].Recipient != in[i].Message {
			t.Errorf("event %d: alerts %+v", i, r.Alerts)
		}
	}
	if mail.woken != 1 {
		t.Errorf("mailer woken %d times, want once", mail.woken)
	}
}

func TestHub_RegisterFor(t *testing.T) {
	mail := func(contact, to string) models.NewAlert {
		return models.NewAlert{Contact: contact, Recipient: to, Status: models.EmailPending}
	}
	hook := models.NewAlert{Contact: "b", Channel: models.DeliveryWebhook, Recipient: "b@example.net", Status: models.EmailPending}
	b := mail("b", "b@example.net")
	b.Channel = models.DeliveryEmail
	nobody := models.NewAlert{Status: models.EmailSkipped, Detail: "no route matches"}
	for name, tt := range map[string]struct{ rule, more, want []models.NewAlert }{
		"both":                         {[]models.NewAlert{mail("a", "a@example.net")}, []models.NewAlert{b}, []models.NewAlert{b, mail("a", "a@example.net")}},
		"an address of both, once":     {[]models.NewAlert{mail("a", "a@example.net"), mail("b", "b@example.net")}, []models.NewAlert{b}, []models.NewAlert{b, mail("a", "a@example.net")}},
		"the address of another":       {[]models.NewAlert{mail("a", "b@example.net")}, []models.NewAlert{b}, []models.NewAlert{b, mail("a", "b@example.net")}},
		"the name of another channel":  {[]models.NewAlert{mail("b", "b@example.net")}, []models.NewAlert{hook}, []models.NewAlert{hook, mail("b", "b@example.net")}},
		"somebody, in place of nobody": {[]models.NewAlert{nobody}, []models.NewAlert{b}, []models.NewAlert{b}},
		"the rule alone":               {[]models.NewAlert{nobody}, nil, []models.NewAlert{nobody}},
	} {
		t.Run(name, func(t *testing.T) {
			rule := slices.Clone(tt.rule)
			store := &fakeStore{}
			h, _, _, stop := start(t, store, hub.Config{Escalation: func(models.Draft) []models.NewAlert { return tt.rule }})
			defer stop()
			receipt, err := h.RegisterFor(t.Context(), drafts("failing")[0], tt.more)
			if err != nil || receipt.Event.Message != "failing" || len(store.alerts) != 1 {
				t.Fatalf("%+v, %v", receipt, err)
			}
			if diff := cmp.Diff(tt.want, store.alerts[0]); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(rule, tt.rule); diff != "" {
				t.Errorf("the rule's alerts were changed:\n%s", diff)
			}
		})
	}
	store := &fakeStore{fail: models.ErrUnavailable}
	h, _, _, stop := start(t, store, hub.Config{})
	defer stop()
	if _, err := h.RegisterFor(t.Context(), drafts("failing")[0], []models.NewAlert{b}); !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("with a store that fails: %v", err)
	}
}

func TestEscalateTo_TellsOfNothingLess(t *testing.T) {
	escalate := hub.EscalateTo([]string{"a@example.net"}, nil)
	for _, severity := range models.Severities() {
		if got := escalate(models.Draft{Severity: severity}); (len(got) == 1) != severity.Escalates() {
			t.Errorf("%s: %+v", severity, got)
		}
	}
}

func TestEscalateTo(t *testing.T) {
	tests := map[string]struct {
		recipients, missing []string
		want                []models.NewAlert
	}{
		"configured": {
			recipients: []string{"a@example.net", "b@example.net"},
			want: []models.NewAlert{
				{Recipient: "a@example.net", Status: models.EmailPending},
				{Recipient: "b@example.net", Status: models.EmailPending},
			},
		},
		"nothing set": {
			missing: []string{"SMTP_HOST", "SMTP_TO"},
			want:    []models.NewAlert{{Status: models.EmailSkipped, Detail: "email is not configured: SMTP_HOST, SMTP_TO not set"}},
		},
		"no server": {
			recipients: []string{"a@example.net"}, missing: []string{"SMTP_HOST"},
			want: []models.NewAlert{{Recipient: "a@example.net", Status: models.EmailSkipped, Detail: "email is not configured: SMTP_HOST not set"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := hub.EscalateTo(tt.recipients, tt.missing)(models.Draft{Severity: models.SeverityError})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}
