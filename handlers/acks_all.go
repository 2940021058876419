package handlers

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// getAckAll asks before everything that a filter selects is acknowledged. What
// arrives after the question is not part of it.
func (h *Handler) getAckAll(c echo.Context) error {
	ctx := reader(c)
	q, upto, err := h.readAckAll(c.QueryParams())
	if err != nil {
		return err
	}
	figures, err := h.figures(ctx, 0)
	if err != nil {
		return err
	}
	if upto == 0 {
		upto = figures.stats.LastEventID + 1
	}
	match, err := h.svc.Match(ctx, q.Filter(h.now()))
	if err != nil {
		return err
	}
	p := h.page(ctx, c, views.SectionEvents, i18n.T(ctx, "ackall.title"))
	p.Header = figures.header()
	return render(ctx, c, http.StatusOK, views.ConfirmAckAll(p, views.AckAllData{
		Query: q, Upto: upto, Count: match.Total, Exact: match.Exact,
	}))
}

// postAckAll acknowledges what a filter selects below the bound that the
// question named.
func (h *Handler) postAckAll(c echo.Context) error {
	ctx := reader(c)
	if err := parseForm(c); err != nil {
		return err
	}
	q, upto, err := h.readAckAll(c.Request().PostForm)
	if err != nil {
		return err
	}
	if upto == 0 {
		return refuse(invalidParameter, fieldError{"upto", "is missing"})
	}
	by, wrong := readName(ctx, c)
	if by == "" {
		// The question is asked again once the name is known.
		values := q.Values()
		values.Set("upto", itoa(upto))
		return h.askName(ctx, c, wrong, views.NameData{Next: "/events/ack-all?" + values.Encode()})
	}
	filter := q.Filter(h.now())
	filter.Before = upto
	token, n, err := h.svc.AcknowledgeAll(ctx, filter, ackOf(c, by))
	if err != nil && n == 0 {
		return err
	}
	if err != nil { // what was done is told, recorded and can be undone; the rest still waits
		h.logger.Warn("acknowledging many ended half way", "done", n, "error", err, "request_id", requestID(c))
	}
	if n > 0 {
		selected := q.Values()
		selected.Set("upto", itoa(upto))
		h.record(c, by, models.AuditAck, "events "+itoa(int64(n)), selected.Encode())
	}
	d := done{what: acked, count: int64(n)}
	if token != "" {
		d.undo = url.Values{"batch": {token}}.Encode()
	}
	return answerDone(ctx, c, d, q.URL("/events"))
}

// readAckAll reads the filter and its bound, 0 when there is none. A filter
// that is not understood in whole would acknowledge more than was meant.
func (h *Handler) readAckAll(values url.Values) (query.Query, int64, error) {
	q, problems := query.Parse(values, h.now())
	params := parameters{values: values, wrong: fieldErrors(problems)}
	upto := params.integer("upto", 0, 1, maxID)
	if len(params.wrong) > 0 {
		return query.Query{}, 0, refuse(invalidParameter, params.wrong...)
	}
	q.Unacked = true
	return q, upto, nil
}
