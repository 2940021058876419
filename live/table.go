package live

import (
	"context"
	"slices"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// tableReads is how many events a table is made of, since repeats share a row.
const tableReads = 400

// table is the rows of a table of events, apart from who reads them.
type table struct {
	filter string
	rows   int
}

// whole is the table body of c as a fresh page would show it, with the events
// that everybody was told of; nil for a page without one.
func (s *stage) whole(ctx context.Context, c *crowd) (component, error) {
	switch c.section {
	case views.SectionEvents:
		rows, err := s.table(ctx, c)
		return views.AllFrame(rows, s.told), err
	case views.SectionDashboard:
		rows, err := s.table(ctx, c)
		return views.MiniFrame(rows, s.told), err
	case views.SectionAlerts:
		lines, err := s.alertLines(ctx, c.outbox)
		return views.AlertsFrame(lines, true), err
	}
	return nil, nil
}

func (s *stage) table(ctx context.Context, c *crowd) ([]views.Row, error) {
	return s.tables.get(table{c.filter, c.rows()}, func() ([]views.Row, error) {
		f := c.query.Filter(s.panel.now())
		f.Before, f.Limit = s.told+1, tableReads
		page, err := s.source.Events(ctx, f)
		if err != nil {
			return nil, err
		}
		rows := views.Group(page.Events, nil, c.rows())
		mail, err := s.mailOf(ctx, rows)
		for i := range rows {
			rows[i].Mail = mail[rows[i].Event.ID]
		}
		return rows, err
	})
}

// alertLines is the newest emails that o selects with their events.
func (s *stage) alertLines(ctx context.Context, o query.Outbox) ([]views.AlertLine, error) {
	return s.outbox.get(o, func() ([]views.AlertLine, error) {
		f := o.Filter()
		f.Limit = views.AlertsCap
		alerts, err := s.source.EmailAlerts(ctx, f)
		if err != nil || len(alerts) == 0 {
			return nil, err
		}
		ids := make([]int64, len(alerts))
		for i := range alerts {
			ids[i] = alerts[i].EventID
		}
		events, err := s.source.EventsByID(ctx, ids)
		if err != nil {
			return nil, err
		}
		byID := make(map[int64]models.Event, len(events))
		for i := range events {
			byID[events[i].ID] = events[i]
		}
		lines := make([]views.AlertLine, len(alerts))
		for i := range alerts {
			lines[i] = views.AlertLine{Alert: alerts[i], Event: byID[alerts[i].EventID]}
		}
		return lines, nil
	})
}

// changedSince is the message for what has changed in the rows that v shows
// while it did not listen; nil when nothing has.
func (s *stage) changedSince(ctx context.Context, c *crowd, v *viewer) ([]byte, error) {
	if c.section != views.SectionEvents || v.since < 0 {
		return nil, nil
	}
	ids, known := s.panel.changes.since(v.at)
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id > v.since })
	// Without the log rows may have come into the middle, and from the list of
	// what waits some have left, so that older ones were to move up. Out of a range
	// that has moved on rows have left.
	if !known || !c.query.Filter(v.at).From.Equal(c.from) || c.query.Unacked && (v.back || len(ids) > 0) {
		v.stale = v.at
		if !v.paused {
			return nil, nil
		}
	}
	if known && len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.rowsOf(ctx, c, ids, known)
	if err != nil {
		return nil, err
	}
	f := &frame{}
	for _, r := range rows {
		if r.Event.ID <= v.since {
			f.changed = append(f.changed, r)
		}
	}
	if len(f.changed) == 0 {
		return nil, nil
	}
	return s.changesFor(c, f, v.since, v.stale), nil
}

// rowsOf is the rows of those of ids that c shows; of a whole table when they
// are not known.
func (s *stage) rowsOf(ctx context.Context, c *crowd, ids []int64, known bool) ([]views.Row, error) {
	if !known {
		return s.table(ctx, c)
	}
	events, err := s.source.EventsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	if c.matcher != nil {
		events = slices.DeleteFunc(events, func(e models.Event) bool { return !c.matcher.Match(&e) })
	}
	rows := views.Group(events, nil, len(events))
	mail, err := s.mailOf(ctx, rows)
	for i := range rows {
		rows[i].Mail = mail[rows[i].Event.ID]
	}
	return rows, err
}
