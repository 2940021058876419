package handlers

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// listAlerts answers a page of the outbox.
func (h *Handler) listAlerts(c echo.Context) error {
	f, err := alertFilter(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	alerts, err := h.svc.EmailAlerts(c.Request().Context(), f)
	if err != nil {
		return err
	}
	var next *int64
	if n := len(alerts); n == f.Limit {
		next = &alerts[n-1].ID
	}
	return answer(c, struct {
		Alerts     []wire.EmailAlert `json:"alerts"`
		NextBefore *int64            `json:"next_before"`
	}{wire.FromEmailAlerts(alerts), next})
}

// alertFilter reads the parameters of a list of alerts, by the rules of
// eventFilter.
func alertFilter(rawQuery string) (models.EmailFilter, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return models.EmailFilter{}, refuse(invalidParameter, fieldError{"query", "must be well-formed (escape % as %25 and ; as %3B)"})
	}
	q := parameters{values: values}
	f := models.EmailFilter{
		Limit:   int(q.integer("limit", models.DefaultLimit, 1, models.MaxLimit)),
		Before:  q.integer("before", 0, 1, maxID),
		Status:  word(&q, "status", models.EmailStatuses()),
		Channel: word(&q, "channel", []string{models.DeliveryEmail, models.DeliveryWebhook}),
		Contact: q.text("contact"),
	}
	if event := q.integer("event", 0, 1, maxID); event > 0 {
		f.EventIDs = []int64{event}
	}
	if len(q.wrong) > 0 {
		return models.EmailFilter{}, refuse(invalidParameter, q.wrong...)
	}
	return f, nil
}

// getAlert answers one alert with the tries of the message that tells of it.
func (h *Handler) getAlert(c echo.Context) error {
	ctx := c.Request().Context()
	alert, err := h.alertOf(ctx, c)
	if err != nil {
		return err
	}
	attempts, err := h.svc.AlertAttempts(ctx, carrierOf(alert))
	if err != nil {
		return err
	}
	return answer(c, struct {
		wire.EmailAlert
		Tries []wire.Attempt `json:"tries"`
	}{wire.FromEmailAlerts([]models.EmailAlert{alert})[0], wire.FromAttempts(attempts)})
}

// postAlertRetry has a failed alert tried again, and answers the alert whose
// message that is.
func (h *Handler) postAlertRetry(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	by, err := readBy(c)
	if err != nil {
		return err
	}
	alert, err := h.svc.RetryAlert(c.Request().Context(), id, ackOf(c, by))
	if err != nil {
		return err
	}
	h.record(c, by, models.AuditAlertRetry, "alert "+itoa(id), "")
	return answer(c, wire.FromEmailAlerts([]models.EmailAlert{alert})[0])
}

// postAlertsCancel cancels what is pending for a contact, of a source, or both.
func (h *Handler) postAlertsCancel(c echo.Context) error {
	body, err := readJSON(c)
	if err != nil {
		return err
	}
	sel, by, err := wire.DecodeCancellation(body)
	if err != nil {
		return err
	}
	if by, err = models.CleanName(by); err != nil {
		return err
	}
	n, err := h.svc.CancelAlerts(c.Request().Context(), sel, ackOf(c, by))
	h.recordCancel(c, by, sel, n)
	switch {
	case err != nil && n > 0:
		p := problemOf(err)
		p.Cancelled, p.Detail = n, "The hub could not go on. Alerts cancelled before that: "+itoa(n)+". The others are as they were; ask again later."
		return p
	case err != nil:
		return err
	}
	return answer(c, map[string]int64{"cancelled": n})
}
