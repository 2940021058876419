package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// A filtered search walks down the ids in windows, so that a filter that
// matches little cannot hold a connection for seconds: the driver does not
// honour a query's context, and nothing interrupts a scan under way. The
// context is looked at between windows.
const (
	searchWindow = 25_000  // ids looked at by one query
	searchBudget = 100_000 // ids looked at by one call
)

// Events returns events newest first, at most f.Limit (see
// models.EventFilter). With conditions other than ids it looks at a bounded
// number of rows, so that a page may be short, even empty, and still have a
// NextBefore to go on from.
func (s *Store) Events(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	if f.Unacked {
		return s.unackedEvents(ctx, f)
	}
	limit := pageLimit(f.Limit)
	query, narrow := conditions(s.visibleRows(ctx), f)
	top, err := s.lastEventID(ctx)
	if err != nil {
		return models.EventPage{}, err
	}
	if f.Before > 0 {
		top = min(top, f.Before-1)
	}
	window := top - f.After // ids alone: the primary key finds the page
	floor := f.After
	if narrow {
		window = searchWindow
		floor = max(f.After, top-searchBudget)
	}
	var page models.EventPage
	hidden := s.reservedIDs()
	var low int64
	for high := hidden.below(top); high > floor; high = hidden.below(low) {
		if err := ctx.Err(); err != nil {
			return models.EventPage{}, err
		}
		if low = max(floor, high-window); high > hidden.to {
			low = max(low, hidden.to)
		}
		var rows []eventRow
		// One row more than wanted tells whether there is anything older.
		err := query.Session(&gorm.Session{}).Where("id > ? AND id <= ?", low, high).
			Order("id DESC").Limit(limit - len(page.Events) + 1).Find(&rows).Error
		if err != nil {
			return models.EventPage{}, fmt.Errorf("search events: %w", err)
		}
		events, err := convert(rows, (*eventRow).event)
		if err != nil {
			return models.EventPage{}, err
		}
		if page.Events = append(page.Events, events...); len(page.Events) > limit {
			break
		}
	}
	return s.finish(ctx, page, limit, floor, f.After)
}

// finish cuts a page to its limit and says where it goes on, if the search
// found more or ended at a floor of its own above after.
func (s *Store) finish(ctx context.Context, page models.EventPage, limit int, floor, after int64) (models.EventPage, error) {
	switch {
	case len(page.Events) > limit:
		page.Events = page.Events[:limit]
		page.NextBefore = page.Events[limit-1].ID
	case floor > after:
		page.NextBefore = floor + 1
		var last []eventRow
		err := s.visibleRows(ctx).Select("id", "created_at").Where("id > ?", floor).Order("id").Limit(1).Find(&last).Error
		if err != nil {
			return models.EventPage{}, fmt.Errorf("search events: %w", err)
		}
		for i := range last {
			if page.SearchedTo, err = models.ParseTime(last[i].CreatedAt); err != nil {
				return models.EventPage{}, fmt.Errorf("event %d: created_at: %w", last[i].ID, err)
			}
		}
	}
	return page, nil
}

// conditions adds what f asks besides ids, and reports whether that is anything.
func conditions(q *gorm.DB, f models.EventFilter) (*gorm.DB, bool) {
	narrow := false
	where := func(condition string, args ...any) {
		q, narrow = q.Where(condition, args...), true
	}
	if !f.From.IsZero() {
		where("created_at >= ?", models.FormatTime(ceilMicrosecond(f.From)))
	}
	if !f.To.IsZero() {
		where("created_at < ?", models.FormatTime(ceilMicrosecond(f.To)))
	}
	if len(f.Severities) > 0 {
		where("severity IN ?", f.Severities)
	}
	if len(f.Channels) > 0 {
		where("channel IN ?", f.Channels)
	}
	if f.Source != "" {
		where("source = ?", f.Source)
	}
	if f.Text != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Text) + "%"
		where(`(source LIKE ? ESCAPE '\' OR message LIKE ? ESCAPE '\')`, pattern, pattern)
	}
	return q, narrow
}

// ceilMicrosecond rounds up: stored times are whole microseconds, so that
// "at or after t" and "before t" mean the same for t and for its ceiling.
func ceilMicrosecond(t time.Time) time.Time {
	if down := t.Truncate(time.Microsecond); !down.Equal(t) {
		return down.Add(time.Microsecond)
	}
	return t
}

// EventsAfter returns at most limit events with ids above after, oldest
// first. A limit outside 1 to models.MaxLimit is brought into it.
func (s *Store) EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error) {
	if hidden := s.reservedIDs(); after >= hidden.after {
		after = max(after, hidden.to)
	}
	var rows []eventRow
	err := s.visibleRows(ctx).Where("id > ?", after).Order("id").Limit(pageLimit(limit)).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read events after %d: %w", after, err)
	}
	return convert(rows, (*eventRow).event)
}

// Event returns one event, or models.ErrNotFound.
func (s *Store) Event(ctx context.Context, id int64) (models.Event, error) {
	var row eventRow
	err := s.visibleRows(ctx).Where("id = ?", id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Event{}, fmt.Errorf("event %d: %w", id, models.ErrNotFound)
	}
	if err != nil {
		return models.Event{}, fmt.Errorf("read event %d: %w", id, err)
	}
	return row.event()
}

// newestID is the id of the newest visible event, after the ids that a running
// import has reserved or else before them.
const newestID = "coalesce((SELECT max(id) FROM events WHERE id > ?), ?)"

func (s *Store) lastEventID(ctx context.Context) (id int64, err error) {
	hidden := s.reservedIDs()
	if err := s.gormR.WithContext(ctx).Raw("SELECT "+newestID, hidden.to, hidden.after).Scan(&id).Error; err != nil {
		return 0, fmt.Errorf("read the last event id: %w", err)
	}
	return id, nil
}

// pageLimit brings a limit into its range; 0 and less mean the default.
func pageLimit(n int) int {
	if n <= 0 {
		return models.DefaultLimit
	}
	return min(n, models.MaxLimit)
}
