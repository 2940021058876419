package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// getEventsPage shows the newest events that the filter selects, live, or
// those before ?before=. To htmx it answers the results alone.
func (h *Handler) getEventsPage(c echo.Context) error {
	ctx := reader(c)
	before, err := before(c)
	if err != nil {
		return err
	}
	q, problems := query.Parse(c.QueryParams(), h.now())
	d, header, err := h.list(ctx, c, q, before)
	if err != nil {
		return err
	}
	left := leftOut(ctx, problems)
	p := h.page(ctx, c, views.SectionEvents, i18n.T(ctx, "nav.events"))
	if wants(c, "results") {
		for _, t := range left {
			if err := trigger(c, t); err != nil {
				return err
			}
		}
		return render(ctx, c, http.StatusOK, views.EventsResults(p, d))
	}
	p.Header, p.Refresh, p.Toasts = header, before == 0, append(p.Toasts, left...)
	openSocket(ctx, &p, "events", withBefore(q.Values(), before))
	return render(ctx, c, http.StatusOK, views.Events(p, d))
}

// getEventPage shows one event beside the list that it was opened from; to
// htmx, the drawer alone.
func (h *Handler) getEventPage(c echo.Context) error {
	ctx := reader(c)
	id, err := pathID(c)
	if err != nil {
		return err
	}
	back, q := listOf(c, h.now())
	drawer, err := h.drawer(ctx, id, q)
	if err != nil {
		return err
	}
	drawer.Back = back
	if wants(c, "drawer") {
		return render(ctx, c, http.StatusOK, views.DrawerAside(drawer))
	}
	d, header, err := h.list(ctx, c, q, 0)
	if err != nil {
		return err
	}
	d.Drawer = &drawer
	p := h.page(ctx, c, views.SectionEvents, i18n.T(ctx, "event.title", "ID", itoa(id)))
	p.Header = header
	openSocket(ctx, &p, "event", q.Values())
	return render(ctx, c, http.StatusOK, views.Event(p, d))
}

// list reads what a page of events shows: those of q, and below before unless
// that is 0.
func (h *Handler) list(ctx context.Context, c echo.Context, q query.Query, before int64) (views.EventsData, views.HeaderData, error) {
	figures, err := h.figures(ctx, 0)
	d := views.EventsData{
		Query: q, Before: before, Waiting: figures.attention, Index: h.svc.Index(), Samples: h.samples(c), At: h.now(),
		// Read before the rows, so that what comes in between is not missed.
		LastID: figures.stats.LastEventID, FirstRun: figures.stats.LastEventID == 0,
	}
	if err == nil {
		err = h.fillList(ctx, &d)
	}
	return d, figures.header(), err
}

// fillList reads what depends on the filter. Finding and counting are the two
// that may take long, and go on at the same time.
func (h *Handler) fillList(ctx context.Context, d *views.EventsData) (err error) {
	filter := d.Query.Filter(d.At)
	counted := filter
	wait := aside(func() (err error) {
		d.Match, err = h.svc.Match(ctx, counted)
		return err
	})
	defer func() { err = errors.Join(err, wait()) }()
	filter.Before, filter.Limit = d.Before, rowsRead
	if filter.Before == 0 {
		filter.Before = d.LastID + 1 // what is newer comes by the socket
	}
	if d.Page, err = h.svc.Events(ctx, filter); err != nil {
		return err
	}
	if d.Rows, err = h.rows(ctx, &d.Page, views.EventsCap); err != nil {
		return err
	}
	if d.Sources, err = h.svc.Sources(ctx, suggestions); err != nil {
		return err
	}
	if window, ok := d.Query.Strip(d.At); ok && d.Before == 0 {
		d.Series, err = h.svc.Series(ctx, window)
		d.Series = d.Query.Only(d.Series)
	}
	return err
}

// aside runs f beside its caller, who must wait: for f's error, or its panic,
// which then is one of the request like any other and does not end the hub.
func aside(f func() error) (wait func() error) {
	var err error
	var panicked any
	var running sync.WaitGroup
	running.Go(func() {
		defer func() { panicked = recover() }()
		err = f()
	})
	return func() error {
		running.Wait()
		if panicked != nil {
			panic(panicked)
		}
		return err
	}
}

// leftOut tells a person which parts of a filter were not understood.
func leftOut(ctx context.Context, problems []query.Problem) []views.Toast {
	if len(problems) == 0 {
		return nil
	}
	fields := make([]string, len(problems))
	for i, p := range problems {
		fields[i] = p.Field
	}
	return []views.Toast{{Tone: "warning", Text: i18n.T(ctx, "toast.filter", "Fields", strings.Join(fields, ", "))}}
}

// drawer reads one event with its emails, and its neighbours in the list of q.
func (h *Handler) drawer(ctx context.Context, id int64, q query.Query) (views.DrawerData, error) {
	d := views.DrawerData{At: h.now()}
	var err error
	if d.Event, err = h.svc.Event(ctx, id); err != nil {
		return d, err
	}
	d.Why = h.why(d.Event)
	if d.Alerts, err = h.svc.EmailAlerts(ctx, models.EmailFilter{EventIDs: []int64{id}, Limit: views.AlertsCap}); err != nil {
		return d, err
	}
	filter := q.Filter(h.now())
	if d.Newer, err = h.newer(ctx, id, filter); err != nil {
		return d, err
	}
	filter.Before, filter.Limit = id, 1
	older, err := h.svc.Events(ctx, filter)
	if len(older.Events) > 0 {
		d.Older = older.Events[0].ID
	}
	return d, err
}

// newer is the next event after id that f selects, 0 when there is none among
// those that are looked at.
func (h *Handler) newer(ctx context.Context, id int64, f models.EventFilter) (int64, error) {
	limit := 1
	if f.Narrow() {
		limit = models.MaxLimit
	}
	events, err := h.svc.EventsAfter(ctx, id, limit)
	matcher := query.Compile(f)
	for i := range events {
		if matcher.Match(&events[i]) {
			return events[i].ID, nil
		}
	}
	return 0, err
}
