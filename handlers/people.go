package handlers

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// People changes who can sign in. Users are named by their names. The errors
// are a *models.FieldError for "name", "role", "password", "current" or
// "code", models.ErrExists, models.ErrLastAdmin, models.ErrNotFound, or those
// of the store.
type People interface {
	Users() []models.User
	User(name string) (models.User, error)
	AddUser(ctx context.Context, name, password string, role models.Role) (models.User, error)
	SetRole(ctx context.Context, name string, role models.Role) error
	SetDisabled(ctx context.Context, name string, disabled bool) error
	// SetPassword ends all sessions of the user but the one with the id keep.
	SetPassword(ctx context.Context, name, password string, keep int64) error
	ChangePassword(ctx context.Context, a models.Actor, current, password string) error
	// CheckPassword has a user who is signed in prove again that it is them.
	CheckPassword(ctx context.Context, a models.Actor, password string) error

	Sessions(userID, current int64) []models.Session
	EndSession(ctx context.Context, userID, id int64) error
	EndOthers(ctx context.Context, name string, keep int64) error

	NewSecondFactor(a models.Actor) (models.SecondFactor, error)
	OfferedSecondFactor(a models.Actor) (models.SecondFactor, error)
	QR(uri string, size int) ([]byte, error)
	// TurnOnSecondFactor returns the recovery codes, which nothing tells again.
	TurnOnSecondFactor(ctx context.Context, a models.Actor, code string) ([]string, error)
	TurnOffSecondFactor(ctx context.Context, name string) error
	RenewRecoveryCodes(ctx context.Context, name string) ([]string, error)
}

// accessRoutes are the pages of those who say who may what.
func (h *Handler) accessRoutes() []route {
	routes := []route{
		{http.MethodGet, "/access/people", models.PermitAdminister, h.getPeople},
		{http.MethodPost, "/access/people", models.PermitAdminister, h.postPerson},
		{http.MethodGet, "/access/people/:id", models.PermitAdminister, h.getPerson},
		{http.MethodPost, "/access/people/:id/role", models.PermitAdminister, h.postRole},
		{http.MethodPost, "/access/people/:id/password", models.PermitAdminister, h.postGivenPassword},
		{http.MethodGet, "/access/keys", models.PermitAdminister, h.getKeys},
		{http.MethodPost, "/access/keys", models.PermitAdminister, h.postKeyForm},
		{http.MethodGet, "/access/keys/:id/revoke", models.PermitAdminister, h.askRevoke},
		{http.MethodPost, "/access/keys/:id/revoke", models.PermitAdminister, h.postRevoke},
	}
	for what, do := range map[views.AskWhat]func(context.Context, models.User) error{
		views.AskSignOut: func(ctx context.Context, u models.User) error { return h.access.EndOthers(ctx, u.Name, 0) },
		views.AskReset:   others(func(ctx context.Context, u models.User) error { return h.access.TurnOffSecondFactor(ctx, u.Name) }),
		views.AskDisable: func(ctx context.Context, u models.User) error { return h.access.SetDisabled(ctx, u.Name, true) },
		views.AskEnable:  func(ctx context.Context, u models.User) error { return h.access.SetDisabled(ctx, u.Name, false) },
	} {
		path := "/access/people/:id/" + string(what)
		routes = append(routes,
			route{http.MethodGet, path, models.PermitAdminister, func(c echo.Context) error { return h.askPerson(c, what) }},
			route{http.MethodPost, path, models.PermitAdminister, func(c echo.Context) error { return h.changePerson(c, do) }})
	}
	return routes
}

// own reports whether user is who acts in ctx.
func own(ctx context.Context, user models.User) bool {
	self := models.ActorOf(ctx)
	return self.Kind == models.ActorUser && self.ID == user.ID
}

// errOwn sends people to their account, where they show what they change.
var errOwn = &models.FieldError{Field: "self", Reason: "is you: your own password and second factor are changed in the account"}

// others keeps administrators from doing something to themselves.
func others(do func(context.Context, models.User) error) func(context.Context, models.User) error {
	return func(ctx context.Context, u models.User) error {
		if own(ctx, u) {
			return errOwn
		}
		return do(ctx, u)
	}
}

// problems are what is wrong with a form, by the name of the field.
type problems map[string]string

// first is the first problem of these fields.
func (p problems) first(fields ...string) string {
	for _, field := range fields {
		if p[field] != "" {
			return p[field]
		}
	}
	return ""
}

// personProblems tells in the reader's language what is wrong with a user that
// somebody asked for. False: err is something else, or nothing.
func personProblems(ctx context.Context, err error) (problems, bool) {
	var (
		field *models.FieldError
		many  *models.TooManyError
	)
	switch {
	case errors.As(err, &many):
		return problems{"current": views.WaitWords(ctx, many.Wait)}, true
	case errors.As(err, &field):
		return problems{field.Field: views.RefusalWords(ctx, refusalOf(field))}, true
	case errors.Is(err, models.ErrExists):
		return problems{"name": views.RefusalWords(ctx, views.RefusedTaken)}, true
	case errors.Is(err, models.ErrLastAdmin):
		words := views.RefusalWords(ctx, views.RefusedLastAdmin)
		return problems{"role": words, "disable": words}, true
	}
	return nil, false
}

// refusalOf is what a page says of a field.
func refusalOf(field *models.FieldError) views.Refusal {
	switch field.Field {
	case "name":
		return views.RefusedName
	case "role":
		return views.RefusedRole
	case "current":
		return views.RefusedCurrent
	case "code":
		return views.RefusedCode
	case "self":
		return views.RefusedSelf
	}
	switch field.Reason {
	case models.PasswordShort:
		return views.RefusedShort
	case models.PasswordLong:
		return views.RefusedLong
	}
	return views.RefusedCommon
}

func (h *Handler) getPeople(c echo.Context) error {
	return h.showPeople(c, http.StatusOK, views.PeopleData{Form: views.PersonForm{Role: models.RoleViewer}})
}

func (h *Handler) showPeople(c echo.Context, status int, d views.PeopleData) error {
	ctx := reader(c)
	p, err := h.pageWithCounts(ctx, c, views.SectionPeople, i18n.T(ctx, "access.people"))
	if err != nil {
		return err
	}
	for _, user := range h.access.Users() {
		d.People = append(d.People, h.personRow(user))
	}
	return render(ctx, c, status, views.People(p, d))
}

func (h *Handler) personRow(user models.User) views.PersonRow {
	return views.PersonRow{User: user, Sessions: len(h.access.Sessions(user.ID, 0))}
}

// postPerson adds somebody.
func (h *Handler) postPerson(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	posted := c.Request().PostForm
	form := views.PersonForm{Name: posted.Get("name"), Role: models.Role(posted.Get("role"))}
	_, err := h.access.AddUser(c.Request().Context(), form.Name, posted.Get("password"), form.Role)
	if wrong, ok := personProblems(reader(c), err); ok {
		return h.showPeople(c, http.StatusUnprocessableEntity, views.PeopleData{Form: form, Errors: wrong})
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/access/people")
}

// person finds the user that the address names.
func (h *Handler) person(c echo.Context) (models.User, error) {
	id, err := pathID(c)
	if err != nil {
		return models.User{}, err
	}
	users := h.access.Users()
	if i := slices.IndexFunc(users, func(u models.User) bool { return u.ID == id }); i >= 0 {
		return users[i], nil
	}
	return models.User{}, refuse(notFound)
}

func (h *Handler) getPerson(c echo.Context) error {
	user, err := h.person(c)
	if err != nil {
		return err
	}
	return h.showPerson(c, http.StatusOK, user, nil)
}

func (h *Handler) showPerson(c echo.Context, status int, user models.User, wrong problems) error {
	ctx := reader(c)
	p, err := h.pageWithCounts(ctx, c, views.SectionPeople, i18n.T(ctx, "access.people"))
	if err != nil {
		return err
	}
	return render(ctx, c, status, views.Person(p, views.PersonData{
		PersonRow: h.personRow(user), Self: own(c.Request().Context(), user), Errors: wrong,
	}))
}

// changePerson does something to a person, and shows them as they are then.
func (h *Handler) changePerson(c echo.Context, do func(context.Context, models.User) error) error {
	user, err := h.person(c)
	if err != nil {
		return err
	}
	err = do(c.Request().Context(), user)
	if wrong, ok := personProblems(reader(c), err); ok {
		return h.showPerson(c, http.StatusUnprocessableEntity, user, wrong)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/access/people/"+itoa(user.ID))
}

func (h *Handler) postRole(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	role := models.Role(c.Request().PostForm.Get("role"))
	return h.changePerson(c, func(ctx context.Context, u models.User) error { return h.access.SetRole(ctx, u.Name, role) })
}

func (h *Handler) postGivenPassword(c echo.Context) error {
	if err := parseForm(c); err != nil {
		return err
	}
	password := c.Request().PostForm.Get("password")
	return h.changePerson(c, others(func(ctx context.Context, u models.User) error { return h.access.SetPassword(ctx, u.Name, password, 0) }))
}

// askPerson asks whether that is meant.
func (h *Handler) askPerson(c echo.Context, what views.AskWhat) error {
	user, err := h.person(c)
	if err != nil {
		return err
	}
	return h.ask(c, views.SectionPeople, views.AskData{What: what, ID: user.ID, Name: user.Name})
}

func (h *Handler) ask(c echo.Context, section views.Section, d views.AskData) error {
	ctx := reader(c)
	p, err := h.pageWithCounts(ctx, c, section, i18n.T(ctx, "access"))
	if err != nil {
		return err
	}
	return render(ctx, c, http.StatusOK, views.AskAccess(p, d))
}
