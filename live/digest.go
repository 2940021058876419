package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

const (
	// rowsPerFrame bounds what one frame draws; it is frames and rows that cost
	// a browser, so what is more is counted and linked.
	rowsPerFrame = 20

	// considered bounds the events of one frame that are grouped into rows: as
	// many as a page reads when it is rendered.
	considered = tableReads

	// matchesPerFrame bounds the events that are held against filters for one
	// frame. Filters beyond it are told that there were events, not which.
	matchesPerFrame = 200_000
)

// digest is what has happened since the last frame.
type digest struct {
	from int64 // what everybody was told before
	parcel
	first models.Event
	last  models.Event // first and last of the events, when they were missed and could be read

	born  []views.AlertLine // emails born with them, the newest first, at most rowsPerFrame
	more  bool              // there were more of both than one frame draws
	lines []views.AlertLine // older emails in their new state, the newest first

	changed []models.Event // events that were told before in their new state, the newest first
	acks    bool           // some of them were acknowledged, or that was taken back
	lost    bool           // more has changed than these tell

	mail        map[int64]models.EmailStatus // of the events in batches that caused some
	changedMail map[int64]models.EmailStatus // of those of changed that were read
	selections  map[string]*selection
	budget      int // matches left
}

// quiet reports whether nothing has happened.
func (d *digest) quiet() bool {
	return d.from == d.upTo && len(d.changed)+len(d.lines) == 0 && !d.lost
}

// readBorn takes the emails out of the batches. updated holds those that have
// a newer state already.
func (d *digest) readBorn(updated map[int64]models.EmailAlert) {
	var all []models.EmailAlert
	for _, receipts := range slices.Backward(d.batches) {
		for i := len(receipts) - 1; i >= 0; i-- {
			r := &receipts[i]
			if !r.Recorded() {
				continue
			}
			for _, a := range slices.Backward(r.Alerts) {
				if newer, ok := updated[a.ID]; ok {
					a = newer
					delete(updated, a.ID)
				}
				all = append(all, a)
				if len(d.born) < rowsPerFrame {
					d.born = append(d.born, views.AlertLine{Alert: a, Event: r.Event})
				}
			}
		}
	}
	d.more = len(all)+len(updated) > rowsPerFrame
	d.mail = views.MailByEvent(all)
}

// selection is what one filter lets through of a digest.
type selection struct {
	count     int64    // how many events
	severity  [4]int64 // by Severity.Rank
	unsure    bool     // count is the most that it can be, and severity unknown
	rows      []views.Row
	gap       *views.Gap     // what rows leave out; its link goes to the list of this filter
	criticals []models.Event // the newest flashes of them, the newest first
}

// flashes bounds the critical events that one frame calls out.
const flashes = 5

// selectFor is the selection of c's filter, made once for all who share it.
func (d *digest) selectFor(c *crowd) *selection {
	sel := d.selections[c.filter]
	if sel == nil {
		sel = d.makeSelection(c.query, c.matcher)
		if d.selections == nil {
			d.selections = make(map[string]*selection)
		}
		d.selections[c.filter] = sel
	}
	return sel
}

func (d *digest) makeSelection(q query.Query, matcher *query.Matcher) *selection {
	total := int(d.count)
	if d.missed || matcher != nil && total > d.budget {
		return d.unseen(q, matcher != nil)
	}
	sel := &selection{}
	matched := make([]*models.Event, 0, min(total, considered))
	for _, receipts := range d.batches {
		for i := range receipts {
			r := &receipts[i]
			if !r.Recorded() || matcher != nil && !matcher.Match(&r.Event) {
				continue
			}
			matched = append(matched, &r.Event)
			sel.severity[r.Event.Severity.Rank()]++
		}
	}
	if matcher != nil {
		d.budget -= total
	}
	sel.count = int64(len(matched))
	for i := len(matched) - 1; i >= 0 && len(sel.criticals) < flashes; i-- {
		if matched[i].Severity == models.SeverityCritical {
			sel.criticals = append(sel.criticals, *matched[i])
		}
	}
	rows := views.Group(candidates(matched), d.mail, considered)
	sel.rows = admit(rows)
	sel.gap = leftOut(matched, sel.rows, q)
	return sel
}

// unseen is the selection of events of which only the ids are known.
func (d *digest) unseen(q query.Query, filtered bool) *selection {
	sel := &selection{count: d.count, unsure: filtered}
	if sel.count == 0 {
		return sel
	}
	first, last := d.first, d.last
	if !d.missed {
		first, last = d.ends()
	}
	sel.gap = gapBetween(&first, &last, sel.count, q)
	sel.gap.FromID, sel.gap.ToID = d.from+1, d.upTo
	sel.gap.AtMost = filtered
	return sel
}

// ends is the first and the last event of the batches.
func (d *digest) ends() (first, last models.Event) {
	for _, receipts := range d.batches {
		for i := range receipts {
			if e := &receipts[i].Event; receipts[i].Recorded() {
				if first.ID == 0 {
					first = *e
				}
				last = *e
			}
		}
	}
	return first, last
}

// candidates are the events that rows are made of, the newest first: all, or
// of more than considered the criticals, the errors, and then the newest.
func candidates(matched []*models.Event) []models.Event {
	picked := matched
	if len(matched) > considered {
		picked = make([]*models.Event, 0, considered)
		for class := range classes {
			for i := len(matched) - 1; i >= 0 && len(picked) < considered; i-- {
				if classOf(matched[i].Severity) == class {
					picked = append(picked, matched[i])
				}
			}
		}
		slices.SortFunc(picked, func(a, b *models.Event) int { return cmp.Compare(a.ID, b.ID) })
	}
	events := make([]models.Event, 0, len(picked))
	for _, e := range slices.Backward(picked) {
		events = append(events, *e)
	}
	return events
}

// classes is how many classes of severities are drawn one before the other.
const classes = 3

// classOf is 0 for what is drawn first.
func classOf(s models.Severity) int {
	switch s {
	case models.SeverityCritical:
		return 0
	case models.SeverityError:
		return 1
	}
	return 2
}

// admit chooses the rows of one frame, the newest first as they came.
func admit(rows []views.Row) []views.Row {
	if len(rows) > rowsPerFrame {
		slices.SortStableFunc(rows, func(a, b views.Row) int {
			return cmp.Compare(classOf(a.Event.Severity), classOf(b.Event.Severity))
		})
		rows = rows[:rowsPerFrame:rowsPerFrame]
		slices.SortFunc(rows, func(a, b views.Row) int { return cmp.Compare(b.Event.ID, a.Event.ID) })
	}
	for i := range rows {
		rows[i].Fresh = true
	}
	return rows
}

// leftOut is the gap of what is matched and stands behind none of rows; nil
// when nothing is left out.
func leftOut(matched []*models.Event, rows []views.Row, q query.Query) *views.Gap {
	count := int64(len(matched))
	drawn := make(map[int64]bool, len(rows))
	for i := range rows {
		count -= int64(rows[i].N)
		drawn[rows[i].Event.ID] = true
	}
	if count == 0 {
		return nil
	}
	hidden := func(e *models.Event) bool { return !drawn[e.ID] }
	first := slices.IndexFunc(matched, hidden)
	last := len(matched) - 1
	for last > first && drawn[matched[last].ID] {
		last--
	}
	return gapBetween(matched[first], matched[last], count, q)
}

// gapBetween is a gap from first to last, which links to the list of q in that
// time.
func gapBetween(first, last *models.Event, count int64, q query.Query) *views.Gap {
	gap := &views.Gap{Count: count, FromID: first.ID, ToID: last.ID, From: first.CreatedAt, To: last.CreatedAt}
	if first.ID > 0 {
		q = q.WithWindow(gap.From, gap.To.Add(time.Microsecond)) // the end of a window is not part of it
	}
	gap.Link = q.URL("/events")
	return gap
}

// readEnds reads the first and last event of an overflow, for the times of the
// gap; now stands in for them.
func (d *digest) readEnds(ctx context.Context, source Source, now time.Time) error {
	d.first.CreatedAt, d.last.CreatedAt = now, now
	events, err := source.EventsByID(ctx, []int64{d.from + 1, d.upTo})
	if len(events) > 0 {
		d.last, d.first = events[0], events[len(events)-1]
	}
	return err
}
