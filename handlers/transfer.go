package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// Transfer takes the history out of the hub as a file, and files into it.
type Transfer interface {
	// Export writes all events that f selects. An error means that what was
	// written is not the whole.
	Export(ctx context.Context, w io.Writer, format models.ExportFormat, f models.EventFilter) error
	// Upload receives and checks a file; models.ErrImportTooLarge,
	// models.ErrImporting.
	Upload(ctx context.Context, name string, from io.Reader) (models.Import, error)
	// Import tells how far an import has come; models.ErrNotFound.
	Import(ctx context.Context, token string) (models.Import, error)
	// Start begins a checked import; models.ErrImporting, models.ErrNotFound.
	Start(token string) error
}

// transferRoutes registers exports, imports and the sample events.
func (h *Handler) transferRoutes() []route {
	routes := []route{
		{http.MethodPost, pathImport, models.PermitOperate, h.postImport},
		{http.MethodGet, pathImport + "/:token", models.PermitOperate, h.getImport},
		{http.MethodPost, pathImport + "/:token", models.PermitOperate, h.postImportStart},
		{http.MethodPost, "/seed", models.PermitOperate, h.postSeed},
	}
	for _, format := range models.ExportFormats() {
		routes = append(routes, route{http.MethodGet, "/export." + string(format), models.PermitRead, func(c echo.Context) error { return h.getExport(c, format) }})
	}
	return routes
}

// pathImport is where files are sent to; the middleware knows it too.
const pathImport = "/import"

// Patience with one read or write of a transfer, and with a whole upload.
const (
	transferPause = time.Minute
	uploadTime    = 15 * time.Minute
)

// maxImportBody bounds the body of an upload: the file, and what a form adds.
const maxImportBody = models.MaxImport + 1<<20

// exportTypes are the media types of the formats.
var exportTypes = map[models.ExportFormat]string{
	models.ExportJSON:  "application/json",
	models.ExportLines: "application/x-ndjson",
	models.ExportCSV:   "text/csv; charset=utf-8; header=present",
}

// getExport streams what the filter of the page selects. A filter that is not
// understood is refused: a file cannot tell what was left out of it.
func (h *Handler) getExport(c echo.Context, format models.ExportFormat) error {
	q, problems := query.Parse(c.QueryParams(), h.now())
	if len(problems) > 0 {
		wrong := make([]fieldError, len(problems))
		for i, p := range problems {
			wrong[i] = fieldError{p.Field, p.Reason}
		}
		return refuse(invalidParameter, wrong...)
	}
	h.attach(c, "alerthub-", format)
	if headOnly(c) {
		return c.NoContent(http.StatusOK)
	}
	body := patient(c)
	err := h.transfer.Export(c.Request().Context(), body, format, q.Filter(h.now()))
	if err != nil && !c.Response().Committed {
		c.Response().Header().Del(echo.HeaderContentDisposition)
		return err
	}
	h.record(c, nameOf(c), models.AuditExport, "events", strings.TrimSpace(string(format)+" "+q.Values().Encode()))
	if err != nil {
		h.breakOff(c, err)
	}
	return nil
}

// breakOff ends an export that cannot be finished: its end must not look like
// the end of the file.
func (h *Handler) breakOff(c echo.Context, err error) {
	h.logger.Warn("export not finished", "path", c.Request().URL.Path, "error", err, "request_id", requestID(c))
	panic(http.ErrAbortHandler)
}

// patientWriter waits for a slow reader, but not for one that reads nothing.
type patientWriter struct {
	io.Writer
	control *http.ResponseController
}

func patient(c echo.Context) *patientWriter {
	return &patientWriter{c.Response(), http.NewResponseController(c.Response())}
}

func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(transferPause)) // not every writer has one: then there is no limit
	return w.Writer.Write(p)
}

// postImport receives a file and leads to the page that asks what to do.
func (h *Handler) postImport(c echo.Context) error {
	ctx := reader(c)
	i, err := h.upload(c)
	switch {
	case err == nil && i.State == models.ImportRefused:
		return h.answerImport(ctx, c, http.StatusUnprocessableEntity, views.ImportData{Import: i})
	case err == nil:
		return c.Redirect(http.StatusSeeOther, pathImport+"/"+i.Token)
	}
	return h.answerImportError(ctx, c, views.ImportData{}, err)
}

// upload hands the form's file over while it is received.
func (h *Handler) upload(c echo.Context) (models.Import, error) {
	r := c.Request()
	if r.ContentLength > maxImportBody {
		hangUp(c)
		return models.Import{}, models.ErrImportTooLarge
	}
	ctx, cancel := context.WithTimeout(r.Context(), uploadTime)
	defer cancel()
	r.Body = &patientReader{r.Body, http.NewResponseController(c.Response()), ctx}
	form, err := r.MultipartReader()
	if err != nil {
		return models.Import{}, refuse(badRequest)
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return models.Import{}, uploadError(c, err)
		}
		if part.FormName() != "file" {
			continue
		}
		i, err := h.transfer.Upload(ctx, fileName(part.FileName()), part)
		return i, uploadError(c, err)
	}
}

// uploadError tells the faults of a sender from those of the hub. A body that
// is not read to its end ends the connection.
func uploadError(c echo.Context, err error) error {
	var tooLong *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLong), errors.Is(err, models.ErrImportTooLarge):
		hangUp(c)
		return models.ErrImportTooLarge
	case errors.Is(err, models.ErrImporting), errors.Is(err, models.ErrUnavailable):
		hangUp(c)
		return err
	}
	return errors.Join(refuse(badRequest), err)
}

// patientReader waits for a slow sender, but not for one that sends nothing.
type patientReader struct {
	io.ReadCloser
	control *http.ResponseController
	ctx     context.Context // of the whole upload
}

func (r *patientReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	until := time.Now().Add(transferPause)
	_ = r.control.SetReadDeadline(until) // not every connection has one: then there is no limit
	_ = r.control.SetWriteDeadline(until)
	return r.ReadCloser.Read(p)
}

// fileName is a browser's name for a file, as people are shown it.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if letters := []rune(name); len(letters) > 100 {
		name = string(letters[:100])
	}
	return name
}

// getImport shows a file before, during and after its import.
func (h *Handler) getImport(c echo.Context) error {
	ctx := reader(c)
	i, err := h.transfer.Import(ctx, c.Param("token"))
	if err != nil {
		return h.answerImportError(ctx, c, views.ImportData{}, err)
	}
	return h.answerImport(ctx, c, http.StatusOK, views.ImportData{Import: i})
}

// postImportStart begins the import.
func (h *Handler) postImportStart(c echo.Context) error {
	ctx := reader(c)
	token := c.Param("token")
	if err := h.transfer.Start(token); err != nil {
		i, known := h.transfer.Import(ctx, token)
		if known != nil {
			i = models.Import{}
		}
		return h.answerImportError(ctx, c, views.ImportData{Import: i}, err)
	}
	if i, err := h.transfer.Import(ctx, token); err == nil {
		h.record(c, nameOf(c), models.AuditImport, "events "+itoa(i.Events), i.Name)
	}
	return c.Redirect(http.StatusSeeOther, pathImport+"/"+token)
}

// answerImportError says to a person on the page of the import what is wrong;
// to programs, and of faults, it is an error like any other.
func (h *Handler) answerImportError(ctx context.Context, c echo.Context, d views.ImportData, err error) error {
	p := problemOf(err)
	switch p.Word {
	case importTooLarge.word:
		d.Trouble = i18n.T(ctx, "import.large", "Size", i18n.Bytes(ctx, models.MaxImport))
	case importing.word:
		d.Trouble = i18n.T(ctx, "import.busy")
	case notFound.word:
		d.Trouble = i18n.T(ctx, "import.expired")
	case badRequest.word:
		d.Trouble = i18n.T(ctx, "import.unreadable")
	}
	if d.Trouble == "" || !wantsPage(c.Request()) {
		return err
	}
	return h.answerImport(ctx, c, p.Status, d)
}

func (h *Handler) answerImport(ctx context.Context, c echo.Context, status int, d views.ImportData) error {
	p, err := h.pageWithCounts(ctx, c, views.SectionCreate, i18n.T(ctx, "import.title"))
	if err != nil {
		return err
	}
	p.Refresh = d.State == models.ImportRunning
	return render(ctx, c, status, views.ImportConfirm(p, d))
}

// postSeed stores five sample events, which look like those of real senders.
func (h *Handler) postSeed(c echo.Context) error {
	ctx := reader(c)
	samples := []struct {
		source   string
		severity models.Severity
		message  string
	}{
		{"sensor-a", models.SeverityInfo, i18n.T(ctx, "sample.heartbeat")},
		{"sensor-b", models.SeverityWarning, i18n.T(ctx, "sample.temperature")},
		{"core-rtr-mad-01", models.SeverityCritical, i18n.T(ctx, "sample.link")},
		{"ups-rack-b4", models.SeverityError, i18n.T(ctx, "sample.battery")},
		{"vpn-gw-01", models.SeverityWarning, i18n.T(ctx, "sample.login")},
	}
	drafts := make([]models.Draft, len(samples))
	for i, s := range samples {
		draft, err := models.NewDraft(models.Input{
			Source: s.source, Severity: string(s.severity), Message: s.message, Channel: models.ChannelHTTP, Peer: c.RealIP(),
		})
		if err != nil {
			return err
		}
		if err := h.limit(draft); err != nil {
			return err
		}
		drafts[i] = draft
	}
	if _, err := h.register(ctx, drafts); err != nil {
		return err
	}
	h.record(c, nameOf(c), models.AuditSamples, "events "+itoa(int64(len(samples))), "")
	return answerDone(ctx, c, done{what: sampled, count: int64(len(samples))}, "/events")
}
