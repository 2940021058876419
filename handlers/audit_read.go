package handlers

import (
	"bufio"
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/views"
	"alerthub/wire"
)

// auditRoutes are the exports of the audit log.
func (h *Handler) auditRoutes() []route {
	return []route{
		{http.MethodGet, "/audit.json", models.PermitOperate, func(c echo.Context) error { return h.exportAudit(c, models.ExportJSON) }},
		{http.MethodGet, "/audit.csv", models.PermitOperate, func(c echo.Context) error { return h.exportAudit(c, models.ExportCSV) }},
	}
}

// auditFilter reads ?actor=, ?action=, ?before= and ?limit=. An action that
// this version does not know may have been recorded by another.
func auditFilter(values url.Values) (models.AuditFilter, error) {
	q := parameters{values: values}
	f := models.AuditFilter{
		Before: q.integer("before", 0, 1, maxID),
		Limit:  int(q.integer("limit", models.DefaultLimit, 1, models.MaxLimit)),
		Actor:  strings.TrimSpace(q.text("actor")),
		Action: models.AuditAction(q.text("action")),
	}
	if len(q.wrong) > 0 {
		return models.AuditFilter{}, refuse(invalidParameter, q.wrong...)
	}
	return f, nil
}

// listAudit answers a page of the audit log.
func (h *Handler) listAudit(c echo.Context) error {
	f, err := auditFilter(c.QueryParams())
	if err != nil {
		return err
	}
	entries, next, err := h.auditPage(c.Request().Context(), f)
	if err != nil {
		return err
	}
	shown := make([]wire.AuditEntry, len(entries))
	for i, e := range entries {
		shown[i] = wire.FromAuditEntry(e)
	}
	return answer(c, struct {
		Entries    []wire.AuditEntry `json:"entries"`
		NextBefore *int64            `json:"next_before"`
	}{shown, next})
}

// auditPage reads a page of the audit log, and where the next one begins; nil
// when there is none.
func (h *Handler) auditPage(ctx context.Context, f models.AuditFilter) (entries []models.AuditEntry, next *int64, err error) {
	entries, err = h.audit.AuditLog(ctx, f)
	if err != nil || len(entries) < f.Limit {
		return entries, nil, err
	}
	last := entries[len(entries)-1].ID
	return entries, &last, nil
}

// activity is what the audit page shows of the log to those who may see it.
func (h *Handler) activity(ctx context.Context, c echo.Context) (*views.ActivityData, error) {
	f, err := auditFilter(c.QueryParams())
	if err != nil {
		return nil, err
	}
	f.Limit = views.ActivityCap
	d := &views.ActivityData{Filter: f}
	entries, next, err := h.auditPage(ctx, f)
	if err != nil {
		return nil, err
	}
	d.Entries = entries
	if next != nil {
		d.Next = *next
	}
	return d, nil
}

// exportAudit streams all of the log that the filter selects.
func (h *Handler) exportAudit(c echo.Context, format models.ExportFormat) error {
	f, err := auditFilter(c.QueryParams())
	if err != nil {
		return err
	}
	f.Limit = models.MaxLimit
	first, _, err := h.auditPage(c.Request().Context(), f)
	if err != nil {
		return err
	}
	h.attach(c, "alerthub-audit-", format)
	if headOnly(c) {
		return c.NoContent(http.StatusOK)
	}
	h.record(c, "", models.AuditExport, "audit log", strings.TrimSpace(string(format)+" "+selectedAudit(f)))
	body := patient(c)
	if err := h.writeAudit(c.Request().Context(), body, format, f, first); err != nil {
		h.breakOff(c, err)
	}
	return nil
}

// selectedAudit is a filter as an address spells it.
func selectedAudit(f models.AuditFilter) string {
	values := url.Values{}
	for name, value := range map[string]string{"actor": f.Actor, "action": string(f.Action)} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

// writeAudit writes a page at a time, and holds nothing of the database while
// it does. Lines never change, so that the pages belong together.
func (h *Handler) writeAudit(ctx context.Context, to io.Writer, format models.ExportFormat, f models.AuditFilter, page []models.AuditEntry) error {
	w := bufio.NewWriter(to)
	before, separator, after := `{"entries":[`, ",\n", "]}\n"
	line := func(e models.AuditEntry) ([]byte, error) { return wire.Marshal(wire.FromAuditEntry(e)) }
	if format == models.ExportCSV {
		before, separator, after = wire.CSVRecord(wire.AuditColumns()), "", ""
		line = func(e models.AuditEntry) ([]byte, error) { return []byte(wire.CSVRecord(wire.AuditRecord(e))), nil }
	}
	_, _ = w.WriteString(before) // a writer that failed stays failed, and Flush tells
	for n := 0; len(page) > 0; {
		for _, e := range page {
			text, err := line(e)
			if err != nil {
				return err
			}
			if n++; n > 1 {
				_, _ = w.WriteString(separator) // as above
			}
			_, _ = w.Write(text) // as above
		}
		if len(page) < f.Limit {
			break
		}
		f.Before = page[len(page)-1].ID
		var err error
		if page, err = h.audit.AuditLog(ctx, f); err != nil {
			return err
		}
	}
	_, _ = w.WriteString(after) // as above
	return w.Flush()
}

// attach makes the answer a file to keep.
func (h *Handler) attach(c echo.Context, name string, format models.ExportFormat) {
	header := c.Response().Header()
	name += h.now().UTC().Format("2006-01-02-150405") + "." + string(format)
	header.Set(echo.HeaderContentType, exportTypes[format])
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}
