package handlers

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

// pageRoutes registers what people see, and the files that it loads.
func (h *Handler) pageRoutes(e *echo.Echo) {
	e.GET("/", h.getDashboard)
	e.GET("/create", h.getCreate)
	e.GET("/events", h.getEventsPage)
	e.POST("/events", h.postForm)
	e.GET("/events/:id", h.getEventPage)
	e.GET("/alerts", h.getAlerts)
	e.GET("/audit", h.getAudit)
	e.GET(static.Prefix+"*", echo.WrapHandler(static.Handler()))
}

func (h *Handler) getDashboard(c echo.Context) error {
	ctx := reader(c)
	stats, err := h.svc.Stats(ctx)
	if err != nil {
		return err
	}
	events, err := h.svc.Events(ctx, models.EventFilter{Limit: views.DashboardCap})
	if err != nil {
		return err
	}
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{Limit: views.DashboardCap})
	if err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionDashboard, i18n.T(ctx, "nav.dashboard"))
	p.Live, p.Refresh = true, true
	return render(ctx, c, http.StatusOK, views.Dashboard(p, views.DashboardData{
		Stats: stats, Events: events.Events, Alerts: alerts, Samples: h.samples(c),
	}))
}

// getEventsPage shows the newest events, live, or those before ?before=.
func (h *Handler) getEventsPage(c echo.Context) error {
	ctx := reader(c)
	before, err := before(c)
	if err != nil {
		return err
	}
	page, err := h.svc.Events(ctx, models.EventFilter{Before: before, Limit: views.EventsCap})
	if err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionEvents, i18n.T(ctx, "nav.events"))
	p.Live, p.Refresh = before == 0, before == 0
	return render(ctx, c, http.StatusOK, views.Events(p, views.EventsData{
		Events: page.Events, Before: before, Next: page.NextBefore, Samples: h.samples(c),
	}))
}

func (h *Handler) getEventPage(c echo.Context) error {
	ctx := reader(c)
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return models.ErrNotFound
	}
	event, err := h.svc.Event(ctx, id)
	if err != nil {
		return err
	}
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{EventIDs: []int64{id}, Limit: views.AlertsCap})
	if err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionEvents, i18n.T(ctx, "event.title", "ID", strconv.FormatInt(id, 10)))
	return render(ctx, c, http.StatusOK, views.Event(p, views.EventData{Event: event, Alerts: alerts}))
}

// getAlerts shows the newest emails, live, or those before ?before=.
func (h *Handler) getAlerts(c echo.Context) error {
	ctx := reader(c)
	before, err := before(c)
	if err != nil {
		return err
	}
	stats, err := h.svc.Stats(ctx)
	if err != nil {
		return err
	}
	// One more than is shown tells whether there are older ones.
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{Before: before, Limit: views.AlertsCap + 1})
	if err != nil {
		return err
	}
	d := views.AlertsData{Stats: stats, Alerts: alerts, Before: before, SMTPConfigured: h.info.SMTPConfigured}
	if len(alerts) > views.AlertsCap {
		d.Alerts = alerts[:views.AlertsCap]
		d.Next = d.Alerts[views.AlertsCap-1].ID
	}
	p := h.page(ctx, c, views.SectionAlerts, i18n.T(ctx, "nav.alerts"))
	p.Live = before == 0
	return render(ctx, c, http.StatusOK, views.Alerts(p, d))
}

func (h *Handler) getAudit(c echo.Context) error {
	ctx := reader(c)
	stats, err := h.svc.Stats(ctx)
	if err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionAudit, i18n.T(ctx, "nav.audit"))
	p.Live = true
	return render(ctx, c, http.StatusOK, views.Audit(p, stats))
}

// before reads ?before=, the bound of an older page; 0 without one.
func before(c echo.Context) (int64, error) {
	text := c.QueryParam("before")
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, refuse(invalidParameter, fieldError{"before", "must be the number of an event"})
	}
	return id, nil
}
