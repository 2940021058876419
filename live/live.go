// Package live shows what is stored as it is stored: HTML frames for the
// panel's open pages, and a JSON feed for programs. It is the only importer
// of melody. The database is the truth and a frame is a hint: everything here
// carries event ids, and whoever missed something catches up by id. It never
// stores, never decides what an event means, and never makes the committer
// wait: a client that is too slow is cut.
//
// Goroutines: Run owns three, the frame loop of the panel, the loop that
// encodes for the feed, and the one that ends the sockets of who may not read
// any more; they end with its context. Each socket has melody's
// two pumps and each feed client one more that walks the ring; they end with
// the socket, at the latest in Close.
package live

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
	"alerthub/views"
)

// Source is where the truth is read. All methods may be called concurrently
// and are asked for bounded amounts only.
type Source interface {
	// EventsAfter returns at most limit events with greater ids, oldest first.
	EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error)
	// EventsByID returns those of ids that exist, newest first.
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Stats(ctx context.Context) (models.Stats, error)
	Attention(ctx context.Context, limit int) (models.Attention, error)
	Series(ctx context.Context, w models.Window) (models.Series, error)
	TopSources(ctx context.Context, w models.Window, n int) ([]models.SourceCount, error)
	Match(ctx context.Context, f models.EventFilter) (models.Match, error)
	Health() models.Health
}

// Config is what New needs; its zero value works.
type Config struct {
	Logger      *slog.Logger     // nil discards
	Now         func() time.Time // the clock that is shown; nil is time.Now
	Build       string           // names this build to pages, which tell when it has changed
	MaxPanels   int              // open pages; more are answered 503. 0 means 1,000
	MaxFeed     int              // feed clients; more are answered 503. 0 means 2,000
	WriteWait   time.Duration    // a client that takes nothing for so long is cut. 0 means 5 s
	PoliteClose time.Duration    // how long clients may take to leave in Close. 0 means 2 s

	// Ingest says how the intake does, for the pages that show it; nil shows
	// zeros. It may be called about once a second and must not block.
	Ingest func() views.IngestData
}

// Counters is the state of the sockets, for metrics.
type Counters struct {
	Panels      int   // open pages now
	FeedClients int   // feed clients now
	Cut         int64 // clients cut because they were too slow
	PanelFrames int64 // frames handed to pages
	FeedFrames  int64 // frames handed to feed clients
	Deliveries  int64 // events handed to feed clients, each counted for each client
}

// Live is the fan-out. All methods may be called concurrently.
type Live struct {
	logger *slog.Logger
	panel  *panel
	feed   *feed

	source  Source        // set before ready is closed
	ready   chan struct{} // Run knows where the database ends
	closing chan struct{}
	end     sync.Once
	running atomic.Bool
}

// New makes a Live that answers sockets once Run has begun.
func New(cfg Config) *Live {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ingest == nil {
		cfg.Ingest = func() views.IngestData { return views.IngestData{} }
	}
	if cfg.MaxPanels == 0 {
		cfg.MaxPanels = 1000
	}
	if cfg.MaxFeed == 0 {
		cfg.MaxFeed = 2000
	}
	if cfg.WriteWait == 0 {
		cfg.WriteWait = 5 * time.Second
	}
	if cfg.PoliteClose == 0 {
		cfg.PoliteClose = 2 * time.Second
	}
	return &Live{
		logger:  cfg.Logger,
		panel:   newPanel(cfg),
		feed:    newFeed(cfg),
		ready:   make(chan struct{}),
		closing: make(chan struct{}),
	}
}

// Run serves from source until ctx ends, and then returns nil. It may be
// called once.
func (l *Live) Run(ctx context.Context, source Source) error {
	if l.running.Swap(true) {
		return errors.New("live: Run was called twice")
	}
	defer l.panel.stop()
	stats, ok := l.where(ctx, source)
	if !ok {
		return nil
	}
	l.panel.inbox.start(stats.LastEventID)
	l.feed.inbox.start(stats.LastEventID)
	l.source = source
	close(l.ready)

	var loops sync.WaitGroup
	loops.Go(func() { l.panel.run(ctx, source) })
	loops.Go(func() { l.feed.run(ctx, source) })
	loops.Go(func() { l.expel(ctx) })
	loops.Wait()
	return nil
}

// expel ends, until ctx ends, the sockets of those who may not read any more.
func (l *Live) expel(ctx context.Context) {
	ticks := time.NewTicker(expelEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			l.panel.sockets.expel()
			l.feed.sockets.expel()
		case <-ctx.Done():
			return
		}
	}
}

// where asks how far the database goes until it gets an answer.
func (l *Live) where(ctx context.Context, source Source) (models.Stats, bool) {
	for {
		stats, err := source.Stats(ctx)
		if err == nil {
			return stats, true
		}
		if ctx.Err() != nil {
			return models.Stats{}, false
		}
		l.logger.Warn("live cannot read the counters, retrying", "error", err)
		select {
		case <-ctx.Done():
			return models.Stats{}, false
		case <-time.After(retryRead):
		}
	}
}

// EventsRecorded takes the receipts of one commit. They are kept and only
// read; those that recorded nothing are ignored. Ids ascend from call to
// call. It never blocks.
func (l *Live) EventsRecorded(receipts []models.Receipt) {
	last := newest(receipts)
	l.panel.inbox.put(receipts, last)
	l.feed.inbox.put(receipts, last)
}

// EventsChanged takes the new state of events that were recorded before: they
// were acknowledged, or that was taken back. It never blocks.
func (l *Live) EventsChanged(events []models.Event) { l.panel.changes.events(events) }

// EventsImported says that many events, and emails of theirs, have become
// visible at once, with any ids up to last; the feed does not tell of them. It
// never blocks.
func (l *Live) EventsImported(last int64) {
	l.panel.inbox.start(last)
	l.panel.changes.everything()
}

// AlertUpdated takes the new state of one email. It never blocks.
func (l *Live) AlertUpdated(a models.EmailAlert) { l.panel.changes.alert(a) }

// AlertsChanged says that many emails have a new state. It never blocks.
func (l *Live) AlertsChanged() { l.panel.changes.everything() }

// ServePanel makes a websocket of r that carries HTML frames for one page, and
// returns when it has ended. ?view= is dashboard, create, events, event, alerts or
// audit, ?lang= en or es, ?since= the newest event that the page shows, ?at= when
// it last heard a beat, ?paused=1 begins without rows; create, and any view with
// ?before=, gets what its header shows alone; the rest are the page's own
// parameters. Only pages of the panel's own origin may ask. Once may is false the socket is
// closed with 1008. The error says why no socket was
// made; the answer has been written then.
func (l *Live) ServePanel(w http.ResponseWriter, r *http.Request, may func() bool) error {
	if err := l.await(w, r); err != nil {
		return err
	}
	return l.panel.serve(w, r, may)
}

// ServeFeed makes a websocket of r that carries stored events as JSON, and
// returns when it has ended. ?since=ID first replays every event with a
// greater id; ?batch=1 asks for frames of many events. Programs, and pages of
// the same host on any port, may ask. Once may is false the socket is closed
// with 1008. The error says why no socket was made; the answer has been written
// then.
func (l *Live) ServeFeed(w http.ResponseWriter, r *http.Request, may func() bool) error {
	if err := l.await(w, r); err != nil {
		return err
	}
	return l.feed.serve(w, r, may, l.source)
}

// await holds a socket that came before Run was ready.
func (l *Live) await(w http.ResponseWriter, r *http.Request) error {
	select {
	case <-l.ready:
		return nil
	case <-l.closing:
	case <-r.Context().Done():
	}
	http.Error(w, "not ready", http.StatusServiceUnavailable)
	return models.ErrClosed
}

// Close says to every client that the service restarts (close code 1012),
// waits until they have left, and cuts those that do not; it returns once all
// have ended. When ctx ends it stops being polite. New sockets are answered
// 503. The hand-over methods stay callable.
func (l *Live) Close(ctx context.Context) error {
	l.end.Do(func() { close(l.closing) })
	var panels, feed error
	var both sync.WaitGroup
	both.Go(func() { panels = l.panel.sockets.close(ctx) })
	both.Go(func() { feed = l.feed.sockets.close(ctx) })
	both.Wait()
	return errors.Join(panels, feed)
}

// Counters reads the state of the sockets.
func (l *Live) Counters() Counters {
	return Counters{
		Panels:      l.panel.sockets.now(),
		FeedClients: l.feed.sockets.now(),
		Cut:         l.panel.sockets.cut.Load() + l.feed.sockets.cut.Load(),
		PanelFrames: l.panel.frames.Load(),
		FeedFrames:  l.feed.frames.Load(),
		Deliveries:  l.feed.deliveries.Load(),
	}
}
