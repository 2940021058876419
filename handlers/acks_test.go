package handlers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/views"
)

// toastOf is the toast that an answer makes htmx show.
func toastOf(t *testing.T, answer *http.Response) views.Toast {
	t.Helper()
	header := answer.Header.Get("HX-Trigger")
	if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("a header cannot hold %q", header)
	}
	var triggers struct{ Toast views.Toast }
	if err := json.Unmarshal([]byte(header), &triggers); err != nil {
		t.Fatalf("%d, HX-Trigger %q: %v", answer.StatusCode, header, err)
	}
	return triggers.Toast
}

// ackedIDs are the events that svc holds as acknowledged.
func ackedIDs(svc *fakeService) []int64 {
	var ids []int64
	for _, e := range svc.events {
		if e.Acked() {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func TestAck_ByHTMX(t *testing.T) {
	const ana = "name=Ana+Ru%C3%ADz"
	for name, tt := range map[string]struct {
		body  string
		acked []int64
		want  views.Toast
	}{
		"one":     {"id=4", []int64{4}, views.Toast{Tone: "success", Text: "#4 reconocido", Undo: "id=4"}},
		"several": {"id=4&id=1", []int64{1, 4}, views.Toast{Tone: "success", Text: "2 eventos reconocidos", Undo: "id=1&id=4"}},
		"a group": {"id=4&group=1", []int64{1, 2, 3, 4}, views.Toast{Tone: "success", Text: "4 eventos reconocidos", Undo: "id=1&id=2&id=3&id=4"}},
		"unknown": {"id=99", nil, views.Toast{Tone: "info", Text: "Ya estaba reconocido: nada que hacer"}},
	} {
		t.Run(name, func(t *testing.T) {
			svc := seeded()
			server := serve(t, svc)
			answer, text, _ := page(t, server, "POST", "/events/ack", tt.body, fragment, "true", "Cookie", ana, "Accept-Language", "es")
			if answer.StatusCode != 204 || text != "" {
				t.Fatalf("%d %s", answer.StatusCode, text)
			}
			if diff := cmp.Diff(tt.want, toastOf(t, answer)); diff != "" {
				t.Errorf("toast (-want +got):\n%s", diff)
			}
			if got := ackedIDs(svc); !slices.Equal(got, tt.acked) {
				t.Errorf("acknowledged %v, want %v", got, tt.acked)
			}
			if got := svc.acks[0]; got.By != "Ana Ruíz" || got.Peer != "127.0.0.1" {
				t.Errorf("by %+v", got)
			}
			// The undo that is offered undoes it.
			if tt.want.Undo != "" {
				answer, _, _ := page(t, server, "POST", "/events/unack", tt.want.Undo, fragment, "true")
				if got := ackedIDs(svc); len(got) > 0 || answer.StatusCode != 204 || toastOf(t, answer).Undo != "" {
					t.Errorf("undone to %v: %d", got, answer.StatusCode)
				}
			}
		})
	}
}

// Without JavaScript an action leads back to where it was asked for, and that
// page tells once what was done and offers its undo.
func TestAck_WithoutJavaScript(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	follow(server)
	answer, _, _ := page(t, server, "POST", "/events/ack", "id=4&by=Ana", "Referer", server.URL+"/events?sev=critical")
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/events?sev=critical" || len(ackedIDs(svc)) != 1 {
		t.Fatalf("%d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	kept := map[string]*http.Cookie{}
	for _, c := range answer.Cookies() {
		kept[c.Name] = c
	}
	if kept["name"] == nil || kept["name"].Value != "Ana" || kept["done"] == nil || kept["done"].MaxAge != doneAge {
		t.Fatalf("cookies %v", kept)
	}
	answer, text, doc := page(t, server, "GET", "/events?sev=critical", "", "Cookie", "done="+kept["done"].Value)
	undo := find(doc, "form", "action", "/events/unack")
	if !strings.Contains(text, "#4 acknowledged") || len(undo) == 0 {
		t.Errorf("the page does not tell it, or has no undo: %d forms", len(undo))
	}
	if cookies := answer.Cookies(); len(cookies) != 1 || cookies[0].Name != "done" || cookies[0].MaxAge >= 0 {
		t.Errorf("it is told again: %v", cookies)
	}
	answer, _, _ = page(t, server, "POST", "/events/unack", "id=4&next=%2Fevents%2F4")
	if answer.Header.Get("Location") != "/events/4" || len(ackedIDs(svc)) > 0 {
		t.Errorf("undone: %d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
}

// Only what answerDone wrote is told.
func TestDone_IsNoPlaceForWords(t *testing.T) {
	server := serve(t, seeded())
	for _, value := range []string{
		"what=acked&count=1&id=4&undo=id%3D4%26by%3Devil", "what=%3Cb%3E&count=1&id=4&undo=", "what=acked&count=x&id=4&undo=",
		"what=acked&count=-1&id=4&undo=", "what=acked&count=1&id=4&undo=batch%3D1", "x", "%zz",
	} {
		_, text, doc := page(t, server, "GET", "/audit", "", "Cookie", "done="+value)
		if strings.Contains(text, "acknowledged</") && strings.Contains(text, "#4") || len(find(doc, "input", "name", "batch")) > 0 {
			t.Errorf("%s is told", value)
		}
	}
}

func TestAck_AsksWhoWhenItIsNotKnown(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	follow(server)
	answer, _, doc := page(t, server, "POST", "/events/ack", "id=4&id=3&group=1", "Referer", server.URL+"/")
	if answer.StatusCode != 200 || len(svc.acks) > 0 {
		t.Fatalf("%d, %d acknowledgements", answer.StatusCode, len(svc.acks))
	}
	forms := find(find(doc, "main", "", "")[0], "form", "action", "/events/ack")
	if len(forms) != 1 || attribute(forms[0], "method") != "post" {
		t.Fatalf("%d forms", len(forms))
	}
	again := url.Values{}
	for _, input := range find(forms[0], "input", "", "") {
		again.Add(attribute(input, "name"), attribute(input, "value"))
	}
	if want := (url.Values{"id": {"4", "3"}, "group": {"1"}, "next": {"/"}, "by": {""}}); !cmp.Equal(want, again) {
		t.Fatalf("the form carries %v", again)
	}
	for typed, want := range map[string]string{"": "Enter your name.", " \t": "Enter your name.", strings.Repeat("x", 41): "at most 40", "\u200b": "can be seen"} {
		again.Set("by", typed)
		answer, text, _ := page(t, server, "POST", "/events/ack", again.Encode())
		if answer.StatusCode != 422 || !strings.Contains(text, want) || len(answer.Cookies()) > 0 {
			t.Errorf("%q: %d", typed, answer.StatusCode)
		}
		answer, _, _ = page(t, server, "POST", "/events/ack", again.Encode(), fragment, "true")
		if toast := toastOf(t, answer); answer.StatusCode != 422 || toast.Tone != "error" || !strings.Contains(toast.Text, want) {
			t.Errorf("%q by htmx: %d %+v", typed, answer.StatusCode, toast)
		}
	}
	again.Set("by", "  José; Ñ  ")
	answer, _, _ = page(t, server, "POST", "/events/ack", again.Encode())
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/" || svc.acks[0].By != "José; Ñ" {
		t.Errorf("%d, %+v", answer.StatusCode, svc.acks)
	}
	// From then on the browser knows it.
	answer, _, _ = page(t, server, "POST", "/events/ack", "id=1", "Cookie", "name="+answer.Cookies()[0].Value)
	if answer.StatusCode != 303 || svc.acks[len(svc.acks)-1].By != "José; Ñ" {
		t.Errorf("%d, %+v", answer.StatusCode, svc.acks)
	}
}

func TestAck_RefusesWhatIsNoEvent(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	for _, body := range []string{"", "id=", "id=x", "id=0", "id=-4", "id=1e3", "id=9007199254740993", strings.Repeat("id=4&", 1001)} {
		for _, path := range []string{"/events/ack", "/events/unack"} {
			if answer, _, _ := page(t, server, "POST", path, body+"&by=Ana"); answer.StatusCode != 400 {
				t.Errorf("%s %.20s: %d", path, body, answer.StatusCode)
			}
		}
	}
	for path, body := range map[string]string{"/events/ack": "id=99&group=1&by=Ana", "/events/unack": "batch=" + strings.Repeat("A", 26)} {
		if answer, _, _ := page(t, server, "POST", path, body); answer.StatusCode != 404 {
			t.Errorf("%s %s: %d", path, body, answer.StatusCode)
		}
	}
	// An address cannot acknowledge, whoever follows it.
	if answer, _, _ := page(t, server, "POST", "/events/ack?id=4&by=Ana", ""); answer.StatusCode != 400 {
		t.Errorf("from the address: %d", answer.StatusCode)
	}
	if got := ackedIDs(svc); len(got) > 0 {
		t.Errorf("acknowledged %v", got)
	}
}

// Whatever a form or a browser says, an action leads to a page of this hub.
func TestActions_LeadNowhereElse(t *testing.T) {
	server := serve(t, seeded())
	follow(server)
	for _, next := range []string{
		"//evil.example", `/\evil.example`, "https://evil.example/", "javascript:alert(1)", "/\t/evil.example", "/ /evil.example", "\\\\evil.example", "", "events", "/%zz",
	} {
		answer, _, _ := page(t, server, "POST", "/events/ack", url.Values{"id": {"4"}, "by": {"Ana"}, "next": {next}}.Encode())
		if got := answer.Header.Get("Location"); got != "/events" {
			t.Errorf("next %q leads to %q", next, got)
		}
	}
	for referer, want := range map[string]string{
		"":                            "/events",
		server.URL + "/?range=7d#x":   "/?range=7d",
		server.URL:                    "/",
		server.URL + "//evil.example": "/events",
		server.URL + "/events/ack":    "/events",
		"https://evil.example/audit":  "/events",
		"::":                          "/events",
	} {
		answer, _, _ := page(t, server, "POST", "/name", "by=Ana", "Referer", referer)
		if got := answer.Header.Get("Location"); answer.StatusCode != 303 || got != want {
			t.Errorf("from %q leads to %q, want %q", referer, got, want)
		}
	}
}

func TestAckAll(t *testing.T) {
	svc := seeded()
	svc.stats.LastEventID = 4
	server := serve(t, svc)
	follow(server)
	answer, _, doc := page(t, server, "GET", "/events/ack-all?sev=critical&q=%3Cscript%3E", "")
	form := find(doc, "form", "action", "/events/ack-all")
	if answer.StatusCode != 200 || len(form) != 1 || svc.match.Unacked != true || svc.match.Text != "<script>" {
		t.Fatalf("%d, %d forms, counts %+v", answer.StatusCode, len(form), svc.match)
	}
	sent := url.Values{}
	for _, input := range find(form[0], "input", "", "") {
		sent.Add(attribute(input, "name"), attribute(input, "value"))
	}
	if want := (url.Values{"sev": {"critical"}, "q": {"<script>"}, "ack": {"no"}, "upto": {"5"}, "by": {""}}); !cmp.Equal(want, sent) {
		t.Fatalf("the form carries %v", sent)
	}
	svc.register(models.Draft{Source: "late", Severity: "critical", Message: "m"})
	sent.Set("by", "Ana")
	answer, _, _ = page(t, server, "POST", "/events/ack-all", sent.Encode())
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/events?ack=no&q=%3Cscript%3E&sev=critical" {
		t.Errorf("%d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	want := models.EventFilter{Before: 5, Unacked: true, Text: "<script>", Severities: []models.Severity{"critical"}}
	if diff := cmp.Diff(want, svc.filter); diff != "" {
		t.Errorf("acknowledges (-want +got):\n%s", diff)
	}
	if got := ackedIDs(svc); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("acknowledged %v: what came after the question is not part of it", got)
	}
	answer, _, _ = page(t, server, "POST", "/events/unack", "batch="+bulkToken, fragment, "true")
	if toast := toastOf(t, answer); toast.Text != "2 events are unacknowledged again" || len(ackedIDs(svc)) > 0 {
		t.Errorf("undone: %+v", toast)
	}
	answer, _, _ = page(t, server, "POST", "/events/ack-all", "upto=5", fragment, "true", "Cookie", "name=Ana")
	if toast := toastOf(t, answer); toast.Text != "2 events acknowledged" || toast.Undo != "batch="+bulkToken {
		t.Errorf("by htmx: %+v", toast)
	}
	answer, _, _ = page(t, server, "POST", "/events/ack-all", "upto=5", fragment, "true", "Cookie", "name=Ana")
	if toast := toastOf(t, answer); toast.Tone != "info" || toast.Undo != "" {
		t.Errorf("nothing left: %+v", toast)
	}
}

// What was acknowledged before the storage failed is told, recorded, and can be
// undone.
func TestAckAll_EndsHalfWay(t *testing.T) {
	svc, audit := seeded(), &fakeAudit{}
	svc.breaks = models.ErrUnavailable
	answer, _, _ := page(t, serveAudit(t, svc, audit), "POST", "/events/ack-all", "upto=5", fragment, "true", "Cookie", "name=Ana")
	if toast := toastOf(t, answer); toast.Text != "2 events acknowledged" || toast.Undo != "batch="+bulkToken {
		t.Errorf("told %+v", toast)
	}
	if lines := audit.told(); len(lines) != 1 || !strings.HasPrefix(lines[0], "Ana@127.0.0.1 acknowledged: events 2: ") {
		t.Errorf("recorded %q", lines)
	}
}

// A filter that is not understood in whole would take more than was meant.
func TestAckAll_TakesNoHalfFilter(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	for _, body := range []string{"", "upto=0", "upto=x", "upto=5&sev=loud", "upto=5&from=yesterday", "upto=5&ch=udp", "upto=5&range=9y", "upto=5&ack=yes"} {
		if answer, _, _ := page(t, server, "POST", "/events/ack-all", body+"&by=Ana"); answer.StatusCode != 400 {
			t.Errorf("%s: %d", body, answer.StatusCode)
		}
	}
	// Without a name the question comes again, once it is known.
	_, _, doc := page(t, server, "POST", "/events/ack-all", "upto=5&sev=error")
	if next := find(doc, "input", "name", "next"); len(next) != 1 || attribute(next[0], "value") != "/events/ack-all?ack=no&sev=error&upto=5" {
		t.Errorf("%v", next)
	}
	if got := ackedIDs(svc); len(got) > 0 {
		t.Errorf("acknowledged %v", got)
	}
}

func TestAckAPI(t *testing.T) {
	svc := seeded()
	server := serve(t, svc)
	for i, by := range []string{"Ana", "Luis"} { // the first word stands
		answer, body := send(t, server, "POST", "/api/events/4/ack", `{"by":" `+by+` ","more":1}`)
		if answer.StatusCode != 200 || !strings.Contains(body, `"acked_at":"2026-11-23T18:31:00.123456Z","acked_by":"Ana","acked_verified":false}`) {
			t.Errorf("%d: %d %s", i, answer.StatusCode, body)
		}
	}
	for range 2 {
		answer, body := send(t, server, "DELETE", "/api/events/4/ack", "")
		if answer.StatusCode != 200 || !strings.Contains(body, `"acked_at":null,"acked_by":null,"acked_verified":false}`) {
			t.Errorf("%d %s", answer.StatusCode, body)
		}
	}
	svc.acks = nil
	for body, word := range map[string]string{
		`{}`: "invalid_event", `{"by":null}`: "invalid_event", `{"by":" "}`: "invalid_event", `{"by":7}`: "invalid_event", `{"By":"Ana"}`: "invalid_event",
		`{"by":"` + strings.Repeat("x", 41) + `"}`: "invalid_event", "": "invalid_json", "[]": "invalid_json", `{"by":"a","by":"b"}`: "invalid_json",
	} {
		answer, text := send(t, server, "POST", "/api/events/4/ack", body)
		got := decodeAs[problem](t, text)
		if answer.StatusCode != 400 || got.Word != word || (got.Field == "by") != (word == "invalid_event") {
			t.Errorf("%s: %d %s", body, answer.StatusCode, text)
		}
	}
	if len(svc.acks) > 0 {
		t.Errorf("acknowledged by %+v", svc.acks)
	}
	for _, id := range []string{"99", "0", "x", "99999999999999999999"} {
		for _, method := range []string{"POST", "DELETE"} {
			if answer, text := send(t, server, method, "/api/events/"+id+"/ack", `{"by":"Ana"}`); answer.StatusCode != 404 || decodeAs[problem](t, text).Word != "not_found" {
				t.Errorf("%s %s: %d %s", method, id, answer.StatusCode, text)
			}
		}
	}
	if answer, _ := send(t, server, "POST", "/api/events/4/ack", `{"by":"`+strings.Repeat("x", maxBody)+`"}`); answer.StatusCode != 413 {
		t.Errorf("too large: %d", answer.StatusCode)
	}
}
