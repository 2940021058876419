package handlers

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

// assets is immutable: the files are embedded.
var assets = views.Assets{
	Stylesheet:     static.URL("css/panel.css"),
	Script:         static.URL("js/all.js"),
	Favicon:        static.URL("img/favicon.svg"),
	FaviconAlert:   static.URL("img/favicon-alert.svg"),
	FaviconOffline: static.URL("img/favicon-offline.svg"),
}

// reader is the request's context in the language and the time zone of the
// person who asks. What the address chooses is kept in cookies.
func reader(c echo.Context) context.Context {
	r := c.Request()
	keepChoices(c)
	zone, _ := i18n.MatchZone(r)
	return i18n.WithZone(i18n.WithLang(r.Context(), i18n.Match(r)), zone)
}

// page is what the layout needs to know of this request.
func (h *Handler) page(ctx context.Context, c echo.Context, section views.Section, title string) views.Page {
	_, utc := i18n.MatchZone(c.Request())
	p := views.Page{
		Title: title, Section: section, OtherURL: otherLanguage(ctx, c, section),
		Version: h.info.Version, Health: h.svc.Health(), Assets: assets,
		Actor: models.ActorOf(c.Request().Context()), Name: nameOf(c), UTC: utc, Compact: isCompact(c), Toasts: justDone(ctx, c),
	}
	if theme := cookie(c, themeCookie); theme == "light" || theme == "dark" {
		p.Theme = theme
	}
	return p
}

// figures are the counts that a page's header, and most pages, show.
type figures struct {
	stats     models.Stats
	attention models.Attention
}

// figures reads them, with at most limit of the events that need attention.
func (h *Handler) figures(ctx context.Context, limit int) (figures, error) {
	stats, err := h.svc.Stats(ctx)
	if err != nil {
		return figures{}, err
	}
	attention, err := h.svc.Attention(ctx, limit)
	return figures{stats, attention}, err
}

func (f *figures) header() views.HeaderData {
	return views.HeaderOf(f.stats, f.attention.Critical)
}

// pageWithCounts is page with its header's counts, for pages that need no
// more of the figures.
func (h *Handler) pageWithCounts(ctx context.Context, c echo.Context, section views.Section, title string) (views.Page, error) {
	p := h.page(ctx, c, section, title)
	figures, err := h.figures(ctx, 0)
	p.Header = figures.header()
	return p, err
}

// openSocket gives a page its socket, which shows what values say in the
// page's language and zone.
func openSocket(ctx context.Context, p *views.Page, view string, values url.Values) {
	values.Set("view", view)
	values.Set("lang", i18n.FromContext(ctx).String())
	if p.UTC {
		values.Set(i18n.ChoiceCookie, i18n.ZoneUTCName)
	}
	p.Socket = "/ws?" + values.Encode()
}

// withBefore is values for the socket of a page of older rows, which moves its
// header alone; before is 0 for the page of the newest.
func withBefore(values url.Values, before int64) url.Values {
	if before > 0 {
		values.Set("before", itoa(before))
	}
	return values
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

// renderError answers a person: with a page; to the form that htmx sent, with
// a sentence inside it, which stays as it is; to anything else of htmx, with a
// toast. An error means that nothing was sent.
func (h *Handler) renderError(c echo.Context, status int) error {
	ctx := reader(c)
	d := views.ErrorData{Status: status, RequestID: requestID(c)}
	switch {
	case isFragment(c) && c.Request().Method == http.MethodPost && c.Path() == "/events":
		header := c.Response().Header()
		header.Set("HX-Retarget", "#trouble")
		header.Set(headerReswap, "innerHTML")
		return render(ctx, c, status, views.Trouble(d))
	case isFragment(c):
		return toastError(c, status, i18n.T(ctx, "toast.error", "What", views.ErrorTitle(ctx, status), "ID", d.RequestID))
	}
	p := h.page(ctx, c, views.SectionNone, views.ErrorTitle(ctx, status))
	return render(ctx, c, status, views.Error(p, d))
}

// isFragment reports whether htmx asks, for a part of the page that is open.
func isFragment(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// wants reports whether htmx asks for the element with this id alone.
func wants(c echo.Context, id string) bool {
	return isFragment(c) && c.Request().Header.Get(headerTarget) == id
}

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
	return views.Samples{Host: host, TCPPort: h.info.TCPPort, TCPTLS: h.info.TCPTLS, HTTPPort: h.info.HTTPPort, HTTPS: overHTTPS(c.Request())}
}
