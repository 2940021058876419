package handlers

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
)

// The cookies that keep what a person has chosen, besides those of package
// i18n. None of them is a secret and none opens a door.
const (
	themeCookie   = "theme"   // light or dark; the panel's script writes it
	densityCookie = "density" // compact
	nameCookie    = "name"    // who acknowledges here
)

const compact = "compact"

// choiceAge is how long a choice is kept, in seconds.
const choiceAge = 365 * 24 * 60 * 60

// keep sets a cookie; an empty value takes it away.
func keep(c echo.Context, name, value string, age int) {
	if value == "" {
		age = -1
	}
	c.SetCookie(&http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: overHTTPS(c.Request()),
	})
}

// keepChoices keeps what ?lang=, ?tz= and ?density= choose.
func keepChoices(c echo.Context) {
	asked := c.Request().URL.Query()
	if lang, chosen := i18n.Parse(asked.Get(i18n.CookieName)); chosen {
		keep(c, i18n.CookieName, lang.String(), choiceAge)
	}
	switch asked.Get(i18n.ChoiceCookie) {
	case i18n.ZoneUTCName:
		keep(c, i18n.ChoiceCookie, i18n.ZoneUTCName, choiceAge)
	case "local":
		keep(c, i18n.ChoiceCookie, "", 0)
	}
	switch asked.Get(densityCookie) {
	case compact:
		keep(c, densityCookie, compact, choiceAge)
	case "comfortable":
		keep(c, densityCookie, "", 0)
	}
}

// isCompact reports whether this person reads dense tables: by ?density=, then
// by the cookie.
func isCompact(c echo.Context) bool {
	if asked := c.QueryParam(densityCookie); asked != "" {
		return asked == compact
	}
	return cookie(c, densityCookie) == compact
}

// nameOf is who acknowledges in this browser: who is signed in, else the name
// that somebody typed; "" when it is not known.
func nameOf(c echo.Context) string {
	if actor := models.ActorOf(c.Request().Context()); actor.Kind == models.ActorUser {
		return actor.Name
	}
	typed, err := url.QueryUnescape(cookie(c, nameCookie))
	if err != nil {
		return ""
	}
	name, err := models.CleanName(typed)
	if err != nil {
		return ""
	}
	return name
}

// keepName remembers a clean name. It is escaped: cookies hold neither blanks
// nor accents.
func keepName(c echo.Context, name string) {
	keep(c, nameCookie, url.QueryEscape(name), choiceAge)
}

func cookie(c echo.Context, name string) string {
	kept, err := c.Cookie(name)
	if err != nil {
		return ""
	}
	return kept.Value
}
