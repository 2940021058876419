package live

import (
	"context"
	"slices"
	"time"

	"alerthub/models"
	"alerthub/views"
)

const (
	// missedRead bounds how far back single rows are looked for; a page that
	// was away for longer is drawn anew.
	missedRead = models.MaxLimit

	// keptCatchUps bounds the different answers kept for pages that come back
	// at the same time.
	keptCatchUps = 16
)

// catchUp is what a page that joins or resumes asks, apart from the moment.
type catchUp struct {
	audience audience
	since    int64
	resumes  bool // it has heard everything but rows
}

// answer is what it is told: a table body, and everything else.
type answer struct{ rows, parts []byte }

// join tells v what it has not seen of everything that the others were told,
// so that from then on the same frames fit them all.
func (s *stage) join(ctx context.Context, v *viewer) {
	s.asOf = s.panel.changes.asOf()
	if len(s.crowds) == 0 && len(s.late) == 0 {
		s.panel.inbox.listen(true, func(id int64) { s.told = id })
		s.panel.changes.listen(true)
		s.health = s.source.Health()
		s.countWaiting(ctx)
		s.minute = s.panel.now().Truncate(time.Minute)
		s.meter.add(time.Now(), 0)
	}
	if v.since > s.told {
		// The page was rendered after the last frame; the next one brings the
		// others there. Or its number belongs to another database.
		events, err := s.source.EventsAfter(ctx, v.since-1, 1)
		switch {
		case err != nil:
			s.refuse(ctx, v, err)
			return
		case len(events) > 0:
			s.late = append(s.late, v)
			return
		}
		v.since = -1
	}
	c := s.crowds[v.audience]
	if c == nil {
		c = newCrowd(v.audience, v.query, s.panel.now())
	}
	if v.paused {
		if err := s.joinPaused(ctx, c, v); err != nil {
			s.refuse(ctx, v, err)
			return
		}
	}
	changes, err := s.changedSince(ctx, c, v)
	if err != nil {
		s.refuse(ctx, v, err)
		return
	}
	if changes != nil {
		v.write(changes)
	}
	if !s.catchUp(ctx, c, v, false) {
		return
	}
	s.crowds[v.audience] = c
	c.viewers[v] = struct{}{}
	c.counted = false // its page may be older than what was told
}

// joinPaused counts what a page that takes no rows has missed already.
func (s *stage) joinPaused(ctx context.Context, c *crowd, v *viewer) error {
	if v.since < 0 {
		v.pause(s.told, v.at)
		return nil
	}
	v.pause(v.since, time.Time{})
	return s.countMissed(ctx, c, v, v.since)
}

// countMissed counts for the paused v what it does not show: events after id.
func (s *stage) countMissed(ctx context.Context, c *crowd, v *viewer, id int64) error {
	missed, _, err := s.missed(ctx, c, id) // of a long absence the newest: so many at least
	v.missed = int64(len(missed))
	for i := range missed {
		v.worst[missed[i].Severity.Rank()]++
	}
	s.figuresDue = v.missed > 0 || s.figuresDue
	return err
}

// catchUp writes to v what it misses up to told, and reports whether that
// could be read.
func (s *stage) catchUp(ctx context.Context, c *crowd, v *viewer, resumes bool) bool {
	key := catchUp{c.audience, v.since, resumes}
	if !v.stale.IsZero() {
		key.since = -1
	}
	if v.paused { // it keeps the rows that it shows
		key.since = s.told
	}
	told, ok := s.caughtUp[key]
	if !ok {
		var err error
		if told, err = s.readCatchUp(ctx, c, key); err != nil {
			s.refuse(ctx, v, err)
			return false
		}
		if s.caughtUp == nil || len(s.caughtUp) >= keptCatchUps {
			s.caughtUp = make(map[catchUp]answer)
		}
		s.caughtUp[key] = told
	}
	if v.paused {
		v.write(slices.Concat(told.parts, s.beatFor(c, v.since, v.stale)))
		return true
	}
	v.stale = time.Time{}
	if told.rows != nil {
		v.write(slices.Concat(told.rows, s.beatFor(c, s.told, c.behind)))
	}
	v.write(slices.Concat(told.parts, s.beatFor(c, s.told, c.behind)))
	return true
}

// readCatchUp reads and renders what a page needs: rows, and unless it has
// heard them the figures and what is wrong.
func (s *stage) readCatchUp(ctx context.Context, c *crowd, key catchUp) (answer, error) {
	var told answer
	rows, err := s.rowsSince(ctx, c, key.since)
	if err != nil {
		return told, err
	}
	if rows != nil {
		told.rows = s.render(&c.audience, rows)
	}
	var parts []component
	if !key.resumes {
		if parts, err = s.board.figures(ctx, c); err != nil {
			return told, err
		}
		parts = append(parts, views.Notices(s.health, s.waiting, true))
	}
	if c.section == views.SectionEvents {
		parts = append(parts, views.Pill(0, [4]int64{}))
	}
	told.parts = s.render(&c.audience, parts...)
	return told, nil
}

// rowsSince is the table body for a page that shows events up to since; nil
// when it needs none.
func (s *stage) rowsSince(ctx context.Context, c *crowd, since int64) (component, error) {
	if c.section != views.SectionEvents {
		return s.whole(ctx, c)
	}
	if since == s.told {
		return nil, nil
	}
	if since < 0 {
		return s.whole(ctx, c)
	}
	missed, all, err := s.missed(ctx, c, since)
	switch {
	case err != nil:
		return nil, err
	case !all || len(missed) > views.EventsCap:
		return s.whole(ctx, c)
	case len(missed) == 0:
		return nil, nil
	}
	rows := views.Group(missed, nil, len(missed))
	mail, err := s.mailOf(ctx, rows)
	for i := range rows {
		rows[i].Mail, rows[i].Fresh = mail[rows[i].Event.ID], true
	}
	return views.RowsFrame(rows, s.told, nil), err
}

// missed is the events after since that match, the newest first. When since is
// too long ago for all, it is those among the newest missedRead ids.
func (s *stage) missed(ctx context.Context, c *crowd, since int64) (missed []models.Event, all bool, err error) {
	after := max(since, s.told-missedRead)
	if after >= s.told {
		return nil, true, nil
	}
	events, err := s.source.EventsAfter(ctx, after, int(s.told-after))
	if err != nil {
		return nil, false, err
	}
	for _, e := range slices.Backward(events) {
		if e.ID <= s.told && (c.matcher == nil || c.matcher.Match(&e)) {
			missed = append(missed, e)
		}
	}
	return missed, after == since, nil
}

// obey pauses or resumes the rows of one page.
func (s *stage) obey(ctx context.Context, o op) {
	s.asOf = s.panel.changes.asOf()
	v := o.viewer
	c, joined := s.crowds[v.audience]
	if joined {
		_, joined = c.viewers[v]
	}
	switch {
	case o.pause == v.paused:
	case !joined: // it waits for the next frame, or is on its way out
		v.paused = o.pause
	case o.pause:
		v.pause(s.told, c.behind)
		if o.last < 0 {
			return
		}
		// What is on its way will not be shown.
		if err := s.countMissed(ctx, c, v, o.last); err != nil {
			s.refuse(ctx, v, err)
		}
	default:
		v.paused = false
		s.catchUp(ctx, c, v, true)
	}
}

// refuse ends a page that cannot be told what it missed: it asks again.
func (s *stage) refuse(ctx context.Context, v *viewer, err error) {
	if ctx.Err() == nil {
		s.panel.logger.Warn("live cannot catch a page up", "since", v.since, "error", err)
	}
	v.retryLater()
	s.rest()
}

func (s *stage) leave(v *viewer) {
	s.late = slices.DeleteFunc(s.late, func(l *viewer) bool { return l == v })
	if c, ok := s.crowds[v.audience]; ok {
		delete(c.viewers, v)
		if len(c.viewers) == 0 {
			delete(s.crowds, v.audience)
		}
	}
	s.rest()
}

// rest lets go of everything while no page is open.
func (s *stage) rest() {
	if len(s.crowds) > 0 || len(s.late) > 0 {
		return
	}
	s.panel.inbox.listen(false, func(int64) {})
	s.panel.changes.listen(false)
	s.rowsDue, s.urgentDue, s.figuresDue, s.anyBehind = false, false, false, false
	s.meter = meter{}
	s.forget()
	s.board.forget()
}
