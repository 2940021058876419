package search

import (
	"context"
	"errors"
	"math"

	"alerthub/models"
)

// Events returns the events that f selects, newest first, at most f.Limit. It
// looks for a bounded time: a page that was cut short has a NextBefore to go
// on from, and says in SearchedTo how far it came.
func (x *Index) Events(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	page, err := x.page(ctx, f, x.file)
	if x.blame(ctx, err) {
		return x.page(ctx, f, nil)
	}
	return page, err
}

// blame reports whether the index is at fault, so that the caller does
// without it, and has a damaged one made anew. It never is once ctx is over:
// then the driver fails in words of its own.
func (x *Index) blame(ctx context.Context, err error) bool {
	var fault *indexError
	if !errors.As(err, &fault) || ctx.Err() != nil {
		return false
	}
	x.logger.Warn("search without index", "error", err)
	if damaged(err) {
		x.Rebuild()
	}
	return true
}

func (x *Index) page(ctx context.Context, f models.EventFilter, file *file) (models.EventPage, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = models.DefaultLimit
	}
	limit = min(limit, models.MaxLimit)
	w := x.newWalk(f, x.now().Add(x.patience), min(limit+1, models.MaxLimit))
	w.file = file
	var page models.EventPage
	// One event more than wanted tells whether there is anything older.
	rest, err := w.run(ctx, idsOf(&f), func(e *models.Event) error {
		if len(page.Events) == limit {
			page.NextBefore = page.Events[limit-1].ID
			return errEnough
		}
		page.Events = append(page.Events, *e)
		return nil
	})
	if errors.Is(err, errEnough) {
		return page, nil
	}
	if err != nil {
		return models.EventPage{}, err
	}
	if rest <= f.After {
		return page, nil
	}
	page.NextBefore = rest + 1
	last, err := x.source.EventsAfter(ctx, rest, 1)
	if err != nil {
		return models.EventPage{}, err
	}
	if len(last) > 0 {
		page.SearchedTo = last[0].CreatedAt
	}
	return page, nil
}

// idsOf is the ids that f speaks of.
func idsOf(f *models.EventFilter) idRange {
	ids := idRange{low: f.After + 1, high: math.MaxInt64}
	if f.Before > 0 {
		ids.high = f.Before - 1
	}
	return ids
}
