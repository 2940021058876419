package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/models"
)

// NewFeed makes the handler of the feed's own port: the event feed at / and at
// the path that it has on the panel's port, and nothing else. It is safe for
// concurrent use.
func NewFeed(o Options) http.Handler {
	h := newHandler(o)
	e := h.newEcho()
	h.mount(e, h.feedRoutes())
	return forwarded(o.Proxies, e)
}

func (h *Handler) feedRoutes() []route {
	return []route{
		{http.MethodGet, "/", models.PermitRead, h.feedSocket},
		{http.MethodGet, "/ws/events", models.PermitRead, h.feedSocket},
	}
}

// socketRoutes are the sockets of the panel's port. The panel's own opens for
// everybody, to be closed at once for who may not read, by the code that has
// the page go and sign in: of an answer that is no socket a browser tells its
// page nothing.
func (h *Handler) socketRoutes() []route {
	return []route{
		{http.MethodGet, "/ws", models.PermitPublic, func(c echo.Context) error { return h.socket(c, h.sockets.ServePanel) }},
		{http.MethodGet, "/ws/events", models.PermitRead, h.feedSocket},
	}
}

// feedSocket is open to pages of the same host on other ports, but not to read
// as whoever looks at them: browsers send a session's cookie to every port of a
// host (RFC 6265 section 8.5), and a page there may be anybody's.
func (h *Handler) feedSocket(c echo.Context) error {
	r := c.Request()
	if origin := r.Header.Get("Origin"); origin != "" && models.ActorOf(r.Context()).Kind == models.ActorUser {
		if page, err := url.Parse(origin); err != nil || !strings.EqualFold(page.Host, r.Host) {
			return refuse(crossOrigin)
		}
	}
	return h.socket(c, h.sockets.ServeFeed)
}

// socket lets serve have the connection, for as long as whoever asked may read.
// What serve refuses it has answered itself, and its error goes to the log. An
// error without an answer came after the connection was taken over: there is
// nobody left to write to.
func (h *Handler) socket(c echo.Context, serve func(http.ResponseWriter, *http.Request, func() bool) error) error {
	actor := models.ActorOf(c.Request().Context())
	may := func() bool { return actor.May(models.PermitRead) && h.access.Valid(actor) }
	if err := serve(c.Response(), c.Request(), may); c.Response().Committed {
		return err
	}
	return nil
}
