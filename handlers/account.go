package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// accountRoutes are what people do about themselves.
func (h *Handler) accountRoutes() []route {
	return []route{
		{http.MethodGet, "/account", models.PermitSelf, h.getAccount},
		{http.MethodPost, "/account/password", models.PermitSelf, h.postPassword},
		{http.MethodPost, "/account/sessions/end", models.PermitSelf, h.postEndSession},
		{http.MethodPost, "/account/totp", models.PermitSelf, inSession(h.postTOTP)},
		{http.MethodGet, "/account/totp.png", models.PermitSelf, inSession(h.getTOTPPicture)},
		{http.MethodPost, "/account/totp/confirm", models.PermitSelf, inSession(h.postTOTPConfirm)},
		{http.MethodPost, "/account/totp/codes", models.PermitSelf, inSession(h.postTOTPCodes)},
		{http.MethodPost, "/account/totp/off", models.PermitSelf, inSession(h.postTOTPOff)},
	}
}

// inSession keeps out who acts by a token: a second factor that is being turned
// on waits in a session.
func inSession(handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if models.ActorOf(c.Request().Context()).Session == 0 {
			return fmt.Errorf("second factor without a session: %w", models.ErrForbidden)
		}
		return handle(c)
	}
}

func (h *Handler) getAccount(c echo.Context) error {
	return h.showAccount(c, http.StatusOK, nil, nil)
}

func (h *Handler) showAccount(c echo.Context, status int, totp *views.TOTPData, wrong problems) error {
	ctx := reader(c)
	self := models.ActorOf(c.Request().Context())
	user, err := h.access.User(self.Name)
	if err != nil {
		return err
	}
	p, err := h.pageWithCounts(ctx, c, views.SectionAccount, i18n.T(ctx, "account"))
	if err != nil {
		return err
	}
	p.OtherURL = "/account" + otherLanguage(ctx, c, views.SectionNone) // this page answers forms, too
	return render(ctx, c, status, views.Account(p, views.AccountData{
		User: user, Sessions: h.access.Sessions(self.ID, self.Session), Errors: wrong, TOTP: totp,
	}))
}

// doneAccount ends an action: with the page as it is now, or with why not.
func (h *Handler) doneAccount(c echo.Context, err error, totp *views.TOTPData) error {
	if wrong, ok := personProblems(reader(c), err); ok {
		return h.showAccount(c, http.StatusUnprocessableEntity, totp, wrong)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/account")
}

func (h *Handler) postPassword(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	ctx, posted := c.Request().Context(), c.Request().PostForm
	if posted.Get("password") != posted.Get("repeat") {
		return h.showAccount(c, http.StatusUnprocessableEntity, nil, problems{"repeat": views.RefusalWords(reader(c), views.RefusedRepeat)})
	}
	return h.doneAccount(c, h.access.ChangePassword(ctx, models.ActorOf(ctx), posted.Get("current"), posted.Get("password")), nil)
}

// postEndSession ends one session, or all but this one.
func (h *Handler) postEndSession(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	ctx, posted := c.Request().Context(), c.Request().PostForm
	self := models.ActorOf(ctx)
	if posted.Get("others") != "" {
		return h.doneAccount(c, h.access.EndOthers(ctx, self.Name, self.Session), nil)
	}
	id, err := strconv.ParseInt(posted.Get("id"), 10, 64)
	if err != nil {
		return refuse(invalidParameter, fieldError{"id", "must be the number of a session"})
	}
	return h.doneAccount(c, h.access.EndSession(ctx, self.ID, id), nil)
}

// confirmed has the password shown again before the second factor is changed.
// False: the page says that it is wrong, or err is why it cannot be told.
func (h *Handler) confirmed(c echo.Context) (models.Actor, context.Context, bool, error) {
	if err := parseForm(c); err != nil {
		return models.Actor{}, nil, false, err
	}
	ctx := c.Request().Context()
	self := models.ActorOf(ctx)
	err := h.access.CheckPassword(ctx, self, c.Request().PostForm.Get("current"))
	if wrong, ok := personProblems(reader(c), err); ok {
		return self, ctx, false, h.showAccount(c, http.StatusUnprocessableEntity, nil, problems{"totp": wrong["current"]})
	}
	return self, ctx, err == nil, err
}

// postTOTP offers a second factor.
func (h *Handler) postTOTP(c echo.Context) error {
	self, _, ok, err := h.confirmed(c)
	if !ok {
		return err
	}
	offered, err := h.access.NewSecondFactor(self)
	if err != nil {
		return err
	}
	return h.showAccount(c, http.StatusOK, &views.TOTPData{Secret: offered.Secret, URI: offered.URI}, nil)
}

// qrSize is the side of the picture in pixels, twice what the page shows.
const qrSize = 400

func (h *Handler) getTOTPPicture(c echo.Context) error {
	offered, err := h.access.OfferedSecondFactor(models.ActorOf(c.Request().Context()))
	if err != nil {
		return err
	}
	picture, err := h.access.QR(offered.URI, qrSize)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "image/png", picture)
}

// postTOTPConfirm turns the second factor on, and shows the recovery codes.
func (h *Handler) postTOTPConfirm(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	ctx := c.Request().Context()
	self := models.ActorOf(ctx)
	codes, err := h.access.TurnOnSecondFactor(ctx, self, c.Request().PostForm.Get("code"))
	if err == nil {
		return h.showAccount(c, http.StatusOK, &views.TOTPData{Codes: codes}, nil)
	}
	offered, gone := h.access.OfferedSecondFactor(self)
	if gone != nil {
		return h.doneAccount(c, nil, nil) // nothing waits any more: from the start
	}
	return h.doneAccount(c, err, &views.TOTPData{Secret: offered.Secret, URI: offered.URI})
}

func (h *Handler) postTOTPCodes(c echo.Context) error {
	self, ctx, ok, err := h.confirmed(c)
	if !ok {
		return err
	}
	codes, err := h.access.RenewRecoveryCodes(ctx, self.Name)
	if err != nil {
		return err
	}
	return h.showAccount(c, http.StatusOK, &views.TOTPData{Codes: codes}, nil)
}

func (h *Handler) postTOTPOff(c echo.Context) error {
	self, ctx, ok, err := h.confirmed(c)
	if !ok {
		return err
	}
	return h.doneAccount(c, h.access.TurnOffSecondFactor(ctx, self.Name), nil)
}
