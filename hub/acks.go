package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"alerthub/models"
)

// Bounds of acknowledging by a filter.
const (
	ackRows = 500     // events of one transaction: whoever stores events waits for it
	maxAcks = 100_000 // events of one call

	keptBulks = 16
	bulkAge   = 10 * time.Minute
)

// Acknowledge marks events as taken care of, now, and returns those that it
// changed. Ids that are unknown, or acknowledged already, are left alone; any
// severity may be acknowledged. Many ids are not one transaction: with an
// error come the events that were changed before. The error is a
// *models.FieldError for the name, or the store's.
func (h *Hub) Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error) {
	ack, err := h.stamp(ack)
	if err != nil {
		return nil, err
	}
	return h.changed(h.store.Acknowledge(ctx, ids, ack))
}

// AcknowledgeGroup is Acknowledge for an event and its earlier repeats: those
// of its source, severity and message in the same minute of UTC. An unknown id
// is models.ErrNotFound.
func (h *Hub) AcknowledgeGroup(ctx context.Context, id int64, ack models.Ack) ([]models.Event, error) {
	ack, err := h.stamp(ack)
	if err != nil {
		return nil, err
	}
	return h.changed(h.store.AcknowledgeGroup(ctx, id, ack))
}

// Unacknowledge takes acknowledgements back and returns the events that it
// changed.
func (h *Hub) Unacknowledge(ctx context.Context, ids []int64) ([]models.Event, error) {
	return h.changed(h.store.Unacknowledge(ctx, ids))
}

// stamp gives an acknowledgement its time, and its name the kept form.
func (h *Hub) stamp(ack models.Ack) (models.Ack, error) {
	by, err := models.CleanName(ack.By)
	if err != nil {
		return models.Ack{}, err
	}
	ack.By, ack.At = by, h.cfg.Now().UTC().Truncate(time.Microsecond)
	return ack, nil
}

// changed tells the open pages of what was changed, even if then something failed.
func (h *Hub) changed(events []models.Event, err error) ([]models.Event, error) {
	if len(events) > 0 {
		h.live.EventsChanged(events)
	}
	return events, err
}

// AcknowledgeAll acknowledges the errors and criticals that f selects and
// nobody has acknowledged, the newest first, below the id f.Before: at most
// 100,000 in a call, in transactions of 500. It returns how many it changed,
// and a token for UndoAll ("" when there are none), also with an error half
// way.
func (h *Hub) AcknowledgeAll(ctx context.Context, f models.EventFilter, ack models.Ack) (token string, n int, err error) {
	if ack, err = h.stamp(ack); err != nil {
		return "", 0, err
	}
	f.Unacked, f.Limit = true, ackRows
	var ids []int64
	for len(ids) < maxAcks {
		var events []models.Event
		events, f.Before, err = h.acknowledgePage(ctx, f, ack)
		for i := range events {
			ids = append(ids, events[i].ID)
		}
		if err != nil || f.Before == 0 {
			break
		}
	}
	if len(ids) > 0 {
		token = h.bulks.keep(ids, ack.At)
	}
	return token, len(ids), err
}

// acknowledgePage acknowledges one page of what f selects; next continues as
// f.Before, 0 when nothing is left.
func (h *Hub) acknowledgePage(ctx context.Context, f models.EventFilter, ack models.Ack) (changed []models.Event, next int64, err error) {
	page, err := h.unacked(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	ids := make([]int64, len(page.Events))
	for i := range ids {
		ids[i] = page.Events[i].ID
	}
	changed, err = h.changed(h.store.Acknowledge(ctx, ids, ack))
	return changed, page.NextBefore, err
}

// UndoAll takes back what the AcknowledgeAll of a token did, and returns how
// many events it changed. Tokens of the last 16 are known for 10 minutes; any
// other is models.ErrNotFound. After an error the token can be tried again.
func (h *Hub) UndoAll(ctx context.Context, token string) (n int, err error) {
	ids, ok := h.bulks.find(token, h.cfg.Now())
	if !ok {
		return 0, fmt.Errorf("undo a bulk of acknowledgements: %w", models.ErrNotFound)
	}
	for chunk := range slices.Chunk(ids, ackRows) {
		events, err := h.Unacknowledge(ctx, chunk)
		if n += len(events); err != nil {
			return n, err
		}
	}
	h.bulks.drop(token)
	return n, nil
}

// bulks remembers which events the last bulks acknowledged, for their undo.
// When there are too many, the oldest is forgotten.
type bulks struct {
	mu   sync.Mutex
	list []bulk // oldest first
}

type bulk struct {
	token string
	at    time.Time
	ids   []int64
}

func (b *bulks) keep(ids []int64, at time.Time) (token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	token = rand.Text()
	b.list = append(b.list, bulk{token: token, at: at, ids: ids})
	if over := len(b.list) - keptBulks; over > 0 {
		b.list = slices.Delete(b.list, 0, over)
	}
	return token
}

func (b *bulks) find(token string, now time.Time) (ids []int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.list {
		if known.token == token && now.Sub(known.at) < bulkAge {
			return known.ids, true
		}
	}
	return nil, false
}

func (b *bulks) drop(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(known bulk) bool { return known.token == token })
}

// textWindow bounds the events that one search for words among the
// unacknowledged looks at.
const textWindow = 20 * models.MaxLimit

// unacked is a page of what nobody has acknowledged. The store reads all of f
// but its text, whose meaning is Config.Matcher's.
func (h *Hub) unacked(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	if f.Text == "" || h.cfg.Matcher == nil {
		return h.store.Events(ctx, f)
	}
	match := h.cfg.Matcher(f)
	limit := min(cmp.Or(f.Limit, models.DefaultLimit), models.MaxLimit)
	f.Text, f.Limit = "", models.MaxLimit
	var found models.EventPage
	for range textWindow / models.MaxLimit {
		page, err := h.store.Events(ctx, f)
		if err != nil {
			return models.EventPage{}, err
		}
		for i := range page.Events {
			if !match(&page.Events[i]) {
				continue
			}
			if len(found.Events) == limit {
				found.NextBefore = found.Events[limit-1].ID
				return found, nil
			}
			found.Events = append(found.Events, page.Events[i])
		}
		if page.NextBefore == 0 {
			return found, nil
		}
		f.Before = page.NextBefore
		if found.SearchedTo = page.SearchedTo; len(page.Events) > 0 && found.SearchedTo.IsZero() {
			found.SearchedTo = page.Events[len(page.Events)-1].CreatedAt
		}
	}
	found.NextBefore = f.Before
	return found, nil
}
