package hub

import (
	"context"

	"alerthub/models"
)

// Events returns a page of events, newest first.
func (h *Hub) Events(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	return h.store.Events(ctx, f)
}

// EventsAfter returns up to limit events with larger ids, oldest first.
func (h *Hub) EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error) {
	return h.store.EventsAfter(ctx, after, limit)
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
	stats.Process.EmailSentOK = h.mail.SentOK()
	stats.Process.EmailSentFail = h.mail.SentFail()
	return stats, nil
}

// Health tells what is wrong now.
func (h *Hub) Health() models.Health {
	var health models.Health
	if why := h.sick.Load(); why != nil {
		health.Storage = *why
	}
	health.Email = h.mail.Paused()
	return health
}

// Queued returns how many events wait for their commit.
func (h *Hub) Queued() int64 { return h.queued.Load() }
