package hub

import (
	"context"
	"slices"

	"alerthub/models"
)

// Events returns a page of events, newest first. Whatever asks for more than
// ids is searched by the index; the store knows what is unacknowledged.
func (h *Hub) Events(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	switch {
	case f.Unacked:
		return h.unacked(ctx, f)
	case h.cfg.Index != nil && f.Narrow():
		return h.cfg.Index.Events(ctx, f)
	}
	return h.store.Events(ctx, f)
}

// Match counts what f selects, whatever its ids and limit: exactly from kept
// counters when it names severities and what is unacknowledged alone, among
// the newest models.MaxLimit when it asks for more of the unacknowledged, else
// as the index does. Without one, nothing is counted.
func (h *Hub) Match(ctx context.Context, f models.EventFilter) (models.Match, error) {
	all := f
	all.Severities, all.Before, all.After, all.Limit = nil, 0, 0, 0
	rest := all
	rest.Unacked = false
	switch {
	case !rest.Narrow():
		return h.counted(ctx, f)
	case f.Unacked:
		all.Limit = models.MaxLimit
		page, err := h.unacked(ctx, all)
		if err != nil {
			return models.Match{}, err
		}
		match := models.Match{Exact: page.NextBefore == 0}
		for i := range page.Events {
			match.Severity[page.Events[i].Severity.Rank()]++
		}
		match.Total = totalOf(match.Severity, f.Severities)
		return match, nil
	case h.cfg.Index != nil:
		return h.cfg.Index.Match(ctx, f)
	}
	return models.Match{}, nil
}

// counted is a Match from kept counters.
func (h *Hub) counted(ctx context.Context, f models.EventFilter) (models.Match, error) {
	match := models.Match{Exact: true}
	if f.Unacked {
		a, err := h.store.Attention(ctx, 0)
		if err != nil {
			return models.Match{}, err
		}
		match.Severity[models.SeverityError.Rank()] = a.Errors
		match.Severity[models.SeverityCritical.Rank()] = a.Critical
	} else {
		stats, err := h.store.Stats(ctx)
		if err != nil {
			return models.Match{}, err
		}
		for _, severity := range models.Severities() {
			match.Severity[severity.Rank()] = stats.Severity[severity]
		}
	}
	match.Total = totalOf(match.Severity, f.Severities)
	return match, nil
}

// totalOf sums the counts of some severities, or of all when there are none.
func totalOf(counts [4]int64, severities []models.Severity) (total int64) {
	for _, severity := range models.Severities() {
		if len(severities) == 0 || slices.Contains(severities, severity) {
			total += counts[severity.Rank()]
		}
	}
	return total
}

// TopSources returns the n sources that reported most in a window, the
// busiest first; nothing without an index.
func (h *Hub) TopSources(ctx context.Context, w models.Window, n int) ([]models.SourceCount, error) {
	if h.cfg.Index == nil {
		return nil, nil
	}
	return h.cfg.Index.TopSources(ctx, w, n)
}

// Sources returns n known sources, the most recent first; none without an
// index.
func (h *Hub) Sources(ctx context.Context, n int) ([]string, error) {
	if h.cfg.Index == nil {
		return nil, nil
	}
	return h.cfg.Index.Sources(ctx, n)
}

// Index tells how far the search index has come.
func (h *Hub) Index() models.IndexState {
	if h.cfg.Index == nil {
		return models.IndexState{}
	}
	return h.cfg.Index.State()
}

// Attention returns how many events wait for a person, and at most limit of
// them: the newest criticals, then the newest errors.
func (h *Hub) Attention(ctx context.Context, limit int) (models.Attention, error) {
	return h.store.Attention(ctx, limit)
}

// Series counts what each bar of w held. What is older than models.RollupFold
// counts for the bar in which its half-hour begins.
func (h *Hub) Series(ctx context.Context, w models.Window) (models.Series, error) {
	return h.store.Series(ctx, w)
}

// EventsAfter returns up to limit events with larger ids, oldest first.
func (h *Hub) EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error) {
	return h.store.EventsAfter(ctx, after, limit)
}

// EventsByID returns those of ids that there are, newest first.
func (h *Hub) EventsByID(ctx context.Context, ids []int64) ([]models.Event, error) {
	return h.store.EventsByID(ctx, ids)
}

// Event returns one event, or models.ErrNotFound.
func (h *Hub) Event(ctx context.Context, id int64) (models.Event, error) {
	return h.store.Event(ctx, id)
}

// EmailAlerts returns a page of the outbox, newest first.
func (h *Hub) EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error) {
	return h.store.EmailAlerts(ctx, f)
}

// Stats returns the kept counters and those of this process.
func (h *Hub) Stats(ctx context.Context) (models.Stats, error) {
	stats, err := h.store.Stats(ctx)
	if err != nil {
		return models.Stats{}, err
	}
	stats.Process.TCPMessages = h.byTCP.Load()
	stats.Process.HTTPMessages = h.byHTTP.Load()
	stats.Process.EmailSentOK, stats.Process.EmailSentFail = h.mail.Finished(models.DeliveryEmail)
	return stats, nil
}

// Health tells what is wrong now.
func (h *Hub) Health() models.Health {
	var health models.Health
	if why := h.sick.Load(); why != nil {
		health.Storage = *why
	}
	health.Email, health.Pauses = h.mail.Paused(), h.mail.Pauses()
	return health
}

// Queued returns how many events wait for their commit.
func (h *Hub) Queued() int64 { return h.queued.Load() }
