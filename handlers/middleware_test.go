package handlers

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"alerthub/static"
)

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	fine, broken := serve(t, &fakeService{}), serve(t, &fakeService{fail: errors.New("broken"), panics: true})
	large := strings.Repeat("x", maxBatchBody+1)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	tests := []struct {
		name               string
		server             *httptest.Server
		method, path, body string
		headers            []string
		status             int
	}{
		{"page", fine, "GET", "/", "", nil, 200},
		{"results for htmx", fine, "GET", "/events", "", []string{"HX-Request", "true", "HX-Target", "results"}, 200},
		{"question before acknowledging", fine, "GET", "/events/ack-all", "", nil, 200},
		{"question for a name", fine, "POST", "/events/ack", "id=1", form, 200},
		{"acknowledged", fine, "POST", "/events/ack", "id=1&by=Ana", append(form, "HX-Request", "true"), 204},
		{"unacknowledged", fine, "POST", "/events/unack", "id=1", append(form, "HX-Request", "true"), 204},
		{"all acknowledged", fine, "POST", "/events/ack-all", "upto=9&by=Ana", append(form, "HX-Request", "true"), 204},
		{"name", fine, "POST", "/name", "by=Ana", append(form, "HX-Request", "true"), 204},
		{"no event to acknowledge", fine, "POST", "/api/events/9/ack", `{"by":"Ana"}`, nil, 404},
		{"foreign acknowledgement", fine, "POST", "/events/ack", "id=1&by=Ana", append(form, "Sec-Fetch-Site", "cross-site"), 403},
		{"static file", fine, "GET", static.URL("css/panel.css"), "", nil, 200},
		{"list", fine, "GET", "/api/events", "", nil, 200},
		{"stored", fine, "POST", "/api/events", "{}", nil, 201},
		{"batch", fine, "POST", "/api/events", "[{}]", nil, 200},
		{"document", fine, "GET", "/api/openapi.yaml", "", nil, 200},
		{"compressed", fine, "GET", "/api/openapi.yaml", "", []string{"Accept-Encoding", "gzip"}, 200},
		{"alive", fine, "GET", "/healthz", "", nil, 200},
		{"metrics", fine, "GET", "/metrics", "", nil, 200},
		{"head", fine, "HEAD", "/api/events", "", nil, 200},
		{"options", fine, "OPTIONS", "/api/events", "", nil, 204},
		{"wrong parameter", fine, "GET", "/api/events?limit=0", "", nil, 400},
		{"foreign origin", fine, "POST", "/api/events", "{}", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"not found", fine, "GET", "/api/nothing", "", nil, 404},
		{"not found, for a browser", fine, "GET", "/nothing", "", []string{"Accept", "text/html"}, 404},
		{"not found, for htmx", fine, "GET", "/nothing", "", []string{"HX-Request", "true"}, 404},
		{"static file not found", fine, "GET", "/static/nothing.css", "", nil, 404},
		{"wrong method", fine, "DELETE", "/api/events", "", nil, 405},
		{"too large", fine, "POST", "/api/events", large, nil, 413},
		{"wrong type", fine, "POST", "/api/events", "{}", []string{"Content-Type", "text/plain"}, 415},
		{"broken", broken, "GET", "/api/events", "", nil, 500},
		{"panic", broken, "GET", "/api/stats", "", nil, 500},
	}
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := send(t, tt.server, tt.method, tt.path, tt.body, tt.headers...)
			if answer.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %.300s", answer.StatusCode, tt.status, body)
			}
			for name, value := range want {
				if tt.name == "static file" && name == "Cache-Control" {
					value = "public, max-age=31536000, immutable" // its address changes with its content
				}
				if got := answer.Header.Values(name); len(got) != 1 || got[0] != value {
					t.Errorf("%s: %q, want %q once", name, got, value)
				}
			}
			if answer.Header.Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
		})
	}
}

// raw sends bytes as they are, which a tidy client would not, and returns the
// answer and its body.
func raw(t *testing.T, server *httptest.Server, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestForeignPagesWriteNothing_OnAnySpellingOfThePath(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	paths := []string{
		"/api/events", "//api/events", "/api//events", "/API/events", "/Api/Events", "/api/events/", "/api/./events",
		"/api/x/../events", "/../api/events", "/./api/events", "/api/%65vents", "/%61pi/events", "/api%2Fevents", "/api/events%00",
		"/api/events;x", "/api/events?x=/static/", "/static/../api/events", "/ws/../api/events", "/api\\events",
		"http://hub.example.net/api/events", "/", "/create", "/events",
		"/events/ack", "/events/unack", "/events/ack-all", "/name", "/api/events/1/ack", "/events//ack", "/events/%61ck",
	}
	foreign := []string{
		"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example.net", "Origin: null",
		"Sec-Fetch-Site: cross-site\r\nOrigin: http://hub.example.net", "Sec-Fetch-Site: \r\nOrigin: http://hub.example.net:81",
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "BREW"} {
		for _, path := range paths {
			for _, header := range foreign {
				answer, body := raw(t, server, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hub.example.net\r\n%s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", method, path, header))
				if answer.StatusCode != 403 || !strings.Contains(body, "cross_origin") {
					t.Errorf("%s %s with %q: %d %.200s, want 403", method, path, header, answer.StatusCode, body)
				}
			}
		}
	}
	if len(svc.events) != 0 {
		t.Errorf("%d events stored by foreign pages", len(svc.events))
	}
}

func TestOwnPagesAndDevicesWrite(t *testing.T) {
	server := serve(t, &fakeService{})
	for _, headers := range [][]string{
		nil,
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Site", "none"},
		{"Origin", server.URL},
	} {
		if answer, body := send(t, server, "POST", "/api/events", "{}", headers...); answer.StatusCode != 201 {
			t.Errorf("%v: %d %s", headers, answer.StatusCode, body)
		}
	}
}

func TestOtherSpellingsOfTheAPIAreNotTheAPI(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	for _, path := range []string{"//api/events", "/API/events", "/api/./events", "/api/x/../events", "/static/../api/events"} {
		answer, _ := raw(t, server, "POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
		if answer.StatusCode < 400 || answer.StatusCode >= 500 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if len(svc.events) != 0 {
		t.Errorf("%d events stored", len(svc.events))
	}
}

func TestHeadAnswersAsGetWithoutBody(t *testing.T) {
	server := serve(t, &fakeService{})
	for path, contentType := range map[string]string{
		"/api/events": jsonType, "/api/stats": jsonType, "/api/config": jsonType, "/api/openapi.yaml": "application/yaml",
		"/healthz": jsonType, "/readyz": jsonType, "/api/events/1": "application/problem+json",
	} {
		get, _ := send(t, server, "GET", path, "")
		head, body := send(t, server, "HEAD", path, "")
		if head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != contentType || body != "" {
			t.Errorf("HEAD %s: %d %s %q, GET says %d", path, head.StatusCode, head.Header.Get("Content-Type"), body, get.StatusCode)
		}
	}
}

func TestOptionsListsTheMethods(t *testing.T) {
	server := serve(t, &fakeService{})
	for path, allow := range map[string]string{"/api/events": "OPTIONS, GET, POST, HEAD", "/api/stats": "OPTIONS, GET, HEAD"} {
		answer, body := send(t, server, "OPTIONS", path, "", "Origin", "https://evil.example.net", "Access-Control-Request-Method", "POST")
		if answer.StatusCode != 204 || answer.Header.Get("Allow") != allow || body != "" {
			t.Errorf("OPTIONS %s: %d, Allow %q, %q", path, answer.StatusCode, answer.Header.Get("Allow"), body)
		}
		for name := range answer.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("OPTIONS %s allows foreign pages something: %s", path, name)
			}
		}
	}
}

func TestErrorsForPeopleArePages(t *testing.T) {
	server := serve(t, &fakeService{})
	answer, body := send(t, server, "GET", "/nothing", "", "Accept", "text/html,application/xhtml+xml;q=0.9")
	if answer.StatusCode != 404 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || strings.Contains(body, `"request_id"`) {
		t.Errorf("%d %s\n%.300s", answer.StatusCode, answer.Header.Get("Content-Type"), body)
	}
	if answer, _ := send(t, server, "GET", "/nothing", ""); answer.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a program gets %s", answer.Header.Get("Content-Type"))
	}
}

// What htmx asked for stays away, the page as it is, and a toast tells it.
func TestErrorsForHTMXAreToasts(t *testing.T) {
	server := serve(t, &fakeService{fail: errors.New("SELECT secret")})
	for target, tt := range map[string]struct {
		method string
		status int
		want   string
	}{
		"/nothing":       {"GET", 404, "No encontrado"},
		"/events?q=x":    {"GET", 500, "Algo ha fallado"},
		"/events/1":      {"GET", 500, "Algo ha fallado"},
		"/events/ack":    {"POST", 400, "No se puede atender"},
		"/events/unack":  {"POST", 400, "No se puede atender"},
		"/name?by=x":     {"POST", 422, "Escribe tu nombre."},
		"/events/2?tz=x": {"PUT", 405, "No se puede atender"},
	} {
		answer, body := send(t, server, tt.method, target, "", "HX-Request", "true", "Accept-Language", "es")
		toast := toastOf(t, answer)
		if answer.StatusCode != tt.status || toast.Tone != "error" || toast.Undo != "" || answer.Header.Get("HX-Reswap") != "none" || body != "" {
			t.Errorf("%s: %d %+v %q", target, answer.StatusCode, toast, body)
		}
		if !strings.HasPrefix(toast.Text, tt.want) || strings.Contains(toast.Text, "SELECT") {
			t.Errorf("%s: %q, want %q", target, toast.Text, tt.want)
		}
		if id := answer.Header.Get("X-Request-Id"); tt.status != 422 && !strings.Contains(toast.Text, id) {
			t.Errorf("%s: %q does not name %s", target, toast.Text, id)
		}
	}
}

func TestRequestID_OnlyPlainOnesAreTakenOver(t *testing.T) {
	server := serve(t, &fakeService{})
	for id, kept := range map[string]bool{
		"edge-1.a_B": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"a b": false, "<script>": false, `a"b`: false, "caf\xe9": false, "": false,
	} {
		answer, _ := send(t, server, "GET", "/healthz", "", "X-Request-ID", id)
		got := answer.Header.Get("X-Request-Id")
		if (got == id) != kept || got == "" {
			t.Errorf("id %q answered as %q", id, got)
		}
	}
}

func TestBodyOfOtherAddressesIsBoundedLower(t *testing.T) {
	h := newHandler(testOptions(t, &fakeService{}))
	e := h.newEcho()
	e.POST("/form", func(c echo.Context) error {
		_, err := io.Copy(io.Discard, c.Request().Body)
		return err
	})
	server := httptest.NewServer(e)
	defer server.Close()
	for size, status := range map[int]int{maxBody: 200, maxBody + 1: 413} {
		for _, length := range []int64{int64(size), -1} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/form", io.LimitReader(strings.NewReader(strings.Repeat("x", size)), int64(size)))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != status {
				t.Errorf("%d bytes (length %d): status %d, want %d", size, length, answer.StatusCode, status)
			}
		}
	}
}

func TestGzip_ForLongAnswersOnly(t *testing.T) {
	server := serve(t, &fakeService{})
	plain, text := send(t, server, "GET", "/api/openapi.yaml", "", "Accept-Encoding", "identity")
	if plain.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a client that does not want it")
	}
	packed, body := send(t, server, "GET", "/api/openapi.yaml", "", "Accept-Encoding", "gzip")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", packed.Header)
	}
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("unpacked to %d bytes (%v), want %d", len(got), err, len(text))
	}
	for _, path := range []string{"/api/config", "/metrics", "/api/nothing"} {
		if answer, _ := send(t, server, "GET", path, "", "Accept-Encoding", "gzip"); answer.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is compressed", path)
		}
	}
}

func TestLog_OneLineARequestByWhatItMatters(t *testing.T) {
	var log bytes.Buffer
	options := testOptions(t, &fakeService{panics: true, fail: errors.New("table is gone")})
	options.Logger = slog.New(slog.NewTextHandler(&log, nil)) // info and above
	handler := New(options)
	here := t.Context()
	gone, leave := context.WithCancel(here)
	leave()
	tests := []struct {
		client       context.Context
		method, path string
		level        string // "" for silence
		parts        []string
	}{
		{here, "GET", "/api/config?token=secret", "INFO", []string{"path=/api/config", "status=200", "request_id=", "peer=192.0.2.1"}},
		{here, "GET", "/nothing%0Alevel=ERROR", "INFO", []string{`path="/nothing\nlevel=ERROR"`, "status=404"}},
		{here, "GET", "/api/events", "ERROR", []string{"status=500", `error="table is gone"`}},
		{here, "GET", "/api/stats", "ERROR", []string{"status=500", "panic: stats are broken", "service_test.go"}},
		// Whoever leaves has the driver say so, in words of its own.
		{gone, "GET", "/api/events", "INFO", []string{"status=503", `error="table is gone"`}},
		{gone, "GET", "/api/stats", "ERROR", []string{"status=500", "panic: stats are broken"}},
		{here, "POST", "/api/events", "", nil},
		{here, "GET", "/healthz", "", nil},
		{here, "GET", "/readyz", "", nil},
		{here, "GET", "/metrics", "", nil},
		{here, "GET", "/static/nothing", "", nil},
	}
	for _, tt := range tests {
		log.Reset()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(tt.client, tt.method, tt.path, strings.NewReader("{}")))
		got := log.String()
		if tt.level == "" {
			if got != "" {
				t.Errorf("%s %s logged %s", tt.method, tt.path, got)
			}
			continue
		}
		if strings.Count(got, "\n") != 1 || strings.Contains(got, "secret") {
			t.Errorf("%s %s: want one line without the query, got\n%s", tt.method, tt.path, got)
		}
		for _, part := range append(tt.parts, "level="+tt.level, "method="+tt.method) {
			if !strings.Contains(got, part) {
				t.Errorf("%s %s: no %s in\n%s", tt.method, tt.path, part, got)
			}
		}
	}
}
