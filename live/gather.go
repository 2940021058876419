package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"alerthub/models"
	"alerthub/views"
)

// gather takes what has happened since the last frame, and sets the pace.
func (s *stage) gather(ctx context.Context, now time.Time) *digest {
	s.rowsDue = false
	// Changes first: each is of an event that the inbox has, or had, by then.
	changed, alerts, lost := s.panel.changes.take()
	d := &digest{from: s.told, budget: matchesPerFrame, parcel: s.panel.inbox.take()}
	d.lost = lost || d.missed // of an overflow's emails nothing is known
	if d.missed {
		if err := d.readEnds(ctx, s.source, s.panel.now()); err != nil && ctx.Err() == nil {
			s.panel.logger.Warn("live cannot read when a burst was", "error", err)
		}
	}
	s.readChanges(ctx, d, changed, alerts)
	s.told = d.upTo
	if d.quiet() {
		return d
	}
	s.figuresDue = true
	s.gap = frameGap(float64(d.count)/now.Sub(s.lastRows).Seconds(), s.rate())
	s.lastRows, s.nextRows = now, now.Add(s.gap)
	if s.gap > calmGap {
		s.calmAt = now.Add(calmAfter)
	}
	return d
}

// readChanges makes what became of older events and emails a part of d: as many
// rows as one frame draws, the rest waits for the next.
func (s *stage) readChanges(ctx context.Context, d *digest, changed []change, alerts []models.EmailAlert) {
	updated := make(map[int64]models.EmailAlert, len(alerts))
	for _, a := range alerts {
		updated[a.ID] = a
	}
	d.readBorn(updated) // takes from updated what it tells

	known := make(map[int64]models.Event, len(changed))
	for i := range changed {
		known[changed[i].event.ID] = changed[i].event
	}
	var unknown []int64
	for _, a := range alerts {
		if _, waits := updated[a.ID]; !waits {
			continue
		}
		if _, ok := known[a.EventID]; !ok && !slices.Contains(unknown, a.EventID) {
			unknown = append(unknown, a.EventID)
		}
	}
	if len(unknown) > 0 {
		events, err := s.source.EventsByID(ctx, unknown)
		if err != nil {
			d.lost = true
			s.complain(ctx, err)
		}
		for i := range events {
			known[events[i].ID] = events[i]
			changed = append(changed, change{event: events[i]})
		}
	}
	for _, a := range alerts {
		if newer, waits := updated[a.ID]; waits {
			d.lines = append(d.lines, views.AlertLine{Alert: newer, Event: known[a.EventID]})
		}
	}
	s.readChanged(d, changed)
}

// readChanged takes the newest changed events, all of those that say the same,
// and puts back what is more than a frame's rows. Which of the same a row stands
// for is for each filter to say.
func (s *stage) readChanged(d *digest, changed []change) {
	slices.SortFunc(changed, func(a, b change) int { return cmp.Compare(b.event.ID, a.event.ID) })
	groups := make(map[views.GroupKey]bool, rowsPerFrame)
	var later []change
	for _, c := range changed {
		key := views.KeyOf(&c.event)
		if !groups[key] && len(groups) == rowsPerFrame {
			later = append(later, c)
			continue
		}
		groups[key] = true
		d.changed = append(d.changed, c.event)
		d.acks = d.acks || c.acked
	}
	if len(later) > 0 {
		s.panel.changes.putBack(later, s.asOf)
		s.rowsDue = true
	}
}

// changedRows is the rows of events, some of d's changed ones, with what became
// of their emails.
func (s *stage) changedRows(ctx context.Context, d *digest, events []models.Event) ([]views.Row, error) {
	rows := views.Group(events, nil, len(events))
	var unread []views.Row
	for _, r := range rows {
		if _, read := d.changedMail[r.Event.ID]; !read {
			unread = append(unread, r)
		}
	}
	mail, err := s.mailOf(ctx, unread)
	if err != nil {
		return nil, err
	}
	if d.changedMail == nil {
		d.changedMail = make(map[int64]models.EmailStatus)
	}
	for _, r := range unread {
		d.changedMail[r.Event.ID] = mail[r.Event.ID]
	}
	for i := range rows {
		rows[i].Mail = d.changedMail[rows[i].Event.ID]
	}
	return rows, nil
}

// mailOf is what became of the emails of rows.
func (s *stage) mailOf(ctx context.Context, rows []views.Row) (map[int64]models.EmailStatus, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(rows)) // routes may tell of any event
	for i := range rows {
		ids[i] = rows[i].Event.ID
	}
	alerts, err := s.source.EmailAlerts(ctx, models.EmailFilter{EventIDs: ids, Limit: models.MaxLimit})
	return views.MailByEvent(alerts), err
}

func (s *stage) complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.panel.logger.Warn("live cannot read what has changed", "error", err)
	}
}
