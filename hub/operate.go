package hub

import (
	"context"
	"fmt"

	"alerthub/models"
)

// Outbox is what people ask of alerts and do to them; package store documents
// each method.
type Outbox interface {
	Attempts(ctx context.Context, id int64) ([]models.Attempt, error)
	Retry(ctx context.Context, id int64, by models.Ack) (models.EmailAlert, error)
	CountPending(ctx context.Context, sel models.Cancellation, limit int) (int64, error)
	Cancel(ctx context.Context, sel models.Cancellation, by models.Ack) (int64, error)
}

// EmailAlert returns one row of the outbox, or models.ErrNotFound.
func (h *Hub) EmailAlert(ctx context.Context, id int64) (models.EmailAlert, error) {
	list, err := h.store.EmailAlerts(ctx, models.EmailFilter{Before: id + 1, Limit: 1})
	switch {
	case err != nil:
		return models.EmailAlert{}, err
	case len(list) == 0 || list[0].ID != id:
		return models.EmailAlert{}, fmt.Errorf("alert %d: %w", id, models.ErrNotFound)
	}
	return list[0], nil
}

// AlertAttempts returns the tries of the message that a row carries, the
// oldest first.
func (h *Hub) AlertAttempts(ctx context.Context, id int64) ([]models.Attempt, error) {
	return h.store.Attempts(ctx, id)
}

// RetryAlert has a failed alert tried again now, with all of the digest that it
// belongs to, and returns the row that carries the message. The error is a
// *models.FieldError for the name, or wraps models.ErrNotFound,
// models.ErrNotFailed or models.ErrUnavailable.
func (h *Hub) RetryAlert(ctx context.Context, id int64, ack models.Ack) (models.EmailAlert, error) {
	ack, err := h.stamp(ack)
	if err != nil {
		return models.EmailAlert{}, err
	}
	alert, err := h.store.Retry(ctx, id, ack)
	if err != nil {
		return alert, err
	}
	h.cfg.Logger.Info("alert tried again", "alert", alert.ID, "by", ack.By, "peer", ack.Peer)
	// The rows of a digest that had failed with it are pending again too.
	if told, err := h.store.EmailAlerts(ctx, models.EmailFilter{MailID: alert.ID, Limit: 2}); err != nil || len(told) > 1 {
		h.live.AlertsChanged()
	} else {
		h.live.AlertUpdated(alert)
	}
	h.mail.Replan()
	return alert, nil
}

// CountPending tells how many alerts CancelAlerts would end now; limit means
// that there may be more.
func (h *Hub) CountPending(ctx context.Context, sel models.Cancellation, limit int) (int64, error) {
	return h.store.CountPending(ctx, sel, limit)
}

// CancelAlerts ends what is pending for a contact, of a source, or what is
// both, and returns how many alerts that were, also with an error half way.
// The error is a *models.FieldError for the name or a selection of everything,
// or the store's.
func (h *Hub) CancelAlerts(ctx context.Context, sel models.Cancellation, ack models.Ack) (int64, error) {
	if sel == (models.Cancellation{}) {
		return 0, &models.FieldError{Field: "contact", Reason: "or a source must be named"}
	}
	ack, err := h.stamp(ack)
	if err != nil {
		return 0, err
	}
	n, err := h.store.Cancel(ctx, sel, ack)
	if err != nil {
		h.cfg.Logger.Warn("cancel cut short", "count", n, "error", err)
	}
	if n > 0 || err != nil {
		h.cfg.Logger.Info("alerts cancelled", "count", n, "contact", sel.Contact, "source", sel.Source, "by", ack.By, "peer", ack.Peer)
		h.live.AlertsChanged()
		h.mail.Replan()
	}
	return n, err
}
