package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// The rows of the wall, when ?rows= does not say.
const (
	wallRows    = 12
	maxWallRows = 50
)

// getDashboard shows the figures of a range and what needs attention; with
// ?wall=1 as a wall across the room can read it.
func (h *Handler) getDashboard(c echo.Context) error {
	ctx := reader(c)
	r, err := span(c)
	if err != nil {
		return err
	}
	values := url.Values{"range": {string(r)}}
	d := views.DashboardData{At: h.now(), Samples: h.samples(c)}
	wall := c.QueryParam("wall") == "1"
	if wall {
		p := parameters{values: c.QueryParams()}
		d.WallRows = int(p.integer("rows", wallRows, 1, maxWallRows))
		if len(p.wrong) > 0 {
			return refuse(invalidParameter, p.wrong...)
		}
		values.Set("wall", "1")
		values.Set("rows", strconv.Itoa(d.WallRows))
	}
	if err := h.fillDashboard(ctx, &d, r); err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionDashboard, i18n.T(ctx, "nav.dashboard"))
	p.Header, p.Refresh, p.Wall = d.Kpi.Unacked, true, wall
	openSocket(ctx, &p, "dashboard", values)
	if wall {
		return render(ctx, c, http.StatusOK, views.Wall(p, d))
	}
	return render(ctx, c, http.StatusOK, views.Dashboard(p, d))
}

// fillDashboard reads everything that the dashboard shows of a range.
func (h *Handler) fillDashboard(ctx context.Context, d *views.DashboardData, r models.Range) error {
	figures, err := h.figures(ctx, views.AttentionRead)
	if err != nil {
		return err
	}
	d.Canary = h.canaries.CanaryState()
	d.Attention, d.LastID, d.FirstRun = figures.attention, figures.stats.LastEventID, figures.stats.LastEventID == 0
	d.Kpi = views.KpiData{Range: r, Unacked: figures.header(), TCPConnections: h.ingest().Connections}
	if d.Kpi.Series, d.Kpi.Previous, err = h.compare(ctx, r); err != nil {
		return err
	}
	page, err := h.svc.Events(ctx, models.EventFilter{Limit: rowsRead})
	if err != nil {
		return err
	}
	if d.Rows, err = h.rows(ctx, &page, max(views.MiniCap, d.WallRows)); err != nil {
		return err
	}
	if d.Alerts, err = h.svc.EmailAlerts(ctx, models.EmailFilter{Limit: views.MiniCap}); err != nil {
		return err
	}
	if d.Sources, err = h.svc.TopSources(ctx, d.Kpi.Series.Window, views.SourceCap); err != nil {
		return err
	}
	d.LastCritical, err = h.lastCritical(ctx, figures.attention)
	return err
}

// lastCritical is when the last critical was received, which a dashboard tells
// when none needs attention.
func (h *Handler) lastCritical(ctx context.Context, a models.Attention) (time.Time, error) {
	if a.Critical > 0 {
		return time.Time{}, nil
	}
	page, err := h.svc.Events(ctx, models.EventFilter{Severities: []models.Severity{models.SeverityCritical}, Limit: 1})
	if err != nil || len(page.Events) == 0 {
		return time.Time{}, err
	}
	return page.Events[0].CreatedAt, nil
}
