package e2e

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// TestHosts_OtherNamesAreRefused asks every port of the web under names that
// are the hub's and one that is not.
func TestHosts_OtherNamesAreRefused(t *testing.T) {
	t.Parallel()
	plain := startHub(t, options{})
	named := startHub(t, options{args: []string{"--allowed-hosts=other.example.net,*.noc.example.net", "--public-url=https://alerts.example.net/hub"}})
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		p    *process
		host string
		own  bool
	}{
		{plain, "", true}, // the bound address
		{plain, "localhost:1", true},
		{plain, machine, true},
		{plain, "evil.example.org", false},
		{plain, "other.example.net", false},
		{named, "other.example.net:5080", true},
		{named, "a.noc.example.net", true},
		{named, "alerts.example.net", true},
		{named, "evil.example.org", false},
	} {
		for _, path := range []string{"/", "/api/events", "/healthz", "/metrics", "/readyz"} {
			status, body := askAs(t, "http://"+tt.p.HTTP+path, tt.host)
			if tt.own && status != http.StatusOK || !tt.own && (status != http.StatusMisdirectedRequest || !strings.Contains(body, "--allowed-hosts")) {
				t.Errorf("%s of %q: %d %.200s", path, tt.host, status, body)
			}
		}
		if status, body := askAs(t, "http://"+tt.p.Feed+"/", tt.host); (status != http.StatusMisdirectedRequest) != tt.own {
			t.Errorf("feed of %q: %d %.200s", tt.host, status, body)
		}
		for _, address := range []string{"ws://" + tt.p.Feed + "/", "ws://" + tt.p.HTTP + "/ws/events", "ws://" + tt.p.HTTP + "/ws?view=events"} {
			header := http.Header{}
			if tt.host != "" {
				header = http.Header{"Host": {tt.host}, "Origin": {"http://" + tt.host}}
			}
			conn, res, err := websocket.DefaultDialer.Dial(address, header)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != tt.own || !tt.own && (res == nil || res.StatusCode != http.StatusMisdirectedRequest) {
				t.Errorf("%s of %q: %v, %v", address, tt.host, res, err)
			}
		}
	}
	if n := plain.stats().TotalEvents + named.stats().TotalEvents; n != 0 {
		t.Errorf("%d events were stored", n)
	}
}

// askAs gets an address under a Host header; "" for the address's own.
func askAs(t *testing.T, address, host string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
