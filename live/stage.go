package live

import (
	"bytes"
	"context"
	"io"
	"time"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// component is a piece of HTML, as package views makes them.
type component interface {
	Render(ctx context.Context, w io.Writer) error
}

// stage is the state of the frame loop, which alone touches it.
type stage struct {
	panel  *panel
	source Source
	board  board

	crowds map[audience]*crowd
	late   []*viewer // show more than the others were told; they wait for the next frame
	told   int64     // newest event that every viewer was told of
	asOf   time.Time // changes that came before were told, or are by what is being sent: what beats say

	rowsDue   bool // there may be news
	lastRows  time.Time
	nextRows  time.Time
	gap       time.Duration // from the last frame of rows to the next
	calmAt    time.Time     // when tables that are behind are drawn anew, unless another burst comes
	anyBehind bool          // some crowd is behind
	nextAged  time.Time     // when tables whose range has moved are drawn anew
	anyAged   bool          // some crowd's has

	urgentDue   bool // what waits for a person has changed
	nextUrgent  time.Time
	figuresDue  bool // the counters moved, or time did, since they were last drawn
	nextFigures time.Time
	minute      time.Time // of the figures

	counting     time.Duration // what may still be spent at this time on counting what filters select
	nextSearches time.Time     // when what has to be searched may be counted
	searches     bool          // it may at this time

	health  models.Health    // as last drawn
	waiting views.HeaderData // in a pause, how many alerts wait, as last drawn
	nextSay time.Time        // when that may be told anew
	meter   meter

	// What was read and rendered since the last frame: after a restart a
	// thousand pages come back with the same question.
	caughtUp map[catchUp]answer
	tables   memo[table, []views.Row]
	outbox   memo[query.Outbox, []views.AlertLine]
}

// sayGap is between two tellings of how many alerts wait: screen readers read
// out each.
const sayGap = 10 * time.Second

func newStage(p *panel, source Source) *stage {
	return &stage{
		panel:  p,
		source: source,
		board:  board{source: source, ingest: p.ingest, now: p.now},
		crowds: make(map[audience]*crowd),
	}
}

// next is when something is to be drawn.
func (s *stage) next() (at time.Time, ok bool) {
	for _, due := range []struct {
		is bool
		at time.Time
	}{{s.rowsDue, s.nextRows}, {s.urgentDue, s.nextUrgent}, {s.figuresDue, s.figuresAt()}, {s.anyBehind, s.calmAt}, {s.anyAged, s.nextAged}} {
		if due.is && (!ok || due.at.Before(at)) {
			at, ok = due.at, true
		}
	}
	return at, ok
}

// figuresAt is when figures may be drawn: with rows that come at about that
// time, since both together cost a browser less.
func (s *stage) figuresAt() time.Time {
	if s.rowsDue && s.nextRows.Sub(s.nextFigures).Abs() <= figuresWait {
		return s.nextRows
	}
	return s.nextFigures
}

func (s *stage) due(now time.Time) bool {
	at, ok := s.next()
	return ok && !now.Before(at)
}

// draw sends what is due to everybody, rendered once for each audience.
func (s *stage) draw(ctx context.Context, now time.Time) {
	s.asOf = s.panel.changes.asOf()
	figuresAt := s.figuresAt()
	var d *digest
	if s.rowsDue && !now.Before(s.nextRows) {
		figuresAt = s.nextFigures.Add(-figuresWait)
		d = s.gather(ctx, now)
	}
	figures := s.figuresDue && !now.Before(figuresAt)
	urgent := s.urgentDue && !now.Before(s.nextUrgent)
	s.prepare(figures, urgent, now)
	s.forget()
	for _, c := range s.crowds {
		f := frame{}
		if d != nil {
			s.compose(ctx, &f, c, d)
		}
		f.parts = append(f.parts, s.count(ctx, c, figures, urgent)...)
		s.send(c, &f, figures)
	}
	if s.anyBehind && !now.Before(s.calmAt) {
		s.redraw(ctx, now)
	}
	if s.anyAged && !now.Before(s.nextAged) {
		s.redrawAged(ctx, now)
	}
	if d != nil {
		late := s.late
		s.late = nil
		for _, v := range late {
			s.join(ctx, v)
		}
	}
}

// forget lets what was read for this moment be read anew.
func (s *stage) forget() {
	clear(s.caughtUp)
	clear(s.tables)
	clear(s.outbox)
}

// prepare has the figures that are due read anew, and says when they may be next.
// A new minute moves ranges.
func (s *stage) prepare(figures, urgent bool, now time.Time) {
	if figures {
		s.board.forget()
		s.figuresDue, s.nextFigures = false, now.Add(figuresGap)
		if minute := s.panel.now().Truncate(time.Minute); !minute.Equal(s.minute) {
			s.minute = minute
			s.age()
		}
		for _, c := range s.crowds {
			c.counted = false
		}
		s.mayCount(now)
	}
	if urgent {
		s.board.forgetWaiting()
	}
	if figures || urgent {
		s.urgentDue, s.nextUrgent = false, now.Add(max(s.gap, calmGap))
	}
}

// count is the figures for c that are due. When they cannot be read they stay due.
func (s *stage) count(ctx context.Context, c *crowd, figures, urgent bool) (parts []component) {
	var err error
	switch {
	case figures:
		if parts, err = s.board.figures(ctx, c); err == nil {
			parts = append(parts, s.tallies(ctx, c)...)
		}
	case urgent:
		parts, err = s.board.urgent(ctx, &c.audience)
	}
	if err == nil {
		return parts
	}
	s.figuresDue = true
	if ctx.Err() == nil {
		s.panel.logger.Warn("live cannot read the figures", "error", err)
	}
	return nil
}

// mayCount gives this time its share of counting what filters select.
func (s *stage) mayCount(now time.Time) {
	s.counting, s.searches = countingMost, !now.Before(s.nextSearches)
}

// tallies is how many events c's filter selects, unless that was told, or has to
// wait for a later time, as when all figures are to be read anew.
func (s *stage) tallies(ctx context.Context, c *crowd) []component {
	searched := c.query.Searched()
	if c.section != views.SectionEvents || c.counted || s.figuresDue || s.counting <= 0 || searched && !s.searches {
		return nil
	}
	began := time.Now()
	if searched {
		s.nextSearches = began.Add(searchesGap)
	}
	parts, err := s.board.tallies(ctx, c)
	s.counting -= time.Since(began)
	if c.counted = err == nil; !c.counted {
		s.complain(ctx, err)
	}
	return parts
}

// beat tells everybody that the connection lives, what is wrong when that has
// changed, and counts that had to wait. A new minute moves the figures.
func (s *stage) beat(ctx context.Context) {
	s.asOf = s.panel.changes.asOf()
	s.meter.add(time.Now(), s.panel.inbox.counted())
	if len(s.crowds) > 0 && !s.panel.now().Truncate(time.Minute).Equal(s.minute) {
		s.figuresDue = true
	}
	health := s.source.Health()
	changed := !health.Equal(s.health)
	s.health = health
	if now := time.Now(); changed || !now.Before(s.nextSay) {
		before := s.waiting
		s.countWaiting(ctx)
		changed, s.nextSay = changed || s.waiting != before, now.Add(sayGap)
	}
	s.forget()
	s.mayCount(time.Now())
	for _, c := range s.crowds {
		f := frame{beat: true, parts: s.tallies(ctx, c)}
		if changed {
			f.parts = append(f.parts, views.Notices(health, s.waiting, true))
		}
		s.send(c, &f, false)
	}
}

// countWaiting reads how many alerts wait while delivery pauses.
func (s *stage) countWaiting(ctx context.Context) {
	s.waiting = views.HeaderData{}
	if len(s.health.Pauses) == 0 {
		return
	}
	header, err := s.board.header(ctx)
	if err != nil {
		s.complain(ctx, err)
		return
	}
	s.waiting.WaitingEmails, s.waiting.WaitingWebhooks = header.WaitingEmails, header.WaitingWebhooks
}

// render makes a message, or a part of one.
func (s *stage) render(a *audience, parts ...component) []byte {
	ctx := a.context()
	var out bytes.Buffer
	for _, part := range parts {
		if err := part.Render(ctx, &out); err != nil {
			// A buffer takes everything, so this is a component that refuses its
			// values. What is missing is there after the next catch-up.
			s.panel.logger.Error("live cannot render a frame", "error", err)
		}
	}
	return out.Bytes()
}
