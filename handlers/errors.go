package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/wire"
)

// failure is one way in which a request can fail. Its word is the same at
// every door of the hub; its texts are safe to show.
type failure struct {
	status     int
	word       string
	title      string
	detail     string
	retryAfter int // seconds; 0 for no such header
}

// The failures that the web door can answer.
var (
	invalidJSON      = failure{400, "invalid_json", "Not a JSON object", "The body must be one JSON object, an array of them, or one a line as application/x-ndjson.", 0}
	invalidEvent     = failure{400, "invalid_event", "Invalid event", "", 0}
	invalidParameter = failure{400, "invalid_parameter", "Invalid parameter", "", 0}
	badRequest       = failure{400, "bad_request", "Bad request", "The request could not be read to its end.", 0}
	unauthorized     = failure{401, "unauthorized", "Unauthorized", "A key is needed that is good and may do this: Authorization: Bearer KEY.", 0}
	foreignSource    = failure{403, "unauthorized", "Not this source", "The key may not speak as this source. Nothing was stored.", 0}
	forbidden        = failure{403, "forbidden", "Forbidden", "This is not allowed.", 0}
	crossOrigin      = failure{403, "cross_origin", "Foreign origin", "Pages of another origin may not change anything here.", 0}
	notFound         = failure{404, "not_found", "Not found", "There is nothing at this address.", 0}
	methodNotAllowed = failure{405, "method_not_allowed", "Method not allowed", "The Allow header lists the methods of this address.", 0}
	keyConflict      = failure{409, "key_conflict", "Idempotency key reused", "This source used the key before, with other content. Nothing was stored.", 0}
	notFailed        = failure{409, "not_failed", "Not failed", "Only an alert that has failed can be tried again. Nothing was changed.", 0}
	lastAdmin        = failure{409, "last_admin", "The last admin", "Nobody could administer the hub any more. Nothing was changed.", 0}
	nameTaken        = failure{409, "name_taken", "The name is taken", "Somebody has this name, whatever its case. Nothing was changed.", 0}
	tooManyTries     = failure{429, "too_many_tries", "Too many tries", "Wrong passwords or codes were shown too often. Try again after the seconds of Retry-After.", 0}
	canaryRunning    = failure{409, "canary_running", "Canary under way", "Another canary is under way. Its outcome is at /api/canary.", 0}
	importing        = failure{409, "importing", "Import under way", "Another import is under way. Try again when it is finished.", 0}
	importTooLarge   = failure{413, "import_too_large", "Import too large", "A file to import holds at most 100 MB. Nothing was stored.", 0}
	tooLarge         = failure{413, "too_large", "Too large", "A batch holds at most 1000 events in 1 MiB, any other body 64 KiB. Nothing was stored.", 0}
	unsupportedType  = failure{415, "unsupported_media_type", "Unsupported media type", "Send application/json or application/x-ndjson.", 0}
	wrongHost        = failure{421, "wrong_host", "Unknown host name", "The Host header is none of the names that this hub answers to. Ask by its address, or add the name to the setting --allowed-hosts (ALERTHUB_ALLOWED_HOSTS).", 0}
	rateLimited      = failure{429, "rate_limited", "Too many events", "This source, address or key reports more than --limit-source, --limit-peer or --limit-key allow. Nothing was stored; send again after retry_ms milliseconds.", 0}
	internal         = failure{500, "internal_error", "Internal error", "The hub's log tells more under this request id.", 0}
	busy             = failure{503, "busy", "Busy", "The queue is full. Nothing was stored; send again.", 1}
	outcomeUnknown   = failure{503, "outcome_unknown", "Outcome unknown", "The commit takes long: the event may or may not be stored. Sending it again with the same idempotency key is safe.", 1}
	unavailable      = failure{503, "storage_unavailable", "Storage unavailable", "The hub cannot store anything now. Nothing was changed; send again later.", 5}
	crowded          = failure{503, "too_many_connections", "Too many connections", "More connections, in all or from this address, than the hub allows. Close some and try again.", 5}
	shuttingDown     = failure{503, "shutting_down", "Shutting down", "The hub is stopping. Nothing was stored; send again.", 5}
)

// failures maps the errors of the service, most telling first.
var failures = []struct {
	err error
	failure
}{
	{models.ErrUnknown, outcomeUnknown},
	{models.ErrInvalidJSON, invalidJSON},
	{models.ErrNotFailed, notFailed},
	{models.ErrInvalid, invalidEvent},
	{models.ErrKeyConflict, keyConflict},
	{models.ErrForeignSource, foreignSource},
	{models.ErrUnauthorized, unauthorized},
	{models.ErrForbidden, forbidden},
	{models.ErrLastAdmin, lastAdmin},
	{models.ErrExists, nameTaken},
	{models.ErrNotFound, notFound},
	{models.ErrCanaryRunning, canaryRunning},
	{models.ErrImporting, importing},
	{models.ErrImportTooLarge, importTooLarge},
	{models.ErrBusy, busy},
	{models.ErrUnavailable, unavailable},
	{models.ErrClosed, shuttingDown},
	// Without ErrUnknown the time ended before anything was handed over.
	{context.DeadlineExceeded, busy},
	{context.Canceled, busy},
}

// statusFailures maps what Echo and its middleware answer.
var statusFailures = map[int]failure{
	http.StatusBadRequest:            badRequest,
	http.StatusForbidden:             forbidden,
	http.StatusNotFound:              notFound,
	http.StatusMethodNotAllowed:      methodNotAllowed,
	http.StatusRequestEntityTooLarge: tooLarge,
	http.StatusUnsupportedMediaType:  unsupportedType,
	http.StatusServiceUnavailable:    unavailable,
}

// fieldError says what is wrong with one member or parameter.
type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// problem is an error answer of the API (RFC 9457).
type problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Word      string       `json:"error"`
	Field     string       `json:"field,omitempty"`
	Errors    []fieldError `json:"errors,omitempty"`
	RetryMS   int64        `json:"retry_ms,omitzero"`
	Cancelled int64        `json:"cancelled,omitzero"` // alerts, before it failed
	RequestID string       `json:"request_id"`

	retryAfter int
}

// retryIn says when it may be tried again: exactly, and in the header's seconds.
func (p *problem) retryIn(limited *models.RateLimited) *problem {
	p.RetryMS = limited.Milliseconds()
	p.retryAfter = int((p.RetryMS + 999) / 1000)
	return p
}

// Error makes a problem what handlers return.
func (p *problem) Error() string { return p.Word + " " + p.Field + ": " + p.Detail }

// refuse makes the answer for f; fields, if any, say what is wrong where.
func refuse(f failure, fields ...fieldError) *problem {
	p := &problem{
		// Resolves to the document that explains the word.
		Type:  pathOpenAPI + "#" + f.word,
		Title: f.title, Status: f.status, Detail: f.detail, Word: f.word, Errors: fields, retryAfter: f.retryAfter,
	}
	if len(fields) > 0 {
		p.Field = fields[0].Field
		p.Detail = fields[0].Field + " " + fields[0].Detail + "."
	}
	return p
}

// problemOf is the one place where an error becomes an answer. The text of an
// error that is not meant for the sender never gets into it.
func problemOf(err error) *problem {
	var (
		p       *problem
		field   *models.FieldError
		tooLong *http.MaxBytesError
		limited *models.RateLimited
		many    *models.TooManyError
		routing *echo.HTTPError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		return refuse(invalidEvent, fieldError{field.Field, field.Reason})
	case errors.As(err, &tooLong):
		return refuse(tooLarge)
	case errors.As(err, &limited):
		return refuse(rateLimited).retryIn(limited)
	case errors.As(err, &many):
		p = refuse(tooManyTries)
		p.retryAfter = int((many.Wait + time.Second - 1) / time.Second)
		return p
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return refuse(f.failure)
		}
	}
	if errors.As(err, &routing) {
		if f, ok := statusFailures[routing.Code]; ok {
			return refuse(f)
		}
	}
	return refuse(internal)
}

// handleError answers what a handler or the middleware returned: a page for
// people, a problem for programs. The request log has the error itself.
func (h *Handler) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	if p.Word == internal.word && !errors.Is(err, errPanic) && c.Request().Context().Err() != nil {
		p = refuse(busy) // whoever left cut a query short, which is no fault of the hub
	}
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, "no-store")
	if p.Status == http.StatusUnauthorized {
		header.Set(echo.HeaderWWWAuthenticate, "Bearer") // RFC 9110 section 15.5.2 wants one
	}
	if p.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(p.retryAfter))
	}
	if wantsPage(c.Request()) {
		// Not a page: its files and links would be refused as well.
		switch p.Word {
		case wrongHost.word:
			_ = c.String(p.Status, i18n.T(reader(c), "error.host"))
			return
		case crowded.word:
			_ = c.String(p.Status, i18n.T(reader(c), "error.crowded"))
			return
		}
	}
	if h.answerUnauthorized(c, err) {
		return
	}
	if wantsPage(c.Request()) && h.renderError(c, p.Status) == nil {
		return
	}
	answer := *p
	answer.RequestID = requestID(c)
	// Fails only when the client is gone, and then nobody needs to be told.
	_ = answerJSON(c, p.Status, "application/problem+json", &answer)
}

// wantsPage reports whether a person with a browser waits for the answer.
func wantsPage(r *http.Request) bool {
	if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	return r.Header.Get("HX-Request") == "true" || strings.Contains(r.Header.Get(echo.HeaderAccept), echo.MIMETextHTML)
}

// answerJSON encodes v before anything is sent, so that a failure can still
// become an error answer.
func answerJSON(c echo.Context, status int, mediaType string, v any) error {
	body, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	return c.Blob(status, mediaType, body)
}
