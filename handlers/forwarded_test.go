package handlers

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"alerthub/models"
)

// behindProxies serves a hub that trusts networks, and tells which addresses
// its limits were asked about.
func behindProxies(t *testing.T, svc *fakeService, networks ...string) (server *httptest.Server, asked func() string) {
	t.Helper()
	o := testOptions(t, svc)
	for _, network := range networks {
		o.Proxies = append(o.Proxies, netip.MustParsePrefix(network))
	}
	var mu sync.Mutex
	var last string
	o.Limit = func(d models.Draft) error {
		mu.Lock()
		defer mu.Unlock()
		last = d.Peer
		return nil
	}
	return serveOptions(t, o), func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

// TestForwarded_Address: whose address an event, a limit and an acknowledgement
// get. The test itself asks from 127.0.0.1.
func TestForwarded_Address(t *testing.T) {
	const proxy = "127.0.0.1/32"
	for name, tt := range map[string]struct {
		trusted []string
		headers []string
		want    string
	}{
		"nobody is trusted":            {nil, []string{"X-Forwarded-For", "192.0.2.9"}, "127.0.0.1"},
		"another is trusted":           {[]string{"127.0.0.2/32", "10.0.0.0/8", "::1/128"}, []string{"X-Forwarded-For", "192.0.2.9"}, "127.0.0.1"},
		"the proxy is trusted":         {[]string{proxy}, []string{"X-Forwarded-For", "192.0.2.9"}, "192.0.2.9"},
		"a client of IPv6":             {[]string{proxy}, []string{"X-Forwarded-For", "2001:db8::7"}, "2001:db8::7"},
		"spoofed before the client":    {[]string{proxy}, []string{"X-Forwarded-For", "198.51.100.1, 192.0.2.9"}, "192.0.2.9"},
		"spoofed, in lines of its own": {[]string{proxy}, []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "192.0.2.9"}, "192.0.2.9"},
		"spoofed as a private address": {[]string{proxy}, []string{"X-Forwarded-For", "198.51.100.1, 192.168.0.9"}, "192.168.0.9"},
		"spoofed as the proxy":         {[]string{proxy}, []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.9"}, "192.0.2.9"},
		"two proxies":                  {[]string{proxy, "10.0.0.0/8"}, []string{"X-Forwarded-For", "198.51.100.1, 192.0.2.9, 10.1.2.3"}, "192.0.2.9"},
		"the outer one is not trusted": {[]string{proxy}, []string{"X-Forwarded-For", "192.0.2.9, 10.1.2.3"}, "10.1.2.3"},
		"no header":                    {[]string{proxy}, nil, "127.0.0.1"},
		"no address":                   {[]string{proxy}, []string{"X-Forwarded-For", "me"}, "127.0.0.1"},
		"other headers":                {[]string{proxy}, []string{"X-Real-IP", "192.0.2.9", "Forwarded", "for=192.0.2.9", "True-Client-IP", "192.0.2.9"}, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &fakeService{}
			server, asked := behindProxies(t, svc, tt.trusted...)
			answer, body := send(t, server, "POST", "/api/events", "{}", append([]string{"Content-Type", jsonType}, tt.headers...)...)
			if answer.StatusCode != 201 {
				t.Fatalf("status %d: %s", answer.StatusCode, body)
			}
			if got := svc.drafts[0]; got.Peer != tt.want || got.Source != tt.want {
				t.Errorf("peer %q, source %q, want %q", got.Peer, got.Source, tt.want)
			}
			if got := asked(); got != tt.want {
				t.Errorf("the limits count %q, want %q", got, tt.want)
			}
			send(t, server, "POST", "/api/events/1/ack", `{"by":"Ana"}`, append([]string{"Content-Type", jsonType}, tt.headers...)...)
			if got := svc.acks[0].Peer; got != tt.want {
				t.Errorf("acknowledged from %q, want %q", got, tt.want)
			}
		})
	}
}

// TestForwarded_HostAndScheme: the name that is asked, the origin of writes and
// sockets, the cookies and the command lines follow the proxy, and nobody else.
func TestForwarded_HostAndScheme(t *testing.T) {
	const outside = "hub.example.net" // one of the hub's names
	tests := map[string]struct {
		headers       []string
		status        int
		secure        bool // the cookies
		origin        string
		write, socket int
	}{
		"as a proxy says":     {[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", outside}, 200, true, "https://" + outside, 200, 200},
		"by two proxies":      {[]string{"X-Forwarded-Proto", "http, HTTPS", "X-Forwarded-Host", "evil.example.org, " + outside}, 200, true, "https://" + outside, 200, 200},
		"in lines":            {[]string{"X-Forwarded-Host", "evil.example.org", "X-Forwarded-Host", outside}, 200, false, "http://" + outside, 200, 200},
		"plain outside":       {[]string{"X-Forwarded-Proto", "http"}, 200, false, "", 200, 200},
		"of another site":     {[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", outside}, 200, true, "https://evil.example.org", 403, 200},
		"a name of others":    {[]string{"X-Forwarded-Host", "evil.example.org"}, 421, false, "http://evil.example.org", 421, 421},
		"spoofed by a client": {[]string{"X-Forwarded-Host", outside + ", evil.example.org"}, 421, false, "", 421, 421},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server, _ := behindProxies(t, seeded(), "127.0.0.1/32")
			answer, _ := send(t, server, "GET", "/create?lang=es", "", tt.headers...)
			if answer.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", answer.StatusCode, tt.status)
			}
			for _, cookie := range answer.Cookies() {
				if cookie.Secure != tt.secure {
					t.Errorf("%s", cookie)
				}
			}
			headers := tt.headers
			if tt.origin != "" {
				headers = append([]string{"Origin", tt.origin}, headers...)
			}
			if answer, body := send(t, server, "POST", "/api/events", "[]", headers...); answer.StatusCode != tt.write {
				t.Errorf("a write from %q: %d, want %d: %s", tt.origin, answer.StatusCode, tt.write, body)
			}
			if answer, _ := send(t, server, "GET", "/ws", "", headers...); answer.StatusCode != tt.socket {
				t.Errorf("a socket: %d, want %d", answer.StatusCode, tt.socket)
			}

			// The same from one that is no proxy changes nothing.
			untrusted, _ := behindProxies(t, seeded(), "127.0.0.2/32")
			answer, _ = send(t, untrusted, "GET", "/create?lang=es", "", tt.headers...)
			if answer.StatusCode != 200 || len(answer.Cookies()) != 1 || answer.Cookies()[0].Secure {
				t.Errorf("from elsewhere: %d, %v", answer.StatusCode, answer.Cookies())
			}
			if answer, _ := send(t, untrusted, "POST", "/api/events", "[]", append([]string{"Origin", "https://" + outside}, tt.headers...)...); answer.StatusCode != 403 {
				t.Errorf("a write of a page of %s from elsewhere: %d", outside, answer.StatusCode)
			}
		})
	}
}

// TestForwarded_TLS: a proxy that speaks TLS to the hub still says whether the
// browser does.
func TestForwarded_TLS(t *testing.T) {
	o := testOptions(t, seeded())
	o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	server := httptest.NewTLSServer(New(o))
	defer server.Close()
	for proto, secure := range map[string]bool{"": true, "https": true, "http": false} {
		var headers []string
		if proto != "" {
			headers = []string{"X-Forwarded-Proto", proto}
		}
		answer, _ := send(t, server, "GET", "/create?lang=es", "", headers...)
		if cookies := answer.Cookies(); len(cookies) != 1 || cookies[0].Secure != secure {
			t.Errorf("%q: %v", proto, cookies)
		}
	}
}

func TestForwarded_IsLogged(t *testing.T) {
	var log bytes.Buffer
	o := testOptions(t, &fakeService{})
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	send(t, serveOptions(t, o), "GET", "/api/stats", "", "X-Forwarded-For", "198.51.100.1, 192.0.2.9")
	if !strings.Contains(log.String(), "peer=192.0.2.9 ") {
		t.Errorf("logged %s", log.String())
	}
}
