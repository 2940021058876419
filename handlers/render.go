package handlers

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"regexp"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/static"
	"alerthub/views"
)

// themeCookie keeps a person's choice of light or dark; the panel's script
// writes it.
const themeCookie = "theme"

// choiceAge is how long the choice of a language is kept, in seconds.
const choiceAge = 365 * 24 * 60 * 60

// assets is immutable: the files are embedded.
var assets = views.Assets{
	Stylesheet:     static.URL("css/panel.css"),
	Script:         static.URL("js/all.js"),
	Favicon:        static.URL("img/favicon.svg"),
	FaviconOffline: static.URL("img/favicon-offline.svg"),
}

// reader is the request's context in the language of the person who asks. A
// language chosen by ?lang= is kept in a cookie.
func reader(c echo.Context) context.Context {
	r := c.Request()
	lang := i18n.Match(r)
	if _, chosen := i18n.Parse(r.URL.Query().Get("lang")); chosen {
		c.SetCookie(&http.Cookie{
			Name: i18n.CookieName, Value: lang.String(), Path: "/", MaxAge: choiceAge,
			HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	return i18n.WithLang(r.Context(), lang)
}

// page is what the layout needs to know of this request.
func (h *Handler) page(ctx context.Context, c echo.Context, section views.Section, title string) views.Page {
	p := views.Page{
		Title: title, Section: section, OtherURL: otherLanguage(ctx, c, section),
		Version: h.info.Version, Health: h.svc.Health(), Assets: assets,
	}
	if cookie, err := c.Cookie(themeCookie); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		p.Theme = cookie.Value
	}
	return p
}

// otherLanguage is this page in the language that it is not in: relative to
// where the browser is, except for the form, which answers at another address.
func otherLanguage(ctx context.Context, c echo.Context, section views.Section) string {
	query := c.Request().URL.Query()
	for _, lang := range i18n.Langs() {
		if lang != i18n.FromContext(ctx) {
			query.Set("lang", lang.String())
		}
	}
	if section == views.SectionCreate {
		return "/create?" + query.Encode()
	}
	return "?" + query.Encode()
}

// render answers with a component. It is rendered in whole before anything is
// sent, so that a failure can still become an error page.
func render(ctx context.Context, c echo.Context, status int, component templ.Component) error {
	var b bytes.Buffer
	if err := component.Render(ctx, &b); err != nil {
		return err
	}
	return c.HTMLBlob(status, b.Bytes())
}

// renderError answers a person: with a page, or, to a form that htmx sent,
// with a sentence inside the form, which stays as it is. An error means that
// nothing was sent.
func (h *Handler) renderError(c echo.Context, status int) error {
	ctx := reader(c)
	d := views.ErrorData{Status: status, RequestID: requestID(c)}
	if isFragment(c) {
		header := c.Response().Header()
		header.Set("HX-Retarget", "#trouble")
		header.Set("HX-Reswap", "innerHTML")
		return render(ctx, c, status, views.Trouble(d))
	}
	p := h.page(ctx, c, views.SectionNone, views.ErrorTitle(ctx, status))
	return render(ctx, c, status, views.Error(p, d))
}

// isFragment reports whether htmx asks, for a part of the page that is open.
func isFragment(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// hostNames are those that can stand in a command line as they are.
var hostNames = regexp.MustCompile(`^[A-Za-z0-9.:-]{1,253}$`)

// samples are the addresses for command lines: the host by which this browser
// reached the panel, and the ports that are bound.
func (h *Handler) samples(c echo.Context) views.Samples {
	host := c.Request().Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !hostNames.MatchString(host) {
		host = "127.0.0.1"
	}
	return views.Samples{Host: host, TCPPort: h.info.TCPPort, HTTPPort: h.info.HTTPPort}
}
