package handlers

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// fakeCanaries has the state that it is given; sending changes it.
type fakeCanaries struct {
	state models.CanaryState
	fail  error // of SendCanary
	sent  int
}

func (f *fakeCanaries) CanaryState() models.CanaryState { return f.state }

func (f *fakeCanaries) SendCanary() (models.Canary, error) {
	if f.fail != nil {
		return f.state.Last, f.fail
	}
	f.sent++
	f.state.Last = models.Canary{BegunAt: received, Stage: models.CanaryDoor}
	return f.state.Last, nil
}

func serveCanaries(t *testing.T, f *fakeCanaries) *httptest.Server {
	o := testOptions(t, &fakeService{})
	o.Canaries = f
	server := httptest.NewServer(New(o))
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(server.Close)
	return server
}

var (
	canaryThrough = models.Canary{ID: 3, BegunAt: received, EndedAt: received.Add(time.Second), EventID: 7, Stage: models.CanaryThrough}
	canaryFailed  = models.Canary{ID: 4, BegunAt: received, EndedAt: received.Add(time.Second), EventID: 8, Stage: models.CanaryDelivered, Detail: `email to "<b>": 550`}
)

// The answers are those that the document describes.
func TestCanary_API(t *testing.T) {
	_, v := openDocument(t)
	const running = `{"begun_at":"2026-11-23T18:30:00.123456Z","ended_at":null,"outcome":"running","stage":"door","event_id":null,"detail":null}`
	for name, tt := range map[string]struct {
		fake   fakeCanaries
		method string
		status int
		want   string // in the body
	}{
		"none":      {method: "GET", status: 200, want: `{"contact":null,"every_seconds":0,"last":null,"last_through_at":null}`},
		"none sent": {fake: fakeCanaries{state: models.CanaryState{Contact: "noc", Every: time.Hour}}, method: "GET", status: 200, want: `{"contact":"noc","every_seconds":3600,"last":null,"last_through_at":null}`},
		"came through": {
			fake: fakeCanaries{state: models.CanaryState{Contact: "noc", Last: canaryThrough, LastThrough: canaryThrough.EndedAt}}, method: "GET", status: 200,
			want: `"last":{"begun_at":"2026-11-23T18:30:00.123456Z","ended_at":"2026-11-23T18:30:01.123456Z","outcome":"through","stage":"through","event_id":7,"detail":null},"last_through_at":"2026-11-23T18:30:01.123456Z"}`,
		},
		"failed":   {fake: fakeCanaries{state: models.CanaryState{Contact: "noc", Last: canaryFailed}}, method: "GET", status: 200, want: `"outcome":"failed","stage":"delivered","event_id":8,"detail":"email to \"<b>\": 550"}`},
		"send":     {fake: fakeCanaries{state: models.CanaryState{Contact: "noc"}}, method: "POST", status: 202, want: running},
		"running":  {fake: fakeCanaries{fail: models.ErrCanaryRunning}, method: "POST", status: 409, want: `"error":"canary_running"`},
		"nobody":   {fake: fakeCanaries{fail: fmt.Errorf("none: %w", models.ErrNotFound)}, method: "POST", status: 404, want: `"error":"not_found"`},
		"too soon": {fake: fakeCanaries{fail: models.ErrUnavailable}, method: "POST", status: 503, want: `"error":"storage_unavailable"`},
	} {
		t.Run(name, func(t *testing.T) {
			server := serveCanaries(t, &tt.fake)
			answer, body := send(t, server, tt.method, "/api/canary", "")
			if answer.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d %s", answer.StatusCode, body, tt.status, tt.want)
			}
			r := httptest.NewRequest(tt.method, "/api/canary", nil)
			recorded := &http.Response{StatusCode: answer.StatusCode, Header: answer.Header, Body: io.NopCloser(strings.NewReader(body))}
			if ok, errs := v.ValidateHttpResponse(r, recorded); !ok {
				t.Errorf("the answer does not pass: %s: %v", body, errs)
			}
		})
	}
	if answer, _ := send(t, serve(t, &fakeService{}), "POST", "/api/canary", ""); answer.StatusCode != 404 {
		t.Errorf("a hub without canaries: %d", answer.StatusCode)
	}
	f := &fakeCanaries{state: models.CanaryState{Contact: "noc"}}
	if answer, _ := send(t, serveCanaries(t, f), "POST", "/api/canary", "", "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 || f.sent != 0 {
		t.Errorf("a foreign page: %d, %d sent", answer.StatusCode, f.sent)
	}
}

func TestCanary_Panel(t *testing.T) {
	page := func(f *fakeCanaries, target string, headers ...string) string {
		t.Helper()
		answer, body := send(t, serveCanaries(t, f), "GET", target, "", headers...)
		if answer.StatusCode != 200 {
			t.Errorf("GET %s: %d", target, answer.StatusCode)
		}
		return body
	}
	if body := page(&fakeCanaries{}, "/"); strings.Contains(body, "anary") {
		t.Error("the dashboard speaks of canaries where there are none")
	}
	failed := &fakeCanaries{state: models.CanaryState{Contact: "noc", Last: canaryFailed}}
	for target, headers := range map[string][]string{"/": nil, "/canary": {"HX-Request", "true"}} {
		body := page(failed, target, headers...)
		for _, want := range []string{"Canary: failed at delivery", "email to &#34;&lt;b&gt;&#34;: 550", "Send a canary", `action="/canary"`} {
			if !strings.Contains(body, want) {
				t.Errorf("GET %s does not say %s:\n%s", target, want, body)
			}
		}
	}
	if body := page(failed, "/canary", "HX-Request", "true"); strings.Contains(body, "<html") {
		t.Error("the line is a whole page")
	}
	if body := page(failed, "/canary", "HX-Request", "true", "Accept-Language", "es"); !strings.Contains(body, "Canario: falló en la entrega") {
		t.Errorf("in Spanish: %s", body)
	}

	f := &fakeCanaries{state: models.CanaryState{Contact: "noc"}}
	server := serveCanaries(t, f)
	for _, tt := range []struct {
		method, referer, next string
		fail                  error
		status, sent          int
	}{
		{"GET", "", "/", nil, 303, 0}, // a link sends none
		{"POST", "", "/", nil, 303, 1},
		{"POST", server.URL + "/?range=7d", "/?range=7d", nil, 303, 2},
		{"POST", "https://evil.example/x", "/", nil, 303, 3},
		{"POST", server.URL + "/canary", "/", nil, 303, 4},
		{"POST", "", "/", models.ErrCanaryRunning, 303, 4},
		{"POST", "", "", models.ErrNotFound, 404, 4},
	} {
		f.fail = tt.fail
		answer, _ := send(t, server, tt.method, "/canary", "", "Referer", tt.referer)
		if answer.StatusCode != tt.status || answer.Header.Get("Location") != tt.next || f.sent != tt.sent {
			t.Errorf("%+v: %d to %q, %d sent", tt, answer.StatusCode, answer.Header.Get("Location"), f.sent)
		}
	}
}
