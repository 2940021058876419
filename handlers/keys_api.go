package handlers

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// Keys makes and revokes the keys of scripts and devices.
type Keys interface {
	// MakeKey returns the secret too, which nobody can ask for again. The error
	// is a *models.FieldError for what cannot be had.
	MakeKey(ctx context.Context, draft models.KeyDraft) (secret string, k models.Key, err error)
	Keys() []models.Key // all that ever were, the newest first
	RevokeKey(ctx context.Context, id int64) (models.Key, error)
}

func (h *Handler) listKeys(c echo.Context) error {
	keys := h.keys.Keys()
	list := make([]wire.Key, len(keys))
	for i := range keys {
		list[i] = wire.FromKey(keys[i])
	}
	return answer(c, map[string][]wire.Key{"keys": list})
}

// postKey makes a key. Its answer is the only one that ever holds the secret.
func (h *Handler) postKey(c echo.Context) error {
	body, err := readJSON(c)
	if err != nil {
		return err
	}
	draft, err := wire.DecodeKey(body)
	if err != nil {
		return err
	}
	secret, k, err := h.keys.MakeKey(c.Request().Context(), draft)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, echo.MIMEApplicationJSON, struct {
		wire.Key
		Secret string `json:"key"`
	}{wire.FromKey(k), secret})
}

// deleteKey revokes a key, which stays in the list.
func (h *Handler) deleteKey(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	k, err := h.keys.RevokeKey(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return answer(c, wire.FromKey(k))
}
