package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// actionRoutes registers what people do to events and alerts, as forms.
func (h *Handler) actionRoutes() []route {
	return []route{
		{http.MethodPost, "/events/ack", models.PermitOperate, h.postAck},
		{http.MethodPost, "/events/unack", models.PermitOperate, h.postUnack},
		{http.MethodGet, "/events/ack-all", models.PermitOperate, h.getAckAll},
		{http.MethodPost, "/events/ack-all", models.PermitOperate, h.postAckAll},
		{http.MethodPost, "/alerts/:id/retry", models.PermitOperate, h.postRetry},
		{http.MethodGet, "/alerts/cancel", models.PermitOperate, h.getCancel},
		{http.MethodPost, "/alerts/cancel", models.PermitOperate, h.postCancel},
		{http.MethodPost, "/name", models.PermitOperate, h.postName},
	}
}

// ackForm is what the form of an acknowledgement sends.
type ackForm struct {
	ids   []int64
	group bool   // each id stands for its earlier repeats too
	next  string // the page to go back to
}

// postAck acknowledges the events that a form names.
func (h *Handler) postAck(c echo.Context) error {
	ctx := reader(c)
	form, err := readAckForm(c)
	if err != nil {
		return err
	}
	if len(form.ids) == 0 {
		return refuse(invalidParameter, fieldError{"id", "must name an event"})
	}
	by, wrong := readName(ctx, c)
	if by == "" {
		return h.askName(ctx, c, wrong, views.NameData{
			IDs: c.Request().PostForm["id"], Group: form.group, Next: form.next,
		})
	}
	events, err := h.acknowledge(ctx, form, ackOf(c, by))
	if err != nil {
		return err
	}
	h.recordEvents(c, by, models.AuditAck, events)
	d := changed(acked, events)
	d.undo = undoOf(events)
	return answerDone(ctx, c, d, form.next)
}

func (h *Handler) acknowledge(ctx context.Context, form ackForm, ack models.Ack) ([]models.Event, error) {
	if !form.group {
		return h.svc.Acknowledge(ctx, form.ids, ack)
	}
	var all []models.Event
	for _, id := range form.ids {
		events, err := h.svc.AcknowledgeGroup(ctx, id, ack)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	return all, nil
}

// postUnack takes acknowledgements back: of the events that a form names, or
// of all that one action changed.
func (h *Handler) postUnack(c echo.Context) error {
	ctx := reader(c)
	form, err := readAckForm(c)
	if err != nil {
		return err
	}
	if token := c.Request().PostForm.Get("batch"); token != "" {
		n, err := h.svc.UndoAll(ctx, token)
		if err != nil {
			return err
		}
		if n > 0 {
			h.record(c, nameOf(c), models.AuditUnack, "events "+itoa(int64(n)), "")
		}
		return answerDone(ctx, c, done{what: unacked, count: int64(n)}, form.next)
	}
	if len(form.ids) == 0 {
		return refuse(invalidParameter, fieldError{"id", "must name an event"})
	}
	events, err := h.svc.Unacknowledge(ctx, form.ids)
	if err != nil {
		return err
	}
	h.recordEvents(c, nameOf(c), models.AuditUnack, events)
	return answerDone(ctx, c, changed(unacked, events), form.next)
}

// postName keeps who acknowledges in this browser.
func (h *Handler) postName(c echo.Context) error {
	ctx := reader(c)
	if err := parseForm(c); err != nil {
		return err
	}
	next := nextPage(c)
	if by, wrong := typedName(ctx, c); by == "" {
		return h.askName(ctx, c, wrong, views.NameData{Next: next})
	}
	if isFragment(c) {
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, next)
}

// readName is who acknowledges: who is signed in, else the name that the form
// brings, which is kept from then on, else the one that was kept. Without one,
// wrong says in the reader's language what is wrong with what was typed; it is
// "" when nothing was.
func readName(ctx context.Context, c echo.Context) (by, wrong string) {
	if models.ActorOf(c.Request().Context()).Kind != models.ActorUser && c.Request().PostForm.Has("by") {
		return typedName(ctx, c)
	}
	return nameOf(c), ""
}

func typedName(ctx context.Context, c echo.Context) (by, wrong string) {
	typed := c.Request().PostForm.Get("by")
	by, err := models.CleanName(typed)
	switch {
	case err == nil:
		keepName(c, by)
		return by, ""
	case strings.TrimSpace(typed) == "":
		return "", i18n.T(ctx, "name.missing")
	}
	return "", i18n.T(ctx, "name.wrong", "Max", models.MaxName)
}

// askName asks who acknowledges. With htmx the page has asked before it sent.
func (h *Handler) askName(ctx context.Context, c echo.Context, wrong string, d views.NameData) error {
	status := http.StatusUnprocessableEntity
	if isFragment(c) {
		if wrong == "" {
			wrong = i18n.T(ctx, "name.missing")
		}
		return toastError(c, status, wrong)
	}
	if wrong == "" {
		status = http.StatusOK // a question, not a refusal
	}
	d.Error = wrong
	p, err := h.pageWithCounts(ctx, c, sectionOf(d), i18n.T(ctx, "name.title"))
	if err != nil {
		return err
	}
	p.OtherURL = d.Next // this page answers a form: it has no address to reload
	return render(ctx, c, status, views.AskName(p, d))
}

// readAckForm reads the body alone: a link must not acknowledge anything.
func readAckForm(c echo.Context) (ackForm, error) {
	if err := parseForm(c); err != nil {
		return ackForm{}, err
	}
	posted := c.Request().PostForm
	form := ackForm{group: posted.Get("group") == "1", next: nextPage(c)}
	for _, text := range posted["id"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 || id > maxID {
			return ackForm{}, refuse(invalidParameter, fieldError{"id", "must be the number of an event"})
		}
		form.ids = append(form.ids, id)
	}
	if len(form.ids) > models.MaxLimit {
		return ackForm{}, refuse(invalidParameter, fieldError{"id", "names more than 1000 events"})
	}
	return form, nil
}

// undoIDs is how many events an undo may name: it travels in a header.
const undoIDs = 400

// undoOf is the body of the form that takes back what changed these events;
// "" when they are too many.
func undoOf(events []models.Event) string {
	if len(events) > undoIDs {
		return ""
	}
	form := url.Values{}
	for i := range events {
		form.Add("id", itoa(events[i].ID))
	}
	return form.Encode()
}
