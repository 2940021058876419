package handlers

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// getAlerts shows the newest emails, live, or those before ?before=; ?st=
// selects one status.
func (h *Handler) getAlerts(c echo.Context) error {
	ctx := reader(c)
	before, err := before(c)
	if err != nil {
		return err
	}
	status := models.EmailStatus(c.QueryParam("st"))
	if status != "" && !status.Valid() {
		return refuse(invalidParameter, fieldError{"st", "must be one of sent, failed, skipped, pending, digested, cancelled"})
	}
	figures, err := h.figures(ctx, 0)
	if err != nil {
		return err
	}
	d := views.AlertsData{
		Stats: figures.stats, Status: status, Before: before, At: h.now(),
		SMTPConfigured: h.info.SMTPConfigured, Missing: h.info.SMTPMissing,
	}
	day, err := h.svc.Series(ctx, models.Range24h.Window(d.At))
	if err != nil {
		return err
	}
	d.Counts = day.Total()
	if err := h.fillAlerts(ctx, &d); err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionAlerts, i18n.T(ctx, "nav.alerts"))
	p.Header, p.Refresh = figures.header(), before == 0
	if before == 0 {
		values := url.Values{}
		if status != "" {
			values.Set("st", string(status))
		}
		openSocket(ctx, &p, "alerts", values)
	}
	return render(ctx, c, http.StatusOK, views.Alerts(p, d))
}

// fillAlerts reads a page of emails, each with its event.
func (h *Handler) fillAlerts(ctx context.Context, d *views.AlertsData) error {
	// One more than is shown tells whether there are older ones.
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{Before: d.Before, Status: d.Status, Limit: views.AlertsCap + 1})
	if err != nil {
		return err
	}
	if len(alerts) > views.AlertsCap {
		alerts = alerts[:views.AlertsCap]
		d.Next = alerts[views.AlertsCap-1].ID
	}
	if len(alerts) == 0 {
		return nil
	}
	ids := make([]int64, len(alerts))
	for i := range alerts {
		ids[i] = alerts[i].EventID
	}
	events, err := h.svc.EventsByID(ctx, ids)
	if err != nil {
		return err
	}
	byID := make(map[int64]models.Event, len(events))
	for _, e := range events {
		byID[e.ID] = e
	}
	for _, a := range alerts {
		d.Alerts = append(d.Alerts, views.AlertLine{Alert: a, Event: byID[a.EventID]})
	}
	return nil
}
