package handlers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// getKeys shows keys and anonymous senders, and whom other ranges would refuse.
func (h *Handler) getKeys(c echo.Context) error {
	return h.showKeys(c, http.StatusOK, views.KeysData{Form: views.KeyForm{Scopes: []models.Scope{models.ScopeIngest}, Expires: views.Expires1y}})
}

func (h *Handler) showKeys(c echo.Context, status int, d views.KeysData) error {
	ctx := reader(c)
	p, err := h.pageWithCounts(ctx, c, views.SectionKeys, i18n.T(ctx, "access.keys"))
	if err != nil {
		return err
	}
	if c.Request().Method == http.MethodPost {
		p.OtherURL = "/access/keys" + otherLanguage(ctx, c, views.SectionNone)
	}
	for _, k := range h.keys.Keys() {
		d.Keys = append(d.Keys, views.KeyRow{
			ID: k.ID, Name: k.Name, Hint: k.Hint, Scopes: k.Scopes, Sources: k.Sources, CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt,
			ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, LastUsedFrom: k.LastUsedFrom, RevokedAt: k.RevokedAt,
		})
	}
	allowed := h.senders.AnonymousNetworks()
	d.Ranges, d.Try, d.Tried = allowed.String(), c.QueryParam("anonymous"), c.QueryParams().Has("anonymous")
	tried := allowed
	if d.Tried {
		if tried, err = models.ParseNetworks(d.Try); err != nil {
			d.Tried, tried = false, allowed
			d.Errors = problems{"anonymous": views.RefusalWords(ctx, views.RefusedRanges)}
		}
	}
	for _, s := range h.senders.Senders() {
		d.Anonymous = append(d.Anonymous, views.SenderRow{
			Address: s.Address, FirstAt: s.FirstAt, LastAt: s.LastAt, Events: s.Events, LastSource: s.LastSource,
			Allowed: allowed.Contain(s.Address), WouldRefuse: d.Tried && !tried.Contain(s.Address),
		})
	}
	return render(ctx, c, status, views.Keys(p, d))
}

// expiryOf is when a key ends that is made now; zero for never.
func expiryOf(word string, now time.Time) (time.Time, bool) {
	switch word {
	case views.Expires30d:
		return now.AddDate(0, 0, 30), true
	case views.Expires90d:
		return now.AddDate(0, 0, 90), true
	case views.Expires1y:
		return now.AddDate(1, 0, 0), true
	}
	return time.Time{}, word == views.ExpiresNever
}

// postKeyForm makes a key, and shows its secret this once.
func (h *Handler) postKeyForm(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	ctx, posted := reader(c), c.Request().PostForm
	form := views.KeyForm{Name: posted.Get("name"), Sources: posted.Get("sources"), Expires: posted.Get("expires")}
	for _, scope := range posted["scope"] {
		form.Scopes = append(form.Scopes, models.Scope(scope))
	}
	expires, known := expiryOf(form.Expires, h.now())
	if !known {
		return h.showKeys(c, http.StatusUnprocessableEntity, views.KeysData{Form: form, Errors: problems{"expires": views.RefusalWords(ctx, views.RefusedExpiry)}})
	}
	draft := models.KeyDraft{Name: form.Name, Scopes: form.Scopes, ExpiresAt: expires}
	for source := range strings.SplitSeq(form.Sources, ",") {
		if source = strings.TrimSpace(source); source != "" {
			draft.Sources = append(draft.Sources, source)
		}
	}
	secret, _, err := h.keys.MakeKey(c.Request().Context(), draft)
	if wrong := keyProblems(ctx, err, h.keys.Keys(), form.Name); wrong != nil {
		return h.showKeys(c, http.StatusUnprocessableEntity, views.KeysData{Form: form, Errors: wrong})
	}
	if err != nil {
		return err
	}
	return h.showKeys(c, http.StatusOK, views.KeysData{Secret: secret, Form: views.KeyForm{Scopes: []models.Scope{models.ScopeIngest}, Expires: views.Expires1y}})
}

// keyProblems tells what is wrong with a key; nil when err is something else.
func keyProblems(ctx context.Context, err error, keys []models.Key, name string) problems {
	var field *models.FieldError
	if !errors.As(err, &field) {
		return nil
	}
	why := views.RefusedExpiry
	switch field.Field {
	case "name":
		why = views.RefusedName
		if slices.ContainsFunc(keys, func(k models.Key) bool { return strings.EqualFold(k.Name, strings.TrimSpace(name)) }) {
			why = views.RefusedTaken
		}
	case "scopes":
		why = views.RefusedScopes
	case "sources":
		why = views.RefusedSources
	default:
		return problems{"expires": views.RefusalWords(ctx, why)}
	}
	return problems{field.Field: views.RefusalWords(ctx, why)}
}

// keyOf finds the key that the address names.
func (h *Handler) keyOf(c echo.Context) (models.Key, error) {
	id, err := pathID(c)
	if err != nil {
		return models.Key{}, err
	}
	keys := h.keys.Keys()
	if i := slices.IndexFunc(keys, func(k models.Key) bool { return k.ID == id }); i >= 0 {
		return keys[i], nil
	}
	return models.Key{}, refuse(notFound)
}

func (h *Handler) askRevoke(c echo.Context) error {
	k, err := h.keyOf(c)
	if err != nil {
		return err
	}
	return h.ask(c, views.SectionKeys, views.AskData{What: views.AskRevoke, ID: k.ID, Name: k.Name})
}

func (h *Handler) postRevoke(c echo.Context) error {
	k, err := h.keyOf(c)
	if err != nil {
		return err
	}
	if _, err := h.keys.RevokeKey(c.Request().Context(), k.ID); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/access/keys")
}
