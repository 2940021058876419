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
	pathOpenAPI = "/api/openapi.yaml"
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
func (h *Handler) apiRoutes(e *echo.Echo) {
	e.GET(pathEvents, h.listEvents)
	e.POST(pathEvents, h.postEvents)
	e.GET(pathEvents+"/:id", h.getEvent)
	e.GET("/api/stats", h.getStats)
	e.GET("/api/config", h.getConfig)
	e.GET(pathOpenAPI, func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", openAPI) })
	e.GET(pathHealth, func(c echo.Context) error { return answer(c, map[string]bool{"alive": true}) })
	e.GET(pathReady, h.getReady)
	e.GET(pathMetrics, echo.WrapHandler(h.metrics))
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
	return answer(c, struct {
		Events     []wire.Event      `json:"events"`
		EmailLogs  []wire.EmailAlert `json:"email_logs"`
		NextBefore *int64            `json:"next_before"`
	}{wire.FromEvents(page.Events), wire.FromEmailAlerts(alerts), next})
}

func (h *Handler) getEvent(c echo.Context) error {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return refuse(notFound)
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

func (h *Handler) getStats(c echo.Context) error {
	stats, err := h.svc.Stats(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, statsAnswer{
		TotalEvents: stats.Events,
		Severity: severityCounts{
			Info: stats.Severity[models.SeverityInfo], Warning: stats.Severity[models.SeverityWarning],
			Error: stats.Severity[models.SeverityError], Critical: stats.Severity[models.SeverityCritical],
		},
		Channel: channelCounts{TCP: stats.Channel[models.ChannelTCP], HTTP: stats.Channel[models.ChannelHTTP]},
		Email: emailCounts{
			Sent: stats.Email[models.EmailSent], Failed: stats.Email[models.EmailFailed],
			Skipped: stats.Email[models.EmailSkipped], Pending: stats.Email[models.EmailPending],
		},
		TCPMessages: stats.Process.TCPMessages, HTTPMessages: stats.Process.HTTPMessages,
		EmailSentOK: stats.Process.EmailSentOK, EmailSentFail: stats.Process.EmailSentFail,
	})
}

// statsAnswer has a member for everything that is counted, at zero too.
type statsAnswer struct {
	TotalEvents   int64          `json:"total_events"`
	Severity      severityCounts `json:"severity"`
	Channel       channelCounts  `json:"channel"`
	Email         emailCounts    `json:"email"`
	TCPMessages   int64          `json:"tcp_messages"` // since the start of the process, as all that follow
	HTTPMessages  int64          `json:"http_messages"`
	EmailSentOK   int64          `json:"email_sent_ok"`
	EmailSentFail int64          `json:"email_sent_fail"`
}

type severityCounts struct {
	Info     int64 `json:"info"`
	Warning  int64 `json:"warning"`
	Error    int64 `json:"error"`
	Critical int64 `json:"critical"`
}

type channelCounts struct {
	TCP  int64 `json:"tcp_socket"`
	HTTP int64 `json:"http_api"`
}

type emailCounts struct {
	Sent    int64 `json:"sent"`
	Failed  int64 `json:"failed"`
	Skipped int64 `json:"skipped"`
	Pending int64 `json:"pending"`
}

func (h *Handler) getConfig(c echo.Context) error {
	return answer(c, struct {
		HTTPPort       int    `json:"http_port"`
		WSPort         int    `json:"ws_port"`
		TCPPort        int    `json:"tcp_port"`
		SMTPConfigured bool   `json:"smtp_configured"`
		Version        string `json:"version"`
	}{h.info.HTTPPort, h.info.FeedPort, h.info.TCPPort, h.info.SMTPConfigured, h.info.Version})
}

// getReady answers whether events can be stored. Paused delivery is told, but
// a hub that stores and waits for its mail server must not be restarted for it.
func (h *Handler) getReady(c echo.Context) error {
	health := h.svc.Health()
	status := http.StatusOK
	if health.Storage != "" {
		status = http.StatusServiceUnavailable
	}
	return answerJSON(c, status, echo.MIMEApplicationJSON, struct {
		Ready   bool   `json:"ready"`
		Storage string `json:"storage,omitempty"`
		Email   string `json:"email,omitempty"`
	}{health.Storage == "", health.Storage, health.Email})
}
