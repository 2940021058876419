package live

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// audience is whom one rendered frame fits: all that a page's content depends on.
type audience struct {
	section views.Section
	lang    i18n.Lang
	zone    *time.Location
	filter  string       // which events, as query.Query.String says it
	span    models.Range // what the dashboard and the audit count
	wall    int          // rows of a page on the wall; 0 for no wall
	outbox  query.Outbox // which emails
}

// The rows of a page on the wall: when ?rows= does not say, and at most.
const (
	wallRows    = 12
	maxWallRows = 50
)

// readAudience is the audience of the page that asks for a socket, and its
// query. The error is a *models.FieldError.
func readAudience(r *http.Request, values url.Values, now time.Time) (audience, query.Query, error) {
	a := audience{section: views.Section(values.Get("view")), lang: i18n.Match(r)}
	a.zone, _ = i18n.MatchZone(r)
	var q query.Query
	if values.Has("before") { // its rows stand still
		a.section = views.SectionCreate
	}
	switch a.section {
	case views.SectionCreate: // what every page shows, and nothing else
	case viewEvent, views.SectionEvents:
		a.section = views.SectionEvents
		q, _ = query.Parse(values, now) // what it cannot read the page left out too
		a.filter = q.String()
	case views.SectionDashboard:
		a.span = readSpan(values)
		if values.Get("wall") == "1" {
			a.wall = wallRows
			if n, err := strconv.Atoi(values.Get("rows")); err == nil && n > 0 {
				a.wall = min(n, maxWallRows)
			}
		}
	case views.SectionAudit:
		a.span = readSpan(values)
	case views.SectionAlerts:
		a.outbox, _ = query.ParseOutbox(values)
	default:
		return audience{}, q, &models.FieldError{Field: "view", Reason: "names no live page"}
	}
	return a, q, nil
}

// viewEvent is the page of one event, which is the list with its drawer open.
const viewEvent views.Section = "event"

func readSpan(values url.Values) models.Range {
	if r := models.Range(values.Get("range")); r.Valid() {
		return r
	}
	return models.Range24h
}

// context is what components for a are rendered with. Rendering has a context
// of its own: one that is cancelled would cut a message in the middle.
func (a *audience) context() context.Context {
	return i18n.WithZone(i18n.WithLang(context.Background(), a.lang), a.zone)
}

// rows is how many rows of events a page shows, 0 for none.
func (a *audience) rows() int {
	switch a.section {
	case views.SectionDashboard:
		return cmp.Or(a.wall, views.MiniCap)
	case views.SectionEvents:
		return views.EventsCap
	}
	return 0
}

// crowd is the open pages of one audience. Only the frame loop touches it.
type crowd struct {
	audience
	query   query.Query
	matcher *query.Matcher // nil lets everything through
	anyAck  *query.Matcher // matcher, acknowledged or not
	from    time.Time      // what was received before is none of it, which moves with a range
	viewers map[*viewer]struct{}
	aged    bool      // its range has moved since its table was drawn
	counted bool      // how many events it selects was told since the figures last moved
	behind  time.Time // since when its table may be another than a fresh page's; zero when it is the same
}

func newCrowd(a audience, q query.Query, now time.Time) *crowd {
	c := &crowd{audience: a, query: q, viewers: make(map[*viewer]struct{})}
	c.compile(now)
	return c
}

// compile makes the matchers of c for the moment now.
func (c *crowd) compile(now time.Time) {
	if c.filter == "" {
		return
	}
	f := c.query.Filter(now)
	c.from, c.matcher = f.From, query.Compile(f)
	f.Unacked = false
	c.anyAck = query.Compile(f)
}

// stale says that rows that paused pages of c show have changed since asOf in a
// way that no frame tells them: they are to be drawn anew when they resume.
func (c *crowd) stale(asOf time.Time) {
	for v := range c.viewers {
		if v.paused && v.stale.IsZero() {
			v.stale = asOf
		}
	}
}

// watched reports whether somebody wants rows now.
func (c *crowd) watched() bool {
	for v := range c.viewers {
		if !v.paused {
			return true
		}
	}
	return false
}
