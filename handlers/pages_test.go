package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

// seeded is a service with one event of each severity, told by hostile senders.
func seeded() *fakeService {
	s := &fakeService{stats: models.Stats{
		Events: 18427, LastEventID: 4,
		Severity: map[models.Severity]int64{models.SeverityCritical: 29}, Email: map[models.EmailStatus]int64{models.EmailSent: 418},
	}}
	for _, severity := range models.Severities() {
		s.register(models.Draft{
			Source: `"><img src=x>`, Severity: severity, Message: `</textarea><script>alert(1)</script>`,
			Channel: models.ChannelTCP, RawPayload: `<tr hx-get=/x>`,
		})
	}
	return s
}

// follow is send without following redirects.
func follow(server *httptest.Server) {
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// page sends as a browser does.
func page(t *testing.T, server *httptest.Server, method, target, body string, headers ...string) (*http.Response, string, *html.Node) {
	t.Helper()
	headers = append([]string{"Accept", "text/html,application/xhtml+xml"}, headers...)
	if method == "POST" {
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	}
	answer, text := send(t, server, method, target, body, headers...)
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return answer, text, doc
}

// find lists the elements with a name and, if key is given, an attribute value.
func find(doc *html.Node, name, key, value string) []*html.Node {
	var found []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == name && (key == "" || attribute(n, key) == value) {
			found = append(found, n)
		}
	}
	return found
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func inner(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func TestPages(t *testing.T) {
	server := serve(t, seeded())
	for target, title := range map[string][2]string{
		"/":                 {"Dashboard", "Panel"},
		"/create":           {"Create event", "Crear evento"},
		"/events":           {"Events", "Eventos"},
		"/events?before=3":  {"Older events", "Eventos anteriores"},
		"/events/4":         {"Event #4", "Evento #4"},
		"/alerts":           {"Email alerts", "Alertas por correo"},
		"/alerts?before=99": {"Older email alerts", "Alertas anteriores"},
		"/audit":            {"Audit", "Auditoría"},
	} {
		for i, lang := range []string{"en", "es"} {
			answer, _, doc := page(t, server, "GET", target, "", "Accept-Language", lang)
			if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/html; charset=UTF-8" || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %s %s", target, answer.StatusCode, answer.Header.Get("Content-Type"), answer.Header.Get("Cache-Control"))
			}
			if got := inner(find(doc, "h1", "", "")[0]); got != title[i] {
				t.Errorf("%s in %s: h1 is %q, want %q", target, lang, got, title[i])
			}
			if len(find(doc, "html", "lang", lang)) != 1 {
				t.Errorf("%s: not in %s", target, lang)
			}
			for _, foreign := range []string{"img", "b"} {
				if len(find(doc, foreign, "", "")) > 0 {
					t.Errorf("%s: a sender's <%s> became markup", target, foreign)
				}
			}
			if n := len(find(doc, "script", "src", "")); n > 0 {
				t.Errorf("%s: %d inline scripts", target, n)
			}
			if len(find(doc, "tr", "hx-get", "/x")) > 0 {
				t.Errorf("%s: a sender's row became markup", target)
			}
		}
	}
}

// Every file that a page names is there.
func TestPages_loadWhatIsServed(t *testing.T) {
	server := serve(t, seeded())
	_, _, doc := page(t, server, "GET", "/", "")
	var urls []string
	for _, n := range slices.Concat(find(doc, "script", "", ""), find(doc, "link", "", "")) {
		urls = append(urls, attribute(n, "src")+attribute(n, "href"))
	}
	urls = append(urls, attribute(find(doc, "link", "id", "favicon")[0], "data-offline"))
	if len(urls) != 4 {
		t.Errorf("%d files: %v", len(urls), urls)
	}
	for _, u := range urls {
		answer, body := send(t, server, "GET", u, "")
		if answer.StatusCode != 200 || body == "" || !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %s", u, answer.StatusCode, len(body), answer.Header.Get("Cache-Control"))
		}
	}
	if answer, _ := send(t, server, "GET", static.Prefix+"css/nothing.css", ""); answer.StatusCode != 404 {
		t.Errorf("an unknown file: %d", answer.StatusCode)
	}
}

func TestPages_askForWhatTheyShow(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	for target, want := range map[string]models.EventFilter{
		"/":                 {Limit: views.DashboardCap},
		"/events":           {Limit: views.EventsCap},
		"/events?before=":   {Limit: views.EventsCap},
		"/events?before=42": {Limit: views.EventsCap, Before: 42},
	} {
		page(t, server, "GET", target, "")
		if got := svc.filter; got.Limit != want.Limit || got.Before != want.Before {
			t.Errorf("%s asks for %+v", target, got)
		}
	}
	page(t, server, "GET", "/events/3", "")
	if !slices.Equal(svc.filterE.EventIDs, []int64{3}) {
		t.Errorf("the event's page asks for the emails of %v", svc.filterE.EventIDs)
	}
}

func TestPages_leadToOlderRows(t *testing.T) {
	svc := seeded()
	svc.nextBefore = 17
	for range 150 {
		svc.register(models.Draft{Source: "a", Severity: models.SeverityError, Message: "b", Channel: models.ChannelTCP})
	}
	server := serve(t, svc)
	for target, want := range map[string]string{
		"/events": "/events?before=17", "/events?before=99": "/events?before=17",
		// 152 emails, the newest 100 are shown.
		"/alerts": "/alerts?before=53",
	} {
		_, _, doc := page(t, server, "GET", target, "")
		links := find(doc, "a", "href", want)
		if len(links) != 1 || attribute(links[0].Parent, "class") != "tbl-foot" {
			t.Errorf("%s: %d links to %s", target, len(links), want)
		}
	}
	if _, _, doc := page(t, server, "GET", "/alerts", ""); len(find(doc, "tr", "class", "rec")) != views.AlertsCap {
		t.Errorf("%d emails are shown", len(find(doc, "tr", "class", "rec")))
	}
}

func TestPages_tellWhatIsWrong(t *testing.T) {
	server := serve(t, seeded())
	for target, status := range map[string]int{
		"/events/99": 404, "/events/0": 404, "/events/-1": 404, "/events/abc": 404, "/events/99999999999999999999": 404,
		"/nothing": 404, "/events/4/x": 404, "/events?before=x": 400, "/events?before=0": 400, "/alerts?before=-1": 400,
	} {
		answer, text, doc := page(t, server, "GET", target, "", "Accept-Language", "es")
		id := answer.Header.Get("X-Request-Id")
		if answer.StatusCode != status || id == "" || !strings.Contains(text, id) || len(find(doc, "html", "lang", "es")) != 1 {
			t.Errorf("%s: %d, request id %q, shown: %v", target, answer.StatusCode, id, strings.Contains(text, id))
		}
	}
}

// What failed inside stays inside.
func TestPages_keepErrorsToThemselves(t *testing.T) {
	svc := seeded()
	svc.fail = &secretError{}
	server := serve(t, svc)
	for _, target := range []string{"/", "/events", "/events/1", "/alerts", "/audit"} {
		answer, text, _ := page(t, server, "GET", target, "")
		if answer.StatusCode != 500 || strings.Contains(text, "secret") || !strings.Contains(text, "Something went wrong") {
			t.Errorf("%s: %d %s", target, answer.StatusCode, text)
		}
	}
	svc.fail = models.ErrUnavailable
	if answer, text, _ := page(t, server, "GET", "/events", ""); answer.StatusCode != 503 || !strings.Contains(text, "Not available at present") {
		t.Errorf("unavailable: %d", answer.StatusCode)
	}
}

type secretError struct{}

func (*secretError) Error() string { return "open /srv/secret.db: SELECT secret" }

func TestPages_showWhatTheHubSuffersFrom(t *testing.T) {
	svc := seeded()
	svc.health = models.Health{Storage: "disk full at /srv/x", Email: "535 refused"}
	_, text, _ := page(t, serve(t, svc), "GET", "/audit", "")
	if !strings.Contains(text, "New events cannot be stored.") || !strings.Contains(text, "535 refused") || strings.Contains(text, "/srv/x") {
		t.Error("the page does not tell it, or tells too much")
	}
}

func TestLanguage_isChosenAndKept(t *testing.T) {
	server := serve(t, seeded())
	answer, _, doc := page(t, server, "GET", "/events?before=3&lang=es", "", "Accept-Language", "en")
	if len(find(doc, "html", "lang", "es")) != 1 {
		t.Error("the address did not choose the language")
	}
	cookies := answer.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "lang" || cookies[0].Value != "es" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("cookies %v", cookies)
	}
	links := find(doc, "a", "hreflang", "en")
	if len(links) != 1 || attribute(links[0], "href") != "?before=3&lang=en" {
		t.Errorf("%d links to the other language", len(links))
	}
	answer, _, doc = page(t, server, "GET", "/events", "", "Cookie", "lang=es", "Accept-Language", "en")
	if len(find(doc, "html", "lang", "es")) != 1 || len(answer.Cookies()) != 0 {
		t.Error("the cookie did not choose the language, or was set again")
	}
	if answer, _, _ := page(t, server, "GET", "/?lang=xx", ""); len(answer.Cookies()) != 0 {
		t.Error("an unknown language was kept")
	}
}

// A path can look like another site; the link to the other language must not
// lead there.
func TestLanguage_linkStaysHere(t *testing.T) {
	server := serve(t, seeded())
	for _, target := range []string{"//192.0.2.1/x", "/%5c192.0.2.1", "/x?y=//192.0.2.1"} {
		_, _, doc := page(t, server, "GET", target, "")
		link := find(doc, "a", "hreflang", "es")
		if len(link) != 1 || !strings.HasPrefix(attribute(link[0], "href"), "?") {
			t.Errorf("%s: %v", target, link)
		}
	}
}

func TestTheme_isTheCookies(t *testing.T) {
	server := serve(t, seeded())
	for cookie, want := range map[string]string{"theme=dark": "dark", "theme=light": "light", "theme=x": "", "": "", `theme="><b>`: ""} {
		_, _, doc := page(t, server, "GET", "/create", "", "Cookie", cookie)
		if got := attribute(find(doc, "html", "", "")[0], "data-theme"); got != want {
			t.Errorf("%q: %q, want %q", cookie, got, want)
		}
	}
}

func TestSamples_nameTheHostOfTheBrowser(t *testing.T) {
	h := newHandler(testOptions(t, seeded()))
	e := h.newEcho()
	for host, want := range map[string]string{
		"hub.example.net:5080": "hub.example.net", "hub.example.net": "hub.example.net", "192.0.2.7:5080": "192.0.2.7",
		"[2001:db8::7]:5080": "2001:db8::7", "$(reboot)": "127.0.0.1", "a b": "127.0.0.1", "": "127.0.0.1",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		if got := h.samples(e.NewContext(r, nil)); got.Host != want || got.TCPPort != 5090 || got.HTTPPort != 5080 {
			t.Errorf("%q: %+v, want %s", host, got, want)
		}
	}
}

var formKeys = regexp.MustCompile(`name="key" value="([A-Z2-7]{26})"`)

func keyOf(t *testing.T, text string) string {
	t.Helper()
	match := formKeys.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no key in %s", text)
	}
	return match[1]
}

func typed(key, source, severity, message string) string {
	return url.Values{"key": {key}, "source": {source}, "severity": {severity}, "message": {message}}.Encode()
}
