package handlers

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/query"
)

// nextPage is where an action leads: the form's `next`, else the page that it
// was sent from, else the list of events. It is always a page of this hub.
func nextPage(c echo.Context) string {
	r := c.Request()
	if next, ok := localPath(r.PostForm.Get("next")); ok {
		return next
	}
	if from, ok := cameFrom(r.Referer(), r.Host); ok && !isAction(from) {
		return from
	}
	return "/events"
}

// isAction reports whether an address answers forms: it is no page to go to.
func isAction(address string) bool {
	path, _, _ := strings.Cut(address, "?")
	return slices.Contains([]string{"/events/ack", "/events/unack", "/events/ack-all", "/alerts/cancel", "/name", "/canary"}, path) ||
		strings.HasPrefix(path, "/alerts/") && strings.HasSuffix(path, "/retry")
}

// listOf is the list of events that one event was opened from, and its filter:
// that of its own address, which the script keeps there, else the page that
// htmx stands on, or that a link was on.
func listOf(c echo.Context, now time.Time) (string, query.Query) {
	r := c.Request()
	if q, _ := query.Parse(c.QueryParams(), now); !q.Empty() {
		return q.URL("/events"), q
	}
	for _, address := range []string{r.Header.Get("HX-Current-URL"), r.Referer()} {
		from, ok := cameFrom(address, r.Host)
		if u, err := url.Parse(from); ok && err == nil && u.Path == "/events" {
			q, _ := query.Parse(u.Query(), now)
			return from, q
		}
	}
	return "/events", query.Query{}
}

// cameFrom is the address of a page without its origin, if that is host.
func cameFrom(address, host string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Host != host {
		return "", false
	}
	return localPath(u.RequestURI())
}

// localPath is an address that cannot leave this origin: browsers read "//x"
// and "/\x" as another host, and drop line breaks and tabs before they look.
func localPath(address string) (string, bool) {
	if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") ||
		strings.ContainsFunc(address, func(r rune) bool { return r == '\\' || r <= ' ' || r == 0x7f }) {
		return "", false
	}
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" {
		return "", false
	}
	return address, true
}
