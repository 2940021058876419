package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
	"alerthub/wire"
)

// The headers by which htmx tells what it asks for and is told what to do.
const (
	headerTarget  = "HX-Target"
	headerTrigger = "HX-Trigger"
	headerReswap  = "HX-Reswap"
)

// doneCookie carries what was done over the redirect to the page that tells
// it, for browsers without JavaScript.
const doneCookie = "done"

// doneAge is how long that page may take to be asked for, in seconds.
const doneAge = 30

// The things that an action can have done, as doneCookie spells them.
const (
	acked     = "acked"
	unacked   = "unacked"
	sampled   = "sampled"
	retried   = "retried"
	cancelled = "cancelled"
	// cancelledPart is cancelled, and then the storage failed.
	cancelledPart = "cancelled-part"
)

// done is what an action did.
type done struct {
	what  string // one of the words above
	count int64  // how many events or alerts it changed
	id    int64  // the event or alert, when it is one
	undo  string // the body of the POST to /events/unack that undoes it; "" for none
}

// toast tells it to a person.
func (d done) toast(ctx context.Context) views.Toast {
	t := views.Toast{Tone: "success", Undo: d.undo}
	id := itoa(d.id)
	switch {
	case d.what == sampled:
		t.Text = i18n.T(ctx, "toast.seeded")
	case d.what == retried && d.count == 0:
		t.Tone, t.Text = "info", i18n.T(ctx, "toast.retried.none", "ID", id)
	case d.what == retried:
		t.Text = i18n.T(ctx, "toast.retried", "ID", id)
	case d.what == cancelled && d.count == 0:
		t.Tone, t.Text = "info", i18n.T(ctx, "toast.cancelled.none")
	case d.what == cancelledPart:
		t.Tone, t.Text = "error", i18n.T(ctx, "toast.cancelled.part", "Count", d.count)
	case d.what == cancelled:
		t.Text = i18n.T(ctx, "toast.cancelled", "Count", d.count)
	case d.count == 0 && d.what == acked:
		t.Tone, t.Text = "info", i18n.T(ctx, "toast.acked.none")
	case d.count == 0:
		t.Tone, t.Text = "info", i18n.T(ctx, "toast.unacked.none")
	case d.count == 1 && d.id > 0 && d.what == acked:
		t.Text = i18n.T(ctx, "toast.acked.one", "ID", id)
	case d.count == 1 && d.id > 0:
		t.Text = i18n.T(ctx, "toast.unacked.one", "ID", id)
	case d.what == acked:
		t.Text = i18n.T(ctx, "toast.acked", "Count", d.count)
	default:
		t.Text = i18n.T(ctx, "toast.unacked", "Count", d.count)
	}
	return t
}

// changed is what an action did to these events.
func changed(what string, events []models.Event) done {
	d := done{what: what, count: int64(len(events))}
	if len(events) == 1 {
		d.id = events[0].ID
	}
	return d
}

// answerDone answers an action: htmx gets a toast, and the rows change by the
// socket's frames; without JavaScript it leads to the page next, which tells.
func answerDone(ctx context.Context, c echo.Context, d done, next string) error {
	if isFragment(c) {
		if err := trigger(c, d.toast(ctx)); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
	keep(c, doneCookie, url.Values{
		"what": {d.what}, "count": {itoa(d.count)}, "id": {itoa(d.id)}, "undo": {d.undo},
	}.Encode(), doneAge)
	return c.Redirect(http.StatusSeeOther, next)
}

// undoBodies are what a page may offer to send to /events/unack.
var undoBodies = regexp.MustCompile(`^(id=\d{1,16}(&id=\d{1,16})*|batch=[A-Z2-7]{26})?$`)

// justDone is what the page before this one did, told once.
func justDone(ctx context.Context, c echo.Context) []views.Toast {
	kept, err := url.ParseQuery(cookie(c, doneCookie))
	if err != nil || len(kept) == 0 {
		return nil
	}
	keep(c, doneCookie, "", 0)
	d := done{what: kept.Get("what"), undo: kept.Get("undo")}
	count, countErr := strconv.ParseInt(kept.Get("count"), 10, 64)
	id, idErr := strconv.ParseInt(kept.Get("id"), 10, 64)
	if countErr != nil || idErr != nil || count < 0 || !slices.Contains([]string{acked, unacked, sampled, retried, cancelled, cancelledPart}, d.what) || !undoBodies.MatchString(d.undo) {
		return nil // not written by answerDone
	}
	d.count, d.id = count, id
	return []views.Toast{d.toast(ctx)}
}

// trigger makes htmx show a toast.
func trigger(c echo.Context, t views.Toast) error {
	value, err := wire.Marshal(map[string]any{"toast": struct {
		Tone string `json:"tone"`
		Text string `json:"text"`
		Undo string `json:"undo,omitzero"`
	}{t.Tone, t.Text, t.Undo}})
	if err != nil {
		return err
	}
	c.Response().Header().Set(headerTrigger, ascii(string(value)))
	return nil
}

// ascii escapes in a JSON text what a header cannot hold: browsers read its
// bytes as Latin-1.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// toastError tells an action's failure to htmx and leaves the page as it is.
func toastError(c echo.Context, status int, text string) error {
	c.Response().Header().Set(headerReswap, "none")
	if err := trigger(c, views.Toast{Tone: "error", Text: text}); err != nil {
		return err
	}
	return c.NoContent(status)
}
