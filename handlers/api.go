package handlers

import (
	_ "embed"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// The addresses that the middleware, the errors and the document speak of too.
const (
	pathEvents  = "/api/events"
	pathCanary  = "/api/canary"
	pathKeys    = "/api/keys"
	pathOpenAPI = "/api/openapi.yaml"
	pathUsers   = "/api/users"
	pathHealth  = "/healthz"
	pathReady   = "/readyz"
	pathMetrics = "/metrics"
)

// openAPI describes everything that apiRoutes registers; a test keeps the two
// together.
//
//go:embed openapi.yaml
var openAPI []byte

// apiRoutes registers what programs ask.
func (h *Handler) apiRoutes() []route {
	return []route{
		{http.MethodGet, pathEvents, models.PermitRead, h.listEvents},
		{http.MethodPost, pathEvents, models.PermitIngest, h.postEvents},
		{http.MethodGet, pathEvents + "/:id", models.PermitRead, h.getEvent},
		{http.MethodPost, pathEvents + "/:id/ack", models.PermitOperate, h.postEventAck},
		{http.MethodDelete, pathEvents + "/:id/ack", models.PermitOperate, h.deleteEventAck},
		{http.MethodGet, "/api/alerts", models.PermitRead, h.listAlerts},
		{http.MethodGet, "/api/alerts/:id", models.PermitRead, h.getAlert},
		{http.MethodPost, "/api/alerts/:id/retry", models.PermitOperate, h.postAlertRetry},
		{http.MethodPost, "/api/alerts/cancel", models.PermitOperate, h.postAlertsCancel},
		{http.MethodGet, "/api/stats", models.PermitRead, h.getStats},
		{http.MethodGet, "/api/config", models.PermitRead, h.getConfig},
		{http.MethodGet, "/api/audit", models.PermitOperate, h.listAudit},
		{http.MethodGet, pathCanary, models.PermitRead, h.getCanary},
		{http.MethodPost, pathCanary, models.PermitOperate, h.postCanary},
		{http.MethodPost, "/api/token", models.PermitPublic, h.postToken},
		{http.MethodGet, pathOpenAPI, models.PermitPublic, func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", openAPI) }},
		{http.MethodGet, pathHealth, models.PermitPublic, func(c echo.Context) error { return answer(c, map[string]bool{"alive": true}) }},
		{http.MethodGet, pathReady, models.PermitPublic, h.getReady},
		{http.MethodGet, pathMetrics, models.PermitRead, echo.WrapHandler(h.metrics)},
	}
}

// adminRoutes are those of people, keys and senders, which commands on this
// machine ask too.
func (h *Handler) adminRoutes() []route {
	return []route{
		{http.MethodGet, pathKeys, models.PermitAdminister, h.listKeys},
		{http.MethodPost, pathKeys, models.PermitAdminister, h.postKey},
		{http.MethodDelete, pathKeys + "/:id", models.PermitAdminister, h.deleteKey},
		{http.MethodGet, "/api/senders", models.PermitAdminister, h.listSenders},
		{http.MethodGet, pathUsers, models.PermitAdminister, h.listUsers},
		{http.MethodPost, pathUsers, models.PermitAdminister, h.postUser},
		{http.MethodPatch, pathUsers + "/:id", models.PermitAdminister, h.patchUser},
	}
}

// answer is the usual answer: 200 and JSON.
func answer(c echo.Context, v any) error {
	return answerJSON(c, http.StatusOK, echo.MIMEApplicationJSON, v)
}

func (h *Handler) listEvents(c echo.Context) error {
	filter, err := eventFilter(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	page, err := h.svc.Events(ctx, filter)
	if err != nil {
		return err
	}
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{Limit: filter.Limit})
	if err != nil {
		return err
	}
	var next *int64
	if page.NextBefore > 0 {
		next = &page.NextBefore
	}
	var searchedTo *string
	if !page.SearchedTo.IsZero() {
		to := models.FormatTime(page.SearchedTo)
		searchedTo = &to
	}
	return answer(c, struct {
		Events     []wire.Event      `json:"events"`
		EmailLogs  []wire.EmailAlert `json:"email_logs"`
		NextBefore *int64            `json:"next_before"`
		SearchedTo *string           `json:"searched_to"` // null unless the search ended at its bound
	}{wire.FromEvents(page.Events), wire.FromEmailAlerts(alerts), next, searchedTo})
}

func (h *Handler) getEvent(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	event, err := h.svc.Event(ctx, id)
	if err != nil {
		return err
	}
	alerts, err := h.svc.EmailAlerts(ctx, models.EmailFilter{EventIDs: []int64{id}, Limit: models.MaxLimit})
	if err != nil {
		return err
	}
	return answer(c, struct {
		wire.Event
		EmailLogs []wire.EmailAlert `json:"email_logs"`
	}{wire.FromEvent(event), wire.FromEmailAlerts(alerts)})
}

// pathID is the id that an address names.
func pathID(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return 0, refuse(notFound)
	}
	return id, nil
}

func (h *Handler) getStats(c echo.Context) error {
	stats, err := h.svc.Stats(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, wire.FromStats(stats))
}

func (h *Handler) getConfig(c echo.Context) error {
	return answer(c, struct {
		HTTPPort       int    `json:"http_port"`
		WSPort         int    `json:"ws_port"`
		TCPPort        int    `json:"tcp_port"`
		SMTPConfigured bool   `json:"smtp_configured"`
		Anonymous      string `json:"anonymous"`
		Version        string `json:"version"`
		Limits         limits `json:"limits"`
	}{h.info.HTTPPort, h.info.FeedPort, h.info.TCPPort, h.info.SMTPConfigured, h.senders.AnonymousNetworks().String(), h.info.Version, limitsOf(h.info.Limits)})
}

// limits are what one sender may take of the hub; null is no limit.
type limits struct {
	Source          *rate `json:"source"`
	Peer            *rate `json:"peer"`
	Key             *rate `json:"key"`
	TCPConnections  int   `json:"tcp_connections"`
	TCPPerAddress   int   `json:"tcp_connections_per_address"`
	HTTPConnections int   `json:"http_connections"`
	HTTPPerAddress  int   `json:"http_connections_per_address"`
}

type rate struct {
	PerSecond int `json:"events_per_second"`
	Burst     int `json:"burst"`
}

func limitsOf(l models.IntakeLimits) limits {
	of := func(r models.Rate) *rate {
		if r == (models.Rate{}) {
			return nil
		}
		return &rate{r.PerSecond, r.Burst}
	}
	return limits{of(l.Source), of(l.Peer), of(l.Key), l.TCPConnections, l.TCPPerAddress, l.HTTPConnections, l.HTTPPerAddress}
}

// getReady answers whether events can be stored. Paused delivery is told, but
// a hub that stores and waits for its mail server must not be restarted for it.
// Whom that concerns, and what the other side said, is for those who may read.
func (h *Handler) getReady(c echo.Context) error {
	health := h.svc.Health()
	status := http.StatusOK
	if health.Storage != "" {
		status = http.StatusServiceUnavailable
	}
	reads := models.ActorOf(c.Request().Context()).May(models.PermitRead)
	if !reads && health.Email != "" {
		health.Email = "paused"
	}
	var pauses []pause
	for _, p := range health.Pauses {
		if !reads {
			p.Contact, p.Recipient, p.Reason = "", "", "paused"
		}
		pauses = append(pauses, pause{p.Channel, p.Contact, p.Recipient, p.Reason, models.FormatTime(p.Since)})
	}
	return answerJSON(c, status, echo.MIMEApplicationJSON, struct {
		Ready   bool    `json:"ready"`
		Storage string  `json:"storage,omitempty"`
		Email   string  `json:"email,omitempty"`
		Pauses  []pause `json:"pauses,omitempty"`
	}{health.Storage == "", health.Storage, health.Email, pauses})
}

// pause is a way of delivery that delivers nothing now: all mails, or one
// webhook of a contact.
type pause struct {
	Channel   string `json:"channel"`
	Contact   string `json:"contact,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	Reason    string `json:"reason"`
	Since     string `json:"since"`
}
