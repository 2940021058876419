package watch

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"alerthub/models"
)

const (
	// remembered is how far back a new Run looks for what was told.
	remembered = 24 * time.Hour
	// Bounds of the search for an alert that a paused lane holds back.
	heldPage, heldPages = 200, 20
)

// restoreTold reads from the hub's own events who was told what.
func (w *Watch) restoreTold(ctx context.Context) error {
	if !w.naming() {
		return nil
	}
	clear(w.outages)
	page, err := w.hub.Events(ctx, models.EventFilter{Source: models.SourceHub, From: w.cfg.Now().Add(-remembered), Limit: models.MaxLimit})
	if err != nil {
		return err
	}
	for _, e := range page.Events { // the newest first
		var n note
		if e.Source != models.SourceHub || e.Peer != "" || json.Unmarshal([]byte(e.RawPayload), &n) != nil || n.Failing == "" {
			continue // a device may call itself so
		}
		if w.told[n.Failing].Before(e.CreatedAt) {
			w.told[n.Failing] = e.CreatedAt
		}
		if n.Alert != 0 {
			continue
		}
		worked, err := w.workedSince(ctx, n.lane(), e.CreatedAt)
		if err != nil {
			return err
		}
		if !worked {
			w.outage(n.lane()).told[n.Failing] = true
		}
	}
	return nil
}

// workedSince reports whether a lane has delivered anything since.
func (w *Watch) workedSince(ctx context.Context, lane models.Lane, since time.Time) (bool, error) {
	rows, err := w.hub.EmailAlerts(ctx, models.EmailFilter{Status: models.EmailSent, Channel: lane.Channel, Contact: lane.Contact, Limit: models.MaxLimit})
	return slices.ContainsFunc(rows, func(a models.EmailAlert) bool {
		return laneOf(a.Contact, a.Channel, a.Recipient) == lane && a.UpdatedAt.After(since)
	}), err
}

// holds reports whether a lane holds back what another event than the hub's
// own is about: only that is worth an event, or two contacts that name each
// other would be told for ever.
func (w *Watch) holds(ctx context.Context, lane models.Lane) bool {
	ctx, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	f := models.EmailFilter{Status: models.EmailPending, Channel: lane.Channel, Contact: lane.Contact, Limit: heldPage}
	for range heldPages {
		rows, err := w.hub.EmailAlerts(ctx, f)
		if err != nil {
			w.log.Warn("what a paused lane holds is not read", "error", err)
			return false
		}
		var ids []int64
		for _, a := range rows {
			if laneOf(a.Contact, a.Channel, a.Recipient) == lane {
				ids = append(ids, a.EventID)
			}
			f.Before = a.ID
		}
		events, err := w.hub.EventsByID(ctx, ids)
		if err != nil {
			w.log.Warn("what a paused lane holds is not read", "error", err)
			return false
		}
		if slices.ContainsFunc(events, func(e models.Event) bool { return e.Source != models.SourceHub }) {
			return true
		}
		if len(rows) < heldPage {
			return false
		}
	}
	return true // so much is more than the hub's own
}
