package live

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

const (
	// feedTick is the shortest time between two hand-overs to the clients. The
	// first event after a pause goes out at once.
	feedTick = 15 * time.Millisecond

	pageEvents = 500 // events of one database read
	pageReads  = 2   // database reads of lagging clients at one time
	retryRead  = 250 * time.Millisecond
)

// feed is the JSON feed: an inbox that the committer fills, one loop that
// encodes each event once into the ring, and a goroutine for each client that
// walks the ring at its own pace. A client behind the ring reads the database
// by id until it has caught up, so that nobody waits for it and it misses
// nothing; one that takes nothing is cut by the write deadline.
type feed struct {
	inbox   *inbox
	ring    *ring
	sockets *sockets
	logger  *slog.Logger
	now     func() time.Time
	reads   chan struct{} // a slot for each database read of a client

	frames     atomic.Int64
	deliveries atomic.Int64

	mu          sync.Mutex
	subscribers int
}

func newFeed(cfg Config) *feed {
	return &feed{
		inbox:   newInbox(),
		ring:    newRing(),
		sockets: newSockets(feedBuffer, cfg.MaxFeed, sameHost, cfg),
		logger:  cfg.Logger,
		now:     cfg.Now,
		reads:   make(chan struct{}, pageReads),
	}
}

// run moves what was committed to the ring until ctx ends.
func (f *feed) run(ctx context.Context, source Source) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.inbox.notify:
		}
		f.forward(ctx, source)
		pause.Reset(feedTick)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// forward encodes what waits in the inbox.
func (f *feed) forward(ctx context.Context, source Source) {
	got := f.inbox.take()
	if got.missed {
		f.reread(ctx, source, got.upTo)
		return
	}
	for _, receipts := range got.batches {
		entries := make([]entry, 0, len(receipts))
		for i := range receipts {
			if receipts[i].Recorded() {
				entries = f.encode(entries, receipts[i].Event)
			}
		}
		f.ring.append(entries)
	}
}

// reread takes the events up to upTo from the database: the committer was so
// fast that the inbox could not keep them.
func (f *feed) reread(ctx context.Context, source Source, upTo int64) {
	for {
		after := f.ring.last()
		if after >= upTo {
			return
		}
		events, err := source.EventsAfter(ctx, after, pageEvents)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.logger.Warn("feed cannot read events, retrying", "after", after, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryRead):
			}
		case len(events) == 0:
			return
		default:
			f.ring.append(f.encode(nil, events...))
		}
	}
}

func (f *feed) encode(entries []entry, events ...models.Event) []entry {
	for _, e := range events {
		encoded, err := encodeEvent(e)
		if err != nil {
			f.logger.Error("feed cannot encode an event", "event_id", e.ID, "error", err)
			continue
		}
		entries = append(entries, encoded)
	}
	return entries
}

// join begins to keep what is committed, for the first client, and returns
// the newest id: what a client without ?since= follows.
func (f *feed) join() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers == 0 {
		f.inbox.listen(true, f.ring.reset)
	}
	f.subscribers++
	return f.inbox.seen()
}

// leave lets go of everything with the last client.
func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers--
	if f.subscribers == 0 {
		f.inbox.listen(false, f.ring.reset)
	}
}

// serve answers one request for the feed and returns when its socket has ended.
func (f *feed) serve(w http.ResponseWriter, r *http.Request, may func() bool, source Source) error {
	query := r.URL.Query()
	s := &subscriber{
		feed:      f,
		batch:     query.Get("batch") == "1",
		connects:  make(chan struct{}),
		roomAgain: make(chan struct{}, 1),
	}
	since, err := strconv.ParseInt(query.Get("since"), 10, 64)
	if query.Has("since") && (err != nil || since < 0) {
		http.Error(w, "since must be the id of an event", http.StatusBadRequest)
		return &models.FieldError{Field: "since", Reason: "must be the id of an event"}
	}
	s.since, s.replays = since, query.Has("since")

	// The request's own context may carry a deadline that is meant for answers.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	var streaming sync.WaitGroup
	streaming.Go(func() { s.run(ctx, source) })
	err = f.sockets.serve(w, r, s, may)
	cancel()
	streaming.Wait()
	if s.session != nil {
		f.leave()
	}
	return err
}
