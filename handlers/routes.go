// Package handlers is the web door: pages, the REST API, and the places where
// browsers and feed clients open their sockets. It is the only package that
// knows Echo. It decodes, asks the Service, and writes the answer; it holds no
// rule of the domain, no SQL and no socket. It runs no goroutine of its own:
// everything happens in the one that net/http gives to each request.
package handlers

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"alerthub/models"
)

// Service is what the web door asks of the hub. All methods may be called
// concurrently; their errors are those of package models, or a context's.
type Service interface {
	// Register stores the drafts as one group and answers in their order.
	// models.ErrUnknown: they may or may not be stored. Any other error, a
	// context's too: none of them is.
	Register(ctx context.Context, drafts []models.Draft) ([]models.Receipt, error)
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	Event(ctx context.Context, id int64) (models.Event, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Stats(ctx context.Context) (models.Stats, error)
	Health() models.Health
}

// Sockets turns a request into a websocket and serves it until it ends.
type Sockets interface {
	ServePanel(w http.ResponseWriter, r *http.Request) error // HTML frames for the pages
	ServeFeed(w http.ResponseWriter, r *http.Request) error  // events as JSON
}

// Info is what the API and the pages tell of the running program. It holds no
// secret, because all of it is shown.
type Info struct {
	HTTPPort       int // bound ports, not the configured ones
	FeedPort       int
	TCPPort        int
	SMTPConfigured bool
	Version        string
}

// Options is what New needs. Service, Sockets and Metrics are required; the
// zero Logger discards.
type Options struct {
	Service Service
	Sockets Sockets
	Metrics http.Handler // serves /metrics
	Info    Info
	Logger  *slog.Logger
}

// Handler answers requests. Its fields are set once and only read afterwards.
type Handler struct {
	svc     Service
	sockets Sockets
	metrics http.Handler
	info    Info
	logger  *slog.Logger
}

// New makes the handler of the panel's port: pages, API and sockets behind the
// middleware that every answer passes. It is safe for concurrent use.
func New(o Options) http.Handler {
	h := newHandler(o)
	e := h.newEcho()
	h.apiRoutes(e)
	h.pageRoutes(e)
	h.socketRoutes(e)
	return headAsGet(e)
}

func newHandler(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{svc: o.Service, sockets: o.Sockets, metrics: o.Metrics, info: o.Info, logger: o.Logger}
}

// newEcho makes a router without routes, with the middleware and the error
// handler that all ports share.
func (h *Handler) newEcho() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = h.handleError
	h.middleware(e)
	return e
}
