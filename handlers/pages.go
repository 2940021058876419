package handlers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

// pageRoutes registers what people see, and the files that it loads.
func (h *Handler) pageRoutes() []route {
	return []route{
		{http.MethodGet, "/", models.PermitRead, h.getDashboard},
		{http.MethodGet, "/create", models.PermitOperate, h.getCreate},
		{http.MethodGet, "/events", models.PermitRead, h.getEventsPage},
		{http.MethodPost, "/events", models.PermitOperate, h.postForm},
		{http.MethodGet, "/events/:id", models.PermitRead, h.getEventPage},
		{http.MethodGet, "/alerts", models.PermitRead, h.getAlerts},
		{http.MethodGet, "/alerts/:id", models.PermitRead, h.getAlertPage},
		{http.MethodGet, "/audit", models.PermitRead, h.getAudit},
		{http.MethodGet, static.Prefix + "*", models.PermitPublic, echo.WrapHandler(static.Handler())},
	}
}

// before reads ?before=, the bound of an older page; 0 without one.
func before(c echo.Context) (int64, error) {
	p := parameters{values: c.QueryParams()}
	id := p.integer("before", 0, 1, maxID)
	if len(p.wrong) > 0 {
		return 0, refuse(invalidParameter, p.wrong...)
	}
	return id, nil
}

// span reads ?range=, the day without one.
func span(c echo.Context) (models.Range, error) {
	switch r := models.Range(c.QueryParam("range")); {
	case r == "":
		return models.Range24h, nil
	case r.Valid():
		return r, nil
	}
	return "", refuse(invalidParameter, fieldError{"range", "must be one of 15m, 1h, 6h, 24h, 7d"})
}

// rowsRead is how many events a table reads to fill its rows: repeats share
// one.
const rowsRead = 400

// rows makes the rows of a page of events, with what became of their emails.
// page.NextBefore then continues after the last event that they hold.
func (h *Handler) rows(ctx context.Context, page *models.EventPage, limit int) ([]views.Row, error) {
	rows := views.Group(page.Events, nil, limit)
	held := 0
	ids := make([]int64, len(rows)) // routes may tell of any event
	for i := range rows {
		held += rows[i].N
		ids[i] = rows[i].Event.ID
	}
	if held < len(page.Events) {
		page.NextBefore = page.Events[held-1].ID
	}
	if len(ids) == 0 {
		return rows, nil
	}
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{EventIDs: ids, Limit: models.MaxLimit})
	if err != nil {
		return nil, err
	}
	mail := views.MailByEvent(alerts)
	for i := range rows {
		rows[i].Mail = mail[rows[i].Event.ID]
	}
	return rows, nil
}

// getAudit compares a range with the one before it.
func (h *Handler) getAudit(c echo.Context) error {
	ctx := reader(c)
	r, err := span(c)
	if err != nil {
		return err
	}
	figures, err := h.figures(ctx, 0)
	if err != nil {
		return err
	}
	d := views.AuditData{Range: r, Stats: figures.stats, Ingest: h.ingest(), At: h.now()}
	d.Ingest.Behind = h.svc.Index().Behind
	now, earlier, err := h.compare(ctx, r)
	if err != nil {
		return err
	}
	d.Now, d.Before = now.Total(), earlier
	p := h.page(ctx, c, views.SectionAudit, i18n.T(ctx, "nav.audit"))
	p.Header = figures.header()
	if p.Actor.May(models.PermitOperate) {
		if d.Activity, err = h.activity(ctx, c); err != nil {
			return err
		}
	}
	openSocket(ctx, &p, "audit", map[string][]string{"range": {string(r)}})
	return render(ctx, c, http.StatusOK, views.Audit(p, d))
}

// compare counts a range, bar by bar, and the one before it.
func (h *Handler) compare(ctx context.Context, r models.Range) (models.Series, models.Counts, error) {
	window := r.Window(h.now())
	series, err := h.svc.Series(ctx, window)
	if err != nil {
		return models.Series{}, models.Counts{}, err
	}
	earlier, err := h.svc.Series(ctx, window.Before())
	return series, earlier.Total(), err
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
