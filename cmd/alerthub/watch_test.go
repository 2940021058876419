package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

const twoContacts = `contacts:
  noc: {email: [noc@example.net, turno@example.net], webhook: {kind: generic, url: "https://hooks.example.net/x", name: chat}, if_failing: on-call}
  on-call: {email: oncall@example.net}
routes: [{contacts: noc}]
`

func TestResolve_Watch(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	routes := write("routes.yaml", twoContacts)
	broken := write("broken.yaml", "contacts: 7")
	secret := write("url", "https://beat.example.net/s3cret\n")
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want WatchSettings
	}{
		"the address by the environment":      {env: map[string]string{"ALERTHUB_HEARTBEAT_URL": "http://beat.example.net/x"}, want: WatchSettings{HeartbeatURL: "http://beat.example.net/x", HeartbeatEvery: time.Minute}},
		"the address by a file":               {args: []string{"--heartbeat-url-file", secret, "--heartbeat-every=10s"}, want: WatchSettings{HeartbeatURL: "https://beat.example.net/s3cret", HeartbeatEvery: 10 * time.Second}},
		"canaries on request":                 {args: []string{"--canary=SMTP_TO", "--canary-every=0"}, want: WatchSettings{HeartbeatEvery: time.Minute, Canary: "SMTP_TO"}},
		"canaries on request, in other words": {args: []string{"--canary=SMTP_TO", "--canary-every=0s"}, want: WatchSettings{HeartbeatEvery: time.Minute, Canary: "SMTP_TO"}},
		"canaries to a contact":               {args: []string{"--routes", routes, "--canary=noc", "--canary-every=10m"}, want: WatchSettings{HeartbeatEvery: time.Minute, Canary: "noc", CanaryEvery: 10 * time.Minute}},
	} {
		s, err := resolve(t, tt.env, tt.args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, s.Watch); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for key := range tt.env {
			t.Setenv(key, "")
		}
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"no address":             {env: map[string]string{"ALERTHUB_HEARTBEAT_URL": "beat.example.net/s3cret"}, want: "ALERTHUB_HEARTBEAT_URL: is not an address"},
		"a file that is none":    {args: []string{"--heartbeat-url-file=/nowhere"}, want: "ALERTHUB_HEARTBEAT_URL_FILE: cannot be read: no such file"},
		"both":                   {env: map[string]string{"ALERTHUB_HEARTBEAT_URL": "https://x/s3cret"}, args: []string{"--heartbeat-url-file", secret}, want: "ALERTHUB_HEARTBEAT_URL_FILE: ALERTHUB_HEARTBEAT_URL is set too"},
		"too often":              {args: []string{"--heartbeat-every=9s"}, want: "--heartbeat-every: 9s is shorter than 10s"},
		"canaries too often":     {args: []string{"--canary=SMTP_TO", "--canary-every=599s"}, want: "--canary-every: 9m59s is shorter than 10m"},
		"canaries now and then":  {args: []string{"--canary=SMTP_TO", "--canary-every=soon"}, want: `--canary-every: "soon" is not a duration`},
		"canaries for nobody":    {args: []string{"--canary-every=1h"}, want: "--canary-every: needs --canary"},
		"nobody without a file":  {args: []string{"--canary=noc"}, want: `--canary: "noc" is not SMTP_TO`},
		"a stranger with a file": {args: []string{"--routes", routes, "--canary=SMTP_TO"}, want: `--canary: there is no contact "SMTP_TO"; the file has noc, on-call`},
	} {
		_, err := resolve(t, tt.env, tt.args...)
		if err == nil || !strings.Contains(err.Error(), "\n  "+tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		for key := range tt.env {
			t.Setenv(key, "")
		}
	}
	if _, err := resolve(t, nil, "--routes", broken, "--canary=noc"); err == nil || strings.Contains(err.Error(), "--canary") {
		t.Errorf("a file that is wrong: %v, want nothing about its contacts", err)
	}
}

func TestSMTPSettings_AlertsOf(t *testing.T) {
	contact := models.Contact{Name: "noc", Emails: []string{"noc@example.net"}, Webhooks: []models.Webhook{{Name: "chat"}}}
	want := []models.NewAlert{
		{Contact: "noc", Channel: "email", Recipient: "noc@example.net", Status: models.EmailSkipped, Detail: "email is not configured: SMTP_HOST, SMTP_FROM, SMTP_TO not set"},
		{Contact: "noc", Channel: "webhook", Recipient: "chat", Status: models.EmailPending},
	}
	if diff := cmp.Diff(want, SMTPSettings{}.alertsOf(contact)); diff != "" {
		t.Errorf("without a mail server (-want +got):\n%s", diff)
	}
	want[0].Status, want[0].Detail = models.EmailPending, ""
	if diff := cmp.Diff(want, SMTPSettings{Host: "mail", From: "hub@example.net", To: []string{"x"}}.alertsOf(contact)); diff != "" {
		t.Errorf("with one (-want +got):\n%s", diff)
	}
}

// The door is reached wherever it listens.
func TestApp_DialDoor(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		conn, err := (&App{tcpListener: l}).dialDoor(t.Context())
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		} else if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCanaryCmd: what the hub answers, what is printed.
func TestCanaryCmd(t *testing.T) {
	const begun = `"begun_at":"2026-11-23T18:30:00.123456Z"`
	last := func(rest string) string {
		return `{"contact":"noc","every_seconds":0,"last":{` + begun + `,` + rest + `},"last_through_at":null}`
	}
	sent := `{` + begun + `,"ended_at":null,"outcome":"running","stage":"door","event_id":null,"detail":null}`
	for name, tt := range map[string]struct {
		status  int
		answers []string // to GET, the last again and again
		out     string
		err     string // "" for none
	}{
		"came through": {202, []string{last(`"outcome":"through","stage":"through","event_id":7`)}, "came through: event 7\n", ""},
		"with stages": {202, []string{last(`"outcome":"running","stage":"delivered"`), last(`"outcome":"through","stage":"through","event_id":7`)},
			"delivered ...\ncame through: event 7\n", ""},
		"failed":            {202, []string{last(`"outcome":"failed","stage":"delivered","detail":"550 no"`)}, "", "the canary failed at delivered: 550 no"},
		"another one since": {202, []string{`{"last":{"begun_at":"2027-01-01T00:00:00.000000Z","outcome":"through"}}`}, "", "another canary has begun since"},
		"under way":         {409, nil, "", "another canary is under way"},
		"none":              {404, nil, "", "start it with --canary"},
		"sick":              {503, nil, "", "the hub answered 503"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/canary" {
					t.Errorf("asked for %s", r.URL)
				}
				if r.Method == http.MethodPost {
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, sent)
					return
				}
				_, _ = io.WriteString(w, tt.answers[0])
				if len(tt.answers) > 1 {
					tt.answers = tt.answers[1:]
				}
			}))
			defer server.Close()
			defer http.DefaultClient.CloseIdleConnections()
			var out strings.Builder
			err := (&canaryCmd{Addr: server.Listener.Addr().String()}).run(context.Background(), &out)
			if out.String() != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("printed %q, %v; want %q, %q", out.String(), err, tt.out, tt.err)
			}
		})
	}
}
