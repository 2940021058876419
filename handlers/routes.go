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
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/views"
)

// Service is what the web door asks of the hub. All methods may be called
// concurrently; their errors are those of package models, or a context's.
type Service interface {
	// Register stores the drafts as one group and answers in their order.
	// models.ErrUnknown: they may or may not be stored. Any other error, a
	// context's too: none of them is.
	Register(ctx context.Context, drafts []models.Draft) ([]models.Receipt, error)
	Health() models.Health

	History
	Figures
	Acknowledgements
	Outbox
}

// Canaries sends events through the whole hub and knows what became of them.
type Canaries interface {
	CanaryState() models.CanaryState
	// SendCanary has one sent. models.ErrNotFound: there are none;
	// models.ErrCanaryRunning: another one is under way.
	SendCanary() (models.Canary, error)
}

// History reads what is stored.
type History interface {
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error) // oldest first
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)             // those that there are
	Event(ctx context.Context, id int64) (models.Event, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Match(ctx context.Context, f models.EventFilter) (models.Match, error)
}

// Figures reads what is counted. None of it looks at the events themselves.
type Figures interface {
	Stats(ctx context.Context) (models.Stats, error)
	Series(ctx context.Context, w models.Window) (models.Series, error)
	Attention(ctx context.Context, limit int) (models.Attention, error)
	TopSources(ctx context.Context, w models.Window, n int) ([]models.SourceCount, error)
	Sources(ctx context.Context, n int) ([]string, error) // the known ones, the most recent first
	Index() models.IndexState
}

// Acknowledgements changes who has taken care of what. Each method answers
// what it changed, and leaves events alone that are unknown or as wished
// already.
type Acknowledgements interface {
	Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error)
	// AcknowledgeGroup takes an event, which must exist, and its earlier repeats.
	AcknowledgeGroup(ctx context.Context, id int64, ack models.Ack) ([]models.Event, error)
	// AcknowledgeAll takes every error and critical that f selects below f.Before.
	// The token is UndoAll's, for a while; "" when nothing was changed.
	AcknowledgeAll(ctx context.Context, f models.EventFilter, ack models.Ack) (token string, n int, err error)
	Unacknowledge(ctx context.Context, ids []int64) ([]models.Event, error)
	UndoAll(ctx context.Context, token string) (n int, err error)
}

// Outbox is what people ask of alerts and do to them.
type Outbox interface {
	EmailAlert(ctx context.Context, id int64) (models.EmailAlert, error)
	AlertAttempts(ctx context.Context, id int64) ([]models.Attempt, error) // the oldest first
	// RetryAlert answers the alert that carries the message; models.ErrNotFailed.
	RetryAlert(ctx context.Context, id int64, ack models.Ack) (models.EmailAlert, error)
	// CountPending counts what CancelAlerts would end, up to limit.
	CountPending(ctx context.Context, sel models.Cancellation, limit int) (int64, error)
	CancelAlerts(ctx context.Context, sel models.Cancellation, ack models.Ack) (int64, error)
}

// Sockets turns a request into a websocket and serves it until it ends, or
// until may says that whoever asked may not read any more.
type Sockets interface {
	ServePanel(w http.ResponseWriter, r *http.Request, may func() bool) error // HTML frames for the pages
	ServeFeed(w http.ResponseWriter, r *http.Request, may func() bool) error  // events as JSON
}

// Info is what the API and the pages tell of the running program. It holds no
// secret, because all of it is shown.
type Info struct {
	HTTPPort       int // bound ports, not the configured ones
	FeedPort       int
	TCPPort        int
	TCPTLS         bool // the TCP port speaks TLS
	SMTPConfigured bool
	SMTPMissing    []string // the settings that email lacks, by name
	Recipients     []string // who gets the emails, when that is known before the event
	Routed         bool     // routes decide who gets them
	Contacts       []string // whom routes may name
	Limits         models.IntakeLimits
	Version        string
}

// Options is what New needs. Service, Sockets, Transfer, Access, Keys, Senders and Metrics are
// required; without Canaries or Audit there are none, the zero Logger discards, the zero
// Ingest tells nothing, the zero Limit allows everything, the zero Crowded nothing is, the zero Why that there is no routes file, the zero Now
// is time.Now.
type Options struct {
	Service  Service
	Sockets  Sockets
	Transfer Transfer
	Access   Access
	Keys     Keys
	Senders  Senders
	Canaries Canaries
	Audit    Audit
	Metrics  http.Handler                 // serves /metrics
	Ingest   func() views.IngestData      // how the intake does
	Why      func(models.Event) views.Why // how it is decided who is told
	Limit    func(models.Draft) error     // whether a sender may report one more; the error is the answer
	Crowded  func(context.Context) bool   // whether a request came by one connection too many
	Info     Info
	Proxies  []netip.Prefix // whose X-Forwarded headers count; nobody's by default
	Hosts    []string       // names that the hub answers to besides addresses and localhost; "*.example.net" for all below that
	Logger   *slog.Logger
	Now      func() time.Time
}

// Handler answers requests. Its fields are set once and only read afterwards.
type Handler struct {
	svc      Service
	sockets  Sockets
	transfer Transfer
	access   Access
	keys     Keys
	senders  Senders
	canaries Canaries
	audit    Audit
	metrics  http.Handler
	ingest   func() views.IngestData
	why      func(models.Event) views.Why
	limit    func(models.Draft) error
	crowded  func(context.Context) bool
	info     Info
	hosts    hosts
	logger   *slog.Logger
	now      func() time.Time
}

// NewAdmin makes the handler that commands on this machine ask: people, keys
// and senders. Of o it needs Access, Keys and Senders. It is safe for
// concurrent use, on connections that Local has marked.
func NewAdmin(o Options) http.Handler {
	h := newHandler(o)
	e := h.newEcho()
	h.mount(e, h.adminRoutes())
	return e
}

// New makes the handler of the panel's port: pages, API and sockets behind the
// middleware that every answer passes. It is safe for concurrent use.
func New(o Options) http.Handler {
	h := newHandler(o)
	e := h.newEcho()
	h.mount(e, h.routes())
	return forwarded(o.Proxies, headAsGet(e))
}

func newHandler(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ingest == nil {
		o.Ingest = func() views.IngestData { return views.IngestData{} }
	}
	if o.Why == nil {
		o.Why = func(models.Event) views.Why { return views.Why{} }
	}
	if o.Limit == nil {
		o.Limit = func(models.Draft) error { return nil }
	}
	if o.Crowded == nil {
		o.Crowded = func(context.Context) bool { return false }
	}
	if o.Canaries == nil {
		o.Canaries = noCanaries{}
	}
	if o.Audit == nil {
		o.Audit = noAudit{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{
		svc: o.Service, sockets: o.Sockets, transfer: o.Transfer, access: o.Access, keys: o.Keys, senders: o.Senders, canaries: o.Canaries, metrics: o.Metrics, ingest: o.Ingest, why: o.Why,
		limit: o.Limit, crowded: o.Crowded, audit: o.Audit,
		info: o.Info, hosts: newHosts(o.Hosts), logger: o.Logger, now: o.Now,
	}
}

// newEcho makes a router without routes, with the middleware and the error
// handler that all ports share.
func (h *Handler) newEcho() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // by then the client's; see forwarded
	e.HTTPErrorHandler = h.handleError
	h.middleware(e)
	return e
}
