package handlers

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/models"
	"alerthub/wire"
)

// Tokens exchanges what somebody has shown for a token that is good for a
// short while. The errors are models.ErrUnauthorized, a *models.TooManyError,
// or those of the store.
type Tokens interface {
	// IssueToken is for whoever acts by a key.
	IssueToken(ctx context.Context) (token string, expires time.Time, err error)
	// IssueTokenFor is for a user who shows a password, and a code where that
	// is asked for.
	IssueTokenFor(ctx context.Context, name, password, code, address string) (token string, expires time.Time, err error)
}

// postToken exchanges a key, if one is shown, else a login. A session is not
// exchanged: the token would outlive it.
func (h *Handler) postToken(c echo.Context) error {
	ctx := c.Request().Context()
	var token string
	var expires time.Time
	var err error
	if c.Request().Header.Get(echo.HeaderAuthorization) != "" {
		token, expires, err = h.access.IssueToken(ctx)
	} else {
		var body []byte
		if body, err = readJSON(c); err != nil {
			return err
		}
		var login wire.Login
		if login, err = wire.DecodeLogin(body); err != nil {
			return err
		}
		token, expires, err = h.access.IssueTokenFor(ctx, login.Name, login.Password, login.Code, c.RealIP())
	}
	if err != nil {
		return err
	}
	return answer(c, struct {
		Token     string `json:"token"`
		Type      string `json:"token_type"`
		ExpiresAt string `json:"expires_at"`
	}{token, "Bearer", models.FormatTime(expires)})
}
