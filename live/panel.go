package live

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/olahol/melody"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// Pacing of the frames of one page. What a browser can draw is a matter of
// frames, about 40 ms of its main thread each with rowsPerFrame rows.
const (
	calmGap   = time.Second / 4 // below busyRate
	busyGap   = time.Second / 2
	busyRate  = 20 // events a second
	statsGap  = time.Second
	beatEvery = 2 * time.Second

	// panelBuffer is how many frames may wait for one page: some ten seconds
	// of the busiest pace, longer than a write may take.
	panelBuffer = 64
)

// audience is whom one rendered frame fits.
type audience struct {
	section views.Section
	lang    i18n.Lang
}

// panel is the live half of the pages. One goroutine, run, owns who is there,
// what they were told, and every write to them, so that a page that joins sees
// neither a gap nor a double.
type panel struct {
	news    *news
	sockets *sockets
	logger  *slog.Logger
	now     func() time.Time
	frames  atomic.Int64

	joins   chan *viewer
	leaves  chan *viewer
	stopped chan struct{} // closed when nobody reads joins and leaves any more
}

// viewer is one open page.
type viewer struct {
	panel    *panel
	audience audience
	since    int64 // the newest event that the page shows; -1 when it did not say
	session  *melody.Session
}

func newPanel(cfg Config) *panel {
	return &panel{
		news:    newNews(),
		sockets: newSockets(panelBuffer, cfg.MaxPanels, sameOrigin, cfg),
		logger:  cfg.Logger,
		now:     cfg.Now,
		joins:   make(chan *viewer),
		leaves:  make(chan *viewer),
		stopped: make(chan struct{}),
	}
}

// stop lets go of sockets that wait to join or leave: run has ended, or never began.
func (p *panel) stop() { close(p.stopped) }

func (p *panel) serve(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	v := &viewer{panel: p, since: -1}
	v.audience.section = views.Section(query.Get("view"))
	v.audience.lang = i18n.Match(r)
	switch v.audience.section {
	case views.SectionDashboard, views.SectionEvents, views.SectionAlerts, views.SectionAudit:
	default:
		http.Error(w, "view must be dashboard, events, alerts or audit", http.StatusBadRequest)
		return &models.FieldError{Field: "view", Reason: "names no live page"}
	}
	if since, err := strconv.ParseInt(query.Get("since"), 10, 64); err == nil && since >= 0 {
		v.since = since
	}
	return p.sockets.serve(w, r, v)
}

func (v *viewer) connected(s *melody.Session) {
	v.session = s
	select {
	case v.panel.joins <- v:
	case <-v.panel.stopped:
		_ = s.CloseWithMsg(restartMessage())
	}
}

func (v *viewer) disconnected() {
	select {
	case v.panel.leaves <- v:
	case <-v.panel.stopped:
	}
}

func (v *viewer) message([]byte) {} // a page has nothing to say here
func (v *viewer) sent(int)       {}

// write hands messages to the page. A page too slow to take them is cut, and
// catches up when it comes back.
func (v *viewer) write(messages [][]byte) {
	for _, m := range messages {
		_ = v.session.Write(m) // fails on a closed session only, whose end is on its way
		v.panel.frames.Add(1)
	}
}

// retryLater ends the page's socket because what it needs cannot be read now.
// The page then says that it is not live, which is true.
func (v *viewer) retryLater() {
	_ = v.session.CloseWithMsg(melody.FormatCloseMessage(melody.CloseTryAgainLater, "try again"))
}

// frameGap is the time from a frame with rows events, the first since elapsed
// ago, to the next.
func frameGap(rows int64, elapsed time.Duration) time.Duration {
	if elapsed > 0 && float64(rows)/elapsed.Seconds() < busyRate {
		return calmGap
	}
	return busyGap
}

// run draws until ctx ends.
func (p *panel) run(ctx context.Context, source Source) {
	s := &stage{panel: p, source: source, viewers: make(map[audience]map[*viewer]struct{})}
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
		case <-p.news.notify:
			s.waiting = true
		case <-beat.C:
			s.beat()
		case <-frame.C:
		}
		if now := time.Now(); s.due(now) {
			s.draw(ctx, now)
		}
		if at, ok := s.next(); ok {
			frame.Reset(time.Until(at))
		}
	}
}
