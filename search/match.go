package search

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"alerthub/models"
)

// manyMatches is how far matches of words are counted.
const manyMatches = 1000

// Match counts what f selects, whatever its ids and limit. By severity,
// channel, source and time it is exact, from kept counts: only parts of a
// minute at the ends of a window, and events not indexed yet, are looked at,
// for a bounded time. With words it counts to a thousand.
func (x *Index) Match(ctx context.Context, f models.EventFilter) (models.Match, error) {
	f.Before, f.After, f.Limit = 0, 0, 0
	if !f.Narrow() {
		return x.everything(ctx)
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	c := counter{index: x, filter: f, deadline: x.now().Add(x.counting), exact: true}
	c.filter.Severities = nil
	var err error
	switch {
	case f.Text != "" || f.Unacked || x.file == nil:
		err = c.walk(ctx, c.filter, idRange{1, math.MaxInt64}, manyMatches)
		if err == nil && !c.exact && len(f.Severities) > 0 {
			// Too many of all severities: count for those asked for alone.
			c.severity, c.filter, c.deadline = [4]int64{}, f, x.now().Add(x.counting)
			err = c.walk(ctx, c.filter, idRange{1, math.MaxInt64}, manyMatches)
		}
	default:
		err = c.kept(ctx)
	}
	if x.blame(ctx, err) {
		return models.Match{}, nil // at least none
	}
	return c.match(f.Severities), err
}

// everything counts all events.
func (x *Index) everything(ctx context.Context) (models.Match, error) {
	stats, err := x.source.Stats(ctx)
	if err != nil {
		return models.Match{}, err
	}
	m := models.Match{Total: stats.Events, Exact: true}
	for rank, s := range models.Severities() {
		m.Severity[rank] = stats.Severity[s]
	}
	return m, nil
}

// counter adds up what one filter selects.
type counter struct {
	index    *Index
	filter   models.EventFilter
	deadline time.Time

	severity [4]int64
	exact    bool
}

func (c *counter) match(severities []models.Severity) models.Match {
	m := models.Match{Exact: c.exact, Severity: c.severity}
	for rank, n := range c.severity {
		if len(severities) == 0 || slices.Contains(severities, models.Severities()[rank]) {
			m.Total += n
		}
	}
	return m
}

// walk counts one by one what f selects of the ids, up to most.
func (c *counter) walk(ctx context.Context, f models.EventFilter, ids idRange, most int) error {
	n := 0
	rest, err := c.index.newWalk(f, c.deadline, models.MaxLimit).run(ctx, ids, func(e *models.Event) error {
		if n++; n > most {
			return errEnough
		}
		c.severity[max(e.Severity.Rank(), 0)]++
		return nil
	})
	if errors.Is(err, errEnough) {
		c.exact = false
		return nil
	}
	c.exact = c.exact && rest == 0
	return err
}

// kept counts from the table, and by walks what the table cannot tell.
func (c *counter) kept(ctx context.Context) error {
	from, to := int64(math.MinInt64), int64(math.MaxInt64) // microseconds
	a, b := int64(beginning), int64(end)                   // whole minutes within
	if !c.filter.From.IsZero() {
		from = ceilMicro(c.filter.From)
		a = -minuteOf(-from)
	}
	if !c.filter.To.IsZero() {
		to = ceilMicro(c.filter.To)
		b = minuteOf(to)
	}
	if from >= to {
		return nil
	}
	watermark, err := c.table(ctx, a, b)
	if err != nil {
		return err
	}
	if err := c.walk(ctx, c.filter, idRange{watermark + 1, math.MaxInt64}, math.MaxInt); err != nil {
		return err
	}
	if a >= b { // no whole minute
		return c.edge(ctx, from, to, watermark)
	}
	if a != beginning {
		if err := c.edge(ctx, from, a*60_000_000, watermark); err != nil {
			return err
		}
	}
	if b != end {
		return c.edge(ctx, b*60_000_000, to, watermark)
	}
	return nil
}

// edge counts between two times, in microseconds, among the ids up to the watermark.
func (c *counter) edge(ctx context.Context, from, to, watermark int64) error {
	if from >= to {
		return nil
	}
	f := c.filter
	f.From, f.To = time.UnixMicro(from).UTC(), time.UnixMicro(to).UTC()
	return c.walk(ctx, f, idRange{1, watermark}, math.MaxInt)
}

// table adds the kept counts of the minutes from a to b-1, and returns up to
// which id they count: both as of one moment.
func (c *counter) table(ctx context.Context, a, b int64) (watermark int64, err error) {
	err = c.index.file.view(ctx, func(tx *sql.Tx) error {
		var late int64
		if err := tx.QueryRowContext(ctx, "SELECT watermark, (SELECT count(*) FROM late) FROM meta").Scan(&watermark, &late); err != nil {
			return err
		}
		c.exact = c.exact && late == 0
		if c.filter.Source == "" {
			return sumCounts(ctx, tx, a, b, "shard=0", func(_, facet, n int64) {
				addFacet(&c.severity, facet, n, c.filter.Channels)
			})
		}
		source, err := sourceID(ctx, tx, c.filter.Source)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		shard, low := place(source, 0)
		return sumCounts(ctx, tx, a, b, "shard="+itoa(shard), func(_, key, n int64) {
			if key >= low && key < low+facets {
				addFacet(&c.severity, key-low, n, c.filter.Channels)
			}
		})
	})
	return watermark, err
}

// view runs read in a read transaction: all of it sees one moment.
func (f *file) view(ctx context.Context, read func(tx *sql.Tx) error) error {
	tx, err := f.reader.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return &indexError{err}
	}
	err = read(tx)
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return &indexError{err}
	}
	return nil
}
