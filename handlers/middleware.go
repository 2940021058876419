package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// Limits of a request's body, in bytes. Beyond them the answer is 413.
const (
	maxBatchBody = 1 << 20 // POST /api/events
	maxBody      = 64 << 10
)

// compressFrom is the size from which an answer is compressed: below it the
// gzip header and the CPU cost more than they save.
const compressFrom = 1 << 10

// contentPolicy lets a page load from its own origin only, without inline
// scripts or styles, without plugins, and in nobody's frame.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// errPanic is in the error of a handler that panicked.
var errPanic = errors.New("panic")

// middleware puts around every answer, errors included, what all of them need.
// The order matters: the id comes first because the log and the errors name
// it, the log encloses the recovery so that a panic is logged as a 500, and
// the headers are set before anything that can refuse.
func (h *Handler) middleware(e *echo.Echo) {
	e.Use(
		plainRequestID,
		middleware.RequestID(),
		middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
			HandleError: true, LogLatency: true, LogRemoteIP: true, LogMethod: true, LogURIPath: true,
			LogStatus: true, LogError: true, LogResponseSize: true,
			LogValuesFunc: h.logRequest,
		}),
		middleware.RecoverWithConfig(middleware.RecoverConfig{
			DisableStackAll:     true,
			DisableErrorHandler: true, // the request log handles it, as any other error
			LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
				return fmt.Errorf("%w: %w\n%s", errPanic, err, stack)
			},
		}),
		secureHeaders,
		h.refuseCrowded,
		h.hosts.ownHost,
		sameOriginWrites,
		h.identify,
		limitBody,
		middleware.GzipWithConfig(middleware.GzipConfig{MinLength: compressFrom, Skipper: uncompressed}),
	)
}

// requestIDs are the ones taken over from a proxy; others are replaced.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// plainRequestID drops a sender's request id that is not a plain word, because
// logs, headers and pages repeat it.
func plainRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Request().Header
		if id := header.Get(echo.HeaderXRequestID); id != "" && !requestIDs.MatchString(id) {
			header.Del(echo.HeaderXRequestID)
		}
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// logRequest writes one line a request. What machines ask all the time is
// debug output: ingest (the hub and /metrics count it), probes, files, sockets,
// pages that follow an alert.
func (h *Handler) logRequest(c echo.Context, v middleware.RequestLoggerValues) error {
	level := slog.LevelInfo
	switch {
	case v.Status == http.StatusInternalServerError:
		level = slog.LevelError
	case quiet(c):
		level = slog.LevelDebug
	}
	ctx := c.Request().Context()
	if !h.logger.Enabled(ctx, level) {
		return nil
	}
	attrs := []slog.Attr{
		slog.String("method", v.Method), slog.String("path", v.URIPath), slog.Int("status", v.Status),
		slog.Duration("took", v.Latency), slog.Int64("bytes", v.ResponseSize),
		slog.String("peer", v.RemoteIP), slog.String("request_id", requestID(c)),
	}
	if v.Error != nil {
		attrs = append(attrs, slog.Any("error", v.Error))
	}
	h.logger.LogAttrs(ctx, level, "request answered", attrs...)
	return nil
}

func quiet(c echo.Context) bool {
	switch path := c.Request().URL.Path; path {
	case pathHealth, pathReady, pathMetrics:
		return true
	case pathEvents:
		return c.Request().Method == http.MethodPost
	default:
		return wants(c, "alert") || isSocket(path) || strings.HasPrefix(path, "/static/")
	}
}

func isSocket(path string) bool { return path == "/ws" || strings.HasPrefix(path, "/ws/") }

// uncompressed are the answers that gzip must leave alone: sockets, metrics
// (which negotiate for themselves) and files, whose handler knows them best.
func uncompressed(c echo.Context) bool {
	path := c.Request().URL.Path
	return isSocket(path) || path == pathMetrics || strings.HasPrefix(path, "/static/")
}

// secureHeaders sets the headers that every answer carries. Answers are not
// stored by browsers or proxies unless a handler says otherwise.
func secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		response := c.Response()
		header := response.Header()
		header.Set(echo.HeaderContentSecurityPolicy, contentPolicy)
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderReferrerPolicy, "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set(echo.HeaderCacheControl, "no-store")
		response.Before(func() {
			// Echo lists the registered methods; HEAD comes with every GET.
			if allow := header.Get(echo.HeaderAllow); strings.Contains(allow, http.MethodGet) && !strings.Contains(allow, http.MethodHead) {
				header.Set(echo.HeaderAllow, allow+", "+http.MethodHead)
			}
		})
		return next(c)
	}
}

// refuseCrowded answers whoever came by one connection too many, and closes it.
func (h *Handler) refuseCrowded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if h.crowded(c.Request().Context()) {
			c.Response().Header().Set(echo.HeaderConnection, "close")
			return refuse(crowded)
		}
		return next(c)
	}
}

// sameOriginWrites refuses what a foreign page makes a browser send. It looks
// at headers only, so no spelling of a path gets around it.
func sameOriginWrites(next echo.HandlerFunc) echo.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		if protection.Check(c.Request()) != nil {
			return refuse(crossOrigin)
		}
		return next(c)
	}
}

// limitBody bounds the body by what its route takes.
func limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		limit := int64(maxBody)
		r := c.Request()
		switch c.Path() {
		case pathEvents:
			limit = maxBatchBody
		case pathImport:
			r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, maxImportBody)
			return next(c) // which has a page of its own for more
		}
		if r.ContentLength > limit {
			hangUp(c)
			return refuse(tooLarge)
		}
		r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, limit)
		return next(c)
	}
}

// hangUp ends the connection of a sender that is in the middle of a body that
// nobody reads. One look over a limit of nothing makes net/http do it in the
// way that lets the sender read the answer first; else a reset may overtake
// that.
func hangUp(c echo.Context) {
	if r := c.Request(); r.Header.Get("Expect") == "" {
		_, _ = http.MaxBytesReader(c.Response().Writer, r.Body, 0).Read(make([]byte, 1))
	}
}

// headAsGet answers HEAD with the headers of GET on every route: net/http
// drops the body by itself, looking at its own request.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

type headKey struct{}

// headOnly reports whether nobody will see the body of the answer.
func headOnly(c echo.Context) bool { return c.Request().Context().Value(headKey{}) != nil }
