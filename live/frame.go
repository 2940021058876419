package live

import (
	"context"
	"slices"
	"time"

	"alerthub/models"
	"alerthub/views"
)

// frame is what one audience is sent at one time, as up to three messages. A
// table body comes first in its message, because the HTML parser drops rows
// that come after other elements, and shares it with the beat alone, because
// after a table body the parser drops the tables inside other elements too.
type frame struct {
	rows    component   // the table body, for pages that are not paused
	parts   []component // everything else, for all pages
	beat    bool        // worth a message even when it is empty
	changed []views.Row // older rows in their new state
	gone    []int64     // events that no longer match
}

// compose puts what d means for c into f.
func (s *stage) compose(ctx context.Context, f *frame, c *crowd, d *digest) {
	if d.upTo > d.from {
		sel := d.selectFor(c)
		if len(sel.criticals) > 0 {
			f.parts = append(f.parts, views.NewsFlash(sel.criticals))
		}
		for v := range c.viewers {
			v.miss(sel)
		}
		if c.section == views.SectionEvents && sel.count > 0 {
			f.rows = views.RowsFrame(sel.rows, d.upTo, sel.gap)
			if sel.gap != nil {
				s.fallBehind(c)
				s.calmAt = time.Now().Add(calmAfter)
			}
		}
	}
	switch c.section {
	case views.SectionEvents:
		s.composeChanges(ctx, f, c, d)
	case views.SectionDashboard:
		if d.upTo > d.from || len(d.changed) > 0 || d.lost {
			whole, err := s.whole(ctx, c)
			if err != nil {
				s.complain(ctx, err)
				s.fallBehind(c)
				return
			}
			f.rows = whole
		}
	case views.SectionAlerts:
		s.composeAlerts(ctx, f, c, d)
	}
}

// composeChanges adds older events in their new state, or their going.
func (s *stage) composeChanges(ctx context.Context, f *frame, c *crowd, d *digest) {
	if d.lost {
		s.fallBehind(c)
		c.stale(s.asOf)
	}
	var shown []models.Event
	for i := range d.changed {
		e := &d.changed[i]
		switch {
		case c.matcher == nil || c.matcher.Match(e):
			shown = append(shown, *e)
		case c.anyAck.Match(e):
			f.gone = append(f.gone, e.ID)
		default:
			continue
		}
		if c.query.Unacked && d.acks { // older rows move up, or one comes back
			s.fallBehind(c)
			c.stale(s.asOf)
		}
	}
	var err error
	if f.changed, err = s.changedRows(ctx, d, shown); err != nil {
		s.complain(ctx, err)
		s.fallBehind(c)
		c.stale(s.asOf)
	}
}

// composeAlerts adds emails: new ones and older ones in their new state. A
// page that asks for what changes in them is drawn whole, since emails leave
// it too.
func (s *stage) composeAlerts(ctx context.Context, f *frame, c *crowd, d *digest) {
	lines := slices.DeleteFunc(slices.Concat(d.born, d.lines), func(l views.AlertLine) bool { return !c.outbox.MayShow(&l.Alert) })
	if len(lines) == 0 && !d.more && !d.lost {
		return
	}
	if c.outbox.Moves() {
		lines, err := s.alertLines(ctx, c.outbox)
		if err != nil {
			s.complain(ctx, err)
			s.fallBehind(c)
			return
		}
		f.rows = views.AlertsFrame(lines, true)
		return
	}
	if d.more || d.lost {
		s.fallBehind(c)
	}
	if lines = lines[:min(len(lines), rowsPerFrame)]; len(lines) > 0 {
		f.rows = views.AlertsFrame(lines, false)
	}
}

// fallBehind says that pages of c show something else than fresh ones would.
func (s *stage) fallBehind(c *crowd) {
	if c.behind.IsZero() {
		c.behind = s.asOf
	}
	if s.anyBehind {
		return
	}
	s.anyBehind = true
	if at := time.Now().Add(calmAfter); s.calmAt.Before(at) {
		s.calmAt = at
	}
}

// redrawsPerFrame bounds the tables that are read anew at one time.
const redrawsPerFrame = 4

// redraw sends the whole table to pages that are behind, now that it is calm.
func (s *stage) redraw(ctx context.Context, now time.Time) {
	s.anyBehind = false
	if s.redrawSome(ctx, func(c *crowd) bool { return !c.behind.IsZero() }) {
		s.anyBehind, s.calmAt = true, now.Add(calmGap)
	}
}

// redrawAged is redraw for tables whose range has moved, calm or not.
func (s *stage) redrawAged(ctx context.Context, now time.Time) {
	s.anyAged, s.nextAged = s.redrawSome(ctx, func(c *crowd) bool { return c.aged }), now.Add(calmGap)
}

// age lets the crowds whose range moves with the time move on.
func (s *stage) age() {
	for _, c := range s.crowds {
		before := c.from
		if c.compile(s.panel.now()); c.from.Equal(before) {
			continue
		}
		c.aged, s.anyAged = true, true
		c.stale(s.asOf)
	}
}

// redrawSome sends the whole table to pages of those crowds, and reports whether
// it leaves some for the next time.
func (s *stage) redrawSome(ctx context.Context, due func(*crowd) bool) bool {
	left := redrawsPerFrame
	for _, c := range s.crowds {
		if !due(c) {
			continue
		}
		if left == 0 {
			return true
		}
		c.behind, c.aged = time.Time{}, false
		if !c.watched() {
			continue // who resumes is told then
		}
		left--
		whole, err := s.whole(ctx, c)
		if err != nil {
			s.complain(ctx, err)
			s.fallBehind(c)
			continue
		}
		s.send(c, &frame{rows: whole}, false)
	}
	return false
}

// send writes f to the pages of c; with pills also how much the paused ones miss.
func (s *stage) send(c *crowd, f *frame, pills bool) {
	common := s.render(&c.audience, f.parts...)
	var messages [][]byte
	if f.rows != nil {
		messages = append(messages, slices.Concat(s.render(&c.audience, f.rows), s.beatFor(c, s.told, c.behind)))
	}
	if len(f.changed)+len(f.gone) > 0 {
		messages = append(messages, s.changesFor(c, f, s.told, c.behind))
	}
	if len(common) > 0 || f.beat {
		messages = append(messages, slices.Concat(common, s.beatFor(c, s.told, c.behind)))
	}
	for v := range c.viewers {
		if v.paused {
			s.sendPaused(c, v, f, common, pills)
		} else {
			v.write(messages...)
		}
	}
}

// sendPaused is send for one page that takes no rows: only those that it shows
// may change.
func (s *stage) sendPaused(c *crowd, v *viewer, f *frame, common []byte, pills bool) {
	pill := pills && c.section == views.SectionEvents && v.missed != v.told
	if len(common) > 0 || f.beat || pill {
		var parts []byte
		if pill {
			v.told = v.missed
			parts = s.render(&c.audience, views.Pill(v.missed, v.worst))
		}
		v.write(slices.Concat(common, parts, s.beatFor(c, v.since, v.stale)))
	}
	shown := &frame{}
	for _, r := range f.changed {
		if r.Event.ID <= v.since {
			shown.changed = append(shown.changed, r)
		}
	}
	for _, id := range f.gone {
		if id <= v.since {
			shown.gone = append(shown.gone, id)
		}
	}
	if len(shown.changed)+len(shown.gone) > 0 {
		v.write(s.changesFor(c, shown, v.since, v.stale))
	}
}

// changesFor is the message with the older rows of f, and its beat.
func (s *stage) changesFor(c *crowd, f *frame, id int64, wrong time.Time) []byte {
	return append(s.render(&c.audience, views.ChangesFrame(f.changed, f.gone, id)), s.beatFor(c, id, wrong)...)
}

// beatFor is the beat of pages of c that were told everything up to id, and
// show what may be wrong since then, unless that is zero. The page says AsOf when
// it returns, so that must not be later than a change that waits.
func (s *stage) beatFor(c *crowd, id int64, wrong time.Time) []byte {
	asOf := s.asOf
	if !wrong.IsZero() && wrong.Before(asOf) {
		asOf = wrong
	}
	return s.render(&c.audience, views.Beat(views.BeatData{LastID: id, At: s.panel.now(), AsOf: asOf, Rate: s.rate(), Build: s.panel.build}))
}

// rate is the events a second of the last seconds.
func (s *stage) rate() float64 { return s.meter.rate(time.Now(), s.panel.inbox.counted()) }

// miss counts what a paused page does not see.
func (v *viewer) miss(sel *selection) {
	if !v.paused || sel.unsure {
		return // an uncertain number would only grow wrong; resuming reads the truth
	}
	v.missed += sel.count
	for i, n := range sel.severity {
		v.worst[i] += n
	}
}
