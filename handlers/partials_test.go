package handlers

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"alerthub/models"
)

const (
	fragment = "HX-Request"
	multi    = "línea 1\r\nlínea 2"
)

func TestForm_storesAndLeadsToTheEvent(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	follow(server)
	_, text, _ := page(t, server, "GET", "/create", "")
	answer, _, _ := page(t, server, "POST", "/events", typed(keyOf(t, text), "admin-manual", "critical", multi))
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/events/1" {
		t.Fatalf("%d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	got := svc.events[0]
	if got.Source != "admin-manual" || got.Severity != "critical" || got.Message != "línea 1\nlínea 2" || got.Channel != models.ChannelHTTP {
		t.Errorf("stored %+v", got)
	}
	if want := `{"source":"admin-manual","severity":"critical","message":"línea 1\nlínea 2"}`; got.RawPayload != want {
		t.Errorf("payload %s", got.RawPayload)
	}
}

func TestForm_answersItselfToHTMX(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	answer, text, doc := page(t, server, "POST", "/events", typed("K", "admin-manual", "warning", "Restart"), fragment, "true", "Accept-Language", "es")
	if answer.StatusCode != 200 || strings.Contains(text, "<html") || !strings.HasPrefix(text, "<form") {
		t.Fatalf("%d %s", answer.StatusCode, text)
	}
	if links := find(doc, "a", "href", "/events/1"); len(links) != 1 || inner(links[0]) != "El evento #1 está guardado." {
		t.Errorf("the form does not tell what it stored: %s", text)
	}
	if attribute(find(doc, "input", "name", "source")[0], "value") != "admin-manual" || strings.TrimSpace(inner(find(doc, "textarea", "", "")[0])) != "" {
		t.Error("the next form keeps the source, not the message")
	}
	if keyOf(t, text) == "K" {
		t.Error("the next form has the same key")
	}
}

func TestForm_sentTwiceStoresOnce(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	follow(server)
	_, text, _ := page(t, server, "GET", "/create", "")
	body := typed(keyOf(t, text), "a", "error", "b")
	for _, headers := range [][]string{nil, nil, {fragment, "true"}} {
		page(t, server, "POST", "/events", body, headers...)
	}
	if len(svc.events) != 1 {
		t.Errorf("%d events", len(svc.events))
	}
	// The browser's Back brings the same form back; what is changed is new.
	answer, _, _ := page(t, server, "POST", "/events", typed(keyOf(t, text), "a", "error", "changed"))
	if answer.Header.Get("Location") != "/events/2" {
		t.Errorf("%d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	// Without the form's key nothing tells a repeat from a second event.
	for range 2 {
		page(t, server, "POST", "/events", typed("", "a", "error", "b"))
	}
	if len(svc.events) != 4 {
		t.Errorf("%d events", len(svc.events))
	}
}

func TestForm_saysWhatIsWrongAtTheField(t *testing.T) {
	long := strings.Repeat("é", models.MaxMessage)
	tests := []struct {
		name, source, severity, message string
		want                            map[string]string // the problems, by field
	}{
		{"nothing typed", "", "", "", map[string]string{
			"source":   "Enter a source, for example core-rtr-mad-01.",
			"severity": "Choose one of the four severities.", "message": "Enter a message.",
		}},
		{"blanks", " \t", "info", "\r\n ", map[string]string{
			"source": "Enter a source, for example core-rtr-mad-01.", "message": "Enter a message.",
		}},
		{"an alias is not one of the four", "a", "crit", "b", map[string]string{"severity": "Choose one of the four severities."}},
		{"too long, in characters", strings.Repeat("ñ", 81), "info", long + "🚨\r\n", map[string]string{
			"source": "1 character too many: at most 80.", "message": "2 characters too many: at most 300.",
		}},
	}
	for _, test := range tests {
		for _, htmx := range []string{"", "true"} {
			t.Run(fmt.Sprint(test.name, "/htmx ", htmx), func(t *testing.T) {
				svc := &fakeService{}
				answer, text, doc := page(t, serve(t, svc), "POST", "/events", typed("K", test.source, test.severity, test.message), fragment, htmx)
				if answer.StatusCode != 422 || strings.Contains(text, "<html") != (htmx == "") || len(svc.events) > 0 {
					t.Errorf("%d, %d events", answer.StatusCode, len(svc.events))
				}
				for _, field := range []string{"source", "severity", "message"} {
					problem := find(doc, "p", "id", field+"-error")
					if want := test.want[field]; want == "" && len(problem) > 0 || want != "" && (len(problem) != 1 || inner(problem[0]) != want) {
						t.Errorf("%s: %d problems in %s", field, len(problem), text)
					}
				}
				if got := attribute(find(doc, "input", "name", "source")[0], "value"); got != test.source {
					t.Errorf("source %q was not kept", got)
				}
				if got, want := inner(find(doc, "textarea", "", "")[0]), strings.ReplaceAll(test.message, "\r\n", "\n"); got != want {
					t.Errorf("message %q was not kept", got)
				}
				if !strings.Contains(text, `value="K"`) {
					t.Error("the key was not kept")
				}
			})
		}
	}
}

func TestForm_takesTheFullLength(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	follow(server)
	source, message := strings.Repeat("ñ", models.MaxSource), strings.Repeat("🚨", models.MaxMessage)
	if answer, _, _ := page(t, server, "POST", "/events", typed("K", source, "info", message)); answer.StatusCode != 303 {
		t.Fatalf("%d", answer.StatusCode)
	}
	if svc.events[0].Source != source || svc.events[0].Message != message {
		t.Error("something was cut")
	}
}

// Bytes that are no text do no harm.
func TestForm_readsAnyBytes(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	follow(server)
	if answer, _, _ := page(t, server, "POST", "/events", "key=K&source=a%ff&severity=info&message=%00%80b"); answer.StatusCode != 303 {
		t.Fatalf("%d", answer.StatusCode)
	}
	if !utf8.ValidString(svc.events[0].Source+svc.events[0].Message) || !utf8.ValidString(svc.events[0].RawPayload) {
		t.Errorf("stored %+v", svc.events[0])
	}
}

func TestForm_keepsWhatWasTypedInTrouble(t *testing.T) {
	for err, want := range map[error]string{
		models.ErrBusy:        "The hub is busy.",
		models.ErrUnavailable: "Events cannot be stored at present.",
		models.ErrClosed:      "Events cannot be stored at present.",
		models.ErrUnknown:     "it will not be stored twice",
	} {
		for _, htmx := range []string{"", "true"} {
			svc := &fakeService{failRegister: fmt.Errorf("register: %w", err)}
			answer, text, doc := page(t, serve(t, svc), "POST", "/events", typed("K", "a", "error", "Restart"), fragment, htmx)
			if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || answer.Header.Get("HX-Retarget") != "" {
				t.Errorf("%v: %d %v", err, answer.StatusCode, answer.Header)
			}
			if trouble := find(doc, "div", "id", "trouble"); len(trouble) != 1 || !strings.Contains(inner(trouble[0]), want) {
				t.Errorf("%v: %s", err, text)
			}
			if inner(find(doc, "textarea", "", "")[0]) != "Restart" || len(find(doc, "input", "checked", "")) == 0 || !strings.Contains(text, `value="K"`) {
				t.Errorf("%v: what was typed is gone", err)
			}
		}
	}
}

// A fault answers inside the form, which stays as it is.
func TestForm_staysWhenTheHubFails(t *testing.T) {
	svc := &fakeService{failRegister: &secretError{}}
	server := serve(t, svc)
	answer, text, _ := page(t, server, "POST", "/events", typed("K", "a", "error", "b"), fragment, "true")
	if answer.StatusCode != 500 || answer.Header.Get("HX-Retarget") != "#trouble" || answer.Header.Get("HX-Reswap") != "innerHTML" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	if strings.Contains(text, "secret") || !strings.Contains(text, answer.Header.Get("X-Request-Id")) || strings.Contains(text, "<html") {
		t.Errorf("answered %s", text)
	}
	answer, _, _ = page(t, server, "POST", "/events", "source="+strings.Repeat("a", maxBody), fragment, "true")
	if answer.StatusCode != 413 || answer.Header.Get("HX-Retarget") != "#trouble" {
		t.Errorf("too large: %d", answer.StatusCode)
	}
	if answer, _, _ = page(t, server, "POST", "/events", "source=%zz"); answer.StatusCode != 400 {
		t.Errorf("unreadable: %d", answer.StatusCode)
	}
}

// A link or another site cannot fill or send the form.
func TestForm_takesNothingFromElsewhere(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	body := typed("K", "a", "info", "b")
	if answer, _, _ := page(t, server, "POST", "/events?"+body, ""); answer.StatusCode != 422 {
		t.Errorf("from the address: %d", answer.StatusCode)
	}
	if answer, _, _ := page(t, server, "POST", "/events", body, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
		t.Errorf("from another site: %d", answer.StatusCode)
	}
	if _, text, _ := page(t, server, "GET", "/create?source=evil&message=evil", ""); strings.Contains(text, `value="evil"`) {
		t.Error("an address filled the form")
	}
	if len(svc.events) > 0 {
		t.Errorf("%d events", len(svc.events))
	}
}

func TestForm_errorPageLeadsBackToTheForm(t *testing.T) {
	_, _, doc := page(t, serve(t, &fakeService{}), "POST", "/events", typed("K", "", "info", ""))
	if link := find(doc, "a", "hreflang", "es"); len(link) != 1 || attribute(link[0], "href") != "/create?lang=es" {
		t.Error("the other language leads to a page that cannot be read")
	}
}
