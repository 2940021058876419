// Package search owns the index over the whole history: which events hold a
// word, have a severity, a channel or a source, or fall into a span of time,
// and how many. It keeps a file of its own in the data directory, search.db,
// which may be deleted at any time: it is rebuilt from the events.
//
// The index follows the events behind a watermark and never makes them wait:
// it reads them through Source and writes only its own file, at low priority
// (see Run). What is above the watermark is scanned. Every candidate, wherever
// it comes from, is checked by query.Matcher, so that an answer is right
// whatever state the index is in; the index only says where not to look.
//
// It runs one goroutine, Run, which the caller starts. All other methods may
// be called from several goroutines.
package search

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// FileName is the index's name in the data directory.
const FileName = "search.db"

// Source is where the events are.
type Source interface {
	// EventsAfter returns events with ids above after, oldest first.
	EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error)
	// EventsByID returns those of the events that exist, newest first.
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)
	// Events returns events newest first; it is asked by ids and limit only.
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	// Stats tells the last id and the kept counters.
	Stats(ctx context.Context) (models.Stats, error)
}

// Config says where the index is.
type Config struct {
	// Dir is the data directory; it must exist.
	Dir string
	// Logger takes faults and rebuilds; nil for none.
	Logger *slog.Logger
}

// Index is the search index. Make one with New.
type Index struct {
	path   string
	source Source
	logger *slog.Logger

	wake   chan struct{}
	stale  atomic.Bool  // the file must be made anew
	behind atomic.Int64 // stored events that are not in the file
	fault  atomic.Pointer[string]
	newest int64 // the last event at the last look; Run's own

	mu   sync.RWMutex // held for reading while the file is used, for writing while it is changed for another
	file *file        // nil until Run has opened it, and after Close: everything is scanned then

	tops  cache[topKey, []models.SourceCount]
	names cache[int, []string]

	// Bounds of one call; fields so that tests can make them small.
	patience   time.Duration // after that a search stops and says how far it came
	counting   time.Duration // after that a count is "at least"
	candidates int           // events that a search looks at
	now        func() time.Time
}

// New makes the index of source. It touches no file before Run.
func New(cfg Config, source Source) *Index {
	x := &Index{
		path: filepath.Join(cfg.Dir, FileName), source: source, logger: cfg.Logger,
		wake: make(chan struct{}, 1), patience: 60 * time.Millisecond, counting: 30 * time.Millisecond, candidates: 20_000, now: time.Now,
	}
	if x.logger == nil {
		x.logger = slog.New(slog.DiscardHandler)
	}
	return x
}

// Wake says that events were stored. It never blocks.
func (x *Index) Wake() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// Rebuild throws the index away and starts over; searches scan until then.
func (x *Index) Rebuild() {
	x.stale.Store(true)
	x.Wake()
}

// AddBelow tells of events that were stored with ids below others, as an
// import does; call it once they can be read. They are indexed later, even if
// the process ends before. Ids that are in the index already, or will be
// because they are above its watermark, may be among them.
func (x *Index) AddBelow(ctx context.Context, ids []int64) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.file == nil {
		// Nothing is indexed yet, or nobody could say later what was: over again.
		x.stale.Store(true)
		return nil
	}
	if err := x.file.addLate(context.WithoutCancel(ctx), ids); err != nil {
		x.Rebuild()
		return err
	}
	x.Wake()
	return nil
}

// State is how far the index has come, and what keeps it.
func (x *Index) State() models.IndexState {
	state := models.IndexState{Behind: x.behind.Load()}
	if fault := x.fault.Load(); fault != nil {
		state.Fault = *fault
	}
	return state
}

// Close closes the file; call it when Run has returned.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file == nil {
		return nil
	}
	err := x.file.close()
	x.file = nil
	return err
}
