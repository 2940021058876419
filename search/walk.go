package search

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"alerthub/models"
	"alerthub/query"
)

// A walk goes through the events that a filter selects, newest first, within
// bounds of time and of events looked at.
type walk struct {
	source  Source
	file    *file // nil: everything is scanned
	filter  models.EventFilter
	matcher *query.Matcher
	chunk   int // events of the first read

	deadline   time.Time
	now        func() time.Time
	candidates int // how many more may be looked at
	asked      bool
}

// newWalk makes a walk for one call. The caller holds x.mu for reading.
func (x *Index) newWalk(f models.EventFilter, deadline time.Time, chunk int) *walk {
	return &walk{
		source: x.source, file: x.file, filter: f, matcher: query.Compile(f), chunk: chunk,
		deadline: deadline, now: x.now, candidates: x.candidates,
	}
}

// errEnough ends a walk because its visitor has seen enough.
var errEnough = errors.New("enough")

// run calls visit for each selected event of the ids; visit may end the walk
// by errEnough. It returns the ids that it did not get to, as their highest: 0
// when there are none.
func (w *walk) run(ctx context.Context, ids idRange, visit func(*models.Event) error) (rest int64, err error) {
	if id := w.matcher.Terms().ID; id != 0 {
		ids = idRange{max(ids.low, id), min(ids.high, id)}
	}
	var watermark int64
	if w.file != nil {
		watermark = w.file.watermark.Load()
	}
	tail := idRange{max(ids.low, watermark+1), ids.high}
	before := w.candidates
	if rest, err = w.scan(ctx, tail, visit); err != nil || rest >= tail.low {
		return rest, err
	}
	w.asked = w.candidates < before // an empty tail is no answer
	below := idRange{ids.low, min(ids.high, watermark)}
	if below.low > below.high {
		return 0, nil
	}
	q, found, err := w.plan(ctx, below)
	if err != nil || !found {
		return 0, err
	}
	for _, ids := range w.file.zones.ranges(below, w.filter.From, w.filter.To) {
		switch {
		case w.spent():
			return ids.high, nil
		case q.expr == "" || ids.low == ids.high:
			rest, err = w.scan(ctx, ids, visit)
		default:
			rest, err = w.indexed(ctx, q, ids, visit)
		}
		if err != nil || rest >= ids.low {
			return rest, err
		}
	}
	return 0, nil
}

// spent reports whether the bounds are reached; never before one question was
// asked, so that each call comes further.
func (w *walk) spent() bool { return w.asked && (w.candidates <= 0 || !w.now().Before(w.deadline)) }

// scan looks at every event of the ids. It returns the highest id that it did
// not get to, ids.low-1 when there is none.
func (w *walk) scan(ctx context.Context, ids idRange, visit func(*models.Event) error) (rest int64, err error) {
	for ids.low <= ids.high {
		f := models.EventFilter{After: ids.low - 1, Limit: w.nextChunk()}
		if ids.high < math.MaxInt64 {
			f.Before = ids.high + 1
		}
		page, err := w.source.Events(ctx, f)
		if err != nil {
			return 0, err
		}
		if err := w.check(page.Events, visit); err != nil {
			return 0, err
		}
		if page.NextBefore == 0 {
			break
		}
		if ids.high = page.NextBefore - 1; w.spent() {
			return ids.high, nil
		}
	}
	return ids.low - 1, nil
}

// indexed asks the index. Nothing interrupts a question under way (the driver
// does not honour a context while rows are stepped over), so that it is asked
// about a window of ids at a time, sized by how long the last one took.
func (w *walk) indexed(ctx context.Context, q question, ids idRange, visit func(*models.Event) error) (rest int64, err error) {
	for ids.low <= ids.high {
		began := w.now()
		low := ids.low
		if ids.high-low >= q.window {
			low = ids.high - q.window + 1
		}
		chunk := w.nextChunk()
		found, err := queryInts(ctx, w.file.reader,
			"SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?", q.expr, low, ids.high, chunk)
		if err != nil {
			return 0, &indexError{err}
		}
		ids.high = low - 1
		if len(found) == chunk {
			ids.high = found[chunk-1] - 1
		}
		q.adjust(w.now().Sub(began))
		if len(found) > 0 {
			events, err := w.source.EventsByID(ctx, found)
			if err != nil {
				return 0, err
			}
			if err := w.check(events, visit); err != nil {
				return 0, err
			}
		}
		if w.spent() {
			return ids.high, nil
		}
	}
	return ids.low - 1, nil
}

// nextChunk is how many events to read: a page at first, then more.
func (w *walk) nextChunk() int {
	n := w.chunk
	w.chunk, w.asked = models.MaxLimit, true
	return n
}

func (w *walk) check(events []models.Event, visit func(*models.Event) error) error {
	w.candidates -= len(events)
	for i := range events {
		if !w.matcher.Match(&events[i]) {
			continue
		}
		if err := visit(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

// indexError is a fault of the index, not of the events.
type indexError struct{ err error }

func (e *indexError) Error() string { return "search index: " + e.err.Error() }
func (e *indexError) Unwrap() error { return e.err }

func sourceID(ctx context.Context, db queryer, name string) (int64, error) {
	var id int64
	err := db.QueryRowContext(ctx, "SELECT id FROM sources WHERE name=?", name).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = &indexError{err}
	}
	return id, err
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
