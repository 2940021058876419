package handlers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

func TestListEvents_NewestFirstWithTheEmailLog(t *testing.T) {
	svc := &fakeService{nextBefore: 2}
	server := serve(t, svc)
	send(t, server, "POST", "/api/events", `[{"source":"a","severity":"error","message":"one"},{"source":"b","message":"two"}]`)
	_, body := send(t, server, "GET", "/api/events?limit=20", "")
	want := `{"events":[` +
		`{"id":2,"created_at":"2026-11-23T18:30:00.123456Z","source":"b","severity":"info","message":"two","channel":"http_api","raw_payload":"{\"source\":\"b\",\"message\":\"two\"}","acked_at":null,"acked_by":null,"acked_verified":false},` +
		`{"id":1,"created_at":"2026-11-23T18:30:00.123456Z","source":"a","severity":"error","message":"one","channel":"http_api","raw_payload":"{\"source\":\"a\",\"severity\":\"error\",\"message\":\"one\"}","acked_at":null,"acked_by":null,"acked_verified":false}],` +
		`"email_logs":[{"id":1,"event_id":1,"created_at":"2026-11-23T18:30:00.123456Z","recipient":"noc@example.net","status":"pending","detail":null,"attempts":0,"next_attempt_at":"2026-11-23T18:30:00.123456Z","contact":null,"channel":"email","mail_id":null}],` +
		`"next_before":2,"searched_to":null}`
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(models.EmailFilter{Limit: 20}, svc.filterE); diff != "" {
		t.Errorf("email filter (-want +got):\n%s", diff)
	}
}

func TestListEvents_EmailsNameTheirContact(t *testing.T) {
	server := serve(t, &fakeService{contact: "guardia ñ"})
	send(t, server, "POST", "/api/events", `{"source":"a","severity":"error"}`)
	for _, path := range []string{"/api/events", "/api/events/1"} {
		if _, body := send(t, server, "GET", path, ""); !strings.Contains(body, `"contact":"guardia ñ","channel":"email","mail_id":null}`) {
			t.Errorf("%s: the email's contact is not in %s", path, body)
		}
	}
}

func TestListEvents_EmptyListsAreLists(t *testing.T) {
	_, body := send(t, serve(t, &fakeService{}), "GET", "/api/events", "")
	if want := `{"events":[],"email_logs":[],"next_before":null,"searched_to":null}`; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestListEvents_Filters(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	tests := map[string]models.EventFilter{
		"":                                    {Limit: 50},
		"?limit=&before=&from=&severity=&q=":  {Limit: 50},
		"?unknown=1":                          {Limit: 50},
		"?limit=1":                            {Limit: 1},
		"?limit=1000":                         {Limit: 1000},
		"?before=9007199254740991&after=0":    {Limit: 50, Before: maxID},
		"?after=7":                            {Limit: 50, After: 7},
		"?from=2026-01-31T18:00:00%2B02:00":   {Limit: 50, From: at("2026-01-31T16:00:00Z")},
		"?to=2026-01-31T18:00:00.5Z":          {Limit: 50, To: at("2026-01-31T18:00:00.5Z")},
		"?severity=error,critical":            {Limit: 50, Severities: []models.Severity{"error", "critical"}},
		"?severity=error&severity=critical,":  {Limit: 50, Severities: []models.Severity{"error", "critical"}},
		"?channel=tcp_socket":                 {Limit: 50, Channels: []models.Channel{"tcp_socket"}},
		"?source=a%20b&q=ca%C3%ADda%25&limit": {Limit: 50, Source: "a b", Text: "caída%"},
		"?ack=no":                             {Limit: 50, Unacked: true},
	}
	for target, want := range tests {
		answer, body := send(t, server, "GET", "/api/events"+target, "")
		if answer.StatusCode != 200 {
			t.Errorf("%s: %d %s", target, answer.StatusCode, body)
			continue
		}
		if diff := cmp.Diff(want, svc.filter); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

func TestListEvents_NamesWrongParameters(t *testing.T) {
	server := serve(t, &fakeService{})
	tests := map[string][]string{
		"limit=0":                              {"limit"},
		"limit=1001":                           {"limit"},
		"limit=-5":                             {"limit"},
		"limit=ten":                            {"limit"},
		"limit=1e2":                            {"limit"},
		"limit=99999999999999999999":           {"limit"},
		"limit=5%00":                           {"limit"},
		"before=0":                             {"before"},
		"before=9007199254740992":              {"before"},
		"after=-1":                             {"after"},
		"from=yesterday":                       {"from"},
		"from=2026-01-31T18:00:00+02:00":       {"from"}, // a plus means a blank
		"to=2026-01-31":                        {"to"},
		"to=0001-01-01T00:00:00Z":              {"to"},
		"to=9999-12-31T23:59:59-01:00":         {"to"},
		"severity=loud":                        {"severity"},
		"severity=error,Error":                 {"severity"},
		"channel=udp":                          {"channel"},
		"ack=yes":                              {"ack"},
		"q=%ff":                                {"q"},
		"q=" + strings.Repeat("x", 301):        {"q"},
		"q=%zz":                                {"query"},
		"limit=1;before=2":                     {"query"},
		"limit=0&severity=loud&from=x&q=ok":    {"limit", "from", "severity"},
		"limit=0&limit=10":                     {"limit"},
		"source=" + strings.Repeat("%20", 301): {"source"},
	}
	for rawQuery, want := range tests {
		answer, body := send(t, server, "GET", "/api/events?"+rawQuery, "")
		got := decodeAs[problem](t, body)
		var fields []string
		for _, e := range got.Errors {
			fields = append(fields, e.Field)
		}
		if diff := cmp.Diff(want, fields); diff != "" || answer.StatusCode != 400 || got.Word != "invalid_parameter" || got.Field != want[0] {
			t.Errorf("%.60s: %d %s\nfields (-want +got):\n%s", rawQuery, answer.StatusCode, body, diff)
		}
	}
}

func TestGetEvent(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	send(t, server, "POST", "/api/events", `[{"source":"a","severity":"error"},{"source":"b","severity":"critical"}]`)
	_, body := send(t, server, "GET", "/api/events/2", "")
	got := decodeAs[struct {
		ID        int64
		Source    string
		EmailLogs []struct {
			EventID int64 `json:"event_id"`
		} `json:"email_logs"`
	}](t, body)
	if got.ID != 2 || got.Source != "b" || len(got.EmailLogs) != 1 || got.EmailLogs[0].EventID != 2 {
		t.Errorf("got %s, want event 2 with its one email", body)
	}
	for _, id := range []string{"0", "3", "-1", "x", "1x", "01x", "%31x", "9223372036854775808", "1/", "1/2", ""} {
		if answer, body := send(t, server, "GET", "/api/events/"+id, ""); answer.StatusCode != 404 || decodeAs[problem](t, body).Word != "not_found" {
			t.Errorf("id %q: %d %s, want a 404 problem", id, answer.StatusCode, body)
		}
	}
}

func TestGetStats_HasAMemberForEverything(t *testing.T) {
	svc := &fakeService{stats: models.Stats{
		Events:   7,
		Severity: map[models.Severity]int64{"info": 4, "critical": 3},
		Channel:  map[models.Channel]int64{"tcp_socket": 7},
		Email:    map[models.EmailStatus]int64{"failed": 2},
		Process:  models.ProcessCounters{TCPMessages: 5, HTTPMessages: 1, EmailSentOK: 8, EmailSentFail: 9},
	}}
	_, body := send(t, serve(t, svc), "GET", "/api/stats", "")
	want := `{"total_events":7,"severity":{"info":4,"warning":0,"error":0,"critical":3},"channel":{"tcp_socket":7,"http_api":0},` +
		`"email":{"sent":0,"failed":2,"skipped":0,"pending":0,"digested":0,"cancelled":0},"webhook":{"sent":0,"failed":0,"skipped":0,"pending":0,"digested":0,"cancelled":0},"tcp_messages":5,"http_messages":1,"email_sent_ok":8,"email_sent_fail":9}`
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestGetConfig_TellsPortsAndNothingElse(t *testing.T) {
	o := testOptions(t, &fakeService{})
	o.Info.Limits = models.IntakeLimits{
		Source: models.Rate{PerSecond: 5000, Burst: 10_000}, TCPConnections: 10_000, TCPPerAddress: 256, HTTPConnections: 4096, HTTPPerAddress: 250,
	}
	_, body := send(t, serveOptions(t, o), "GET", "/api/config", "")
	if want := `{"http_port":5080,"ws_port":8767,"tcp_port":5090,"smtp_configured":true,"anonymous":"0.0.0.0/0,::/0","version":"1.2.3",` +
		`"limits":{"source":{"events_per_second":5000,"burst":10000},"peer":null,"key":null,"tcp_connections":10000,` +
		`"tcp_connections_per_address":256,"http_connections":4096,"http_connections_per_address":250}}`; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestProbes(t *testing.T) {
	tests := map[string]struct {
		path   string
		health models.Health
		status int
		want   string
	}{
		"alive while nothing works": {"/healthz", models.Health{Storage: "disk full", Email: "login refused"}, 200, `{"alive":true}`},
		"ready":                     {"/readyz", models.Health{}, 200, `{"ready":true}`},
		"not ready":                 {"/readyz", models.Health{Storage: "disk full"}, 503, `{"ready":false,"storage":"disk full"}`},
		"ready without mail":        {"/readyz", models.Health{Email: "login refused"}, 200, `{"ready":true,"email":"login refused"}`},
		"ready with a pause": {
			"/readyz", models.Health{Pauses: []models.Pause{
				{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}, Reason: "403 Forbidden", Since: time.Date(2026, 3, 1, 2, 3, 4, 5000, time.UTC)},
				{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: "login refused"},
			}}, 200,
			`{"ready":true,"pauses":[{"channel":"webhook","contact":"noc","recipient":"slack","reason":"403 Forbidden","since":"2026-03-01T02:03:04.000005Z"},` +
				`{"channel":"email","reason":"login refused","since":"0001-01-01T00:00:00.000000Z"}]}`,
		},
		"metrics": {"/metrics", models.Health{}, 200, "alerthub_up 1\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, body := send(t, serve(t, &fakeService{health: tt.health}), "GET", tt.path, "", "Accept", "text/html")
			if answer.StatusCode != tt.status || body != tt.want {
				t.Errorf("%d %s, want %d %s", answer.StatusCode, body, tt.status, tt.want)
			}
		})
	}
}

// Strangers learn that something is paused, and since when: whom the hub tells,
// and what the other side said, is for those who may read.
func TestReady_TellsStrangersLess(t *testing.T) {
	o := testOptions(t, &fakeService{health: models.Health{Email: "452 mailbox of ana is full", Pauses: []models.Pause{
		{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}, Reason: "403 Forbidden", Since: received},
	}}})
	server := serveStrangers(t, o)
	reads := secretOf(t, o, "monitor", models.ScopeRead)
	if _, err := o.Access.AddUser(t.Context(), "ana", "correct horse battery", models.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	since := models.FormatTime(received)
	if _, body := send(t, server, "GET", "/readyz", ""); body != `{"ready":true,"email":"paused","pauses":[{"channel":"webhook","reason":"paused","since":"`+since+`"}]}` {
		t.Errorf("a stranger is told %s", body)
	}
	if _, body := send(t, server, "GET", "/readyz", "", "Authorization", "Bearer "+reads); body != `{"ready":true,"email":"452 mailbox of ana is full","pauses":[{"channel":"webhook","contact":"noc","recipient":"slack","reason":"403 Forbidden","since":"`+since+`"}]}` {
		t.Errorf("who may read is told %s", body)
	}
}

func TestReads_FailAsProblems(t *testing.T) {
	for _, path := range []string{"/api/events", "/api/events/1", "/api/stats"} {
		for word, tt := range map[string]struct {
			err    error
			status int
		}{
			"storage_unavailable": {fmt.Errorf("select events: %w", models.ErrUnavailable), 503},
			"internal_error":      {errors.New("SELECT * FROM events: /data/alerthub.db is malformed"), 500},
		} {
			answer, body := send(t, serve(t, &fakeService{fail: tt.err}), "GET", path, "")
			got := decodeAs[problem](t, body)
			if answer.StatusCode != tt.status || got.Word != word || strings.Contains(strings.ToLower(body), "select") {
				t.Errorf("%s, %v: %d %s", path, tt.err, answer.StatusCode, body)
			}
		}
	}
}

func TestUnknownAddressesOfTheAPIAreProblems(t *testing.T) {
	server := serve(t, &fakeService{})
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/api", 404, ""},
		{"GET", "/api/", 404, ""},
		{"GET", "/api/nothing", 404, ""},
		{"POST", "/api/nothing", 404, ""},
		{"DELETE", "/api/events", 405, "OPTIONS, GET, POST, HEAD"},
		{"PUT", "/api/events/1", 405, "OPTIONS, GET, HEAD"},
		{"POST", "/api/stats", 405, "OPTIONS, GET, HEAD"},
		{"BREW", "/api/stats", 405, "OPTIONS, GET, HEAD"},
		{"TRACE", "/api/stats", 405, "OPTIONS, GET, HEAD"},
	}
	for _, tt := range tests {
		// A browser that looks at the API gets what a program gets.
		for _, header := range []string{"Accept", "HX-Request"} {
			answer, body := send(t, server, tt.method, tt.path, "", header, "text/html")
			if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("%s %s: Content-Type %q\n%s", tt.method, tt.path, got, body)
				continue
			}
			got := decodeAs[problem](t, body)
			if answer.StatusCode != tt.status || got.Status != tt.status || answer.Header.Get("Allow") != tt.allow {
				t.Errorf("%s %s: %d, Allow %q, %s", tt.method, tt.path, answer.StatusCode, answer.Header.Get("Allow"), body)
			}
			if got.RequestID == "" || got.RequestID != answer.Header.Get("X-Request-Id") || got.Title == "" || got.Type == "" {
				t.Errorf("%s %s: incomplete problem %s", tt.method, tt.path, body)
			}
		}
	}
}
