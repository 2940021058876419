// Package hub is the service layer: the rules that every event passes,
// whatever door it came through, and the one order in which events are
// stored. Transports submit drafts and wait; queries pass through to the
// store.
//
// The package owns the committer goroutine (Run), which alone writes events,
// acknowledges them after the commit and then tells the live panel and the
// mailer. It never talks to a network and knows no database library.
package hub

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"alerthub/models"
)

// Store is the durable side.
type Store interface {
	// InsertBatch writes all records in one transaction and returns once it
	// is on disk. An error means that none was stored.
	InsertBatch(ctx context.Context, records []models.Record) ([]models.Receipt, error)
	// Probe proves that a write is possible now.
	Probe(ctx context.Context) error

	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error)
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)
	Event(ctx context.Context, id int64) (models.Event, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Stats(ctx context.Context) (models.Stats, error)

	Outbox

	// Acknowledge and its kin return the events that they changed, as stored
	// now, also with an error half way.
	Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error)
	AcknowledgeGroup(ctx context.Context, id int64, ack models.Ack) ([]models.Event, error)
	Unacknowledge(ctx context.Context, ids []int64) ([]models.Event, error)
	Attention(ctx context.Context, limit int) (models.Attention, error)
	Series(ctx context.Context, w models.Window) (models.Series, error)
}

// Index searches and counts stored events by what they say. It may be behind
// the store; State says how far.
type Index interface {
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	Match(ctx context.Context, f models.EventFilter) (models.Match, error)
	TopSources(ctx context.Context, w models.Window, n int) ([]models.SourceCount, error)
	Sources(ctx context.Context, n int) ([]string, error)
	State() models.IndexState
}

// Live is told what was stored and changed, after the commit. It must not
// block and must treat what it is given as read-only.
type Live interface {
	EventsRecorded(receipts []models.Receipt)
	// EventsChanged tells of acknowledgements given or taken back.
	EventsChanged(events []models.Event)
	// AlertUpdated tells of one alert in its new state, AlertsChanged of many.
	AlertUpdated(a models.EmailAlert)
	AlertsChanged()
}

// Mail is woken when pending emails were stored, and says how delivery fares.
// Wake and Replan must not block.
type Mail interface {
	Wake()
	// Replan says that pending alerts were changed by somebody else.
	Replan()
	// Paused says why no mail is delivered now; "" while delivery works. Pauses
	// tells of all channels.
	Paused() string
	Pauses() []models.Pause
	// Finished counts the messages of a channel that ended so since the process
	// started.
	Finished(channel string) (sent, failed int64)
}

// Defaults of Config.
const (
	DefaultQueue    = 32768
	DefaultMaxBatch = 4096
	DefaultPatience = 10 * time.Second

	DefaultRegisterPatience = time.Second
)

// Config tunes a Hub. Its zero value means the defaults.
type Config struct {
	// Queue bounds the events that wait for their commit. When it is full,
	// Submit blocks: that is the back-pressure a sender feels.
	Queue int
	// MaxBatch bounds the events of one transaction.
	MaxBatch int
	// Patience is how long Submit waits for room without any commit going by.
	Patience time.Duration
	// RegisterPatience is how long Register waits for room at all.
	RegisterPatience time.Duration
	// Escalation decides which emails an event causes, of whatever severity;
	// it is called concurrently. nil means none.
	Escalation func(models.Draft) []models.NewAlert
	// Index answers searches; nil means the store's own, and no counts by
	// text or source.
	Index Index
	// Matcher gives a filter's text its meaning for what Index is not asked:
	// events that nobody has acknowledged. nil means the store's own.
	Matcher func(models.EventFilter) func(*models.Event) bool
	// Observe, if set, is called after each commit with its size and how long
	// it took, from the committer goroutine.
	Observe func(events int, took time.Duration)

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
}

// Hub is the service layer. All methods may be called concurrently.
type Hub struct {
	cfg   Config
	store Store
	live  Live
	mail  Mail

	bulks bulks

	room  *semaphore.Weighted // free places in the queue, in events
	queue chan *group

	closing   chan struct{} // closed by Close: Submit refuses from then on
	closeOnce sync.Once
	senders   sync.WaitGroup // Submits that may still put into queue; guarded by mu against Close
	mu        sync.RWMutex
	closed    bool // guarded by mu

	commits atomic.Int64 // transactions finished, for "without progress"
	queued  atomic.Int64 // events waiting for their commit
	byTCP   atomic.Int64
	byHTTP  atomic.Int64
	sick    atomic.Pointer[string] // why the last write failed; nil when it did not
}

// group is what one Submit handed over.
type group struct {
	records []models.Record

	// Written by the committer before done is closed, read after it.
	receipts []models.Receipt
	err      error
	done     chan struct{}
}

// New makes a hub; call Run to start it.
func New(store Store, live Live, mail Mail, cfg Config) *Hub {
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	if cfg.Patience <= 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.RegisterPatience <= 0 {
		cfg.RegisterPatience = DefaultRegisterPatience
	}
	if cfg.Escalation == nil {
		cfg.Escalation = func(models.Draft) []models.NewAlert { return nil }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(int, time.Duration) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Hub{
		cfg: cfg, store: store, live: live, mail: mail,
		room: semaphore.NewWeighted(int64(cfg.Queue)),
		// Every group holds at least one place of room, so that a put never
		// blocks once room was acquired.
		queue:   make(chan *group, cfg.Queue),
		closing: make(chan struct{}),
	}
}

// Submit hands drafts over as one group, in order, and returns a function that
// waits for their outcome. It blocks while the queue is full.
//
// Errors of Submit (nothing was or will be stored): models.ErrBusy after
// Config.Patience in which no commit went by, models.ErrClosed once the hub is
// closing, or the context's error.
//
// wait returns the receipts in the order of the drafts, all of them on disk;
// or models.ErrUnavailable, none stored; or its context's error: the outcome
// is unknown.
func (h *Hub) Submit(ctx context.Context, drafts []models.Draft) (wait func(context.Context) ([]models.Receipt, error), err error) {
	return h.submit(ctx, drafts, h.cfg.Escalation, 0)
}

// submit is Submit with another escalation, for a caller that waits for room
// no longer than most, if that is not 0.
func (h *Hub) submit(ctx context.Context, drafts []models.Draft, escalation func(models.Draft) []models.NewAlert, most time.Duration) (wait func(context.Context) ([]models.Receipt, error), err error) {
	if len(drafts) == 0 {
		return func(context.Context) ([]models.Receipt, error) { return nil, nil }, nil
	}
	if !h.enter() {
		return nil, models.ErrClosed
	}
	defer h.senders.Done()

	places := min(int64(len(drafts)), int64(h.cfg.Queue))
	if err := h.acquire(ctx, places, most); err != nil {
		return nil, err
	}
	now := h.cfg.Now().UTC().Truncate(time.Microsecond)
	g := &group{records: make([]models.Record, len(drafts)), done: make(chan struct{})}
	for i, d := range drafts {
		g.records[i] = models.Record{Draft: d, ReceivedAt: now, Alerts: escalation(d)}
	}
	h.queued.Add(int64(len(drafts)))
	h.queue <- g
	return g.wait, nil
}

// enter registers a Submit unless the hub is closing.
func (h *Hub) enter() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return false
	}
	h.senders.Add(1)
	return true
}

// acquire takes places in the queue, first come first served.
func (h *Hub) acquire(ctx context.Context, places int64, most time.Duration) error {
	if h.room.TryAcquire(places) {
		return nil
	}
	if most > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, most, models.ErrBusy)
		defer done()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		// The one goroutine of a blocked Submit: it ends with it.
		tick := time.NewTicker(h.cfg.Patience)
		defer tick.Stop()
		for seen := h.commits.Load(); ; {
			select {
			case <-ctx.Done():
				return
			case <-h.closing:
				cancel(models.ErrClosed)
			case <-tick.C:
				if now := h.commits.Load(); now != seen {
					seen = now
					continue
				}
				cancel(models.ErrBusy)
			}
		}
	}()
	if err := h.room.Acquire(ctx, places); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (g *group) wait(ctx context.Context) ([]models.Receipt, error) {
	select {
	case <-g.done:
		return g.receipts, g.err
	default:
	}
	select {
	case <-g.done:
		return g.receipts, g.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close refuses new submissions. What was accepted is still committed and
// answered; Run returns after that.
func (h *Hub) Close() {
	h.closeOnce.Do(func() {
		h.mu.Lock()
		h.closed = true
		h.mu.Unlock()
		close(h.closing)
		h.senders.Wait()
		close(h.queue)
	})
}
