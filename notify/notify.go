// Package notify delivers the outbox: it decides which rows are told alone,
// which in a digest and when, has the sender of their channel deliver them,
// and records what became of each. It owns the limits of contacts, quiet hours
// as they bear on a row, retries and pauses.
//
// It never decides which event concerns whom, and knows neither SMTP nor HTTP.
//
// Each lane has one goroutine, which Run starts and waits for. A lane's state
// belongs to it, but for what others may ask: the pause and the counters.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// Outbox is where the alerts wait; package store documents each method.
type Outbox interface {
	Waiting(ctx context.Context, lane models.Lane, after int64, limit int) (rows []models.WaitingAlert, upTo int64, err error)
	OldestWaiting(ctx context.Context, lane models.Lane) (id int64, err error)
	PendingAddresses(ctx context.Context, channel string) ([]models.Address, error)
	Told(ctx context.Context, lane models.Lane, since time.Time) ([]models.Told, error)
	Decide(ctx context.Context, now time.Time, decisions []models.Decision) (changed []models.EmailAlert, err error)
	Gather(ctx context.Context, g models.Gathering, now time.Time) (carrier int64, err error)
	Due(ctx context.Context, lane models.Lane, now time.Time) (n models.Notice, ok bool, wait time.Duration, err error)
	FinishAlert(ctx context.Context, u models.AlertUpdate) (models.EmailAlert, error)
	Settle(ctx context.Context, carrier models.EmailAlert) (more bool, err error)
	Unsettled(ctx context.Context, lane models.Lane) ([]models.EmailAlert, error)
	Release(ctx context.Context, carrier int64) error
}

// Sender delivers one message at a time and may keep its connection until
// Close. Its errors are *models.Fault, or context.Canceled when ctx was
// cancelled.
type Sender interface {
	Send(ctx context.Context, n models.Notice) (words string, err error)
	Close()
}

// Route is a lane and who delivers it.
type Route struct {
	models.Lane
	Sender Sender // nil for nobody: what is pending is skipped
	Why    string // there is no Sender; "" for a webhook that nobody knows
}

// Config says whom the outbox is delivered by and how patient it is. Every
// zero value means the default beside it.
type Config struct {
	Routes []Route

	// Contact is asked for the contact of every row, "" for that of SMTP_TO;
	// false for one that is not known any more, whose rows are skipped.
	Contact func(name string) (models.Contact, bool)

	// Failed, if set, is told of each message that ended as failed, after that
	// was recorded: the row that carries it, or one that was never tried since it
	// got too old. It is called by the lanes, concurrently, and must not block.
	Failed func(models.EmailAlert)

	AttemptTimeout time.Duration // the longest one attempt may take: 30 s
	MaxAge         time.Duration // of a row, after which it fails: 24 h

	// What concerns one message is tried again after waits that double from
	// RetryMin (10 s) to RetryMax (15 min); each is cut at random by up to half.
	RetryMin, RetryMax time.Duration
	// What concerns the other side pauses its lane, for waits that double from
	// PauseMin (5 s) to PauseMax (5 min), cut in the same way.
	PauseMin, PauseMax time.Duration

	Logger *slog.Logger     // silence
	Now    func() time.Time // time.Now
	Rand   func() float64   // from 0 to below 1: rand.Float64
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.AttemptTimeout, 30 * time.Second},
		{&c.MaxAge, 24 * time.Hour},
		{&c.RetryMin, 10 * time.Second},
		{&c.RetryMax, 15 * time.Minute},
		{&c.PauseMin, 5 * time.Second},
		{&c.PauseMax, 5 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Contact == nil {
		c.Contact = func(name string) (models.Contact, bool) {
			return models.Contact{Name: name, Limits: models.DefaultLimits()}, name == ""
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c
}

// Service delivers the outbox. Make one with New. All methods but Run may be
// called concurrently.
type Service struct {
	outbox Outbox
	cfg    Config
	lanes  []*lane

	replanned chan struct{} // holds one: adopt looks again

	mails, hooks ended
}

// ended counts the messages of a channel that ended.
type ended struct{ sent, failed atomic.Int64 }

func (s *Service) ended(channel string) *ended {
	if channel == models.DeliveryEmail {
		return &s.mails
	}
	return &s.hooks
}

// New makes a service that takes alerts from outbox. It starts nothing.
func New(outbox Outbox, cfg Config) *Service {
	s := &Service{outbox: outbox, cfg: cfg.withDefaults(), replanned: make(chan struct{}, 1)}
	for _, r := range s.cfg.Routes {
		s.lanes = append(s.lanes, newLane(s, r))
	}
	return s
}

// Wake says that there may be a new alert. It never blocks. Lanes without a
// sender are left alone: nothing is born for them.
func (s *Service) Wake() {
	for _, l := range s.lanes {
		if l.route.Sender != nil {
			l.rouse()
		}
	}
}

// Replan says that rows which were pending were changed by somebody else. It
// never blocks.
func (s *Service) Replan() {
	for _, l := range s.lanes {
		l.reload()
	}
	select {
	case s.replanned <- struct{}{}:
	default:
	}
}

// Pauses tells which lanes deliver nothing now, and why: those that pause, and
// those from which nothing was taken for minutes.
func (s *Service) Pauses() []models.Pause {
	var list []models.Pause
	for _, l := range s.lanes {
		if p := l.paused.Load(); p != nil && !l.now().Before(p.from) {
			list = append(list, p.Pause)
		}
	}
	return list
}

// Paused tells why no mail is delivered now, in words for people, the
// server's among them; "" when nothing is known to be wrong.
func (s *Service) Paused() string {
	for _, p := range s.Pauses() {
		if p.Channel == models.DeliveryEmail {
			return p.Reason
		}
	}
	return ""
}

// Finished counts the messages of a channel that the other side took since
// New, and those that ended as failed.
func (s *Service) Finished(channel string) (sent, failed int64) {
	e := s.ended(channel)
	return e.sent.Load(), e.failed.Load()
}

// Run delivers until ctx ends, and is called once. Attempts in flight then end
// within a moment and their rows stay as they were. The only error is that an
// outcome could not be recorded before leaving: that message will be repeated,
// and recognisable as a repeat.
func (s *Service) Run(ctx context.Context) error {
	var (
		lanes sync.WaitGroup
		mu    sync.Mutex
		all   []error // under mu
	)
	start := func(l *lane) {
		lanes.Go(func() {
			if err := l.run(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, err)
			}
		})
	}
	for _, l := range s.lanes {
		start(l)
	}
	s.adopt(ctx, start)
	lanes.Wait()
	return errors.Join(all...)
}

// adopt starts a lane for each webhook that something waits for and that
// nobody knows any more: at first, and when such a row is tried again. It
// returns when ctx has ended.
func (s *Service) adopt(ctx context.Context, start func(*lane)) {
	var adopted []*lane
	for ctx.Err() == nil {
		pending, err := s.outbox.PendingAddresses(ctx, models.DeliveryWebhook)
		if err != nil {
			if ctx.Err() == nil {
				s.cfg.Logger.Error("outbox not ready", "error", err)
			}
			sleep(ctx, outboxRetryMax, nil)
			continue
		}
		for _, l := range adopted {
			l.reload()
		}
		for _, a := range pending {
			gone := func(l *lane) bool { return l.route.Lane == a.Lane() }
			if !slices.ContainsFunc(s.lanes, gone) && !slices.ContainsFunc(adopted, gone) {
				l := newLane(s, Route{Lane: a.Lane()})
				adopted = append(adopted, l)
				start(l)
			}
		}
		select {
		case <-s.replanned:
		case <-ctx.Done():
		}
	}
}
