// Package watch watches whether the hub does what it is there for: it sends
// canaries from the door of devices to a person, tells somebody else of
// delivery that fails, and pings an address outside of the hub for as long as
// all is well, so that its silence is heard.
//
// It never delivers anything and decides about no event of a device. It runs
// one goroutine, Run, to which all state belongs but for what others may ask.
package watch

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// Hub is where events are reported and asked for; package hub documents each
// method.
type Hub interface {
	RegisterFor(ctx context.Context, d models.Draft, alerts []models.NewAlert) (models.Receipt, error)
	Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error)
	Event(ctx context.Context, id int64) (models.Event, error)
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Health() models.Health
}

// Store keeps canaries; package store documents each method.
type Store interface {
	SaveCanary(ctx context.Context, c models.Canary) (models.Canary, error)
	Canaries(ctx context.Context) ([]models.Canary, error)
	Probe(ctx context.Context) error
}

// Config says what is watched. Its zero value watches nothing.
type Config struct {
	// Contacts are all that there are; those with IfFailing have another one
	// told. Alerts makes those of a contact, one for each of its addresses.
	Contacts []models.Contact
	Alerts   func(models.Contact) []models.NewAlert

	Canary    Canary
	Heartbeat Heartbeat

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
}

// Canary says whom canaries are for.
type Canary struct {
	Contact string            // "" for no canaries
	Alerts  []models.NewAlert // those that a canary causes
	Every   time.Duration     // 0: on request only
	// Dial opens a connection to the door that devices use.
	Dial func(ctx context.Context) (net.Conn, error)
	// Token is what a canary shows first, as a device does that has a key; ""
	// for nothing.
	Token string
	// Patience is how long delivery may take; 0 is 10 minutes.
	Patience time.Duration
}

// Heartbeat says where it is told that all is well.
type Heartbeat struct {
	URL       string // "" for nowhere; a secret
	Every     time.Duration
	Transport http.RoundTripper // nil is the network
}

const (
	// tick is how long delivery that fails, or what could not be written, may
	// wait to be looked at.
	tick = 10 * time.Second
	// look is between two looks at a canary that is to be delivered.
	look = time.Second
	// settle is how long after the start the first canary is sent.
	settle = time.Minute
	// storeTimeout bounds each read and write.
	storeTimeout = 3 * time.Second
)

// Watch watches. Make one with New. All methods but Run may be called
// concurrently.
type Watch struct {
	hub   Hub
	store Store
	cfg   Config
	log   *slog.Logger
	wake  chan struct{} // holds one: a second wake says nothing new

	key atomic.Pointer[string] // of the canary at the door

	mu       sync.Mutex
	restored bool
	state    models.CanaryState
	beat     Beat
	failed   []models.EmailAlert // not looked at yet

	// All below belongs to the goroutine of Run.

	started  time.Time
	unsaved  bool      // what is known of the newest canary
	deadline time.Time // of the delivery of the canary under way
	due      time.Time // of the next canary; zero for none
	verdict  string    // why the last canary that ended did not come through
	pinger   *pinger
	nextBeat time.Time
	outages  map[models.Lane]*outage
	told     map[string]time.Time // when another was told of a contact
}

// New makes a watch. It starts nothing.
func New(hub Hub, store Store, cfg Config) *Watch {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Canary.Patience <= 0 {
		cfg.Canary.Patience = 10 * time.Minute
	}
	w := &Watch{
		hub: hub, store: store, cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1),
		state:   models.CanaryState{Contact: cfg.Canary.Contact, Every: cfg.Canary.Every},
		started: cfg.Now(), outages: map[models.Lane]*outage{}, told: map[string]time.Time{},
	}
	if cfg.Heartbeat.URL != "" {
		w.pinger = newPinger(cfg.Heartbeat.URL, cfg.Heartbeat.Transport)
	}
	return w
}

// Run watches until ctx ends, and is called once. A canary that is then under
// way is recorded as failed by the next Run.
func (w *Watch) Run(ctx context.Context) error {
	w.started = w.cfg.Now()
	w.nextBeat = w.started.Add(w.cfg.Heartbeat.Every) // not at once: who only starts again and again is not well
	for ctx.Err() == nil && !w.restore(ctx) {
		w.sleep(ctx, tick)
	}
	for ctx.Err() == nil {
		wait := min(tick, w.stepCanary(ctx))
		w.stepFailing(ctx)
		wait = min(wait, w.stepBeat(ctx))
		w.sleep(ctx, wait)
	}
	return nil
}

// Restore reads which canaries there were, and ends one that was cut off. It
// may be called before Run, which does it otherwise, so that they are known
// from the beginning.
func (w *Watch) Restore(ctx context.Context) error {
	if err := w.restoreCanaries(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restored = true
	return nil
}

// restore reads what the Run before this one knew.
func (w *Watch) restore(ctx context.Context) bool {
	w.mu.Lock()
	restored := w.restored
	w.mu.Unlock()
	var err error
	if !restored {
		err = w.Restore(ctx)
	}
	if err == nil {
		err = w.restoreTold(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			w.log.Error("cannot read what was watched before", "error", err)
		}
		return false
	}
	return true
}

func (w *Watch) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// sleep waits for d, a wake, or the end.
func (w *Watch) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-t.C:
	}
}

// short makes a text fit where one line is shown.
func short(text string) string {
	if r := []rune(text); len(r) > models.MaxMessage {
		return string(r[:models.MaxMessage-1]) + "…"
	}
	return text
}
