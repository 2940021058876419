package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// NewFeed makes the handler of the feed's own port: the event feed at / and at
// the path that it has on the panel's port, and nothing else. It is safe for
// concurrent use.
func NewFeed(o Options) http.Handler {
	h := newHandler(o)
	e := h.newEcho()
	e.GET("/", socket(h.sockets.ServeFeed))
	e.GET("/ws/events", socket(h.sockets.ServeFeed))
	return forwarded(o.Proxies, e)
}

func (h *Handler) socketRoutes(e *echo.Echo) {
	e.GET("/ws", socket(h.sockets.ServePanel))
	e.GET("/ws/events", socket(h.sockets.ServeFeed))
}

// socket lets serve have the connection. What serve refuses it has answered
// itself, and its error goes to the log. An error without an answer came after
// the connection was taken over: there is nobody left to write to.
func socket(serve func(http.ResponseWriter, *http.Request) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := serve(c.Response(), c.Request()); c.Response().Committed {
			return err
		}
		return nil
	}
}
