package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		"/events?before=3":  {"Events", "Eventos"},
		"/events/4":         {"Events", "Eventos"},
		"/alerts":           {"Email alerts", "Alertas por correo"},
		"/alerts?before=99": {"Email alerts", "Alertas por correo"},
		"/alerts?st=failed": {"Email alerts", "Alertas por correo"},
		"/?wall=1&rows=3":   {"Network Alert Hub", "Network Alert Hub"},
		"/events/ack-all":   {"Acknowledge all", "Reconocer todo"},
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
		"/":                 {Limit: rowsRead},
		"/events":           {Limit: rowsRead, Before: 5}, // what comes after event 4 comes by the socket
		"/events?before=":   {Limit: rowsRead, Before: 5},
		"/events?before=42": {Limit: rowsRead, Before: 42},
		"/events?sev=error&ch=http&src=sw-1&ack=no&q=port+-up": {
			Limit: rowsRead, Before: 5, Severities: []models.Severity{"error"}, Channels: []models.Channel{"http_api"}, Source: "sw-1", Unacked: true, Text: "port -up",
		},
		"/events?range=1h&before=4": {Limit: rowsRead, Before: 4, From: time.Date(2026, 11, 23, 17, 31, 0, 0, time.UTC)},
	} {
		page(t, server, "GET", target, "")
		if diff := cmp.Diff(want, svc.filter); diff != "" {
			t.Errorf("%s asks for (-want +got):\n%s", target, diff)
		}
		if want.Before, want.Limit = 0, 0; target != "/" {
			if diff := cmp.Diff(want, svc.match); diff != "" {
				t.Errorf("%s counts (-want +got):\n%s", target, diff)
			}
		}
	}
	page(t, server, "GET", "/events/3", "")
	if !slices.Contains(svc.filterE.EventIDs, 3) {
		t.Errorf("the event's page asks for the emails of %v", svc.filterE.EventIDs)
	}
	page(t, server, "GET", "/alerts?st=failed&before=7", "")
	if diff := cmp.Diff(models.EmailFilter{Before: 7, Status: "failed", Limit: views.AlertsCap + 1}, svc.filterE); diff != "" {
		t.Errorf("the alerts ask for (-want +got):\n%s", diff)
	}
}

func TestPages_countTheirRange(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	now := received.Add(time.Second)
	for target, r := range map[string]models.Range{
		"/": "24h", "/?range=1h": "1h", "/?range=7d&wall=1": "7d", "/audit": "24h", "/audit?range=6h": "6h", "/events?range=1h": "1h", "/alerts": "24h",
	} {
		svc.windows = nil
		page(t, server, "GET", target, "")
		w := r.Window(now)
		if len(svc.windows) == 0 || svc.windows[0] != w {
			t.Errorf("%s counts %v, want %v first", target, svc.windows, w)
		}
		if path, _, _ := strings.Cut(target, "?"); (path == "/" || path == "/audit") && !slices.Contains(svc.windows, w.Before()) {
			t.Errorf("%s compares with nothing before: %v", target, svc.windows)
		}
	}
	// What rollups cannot count has no strip; an older page neither.
	for _, target := range []string{"/events?q=x", "/events?src=a", "/events?ack=no", "/events?before=4"} {
		svc.windows = nil
		if page(t, server, "GET", target, ""); len(svc.windows) > 0 {
			t.Errorf("%s counts %v", target, svc.windows)
		}
	}
}

// Rows that are shown or not: the next page goes on where this one ends.
func TestPages_leadToOlderRows(t *testing.T) {
	svc := seeded()
	for i := range 150 {
		for range 2 {
			svc.register(models.Draft{Source: "a", Severity: models.SeverityError, Message: strconv.Itoa(i), Channel: models.ChannelTCP})
		}
	}
	h := newHandler(testOptions(t, svc))
	page := models.EventPage{Events: slices.Clone(svc.events), NextBefore: 9}
	slices.Reverse(page.Events)
	rows, err := h.rows(t.Context(), &page, 100)
	if err != nil || len(rows) != 100 || rows[0].Event.ID != 304 || rows[0].N != 2 || rows[0].Mail != models.EmailPending {
		t.Fatalf("%d rows, the first %+v, %v", len(rows), rows[0], err)
	}
	if last := rows[99].Event.ID; page.NextBefore != last-1 || last != 106 {
		t.Errorf("goes on before %d, the last row is %d ×2", page.NextBefore, last)
	}
	page = models.EventPage{Events: page.Events[:10], NextBefore: 9}
	if _, err := h.rows(t.Context(), &page, 100); err != nil || page.NextBefore != 9 {
		t.Errorf("a page that holds all goes on before %d, %v", page.NextBefore, err)
	}
	d := views.AlertsData{}
	if err := h.fillAlerts(t.Context(), &d); err != nil || len(d.Alerts) != views.AlertsCap || d.Next != d.Alerts[99].Alert.ID {
		t.Errorf("%d emails, then before %d, %v", len(d.Alerts), d.Next, err)
	}
	for _, line := range d.Alerts {
		if line.Event.ID != line.Alert.EventID || line.Event.Message == "" {
			t.Errorf("the email of %d stands beside event %d", line.Alert.EventID, line.Event.ID)
		}
	}
}

func TestPages_tellWhatIsWrong(t *testing.T) {
	server := serve(t, seeded())
	for target, status := range map[string]int{
		"/events/99": 404, "/events/0": 404, "/events/-1": 404, "/events/abc": 404, "/events/99999999999999999999": 404,
		"/nothing": 404, "/events/4/x": 404, "/events?before=x": 400, "/events?before=0": 400, "/alerts?before=-1": 400,
		"/?range=2h": 400, "/?range=x": 400, "/?wall=1&rows=0": 400, "/?wall=1&rows=51": 400, "/audit?range=all": 400, "/alerts?st=lost": 400,
		"/events/ack-all?sev=loud": 400, "/events/ack-all?from=x": 400, "/events/ack-all?upto=-1": 400, "/events/ack": 404, "/name": 405,
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
	for _, target := range []string{"/", "/create", "/events", "/events/1", "/events/ack-all", "/alerts", "/audit"} {
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

// What goes wrong beside a request is its own concern, not the whole hub's.
func TestEvents_APanicWhileCountingEndsTheRequestAlone(t *testing.T) {
	server := serve(t, &fakeService{panicsCount: true})
	if answer, _, _ := page(t, server, "GET", "/events", ""); answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("answered %d", answer.StatusCode)
	}
	if answer, _, _ := page(t, server, "GET", "/healthz", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("afterwards %d", answer.StatusCode)
	}
}
