package handlers

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/models"
)

// Audit keeps who did what.
type Audit interface {
	// Record writes that the actor of ctx did action to object, also when ctx
	// has ended, and within a few seconds. It logs its error: what was done is done.
	Record(ctx context.Context, action models.AuditAction, object, detail string) error
	// AuditLog reads what was recorded, the newest first.
	AuditLog(ctx context.Context, f models.AuditFilter) ([]models.AuditEntry, error)
}

// noAudit stands for a hub that keeps none.
type noAudit struct{}

// Record keeps nothing.
func (noAudit) Record(context.Context, models.AuditAction, string, string) error { return nil }

// AuditLog is empty.
func (noAudit) AuditLog(context.Context, models.AuditFilter) ([]models.AuditEntry, error) {
	return nil, nil
}

// record tells the audit log what this request has done. by is a name that was
// typed: it is kept for those of whom nothing else is known.
func (h *Handler) record(c echo.Context, by string, action models.AuditAction, object, detail string) {
	ctx := c.Request().Context()
	actor := models.ActorOf(ctx)
	actor.Name, actor.Address = cmp.Or(actor.Name, by), cmp.Or(actor.Address, c.RealIP())
	_ = h.audit.Record(models.WithActor(ctx, actor), action, object, detail) // it has logged why
}

// recordedIDs is how many events a line of the log names.
const recordedIDs = 20

// recordEvents tells it of the events that this request has changed, if any.
func (h *Handler) recordEvents(c echo.Context, by string, action models.AuditAction, events []models.Event) {
	switch len(events) {
	case 0:
		return
	case 1:
		h.record(c, by, action, "event "+itoa(events[0].ID), "")
		return
	}
	var names []string
	for i := range events[:min(len(events), recordedIDs)] {
		names = append(names, "#"+itoa(events[i].ID))
	}
	if len(events) > recordedIDs {
		names = append(names, "…")
	}
	h.record(c, by, action, "events "+itoa(int64(len(events))), strings.Join(names, " "))
}

// recordCancel tells it of cancelled alerts, if there were any.
func (h *Handler) recordCancel(c echo.Context, by string, sel models.Cancellation, n int64) {
	if n == 0 {
		return
	}
	selected := url.Values{}
	for name, value := range map[string]string{"contact": sel.Contact, "source": sel.Source} {
		if value != "" {
			selected.Set(name, value)
		}
	}
	h.record(c, by, models.AuditAlertCancel, "alerts "+itoa(n), selected.Encode())
}
