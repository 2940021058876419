package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"alerthub/models"
)

// probeInterval is how often a sick store is tried, so that it is known to be
// well again without waiting for an event.
const probeInterval = time.Second

// Run commits what is submitted until Close was called and everything
// accepted is answered. A batch is whatever arrived while the last commit ran:
// the fsync is the batching window, there is no timer.
func (h *Hub) Run(ctx context.Context) error {
	// A cancelled context must not break a transaction half-way: what was
	// accepted is committed, and Close ends the loop.
	ctx = context.WithoutCancel(ctx)
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	var next *group // taken from the queue, but too large for the last batch
	for {
		first := next
		next = nil
		if first == nil {
			var open bool
			select {
			case first, open = <-h.queue:
				if !open {
					return nil
				}
			case <-probe.C:
				h.probe(ctx)
				continue
			}
		}
		var batch []*group
		batch, next = h.gather(first)
		h.commit(ctx, batch)
	}
}

// gather takes all that waits, up to MaxBatch events. The second result did
// not fit and starts the next batch.
func (h *Hub) gather(first *group) (batch []*group, next *group) {
	batch = []*group{first}
	for size := len(first.records); size < h.cfg.MaxBatch; {
		select {
		case g, open := <-h.queue:
			if !open {
				return batch, nil
			}
			if size += len(g.records); size > h.cfg.MaxBatch {
				return batch, g
			}
			batch = append(batch, g)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit stores one batch, answers everybody who waits for it, and then tells
// the rest of the hub.
func (h *Hub) commit(ctx context.Context, batch []*group) {
	records := batch[0].records
	if len(batch) > 1 {
		size := 0
		for _, g := range batch {
			size += len(g.records)
		}
		records = make([]models.Record, 0, size)
		for _, g := range batch {
			records = append(records, g.records...)
		}
	}
	start := h.cfg.Now()
	receipts, err := h.store.InsertBatch(ctx, records)
	if err == nil && len(receipts) != len(records) {
		err = fmt.Errorf("%d receipts for %d records", len(receipts), len(records))
	}
	h.setStorage(err)
	if err != nil && !errors.Is(err, models.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", models.ErrUnavailable, err)
	}
	h.commits.Add(1)
	at := 0
	for _, g := range batch {
		n := len(g.records)
		if err != nil {
			g.err = err
		} else {
			g.receipts = receipts[at : at+n : at+n]
		}
		at += n
		g.records = nil
		close(g.done)
		h.queued.Add(-int64(n))
		h.room.Release(min(int64(n), int64(h.cfg.Queue)))
	}
	if err != nil {
		return
	}
	h.cfg.Observe(len(receipts), h.cfg.Now().Sub(start))
	h.tell(receipts)
}

// tell publishes what was committed.
func (h *Hub) tell(receipts []models.Receipt) {
	pending := false
	for i := range receipts {
		r := &receipts[i]
		if !r.Recorded() {
			continue
		}
		if r.Event.Channel == models.ChannelTCP {
			h.byTCP.Add(1)
		} else {
			h.byHTTP.Add(1)
		}
		for _, a := range r.Alerts {
			pending = pending || a.Status == models.EmailPending
		}
	}
	h.live.EventsRecorded(receipts)
	if pending {
		h.mail.Wake()
	}
}

// setStorage keeps why events cannot be stored, and logs each change.
func (h *Hub) setStorage(err error) {
	was := h.sick.Load()
	switch {
	case err == nil && was != nil:
		h.sick.Store(nil)
		h.cfg.Logger.Info("storage works again")
	case err != nil:
		why := reason(err)
		h.sick.Store(&why)
		if was == nil {
			h.cfg.Logger.Error("cannot store events", "error", err)
		}
	}
}

// reason is what people are told of a storage fault: the database's own words
// where it has any for them, never the whole chain of errors.
func reason(err error) string {
	var worded interface{ Reason() string }
	if errors.As(err, &worded) {
		return worded.Reason()
	}
	return models.ErrUnavailable.Error()
}

// probe tries a sick store; a well one is left alone.
func (h *Hub) probe(ctx context.Context) {
	if h.sick.Load() != nil {
		h.setStorage(h.store.Probe(ctx))
	}
}
