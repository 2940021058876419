package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// times are the texts of all <time> elements.
func times(doc *html.Node) string {
	var b strings.Builder
	for _, n := range find(doc, "time", "", "") {
		b.WriteString(inner(n) + "|")
	}
	return b.String()
}

// Events are received at 18:30:00 UTC.
func TestZone_IsTheReaders(t *testing.T) {
	t.Setenv("TZ", "") // no part of the answers below but the server's
	server := serve(t, seeded())
	for _, tt := range []struct{ target, cookies, hour string }{
		{"/events", "zone=Europe/Madrid", "19:30:00"},
		{"/events", "zone=America%2FArgentina%2FBuenos_Aires", "15:30:00"},
		{"/events", "zone=Asia/Kolkata", "00:00:00"},
		{"/", "zone=Europe/Madrid", "19:30:00"},
		{"/events/4", "zone=Europe/Madrid", "19:30:00"},
		{"/alerts", "zone=Europe/Madrid", "19:30:00"},
		{"/events", "zone=Europe/Madrid; tz=utc", "18:30:00"},
		{"/events?tz=utc", "zone=Europe/Madrid", "18:30:00"},
		{"/events?tz=local", "zone=Europe/Madrid; tz=utc", "19:30:00"},
	} {
		_, _, doc := page(t, server, "GET", tt.target, "", "Cookie", tt.cookies)
		if shown := times(doc); !strings.Contains(shown, tt.hour) {
			t.Errorf("%s with %s shows %s, want %s", tt.target, tt.cookies, shown, tt.hour)
		}
	}
	for _, zone := range []string{"Nowhere/Town", "../../etc/passwd", "/etc/passwd", "%zz", "%00", strings.Repeat("a", 4000)} {
		if answer, _, doc := page(t, server, "GET", "/events", "", "Cookie", "zone="+zone); answer.StatusCode != 200 || times(doc) == "" {
			t.Errorf("%.20s: %d", zone, answer.StatusCode)
		}
	}
}

func TestChoices_AreSecureOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(New(testOptions(t, seeded())))
	defer server.Close()
	answer, body := send(t, server, "GET", "/create?lang=es&density=compact", "")
	cookies := answer.Cookies()
	for _, cookie := range cookies {
		if !cookie.Secure || !cookie.HttpOnly {
			t.Errorf("%s", cookie)
		}
	}
	if len(cookies) != 2 {
		t.Errorf("cookies %v", cookies)
	}
	if !strings.Contains(body, "https://127.0.0.1:5080/api/events") {
		t.Error("the command line of the page is not of https")
	}
}

func TestChoices_AreKept(t *testing.T) {
	server := serve(t, seeded())
	for _, tt := range []struct {
		target, name, value string
		gone                bool
	}{
		{"/events?tz=utc", "tz", "utc", false},
		{"/events?tz=local", "tz", "", true},
		{"/events?density=compact", "density", "compact", false},
		{"/events?density=comfortable", "density", "", true},
		{"/?lang=es", "lang", "es", false},
	} {
		answer, _, _ := page(t, server, "GET", tt.target, "")
		cookies := answer.Cookies()
		if len(cookies) != 1 || cookies[0].Name != tt.name || cookies[0].Value != tt.value || (cookies[0].MaxAge < 0) != tt.gone ||
			!cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" {
			t.Errorf("%s: %v", tt.target, cookies)
		}
	}
	for _, target := range []string{"/events", "/events?tz=x&density=x&lang=x", "/events?tz=&density="} {
		if answer, _, _ := page(t, server, "GET", target, ""); len(answer.Cookies()) > 0 {
			t.Errorf("%s: %v", target, answer.Cookies())
		}
	}
	_, _, doc := page(t, server, "GET", "/events", "", "Cookie", "density=compact")
	if len(find(doc, "html", "data-density", "compact")) != 1 {
		t.Error("the cookie did not choose the density")
	}
}

// socketOf is the address of a page's socket, by its parameters.
func socketOf(t *testing.T, doc *html.Node) url.Values {
	t.Helper()
	for n := range doc.Descendants() {
		if address := attribute(n, "ws-connect"); address != "" {
			path, rawQuery, _ := strings.Cut(address, "?")
			values, err := url.ParseQuery(rawQuery)
			if err != nil || path != "/ws" {
				t.Errorf("socket %q: %v", address, err)
			}
			return values
		}
	}
	return nil
}

func TestSocket_ShowsWhatThePageShows(t *testing.T) {
	server := serve(t, seeded())
	for target, want := range map[string]string{
		"/":                               "lang=en&range=24h&view=dashboard",
		"/?range=1h":                      "lang=en&range=1h&view=dashboard",
		"/?wall=1":                        "lang=en&range=24h&rows=12&view=dashboard&wall=1",
		"/?wall=1&rows=30&lang=es":        "lang=es&range=24h&rows=30&view=dashboard&wall=1",
		"/events":                         "lang=en&view=events",
		"/events?tz=utc":                  "lang=en&tz=utc&view=events",
		"/events?sev=critical&q=a+%26b":   "lang=en&q=a+%26b&sev=critical&view=events",
		"/events?sev=loud&ch=tcp&view=x":  "ch=tcp&lang=en&view=events",
		"/events?before=3":                "before=3&lang=en&view=events",
		"/events/4":                       "lang=en&view=event",
		"/alerts":                         "lang=en&view=alerts",
		"/alerts?st=failed":               "lang=en&st=failed&view=alerts",
		"/alerts?before=9":                "before=9&lang=en&view=alerts",
		"/audit?range=7d":                 "lang=en&range=7d&view=audit",
		"/create":                         "lang=en&view=create",
		"/events/ack-all":                 "",
		"/nothing":                        "",
		"/audit?range=7d&lang=xx&wall=1#": "lang=en&range=7d&view=audit",
	} {
		_, _, doc := page(t, server, "GET", target, "")
		if got := socketOf(t, doc).Encode(); got != want {
			t.Errorf("%s opens %q, want %q", target, got, want)
		}
	}
}

func TestFragments_AreTheElementAlone(t *testing.T) {
	server := serve(t, seeded())
	for target, element := range map[string]string{"/events?q=x": "results", "/events?before=3": "results", "/events/4": "drawer"} {
		_, text, doc := page(t, server, "GET", target, "", fragment, "true", "HX-Target", element)
		if strings.Contains(text, "<html") || !strings.HasPrefix(text, "<") || len(find(doc, "body", "", "")) != 1 {
			t.Errorf("%s: %.100s", target, text)
		}
		body := find(doc, "body", "", "")[0]
		if first := body.FirstChild; first == nil || attribute(first, "id") != element {
			t.Errorf("%s does not begin with #%s: %.200s", target, element, text)
		}
		// Another element, or no htmx: the page.
		for _, headers := range [][]string{{fragment, "true", "HX-Target", "main"}, {"HX-Target", element}, {fragment, "false", "HX-Target", element}} {
			if _, text, _ := page(t, server, "GET", target, "", headers...); !strings.Contains(text, "<html") {
				t.Errorf("%s with %v is no page", target, headers)
			}
		}
	}
	// The results keep the reader's choices.
	_, _, doc := page(t, server, "GET", "/events", "", fragment, "true", "HX-Target", "results", "Cookie", "tz=utc; density=compact")
	var chosen []string
	for _, a := range find(doc, "a", "aria-current", "true") {
		chosen = append(chosen, inner(a))
	}
	if want := []string{"Compact", "UTC"}; !slices.Equal(chosen, want) {
		t.Errorf("chosen in the results: %q, want %q", chosen, want)
	}
	answer, _, _ := page(t, server, "GET", "/events/99", "", fragment, "true", "HX-Target", "drawer")
	if toast := toastOf(t, answer); answer.StatusCode != 404 || toast.Tone != "error" {
		t.Errorf("no such event: %d %+v", answer.StatusCode, toast)
	}
}

// What is not understood of a filter is said, not only left out.
func TestFilter_TellsWhatItLeavesOut(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	const target = "/events?sev=loud&range=9y&src=a"
	answer, text, _ := page(t, server, "GET", target, "")
	if want := "left out of the filter: sev, range"; answer.StatusCode != 200 || !strings.Contains(text, want) || svc.filter.Source != "a" {
		t.Errorf("%d, filter %+v", answer.StatusCode, svc.filter)
	}
	answer, _, _ = page(t, server, "GET", target, "", fragment, "true", "HX-Target", "results")
	if toast := toastOf(t, answer); toast.Tone != "warning" || !strings.HasSuffix(toast.Text, "sev, range") {
		t.Errorf("by htmx: %+v", toast)
	}
}

func TestEvent_LeadsToItsNeighboursAndBack(t *testing.T) {
	server := serve(t, seeded())
	hrefs := func(query string, headers ...string) []string {
		var all []string
		_, _, doc := page(t, server, "GET", "/events/3"+query, "", headers...)
		for _, drawer := range find(doc, "aside", "id", "drawer") {
			for _, a := range find(drawer, "a", "", "") {
				all = append(all, attribute(a, "href"))
			}
		}
		return all
	}
	list := "/events?sev=info&sev=error&sev=critical" // not event 2, a warning
	for name, headers := range map[string][]string{
		"a link":  {"Referer", server.URL + list},
		"htmx":    {"HX-Current-URL", server.URL + list, "Referer", server.URL + "/", fragment, "true", "HX-Target", "drawer"},
		"nowhere": {"Referer", "https://evil.example" + list},
	} {
		got := hrefs("", headers...)
		filter, older := strings.TrimPrefix(list, "/events"), "/events/1"
		if name == "nowhere" {
			filter, older = "", "/events/2"
		}
		if !slices.Contains(got, older+filter) || !slices.Contains(got, "/events/4"+filter) {
			t.Errorf("%s: no neighbours among %v", name, got)
		}
		if slices.Contains(got, list) != (name != "nowhere") {
			t.Errorf("%s: back is wrong among %v", name, got)
		}
	}
	if got := hrefs(strings.TrimPrefix(list, "/events"), "Referer", server.URL+"/events?q=other"); !slices.Contains(got, list) {
		t.Errorf("its own filter: back is wrong among %v", got)
	}
}

func TestCreate_NamesWhoIsMailed(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	if _, text, _ := page(t, server, "GET", "/create", ""); !strings.Contains(text, "noc@example.net") {
		t.Error("the recipients are not told")
	}
	_, text, _ := page(t, server, "GET", "/audit", "", "Cookie", "name=%22%3E%3Cimg+src%3Dx%3E")
	if strings.Contains(text, "<img") {
		t.Error("a name became markup")
	}
}
