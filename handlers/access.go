package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"alerthub/models"
)

// Access knows who people, scripts and devices are by what they show.
type Access interface {
	// Open reports whether nobody signs in.
	Open() bool
	// Anonymous is who has shown nothing.
	Anonymous(address string) models.Actor
	// Bearer is who holds a token; models.ErrUnauthorized.
	Bearer(ctx context.Context, token, address string) (models.Actor, error)
	// Session is who is signed in by a token; false for nobody.
	Session(ctx context.Context, token, address string) (models.Actor, bool)
	// Valid reports whether what somebody has shown still holds.
	Valid(models.Actor) bool

	SignIn
	Tokens
	People
}

// route is one line of the table of who may what: nothing is reached that is
// not in it.
type route struct {
	method, path string
	permit       models.Permission // what whoever asks must be allowed to do
	handle       echo.HandlerFunc
}

// routes is that table for the panel's port. docs/security.md shows it.
func (h *Handler) routes() []route {
	return concat(h.apiRoutes(), h.adminRoutes(), h.pageRoutes(), h.actionRoutes(), h.transferRoutes(), h.canaryRoutes(), h.auditRoutes(), h.signInRoutes(), h.accountRoutes(), h.accessRoutes(), h.socketRoutes())
}

func concat(lists ...[]route) (all []route) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// mount puts routes into a router, each behind its permission.
func (h *Handler) mount(e *echo.Echo, routes []route) {
	for _, r := range routes {
		e.Add(r.method, r.path, h.permit(r.permit, r.handle))
	}
}

// Permissions is what each route asks for, by "METHOD /path".
func Permissions() map[string]models.Permission {
	table := make(map[string]models.Permission)
	for _, r := range (&Handler{}).routes() {
		table[r.method+" "+r.path] = r.permit
	}
	return table
}

// permit lets those who may reach a handler. Everybody else is told why not,
// or is asked to sign in.
func (h *Handler) permit(p models.Permission, handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		actor := models.ActorOf(ctx)
		if actor.May(p) {
			return handle(c)
		}
		if wrong, _ := ctx.Value(wrongTokenKey{}).(error); wrong != nil {
			return wrong
		}
		if actor.Kind != models.ActorNobody && actor.Kind != models.ActorOpen {
			return fmt.Errorf("%s: %w", p, models.ErrForbidden)
		}
		return fmt.Errorf("%s: %w", p, models.ErrUnauthorized)
	}
}

type localKey struct{}

// Local marks a connection whose other end is a command on this machine, run
// by the user that runs the hub.
func Local(ctx context.Context) context.Context { return context.WithValue(ctx, localKey{}, true) }

type wrongTokenKey struct{}

// identify finds out who asks, for everything that comes after.
func (h *Handler) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		actor, err := h.actor(c)
		ctx := models.WithActor(r.Context(), actor)
		if err != nil {
			ctx = context.WithValue(ctx, wrongTokenKey{}, err)
		}
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

// actor is who asks. The error tells of a token that is worth nothing.
func (h *Handler) actor(c echo.Context) (models.Actor, error) {
	r := c.Request()
	ctx, address := r.Context(), c.RealIP()
	if ctx.Value(localKey{}) != nil {
		return models.Actor{Kind: models.ActorLocal}, nil
	}
	nobody := h.access.Anonymous(address)
	if header := r.Header.Get(echo.HeaderAuthorization); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") { // which is a key itself when "Bearer" was forgotten
			return models.Actor{Kind: models.ActorNobody, Address: address}, fmt.Errorf("authorization by no bearer token: %w", models.ErrUnauthorized)
		}
		actor, err := h.access.Bearer(ctx, strings.TrimSpace(token), address)
		if err != nil { // a wrong token is not better than none
			return models.Actor{Kind: models.ActorNobody, Address: address}, err
		}
		return actor, nil
	}
	if h.access.Open() {
		nobody.Kind = models.ActorOpen
		return nobody, nil
	}
	if actor, ok := h.access.Session(ctx, sessionToken(c), address); ok {
		return actor, nil
	}
	return nobody, nil
}

// The session's cookie. Under TLS its name has the prefix by which browsers
// make sure that only this host has set it, over TLS (RFC 6265bis section 4.1.3.2).
const (
	sessionCookie       = "session"
	sessionCookieSecure = "__Host-session"
)

func sessionCookieName(r *http.Request) string {
	if overHTTPS(r) {
		return sessionCookieSecure
	}
	return sessionCookie
}

func sessionToken(c echo.Context) string { return cookie(c, sessionCookieName(c.Request())) }

// keepSession gives a browser its session; the zero ticket takes it away.
func (h *Handler) keepSession(c echo.Context, t models.Ticket) {
	keep(c, sessionCookieName(c.Request()), t.Token, int(t.Expires.Sub(h.now()).Seconds()))
}

// answerUnauthorized asks a person to sign in, and then go on where they were.
// False: it is no person, or the error is none of these.
func (h *Handler) answerUnauthorized(c echo.Context, err error) bool {
	r := c.Request()
	if !errors.Is(err, models.ErrUnauthorized) || !wantsPage(r) || h.access.Open() {
		return false
	}
	next := "/"
	if r.Method == http.MethodGet {
		next = r.URL.RequestURI()
	}
	if from, ok := cameFrom(r.Header.Get("HX-Current-URL"), r.Host); ok && isFragment(c) {
		next = from
	}
	login := "/login?next=" + url.QueryEscape(next)
	if isFragment(c) {
		c.Response().Header().Set("HX-Redirect", login)
		return c.NoContent(http.StatusUnauthorized) == nil
	}
	return c.Redirect(http.StatusSeeOther, login) == nil
}
