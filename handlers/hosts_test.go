package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// hostCases are Host headers and whether the hub of testOptions answers.
var hostCases = map[string]bool{
	"127.0.0.1": true, "127.0.0.1:5080": true, "192.0.2.7:1": true, "[::1]": true, "[2001:db8::7]:5080": true, "[::ffff:127.0.0.1]:80": true,
	"localhost": true, "LocalHost:5080": true, "localhost.": true, "panel.localhost:5080": true,
	"hub.example.net": true, "HUB.Example.NET:443": true, "hub.example.net.": true, "hub.example.net.:80": true, "hub": true, "hub:": true,
	"a.below.example.net": true, "a.b.below.example.net:5080": true,

	"evil.example.org": false, "hub.example.net.evil.example.org": false, "evilhub.example.net": false, "x.hub.example.net": false,
	"below.example.net": false, "xbelow.example.net": false, ".below.example.net": false, "localhost.evil.example.org": false,
	"evillocalhost": false, ".localhost": false, "127.0.0.1.evil.example.org": false, "*.below.example.net.evil": false,
	"": false, ".": false, ":5080": false, "hub:http": false, "hub:1:2": false, "hub:999999": false, "hub..": false,
	"[::1": false, "[]": false, "[::1]x": false, "[::1]:x": false, "[127.0.0.1]": false, "::1": false, "[hub]": false, "127.1": false,
}

func TestHosts(t *testing.T) {
	server := serve(t, &fakeService{})
	for host, own := range hostCases {
		want := http.StatusOK
		if !own {
			want = http.StatusMisdirectedRequest
		}
		for _, path := range []string{"/healthz", "/metrics", "/api/events", "/", "/static/nothing"} {
			answer, body := raw(t, server, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			if path == "/static/nothing" && own {
				want = http.StatusNotFound
			}
			if answer.StatusCode != want {
				t.Errorf("%s of %q: %d, want %d: %.200s", path, host, answer.StatusCode, want, body)
			}
			if !own && (!strings.Contains(body, `"error":"wrong_host"`) || !strings.Contains(body, "--allowed-hosts")) {
				t.Errorf("%s of %q does not say why: %s", path, host, body)
			}
		}
	}
}

func TestHosts_Refusal(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	const post = "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	tests := map[string]struct {
		request, mediaType, word string
		status                   int
	}{
		"a program":                     {"POST /api/events HTTP/1.1\r\nHost: evil.example.org\r\n" + post, "application/problem+json", "wrong_host", 421},
		"no host at all":                {"POST /api/events HTTP/1.0\r\n" + post, "application/problem+json", "wrong_host", 421},
		"the host of the address":       {"POST http://evil.example.org/api/events HTTP/1.1\r\nHost: hub\r\n" + post, "application/problem+json", "wrong_host", 421},
		"the page of another site":      {"POST /api/events HTTP/1.1\r\nHost: evil.example.org\r\nSec-Fetch-Site: cross-site\r\n" + post, "application/problem+json", "wrong_host", 421},
		"the same origin does not help": {"POST /api/events HTTP/1.1\r\nHost: evil.example.org\r\nOrigin: http://evil.example.org\r\nSec-Fetch-Site: same-origin\r\n" + post, "application/problem+json", "wrong_host", 421},
		"a person":                      {"GET / HTTP/1.1\r\nHost: evil.example.org\r\nAccept: text/html\r\nAccept-Language: es\r\nConnection: close\r\n\r\n", "text/plain", "no responde a este nombre", 421},
		"markup":                        {"GET /api/stats HTTP/1.1\r\nHost: <script>alert(1)</script>\r\nConnection: close\r\n\r\n", "text/plain", "", 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, body := raw(t, server, tt.request)
			if answer.StatusCode != tt.status || !strings.HasPrefix(answer.Header.Get("Content-Type"), tt.mediaType) || !strings.Contains(body, tt.word) {
				t.Errorf("%d %s, want %d %s with %s: %s", answer.StatusCode, answer.Header.Get("Content-Type"), tt.status, tt.mediaType, tt.word, body)
			}
			if strings.Contains(body, "evil") || strings.Contains(body, "<") {
				t.Errorf("the host is repeated: %s", body)
			}
			if tt.status == 421 && (answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Content-Security-Policy") != contentPolicy || answer.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("headers %v", answer.Header)
			}
		})
	}
	if len(svc.events) != 0 {
		t.Errorf("%d events were stored", len(svc.events))
	}
}

func TestHosts_Sockets(t *testing.T) {
	o := Options{Sockets: namedSockets{}, Access: newAccess(t), Hosts: []string{"hub.example.net"}}
	h := newHandler(o)
	panel := h.newEcho()
	h.mount(panel, h.socketRoutes())
	for path, handler := range map[string]http.Handler{"/ws": panel, "/ws/events": panel, "/": NewFeed(o)} {
		server := httptest.NewServer(handler)
		address := "ws" + strings.TrimPrefix(server.URL, "http") + path
		// The origin agrees with the host, as that of a page after DNS rebinding does.
		_, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, http.Header{"Host": {"evil.example.org"}, "Origin": {"http://evil.example.org"}})
		if err == nil || response == nil || response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s for another host: %v, %v, want 421", path, response, err)
		} else if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), "wrong_host") {
			t.Errorf("%s for another host: %s", path, body)
		}
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), address, http.Header{"Host": {"HUB.example.net:1"}})
		if err != nil {
			t.Errorf("%s for a name that is allowed: %v", path, err)
		} else {
			conn.Close()
		}
		server.Close()
	}
}

func FuzzHosts(f *testing.F) {
	for host := range hostCases {
		f.Add(host)
	}
	h := newHosts([]string{"hub.example.net", "*.below.example.net"})
	f.Fuzz(func(t *testing.T, host string) {
		// Nothing gets in by what it ends with, unless a dot is before that.
		if h.has(host+".evil.example.org") || h.has(host+"evil.example.org") {
			t.Errorf("%q in front of another name gets in", host)
		}
	})
}
