package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// SignIn begins and ends sessions. The errors are models.ErrUnauthorized for
// what is not right, a *models.TooManyError, or those of the store.
type SignIn interface {
	SignIn(ctx context.Context, name, password, token string, v models.Visitor) (models.Ticket, error)
	// Confirm takes the code that a sign-in owes; models.ErrNotFound when none waits.
	Confirm(ctx context.Context, code, token string, v models.Visitor) (models.Ticket, error)
	SignOut(ctx context.Context, token string) error
	// SetupOffered reports whether a token lets SetUp add the first user.
	SetupOffered(token string) bool
	SetUp(ctx context.Context, token, name, password string) (models.User, error)
}

// signInRoutes are what people see before they are known.
func (h *Handler) signInRoutes() []route {
	return []route{
		{http.MethodGet, "/login", models.PermitPublic, h.getLogin},
		{http.MethodPost, "/login", models.PermitPublic, h.postLogin},
		{http.MethodGet, "/login/code", models.PermitPublic, h.getCode},
		{http.MethodPost, "/login/code", models.PermitPublic, h.postCode},
		{http.MethodGet, "/setup", models.PermitPublic, h.getSetup},
		{http.MethodPost, "/setup", models.PermitPublic, h.postSetup},
		{http.MethodPost, "/logout", models.PermitSelf, h.postLogout},
	}
}

// loginNext is where a sign-in leads: a page of this hub.
func loginNext(text string) string {
	if next, ok := localPath(text); ok {
		return next
	}
	return "/"
}

func visitor(c echo.Context) models.Visitor {
	return models.Visitor{Address: c.RealIP(), Agent: c.Request().UserAgent()}
}

// bare is a page for those who are not known.
func (h *Handler) bare(ctx context.Context, c echo.Context, title string) views.Page {
	p := h.page(ctx, c, views.SectionNone, title)
	p.Bare, p.OtherURL = true, otherLanguage(ctx, c, views.SectionNone)
	return p
}

func (h *Handler) getLogin(c echo.Context) error {
	next := loginNext(c.QueryParam("next"))
	if h.access.Open() || models.ActorOf(c.Request().Context()).Kind == models.ActorUser {
		return c.Redirect(http.StatusSeeOther, next)
	}
	return h.showLogin(c, http.StatusOK, views.LoginData{Next: next})
}

func (h *Handler) showLogin(c echo.Context, status int, d views.LoginData) error {
	ctx := reader(c)
	return render(ctx, c, status, views.Login(h.bare(ctx, c, i18n.T(ctx, "sign.in")), d))
}

// postLogin takes name and password.
func (h *Handler) postLogin(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	posted := c.Request().PostForm
	d := views.LoginData{Name: posted.Get("name"), Next: loginNext(posted.Get("next"))}
	ticket, err := h.access.SignIn(c.Request().Context(), d.Name, posted.Get("password"), sessionToken(c), visitor(c))
	if err != nil {
		return h.refuseLogin(c, d, views.RefusedSignIn, err)
	}
	return h.signedIn(c, ticket, d.Next)
}

// signedIn gives the browser its session, and leads on.
func (h *Handler) signedIn(c echo.Context, ticket models.Ticket, next string) error {
	h.keepSession(c, ticket)
	if ticket.Code {
		next = views.CodeURL(next)
	}
	return c.Redirect(http.StatusSeeOther, next)
}

// refuseLogin shows the form again, with why.
func (h *Handler) refuseLogin(c echo.Context, d views.LoginData, why views.Refusal, err error) error {
	ctx := reader(c)
	var many *models.TooManyError
	switch {
	case errors.As(err, &many):
		d.Error = views.WaitWords(ctx, many.Wait)
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int((many.Wait+time.Second-1)/time.Second)))
		return h.showLogin(c, http.StatusTooManyRequests, d)
	case errors.Is(err, models.ErrUnauthorized):
		d.Error = views.RefusalWords(ctx, why)
		return h.showLogin(c, http.StatusUnauthorized, d)
	}
	return err
}

func (h *Handler) getCode(c echo.Context) error {
	return h.showLogin(c, http.StatusOK, views.LoginData{Next: loginNext(c.QueryParam("next")), Code: true})
}

// postCode takes the second factor.
func (h *Handler) postCode(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	posted := c.Request().PostForm
	d := views.LoginData{Next: loginNext(posted.Get("next")), Code: true}
	ticket, err := h.access.Confirm(c.Request().Context(), posted.Get("code"), sessionToken(c), visitor(c))
	switch {
	case errors.Is(err, models.ErrNotFound):
		d.Code, d.Error = false, views.RefusalWords(reader(c), views.RefusedLate)
		return h.showLogin(c, http.StatusUnauthorized, d)
	case err != nil:
		return h.refuseLogin(c, d, views.RefusedCode, err)
	}
	return h.signedIn(c, ticket, d.Next)
}

func (h *Handler) postLogout(c echo.Context) error {
	if err := h.access.SignOut(c.Request().Context(), sessionToken(c)); err != nil {
		return err
	}
	h.keepSession(c, models.Ticket{})
	return c.Redirect(http.StatusSeeOther, "/login")
}

func (h *Handler) getSetup(c echo.Context) error {
	return h.showSetup(c, http.StatusOK, views.SetupData{Token: c.QueryParam("token")})
}

// showSetup shows the form of the first account to who has its link.
func (h *Handler) showSetup(c echo.Context, status int, d views.SetupData) error {
	ctx := reader(c)
	if !h.access.SetupOffered(d.Token) {
		if h.access.Open() {
			return c.Redirect(http.StatusSeeOther, "/")
		}
		return h.showLogin(c, http.StatusUnauthorized, views.LoginData{Error: views.RefusalWords(ctx, views.RefusedSetup)})
	}
	return render(ctx, c, status, views.Setup(h.bare(ctx, c, i18n.T(ctx, "setup.title")), d))
}

// postSetup makes the first account, and signs it in.
func (h *Handler) postSetup(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	ctx, posted := reader(c), c.Request().PostForm
	d := views.SetupData{Token: posted.Get("token"), Name: posted.Get("name")}
	password := posted.Get("password")
	if password != posted.Get("repeat") {
		d.Error = views.RefusalWords(ctx, views.RefusedRepeat)
		return h.showSetup(c, http.StatusUnprocessableEntity, d)
	}
	user, err := h.access.SetUp(c.Request().Context(), d.Token, d.Name, password)
	if errors.Is(err, models.ErrUnauthorized) {
		return h.showSetup(c, http.StatusUnauthorized, d)
	}
	if wrong, ok := personProblems(ctx, err); ok {
		d.Error = wrong.first("name", "password")
		return h.showSetup(c, http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	ticket, err := h.access.SignIn(c.Request().Context(), user.Name, password, sessionToken(c), visitor(c))
	if err != nil {
		return err
	}
	return h.signedIn(c, ticket, "/")
}
