package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// countedPending bounds how many alerts the question before a cancel counts.
const countedPending = 10_000

// postRetry has a failed alert tried again.
func (h *Handler) postRetry(c echo.Context) error {
	ctx := reader(c)
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := parseForm(c); err != nil {
		return err
	}
	next := nextAfterAlert(c, alertPath(id))
	by, wrong := readName(ctx, c)
	if by == "" {
		return h.askName(ctx, c, wrong, views.NameData{Action: alertPath(id) + "/retry", Next: next})
	}
	d := done{what: retried, count: 1, id: id}
	if _, err := h.svc.RetryAlert(ctx, id, ackOf(c, by)); errors.Is(err, models.ErrNotFailed) {
		d.count = 0 // somebody was faster
	} else if err != nil {
		return err
	} else {
		h.record(c, by, models.AuditAlertRetry, "alert "+itoa(id), "")
	}
	return answerDone(ctx, c, d, next)
}

func alertPath(id int64) string { return "/alerts/" + itoa(id) }

// nextAfterAlert is where an action on the outbox leads: nextPage, if that is
// a page of alerts or events, else to.
func nextAfterAlert(c echo.Context, to string) string {
	next := nextPage(c)
	if next == "/events" && c.Request().PostForm.Get("next") == "" {
		return to
	}
	return next
}

// getCancel asks before pending alerts are cancelled.
func (h *Handler) getCancel(c echo.Context) error {
	values := c.QueryParams()
	return h.confirmCancel(c, models.Cancellation{Contact: values.Get("contact"), Source: values.Get("source")})
}

// postCancel cancels what a form names, once that is confirmed.
func (h *Handler) postCancel(c echo.Context) error {
	ctx := reader(c)
	if err := parseForm(c); err != nil {
		return err
	}
	posted := c.Request().PostForm
	sel := models.Cancellation{Contact: posted.Get("contact"), Source: posted.Get("source")}
	if posted.Get("confirmed") != "1" {
		return h.confirmCancel(c, sel)
	}
	if err := checkCancel(sel); err != nil {
		return err
	}
	by, wrong := readName(ctx, c)
	if by == "" {
		// The question is asked again once the name is known.
		return h.askName(ctx, c, wrong, views.NameData{Next: views.CancelURL(sel)})
	}
	n, err := h.svc.CancelAlerts(ctx, sel, ackOf(c, by))
	h.recordCancel(c, by, sel, n)
	d := done{what: cancelled, count: n}
	switch {
	case err != nil && n > 0:
		d.what = cancelledPart
	case err != nil:
		return err
	}
	return answerDone(ctx, c, d, query.Outbox{Contact: sel.Contact}.URL("/alerts"))
}

// checkCancel refuses to cancel everything.
func checkCancel(sel models.Cancellation) error {
	if sel == (models.Cancellation{}) {
		return refuse(invalidParameter, fieldError{"contact", "or source must be given"})
	}
	return nil
}

func (h *Handler) confirmCancel(c echo.Context, sel models.Cancellation) error {
	ctx := reader(c)
	if err := checkCancel(sel); err != nil {
		return err
	}
	n, err := h.svc.CountPending(ctx, sel, countedPending+1)
	if err != nil {
		return err
	}
	p, err := h.pageWithCounts(ctx, c, views.SectionAlerts, i18n.T(ctx, "cancel.title"))
	if err != nil {
		return err
	}
	p.OtherURL = otherCancel(ctx, sel)
	return render(ctx, c, http.StatusOK, views.ConfirmCancel(p, views.CancelData{Cancellation: sel, Count: min(n, countedPending), Many: n > countedPending}))
}

// otherCancel is the question in the other language: a form answers with it too.
func otherCancel(ctx context.Context, sel models.Cancellation) string {
	other := i18n.Langs()[1-i18n.FromContext(ctx)]
	return views.CancelURL(sel) + "&lang=" + other.String()
}

// sectionOf is the tab that an action belongs to.
func sectionOf(d views.NameData) views.Section {
	if strings.HasPrefix(d.Action+d.Next, "/alerts") {
		return views.SectionAlerts
	}
	return views.SectionEvents
}
