package handlers

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// getAlerts shows the newest emails that the filter selects, live, or those
// before ?before=.
func (h *Handler) getAlerts(c echo.Context) error {
	ctx := reader(c)
	before, err := before(c)
	if err != nil {
		return err
	}
	q, problems := query.ParseOutbox(c.QueryParams())
	if len(problems) > 0 {
		return refuse(invalidParameter, fieldErrors(problems)...)
	}
	return h.showAlerts(ctx, c, i18n.T(ctx, "nav.alerts"), views.AlertsData{Query: q, Before: before})
}

// fieldErrors are problems of a filter as an answer tells them.
func fieldErrors(problems []query.Problem) []fieldError {
	wrong := make([]fieldError, len(problems))
	for i, p := range problems {
		wrong[i] = fieldError{p.Field, p.Reason}
	}
	return wrong
}

// showAlerts answers with the list that d asks for, and what d has opened.
func (h *Handler) showAlerts(ctx context.Context, c echo.Context, title string, d views.AlertsData) error {
	figures, err := h.figures(ctx, 0)
	if err != nil {
		return err
	}
	d.Stats, d.At, d.Contacts = figures.stats, h.now(), h.info.Contacts
	d.SMTPConfigured, d.Missing = h.info.SMTPConfigured, h.info.SMTPMissing
	day, err := h.svc.Series(ctx, models.Range24h.Window(d.At))
	if err != nil {
		return err
	}
	d.Counts = day.Total()
	if err := h.fillAlerts(ctx, &d); err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionAlerts, title)
	p.Header, p.Refresh = figures.header(), d.Before == 0
	openSocket(ctx, &p, "alerts", withBefore(d.Query.Values(), d.Before))
	return render(ctx, c, http.StatusOK, views.Alerts(p, d))
}

// fillAlerts reads a page of emails, each with its event.
func (h *Handler) fillAlerts(ctx context.Context, d *views.AlertsData) error {
	f := d.Query.Filter()
	// One more than is shown tells whether there are older ones.
	f.Before, f.Limit = d.Before, views.AlertsCap+1
	alerts, err := h.svc.EmailAlerts(ctx, f)
	if err != nil {
		return err
	}
	if len(alerts) > views.AlertsCap {
		alerts = alerts[:views.AlertsCap]
		d.Next = alerts[views.AlertsCap-1].ID
	}
	d.Alerts, err = h.alertLines(ctx, alerts)
	return err
}

// alertLines are alerts with their events.
func (h *Handler) alertLines(ctx context.Context, alerts []models.EmailAlert) ([]views.AlertLine, error) {
	if len(alerts) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(alerts))
	for i := range alerts {
		ids[i] = alerts[i].EventID
	}
	events, err := h.svc.EventsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[int64]models.Event, len(events))
	for _, e := range events {
		byID[e.ID] = e
	}
	lines := make([]views.AlertLine, len(alerts))
	for i, a := range alerts {
		lines[i] = views.AlertLine{Alert: a, Event: byID[a.EventID]}
	}
	return lines, nil
}

// getAlertPage shows one alert beside the list that it was opened from. To
// htmx it answers the alert alone.
func (h *Handler) getAlertPage(c echo.Context) error {
	ctx := reader(c)
	if wants(c, "alert") {
		return h.alertNews(ctx, c)
	}
	alert, err := h.alertOf(ctx, c)
	if err != nil {
		return err
	}
	d, err := h.openAlert(ctx, alert)
	if err != nil {
		return err
	}
	d.Query = alertsOf(c)
	return h.showAlerts(ctx, c, i18n.T(ctx, "alert.title", "ID", itoa(alert.ID)), views.AlertsData{Query: d.Query, Opened: &d})
}

// alertOf is the alert that an address names.
func (h *Handler) alertOf(ctx context.Context, c echo.Context) (models.EmailAlert, error) {
	id, err := pathID(c)
	if err != nil {
		return models.EmailAlert{}, err
	}
	return h.svc.EmailAlert(ctx, id)
}

// alertNews answers a page that follows an alert: nothing while it is as ?seen=
// says. It asks every two seconds, so that a failure is no news either.
func (h *Handler) alertNews(ctx context.Context, c echo.Context) error {
	alert, err := h.alertOf(ctx, c)
	if err == nil && c.QueryParam("seen") == models.FormatTime(alert.UpdatedAt) {
		return c.NoContent(http.StatusNoContent)
	}
	var d views.AlertData
	if err == nil {
		d, err = h.openAlert(ctx, alert)
	}
	if err != nil {
		h.logger.Debug("a page cannot follow its alert", "error", err)
		return c.NoContent(http.StatusNoContent)
	}
	d.Query = alertsOf(c)
	return render(ctx, c, http.StatusOK, views.AlertAside(d))
}

// openAlert reads what is known of an alert: the tries of its message, and what
// else that tells of.
func (h *Handler) openAlert(ctx context.Context, a models.EmailAlert) (d views.AlertData, err error) {
	if d.Attempts, err = h.svc.AlertAttempts(ctx, carrierOf(a)); err != nil {
		return d, err
	}
	told := []models.EmailAlert{a}
	if a.MailID == a.ID {
		others, err := h.svc.EmailAlerts(ctx, models.EmailFilter{MailID: a.ID, Limit: models.MaxLimit})
		if err != nil {
			return d, err
		}
		d.Many = len(others) == models.MaxLimit
		for _, o := range others {
			if o.ID == a.ID {
				continue
			}
			if d.Others++; d.Others <= views.ToldCap {
				told = append(told, o)
			}
		}
	}
	lines, err := h.alertLines(ctx, told)
	if err != nil {
		return d, err
	}
	d.AlertLine, d.Told = lines[0], lines[1:]
	return d, nil
}

// carrierOf is the alert whose message tells of a: itself before one does.
func carrierOf(a models.EmailAlert) int64 {
	if a.MailID != 0 {
		return a.MailID
	}
	return a.ID
}

// alertsOf is the list that an alert was opened from: that of its own address,
// which the page keeps there, else the page that a link was on.
func alertsOf(c echo.Context) query.Outbox {
	if q, _ := query.ParseOutbox(c.QueryParams()); q != (query.Outbox{}) {
		return q
	}
	from, ok := cameFrom(c.Request().Referer(), c.Request().Host)
	if u, err := url.Parse(from); ok && err == nil && u.Path == "/alerts" {
		q, _ := query.ParseOutbox(u.Query())
		return q
	}
	return query.Outbox{}
}
