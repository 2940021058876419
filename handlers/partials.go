package handlers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
	"alerthub/wire"
)

// suggestions is how many known sources a page suggests.
const suggestions = 200

func (h *Handler) getCreate(c echo.Context) error {
	ctx := reader(c)
	return h.answerForm(ctx, c, http.StatusOK, emptyForm(""))
}

// postForm stores the event that a person typed. With htmx it answers the
// form alone; without, it leads to the event's page. Whatever goes wrong, what
// was typed comes back.
func (h *Handler) postForm(c echo.Context) error {
	ctx := reader(c)
	form, err := readForm(c)
	if err != nil {
		return err
	}
	if check(ctx, &form); form.Problems() > 0 {
		return h.answerForm(ctx, c, http.StatusUnprocessableEntity, form)
	}
	id, err := h.storeForm(ctx, c, form)
	if err != nil {
		p := problemOf(err)
		if form.Trouble = trouble(ctx, p.Word); form.Trouble == "" {
			return err
		}
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(p.retryAfter))
		return h.answerForm(ctx, c, p.Status, form)
	}
	if isFragment(c) {
		next := emptyForm(form.Source)
		next.Created = id
		return h.answerForm(ctx, c, http.StatusOK, next)
	}
	return c.Redirect(http.StatusSeeOther, "/events/"+strconv.FormatInt(id, 10))
}

// answerForm shows the form: by itself to htmx, else on its page.
func (h *Handler) answerForm(ctx context.Context, c echo.Context, status int, form views.EventForm) error {
	if isFragment(c) {
		return render(ctx, c, status, views.Form(form))
	}
	p, err := h.pageWithCounts(ctx, c, views.SectionCreate, i18n.T(ctx, "nav.create"))
	if err != nil {
		return err
	}
	openSocket(ctx, &p, "create", url.Values{})
	sources, err := h.svc.Sources(ctx, suggestions)
	if err != nil {
		return err
	}
	return render(ctx, c, status, views.Create(p, form, views.CreateData{
		Samples: h.samples(c), Sources: sources, Recipients: h.info.Recipients, Routed: h.info.SMTPConfigured && h.info.Routed, Panels: h.ingest().Panels, MaxImport: models.MaxImport,
	}))
}

// emptyForm is a form for one more event, with a key of its own.
func emptyForm(source string) views.EventForm {
	return views.EventForm{Source: source, Severity: string(models.SeverityInfo), Key: rand.Text()}
}

// readForm takes what was typed from the body alone: a link must not fill it.
// Browsers send the line ends of a text area as CRLF; they count as one.
func readForm(c echo.Context) (views.EventForm, error) {
	if err := parseForm(c); err != nil {
		return views.EventForm{}, err
	}
	typed := func(name string) string { return strings.ToValidUTF8(c.Request().PostForm.Get(name), "\uFFFD") }
	return views.EventForm{
		Source: typed("source"), Severity: typed("severity"), Key: typed("key"),
		Message: strings.ReplaceAll(typed("message"), "\r\n", "\n"),
	}, nil
}

// parseForm reads a form's body.
func parseForm(c echo.Context) error {
	err := c.Request().ParseForm()
	if err == nil || problemOf(err).Status == http.StatusRequestEntityTooLarge {
		return err
	}
	return refuse(badRequest)
}

// check notes what is wrong with the fields. A person can correct what a
// device cannot: here nothing is cut and nothing is made up.
func check(ctx context.Context, f *views.EventForm) {
	if strings.TrimSpace(f.Source) == "" {
		f.SourceError = i18n.T(ctx, "create.source.missing")
	} else {
		f.SourceError = tooLong(ctx, f.Source, models.MaxSource)
	}
	if strings.TrimSpace(f.Message) == "" {
		f.MessageError = i18n.T(ctx, "create.message.missing")
	} else {
		f.MessageError = tooLong(ctx, f.Message, models.MaxMessage)
	}
	if !models.Severity(f.Severity).Valid() {
		f.SeverityError = i18n.T(ctx, "create.severity.missing")
	}
}

func tooLong(ctx context.Context, text string, limit int) string {
	if over := utf8.RuneCountInString(text) - limit; over > 0 {
		return i18n.T(ctx, "create.long", "Count", over, "Max", limit)
	}
	return ""
}

// storeForm registers a checked form and answers its event's id, which is the
// same for the same form sent twice.
func (h *Handler) storeForm(ctx context.Context, c echo.Context, f views.EventForm) (int64, error) {
	payload, err := wire.Marshal(struct {
		Source   string `json:"source"`
		Severity string `json:"severity"`
		Message  string `json:"message"`
	}{f.Source, f.Severity, f.Message})
	if err != nil {
		return 0, err
	}
	draft, err := models.NewDraft(models.Input{
		Source: f.Source, Severity: f.Severity, Message: f.Message, Key: formKey(f.Key, payload),
		Channel: models.ChannelHTTP, RawPayload: string(payload), Peer: c.RealIP(),
	})
	if err != nil {
		return 0, err
	}
	if err := h.limit(draft); err != nil {
		return 0, holdBack(ctx, err)
	}
	receipts, err := h.register(ctx, []models.Draft{draft})
	if err != nil {
		return 0, err
	}
	return receipts[0].Event.ID, receipts[0].Err
}

// formKey is the idempotency key of one form with one content. The content is
// part of it because a browser's Back brings an old form back, key and all,
// and what is then changed and sent is another event. A post without the
// form's key has none.
func formKey(key string, payload []byte) string {
	if key == "" {
		return ""
	}
	digest := sha256.New()
	digest.Write([]byte(key))
	digest.Write([]byte{0})
	digest.Write(payload)
	return "form-" + hex.EncodeToString(digest.Sum(nil)[:16])
}

// trouble says to a person why a valid form was not stored; "" for what is no
// passing trouble but a fault.
func trouble(ctx context.Context, word string) string {
	switch word {
	case busy.word:
		return i18n.T(ctx, "create.busy")
	case rateLimited.word:
		return i18n.T(ctx, "create.limited")
	case unavailable.word, shuttingDown.word:
		return i18n.T(ctx, "create.unavailable")
	case outcomeUnknown.word:
		return i18n.T(ctx, "create.unknown")
	}
	return ""
}
