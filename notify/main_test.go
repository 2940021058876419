package notify_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/notify"
	"alerthub/store"
)

func TestMain(m *testing.M) {
	// Each check of a property has a database of its own; make test-long has
	// many more.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// outbox is the real one; what it changes is shown to nobody.
type outbox struct {
	*store.Store
	mu    sync.Mutex
	fails error // every call fails so, if set
	asked int   // calls of Waiting
}

func (o *outbox) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fails
}

func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fails = err
}

func (o *outbox) looks() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func (o *outbox) Waiting(ctx context.Context, lane models.Lane, after int64, limit int) ([]models.WaitingAlert, int64, error) {
	o.mu.Lock()
	o.asked++
	o.mu.Unlock()
	if err := o.fault(); err != nil {
		return nil, 0, err
	}
	return o.Store.Waiting(ctx, lane, after, limit)
}

func (o *outbox) Decide(ctx context.Context, now time.Time, list []models.Decision) ([]models.EmailAlert, error) {
	if err := o.fault(); err != nil {
		return nil, err
	}
	return o.Store.Decide(ctx, now, list)
}

func (o *outbox) Settle(ctx context.Context, carrier models.EmailAlert) (bool, error) {
	_, more, err := o.Store.Settle(ctx, carrier)
	return more, err
}

func (o *outbox) FinishAlert(ctx context.Context, u models.AlertUpdate) (models.EmailAlert, error) {
	if err := o.fault(); err != nil {
		return models.EmailAlert{}, err
	}
	return o.Store.FinishAlert(ctx, u)
}

// try is one message that the other side was asked to take.
type try struct {
	at time.Time
	models.Notice
}

// sources are those that a message tells of.
func (y try) sources() []string {
	if y.Digest == nil {
		return []string{y.Event.Source}
	}
	var list []string
	for _, s := range y.Digest.Sources {
		list = append(list, s.Source)
	}
	return list
}

// server answers as told.
type server struct {
	mu     sync.Mutex
	answer func(ctx context.Context, n models.Notice) (string, error)
	tries  []try
	closed int
}

func (s *server) Send(ctx context.Context, n models.Notice) (string, error) {
	s.mu.Lock()
	s.tries = append(s.tries, try{time.Now(), n})
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return "250 queued", nil
	}
	return answer(ctx, n)
}

func (s *server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

// says makes it fail with f from now on; nil lets it succeed.
func (s *server) says(f *models.Fault) {
	var answer func(context.Context, models.Notice) (string, error)
	if f != nil {
		answer = func(context.Context, models.Notice) (string, error) { return "", f }
	}
	s.does(answer)
}

func (s *server) does(answer func(context.Context, models.Notice) (string, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) tried() []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

var (
	refused = &models.Fault{Server: true, Words: "AUTH: 535 5.7.8 bad credentials"}
	later   = &models.Fault{Words: "RCPT: 451 4.7.1 greylisted"}
	never   = &models.Fault{Permanent: true, Words: "RCPT: 550 5.1.1 no such user"}
)

// bench is a service over a real outbox and a server that does as it is told,
// in a bubble whose clock stands still while anything is done.
type bench struct {
	t   *testing.T
	dir string // of the database
	*outbox
	server   *server
	hook     *server
	contacts map[string]models.Contact
	cfg      notify.Config
	service  *notify.Service
	stop     func()
	shift    time.Duration // what the service's clock is ahead of the bubble's
}

// now is what the service's clock shows.
func (b *bench) now() time.Time { return time.Now().UTC().Add(b.shift) }

// at sets the service's clock, before it starts.
func (b *bench) at(text string) {
	b.t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		b.t.Fatal(err)
	}
	b.shift = time.Until(at)
}

// unlimited is a contact of which every event makes a message.
func unlimited() map[string]models.Contact { return map[string]models.Contact{"": {}, "noc": {}} }

// bubble runs a test with a service that is not started.
func bubble(t *testing.T, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, err := store.Open(t.Context(), store.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, dir: dir, outbox: &outbox{Store: s}, server: &server{}, hook: &server{}, contacts: unlimited()}
		b.cfg = notify.Config{
			Routes: []notify.Route{
				{Lane: models.Lane{Channel: models.DeliveryEmail}, Sender: b.server},
				{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}, Sender: b.hook},
			},
			Contact: func(name string) (models.Contact, bool) {
				c, ok := b.contacts[name]
				c.Name = name
				return c, ok
			},
			Now:    b.now,
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Rand:   func() float64 { return 0 },
		}
		defer func() {
			if b.stop != nil {
				b.stop()
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, b)
	})
}

// sent and failed count the mails that ended.
func (b *bench) sent() int64 {
	n, _ := b.service.Finished(models.DeliveryEmail)
	return n
}

func (b *bench) failed() int64 {
	_, n := b.service.Finished(models.DeliveryEmail)
	return n
}

// start starts the service, as new.
func (b *bench) start() {
	b.service = notify.New(b.outbox, b.cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.service.Run(ctx) }()
	b.stop = func() {
		b.stop = nil
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
}

// add stores an event with an alert for each contact, and wakes the service.
func (b *bench) add(source string, severity models.Severity, alerts ...models.NewAlert) []models.EmailAlert {
	b.t.Helper()
	if len(alerts) == 0 {
		alerts = []models.NewAlert{{Recipient: "ops@example.net"}}
	}
	for i := range alerts {
		alerts[i].Status = models.EmailPending
	}
	receipts, err := b.InsertBatch(b.t.Context(), []models.Record{{
		Draft:      models.Draft{Source: source, Severity: severity, Message: "link down", Channel: models.ChannelTCP},
		ReceivedAt: b.now(), Alerts: alerts,
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.service != nil {
		b.service.Wake()
	}
	return receipts[0].Alerts
}

// many stores one event of each source at once, each with a mail to ops.
func (b *bench) many(severity models.Severity, sources ...string) {
	b.t.Helper()
	records := make([]models.Record, len(sources))
	for i, source := range sources {
		records[i] = models.Record{
			Draft:      models.Draft{Source: source, Severity: severity, Message: "link down", Channel: models.ChannelTCP},
			ReceivedAt: b.now(), Alerts: []models.NewAlert{{Recipient: "ops@example.net", Status: models.EmailPending}},
		}
	}
	if _, err := b.InsertBatch(b.t.Context(), records); err != nil {
		b.t.Fatal(err)
	}
	if b.service != nil {
		b.service.Wake()
	}
}

// numbered are n sources.
func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i)
	}
	return list
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// row is an alert as stored.
func (b *bench) row(id int64) models.EmailAlert {
	b.t.Helper()
	rows, err := b.EmailAlerts(b.t.Context(), models.EmailFilter{Before: id + 1, Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].ID != id {
		b.t.Fatalf("alert %d: %+v, %v", id, rows, err)
	}
	return rows[0]
}

// counts are the mails by status, as text.
func (b *bench) counts() string {
	b.t.Helper()
	stats, err := b.Stats(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	for _, status := range models.EmailStatuses() {
		if n := stats.Email[status]; n > 0 {
			words = append(words, fmt.Sprint(status, " ", n))
		}
	}
	return strings.Join(words, ", ")
}
