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
	"alerthub/views"
)

// Pacing of the frames of one page. What a browser can draw is a matter of
// frames, about 40 ms of its main thread each with rowsPerFrame rows.
const (
	calmGap    = time.Second / 8 // below busyRate
	busyGap    = time.Second / 2
	floodGap   = time.Second // from floodRate on: nobody reads more, and it halves what a browser has to do
	busyRate   = 20          // events a second
	floodRate  = 1000
	calmAfter  = 2 * time.Second
	figuresGap = time.Second
	// figuresWait is how much earlier or later figures come, to be drawn with rows.
	figuresWait = figuresGap / 4
	beatEvery   = 2 * time.Second

	// Counting what filters select is cheap from kept counters, and bounded (30 ms)
	// where events have to be looked at. Figures and beats spend countingMost on it,
	// and on searches once in searchesGap; what is left waits for the next.
	countingMost = 50 * time.Millisecond
	searchesGap  = 10 * time.Second

	// rendering is how long before its socket a page may have been read from
	// the database, if it does not say when it last heard of us.
	rendering = 10 * time.Second

	// panelBuffer is how many frames may wait for one page: some ten seconds
	// of the busiest pace, longer than a write may take.
	panelBuffer = 64
)

// panel is the live half of the pages. One goroutine, run, owns who is there,
// what they were told, and every write to them, so that a page that joins sees
// neither a gap nor a double.
type panel struct {
	inbox   *inbox
	changes *changes
	sockets *sockets
	logger  *slog.Logger
	now     func() time.Time
	build   string
	began   time.Time
	ingest  func() views.IngestData
	zones   sync.Map // *time.Location by name, so that one zone is one audience
	frames  atomic.Int64

	joins   chan *viewer
	leaves  chan *viewer
	ops     chan op
	stopped chan struct{} // closed when nobody reads joins, leaves and ops any more
}

func newPanel(cfg Config) *panel {
	return &panel{
		inbox:   newInbox(),
		changes: newChanges(cfg.Now),
		sockets: newSockets(panelBuffer, cfg.MaxPanels, sameOrigin, cfg),
		logger:  cfg.Logger,
		now:     cfg.Now,
		build:   cfg.Build,
		began:   cfg.Now(),
		ingest:  cfg.Ingest,
		joins:   make(chan *viewer),
		leaves:  make(chan *viewer),
		ops:     make(chan op),
		stopped: make(chan struct{}),
	}
}

// stop lets go of sockets that wait to join or leave: run has ended, or never began.
func (p *panel) stop() { close(p.stopped) }

func (p *panel) serve(w http.ResponseWriter, r *http.Request, may func() bool) error {
	values := r.URL.Query()
	a, q, err := readAudience(r, values, p.now())
	if err != nil {
		http.Error(w, "view must be dashboard, create, events, event, alerts or audit", http.StatusBadRequest)
		return err
	}
	zone, _ := p.zones.LoadOrStore(a.zone.String(), a.zone)
	a.zone = zone.(*time.Location)
	v := &viewer{panel: p, audience: a, query: q, since: -1, paused: values.Get("paused") == "1"}
	if since, err := strconv.ParseInt(values.Get("since"), 10, 64); err == nil && since >= 0 {
		v.since = since
	}
	v.at, err = models.ParseTime(values.Get("at"))
	if v.back = err == nil; !v.back {
		v.at = p.now().Add(-rendering)
		if v.at.Before(p.began) {
			v.at = p.began // another process would have said when
		}
	}
	return p.sockets.serve(w, r, v, may)
}

// frameGap is the time from one frame with rows to the next, by the events a
// second since the last frame and those of the last seconds: a few that come
// together are no burst, and one that is over is none any more.
func frameGap(now, lately float64) time.Duration {
	switch rate := min(now, lately); {
	case rate < busyRate:
		return calmGap
	case rate < floodRate:
		return busyGap
	}
	return floodGap
}

// run draws until ctx ends.
func (p *panel) run(ctx context.Context, source Source) {
	s := newStage(p, source)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	frame := time.NewTimer(0)
	defer frame.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-p.joins:
			s.join(ctx, v)
		case v := <-p.leaves:
			s.leave(v)
		case o := <-p.ops:
			s.obey(ctx, o)
		case <-p.inbox.notify:
			s.rowsDue = true
		case <-p.changes.notify:
			s.rowsDue = true
			s.urgentDue = s.urgentDue || p.changes.acked()
		case <-beat.C:
			s.beat(ctx)
		case <-frame.C:
		}
		if s.due(time.Now()) {
			s.draw(ctx, time.Now())
		}
		if at, ok := s.next(); ok {
			frame.Reset(time.Until(at))
		}
	}
}
