package jstest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/static"
	"alerthub/views"
)

// day is when the events of most tests were received.
var day = time.Date(2026, 2, 24, 9, 41, 52, 0, time.UTC)

// ev is a row: an event of this number, with a message of its own, an hour of
// the day of its own, and not acknowledged.
func ev(id int64) views.Row {
	return views.Row{N: 1, Event: models.Event{
		ID: id, CreatedAt: day.Add(time.Duration(id) * time.Second), Severity: models.SeverityError, Channel: models.ChannelTCP,
		Source: "core-rtr-mad-01", Message: fmt.Sprintf("Link %d is down", id),
	}}
}

// evs are the rows from down to to.
func evs(from, to int64) []views.Row {
	var rows []views.Row
	for id := from; id >= to; id-- {
		rows = append(rows, ev(id))
	}
	return rows
}

// english is what the pages and frames speak.
var english = i18n.WithLang(context.Background(), i18n.English)

func html(c templ.Component) string {
	var b strings.Builder
	if err := c.Render(english, &b); err != nil {
		panic(err)
	}
	return b.String()
}

// rows is the frame that brings these rows.
func rows(last int64, rs ...views.Row) string { return html(views.RowsFrame(rs, last, nil)) }

func (h *hub) pageOf(r *http.Request) templ.Component {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, _ := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/events/"), 10, 64)
	q, _ := query.Parse(r.URL.Query(), time.Now())
	p := views.Page{Title: "Test", Actor: models.Actor{Kind: models.ActorOpen}, OtherURL: "?lang=es", Assets: views.Assets{
		Stylesheet: static.URL("css/panel.css"), Script: static.URL("js/all.js"),
		Favicon: static.URL("img/favicon.svg"), FaviconAlert: static.URL("img/favicon-alert.svg"), FaviconOffline: static.URL("img/favicon-offline.svg"),
	}}
	d := views.EventsData{Query: q, Rows: h.rows, LastID: h.last, At: time.Now()}
	switch {
	case r.URL.Path == "/events" || id > 0:
		p.Section = views.SectionEvents
		d.Before, _ = strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
		p.Socket = "/ws?view=events&lang=en&" + q.String()
		if r.Header.Get("HX-Target") == "results" {
			return views.EventsResults(p, d)
		}
		if id == 0 {
			return views.Events(p, d)
		}
		d.Drawer = &views.DrawerData{Event: ev(id).Event, Newer: id + 1, Older: id - 1, At: time.Now()}
		if r.Header.Get("HX-Target") == "drawer" {
			return views.DrawerAside(*d.Drawer)
		}
		return views.Event(p, d)
	case r.URL.Path == "/" && r.URL.Query().Has("wall"):
		p.Wall, p.Socket = true, "/ws?view=dashboard&lang=en&wall=1"
		return views.Wall(p, views.DashboardData{Rows: h.rows, LastID: h.last, At: day, WallRows: 50})
	case r.URL.Path == "/":
		p.Section, p.Socket = views.SectionDashboard, "/ws?view=dashboard&lang=en"
		return views.Dashboard(p, views.DashboardData{Rows: h.rows, LastID: h.last, At: time.Now(), Attention: models.Attention{Errors: 1, Events: []models.Event{ev(1).Event}}})
	case r.URL.Path == "/create":
		p.Section = views.SectionCreate
		return views.Create(p, views.EventForm{Key: "k"}, views.CreateData{MaxImport: 100})
	case r.URL.Path == "/alerts":
		p.Section, p.Socket = views.SectionAlerts, "/ws?view=alerts&lang=en"
		return views.Alerts(p, views.AlertsData{})
	}
	return nil
}
