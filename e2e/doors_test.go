package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// TestDoors_AnEventGoesThrough follows one line from a device to every place
// where it must appear.
func TestDoors_AnEventGoesThrough(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	onPanel := follow(t, "ws://"+p.HTTP+"/ws/events")
	feed := follow(t, "ws://"+p.Feed+"/")
	for _, f := range []*follower{feed, onPanel} {
		if m := f.Next(); m.Type != "hello" {
			t.Fatalf("the feed begins with %q", m.Type)
		}
	}
	before := time.Now().UTC().Truncate(time.Microsecond)
	line := `{"source":"core-sw-1","severity":"critical","message":"link <b>down</b> ☎","vlan":12}`
	a := dialDevice(t, p).Ask(line)
	if diff := cmp.Diff(answer{OK: true, EventID: 1}, a); diff != "" {
		t.Fatalf("answer (-want +got):\n%s", diff)
	}

	listed := p.list("")
	if len(listed.Events) != 1 {
		t.Fatalf("listed: %+v", listed)
	}
	got := listed.Events[0]
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", got.CreatedAt)
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("created_at %q: %v", got.CreatedAt, err)
	}
	want := storedEvent{1, got.CreatedAt, "core-sw-1", "critical", "link <b>down</b> ☎", "tcp_socket", &line}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	for _, f := range []*follower{feed, onPanel} {
		if diff := cmp.Diff([]storedEvent{want}, f.Events(1)); diff != "" {
			t.Errorf("feed (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]emailRow{{ID: 1, EventID: 1, Channel: "email", Status: "skipped", Detail: "email is not configured: SMTP_HOST, SMTP_FROM, SMTP_TO not set"}}, listed.EmailLogs); diff != "" {
		t.Errorf("email log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(statsAnswer{
		TotalEvents: 1, Severity: map[string]int64{"info": 0, "warning": 0, "error": 0, "critical": 1},
		Channel: map[string]int64{"tcp_socket": 1, "http_api": 0},
		Email:   map[string]int64{"sent": 0, "failed": 0, "skipped": 1, "pending": 0, "digested": 0, "cancelled": 0}, TCPMessages: 1,
	}, p.stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	for _, page := range []string{"/", "/events"} {
		if _, body := p.get(page); !strings.Contains(body, "core-sw-1") || strings.Contains(body, "<b>down") || !strings.Contains(body, "&lt;b&gt;down") {
			t.Errorf("%s does not show the event as text", page)
		}
	}
}

func TestDoors_TCPAnswers(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	d := dialDevice(t, p)
	long := strings.Repeat("é", 301)
	for _, step := range []struct {
		line string
		want answer
	}{
		{`{"message":"the source is the address"}`, answer{OK: true, EventID: 1}},
		{`not json`, answer{Error: "invalid_json"}},
		{`{"message":"a","message":"b"}`, answer{Error: "invalid_json"}},
		{`{"source":7}`, answer{Error: "invalid_event", Field: "source"}},
		{`{"severity":"EMERG","source":"s"}`, answer{OK: true, EventID: 2}},
		{`{"severity":4,"source":"s"}`, answer{OK: true, EventID: 3}},
		{`{"severity":"purple","source":"s"}`, answer{OK: true, EventID: 4}},
		{`{"source":"s","message":"` + long + `"}`, answer{OK: true, EventID: 5, Truncated: []string{"message"}}},
		{`{"source":"s","key":"k","message":"m"}`, answer{OK: true, EventID: 6}},
		{`{"source":"s","key":"k","message":"m"}`, answer{OK: true, EventID: 6, Duplicate: true}},
		{`{"source":"s","key":"k","message":"other"}`, answer{Error: "key_conflict"}},
		{`{"source":"t","key":"k","message":"other"}`, answer{OK: true, EventID: 7}},
		{`{"source":"s","message":"` + strings.Repeat("x", 70000) + `"}`, answer{Error: "line_too_long"}},
		{"\r\n\n \n" + `{"source":"s","message":"after blank lines"}`, answer{OK: true, EventID: 8}},
	} {
		if diff := cmp.Diff(step.want, d.Ask(step.line)); diff != "" {
			t.Errorf("%.80s (-want +got):\n%s", step.line, diff)
		}
	}
	// A last line without its end counts once the sender has finished.
	if _, err := io.WriteString(d.conn, `{"source":"s","message":"last"}`); err != nil {
		t.Fatal(err)
	}
	if err := d.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer{OK: true, EventID: 9}, d.Answer()); diff != "" {
		t.Errorf("the last line (-want +got):\n%s", diff)
	}
	var severities, messages []string
	for _, e := range p.list("").Events {
		severities = append(severities, e.Severity)
		messages = append(messages, e.Message)
		if e.ID == 5 && *e.RawPayload != `{"source":"s","message":"`+long+`"}` {
			t.Errorf("the payload of the cut message is %.80q", *e.RawPayload)
		}
		if e.ID == 1 && e.Source != "127.0.0.1" {
			t.Errorf("the source is %q", e.Source)
		}
	}
	if diff := cmp.Diff([]string{"info", "info", "info", "info", "info", "info", "warning", "critical", "info"}, severities); diff != "" {
		t.Errorf("severities, newest first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"last", "after blank lines", "other", "m", strings.Repeat("é", 300), "(no message)", "(no message)", "(no message)", "the source is the address"}, messages); diff != "" {
		t.Errorf("messages, newest first (-want +got):\n%s", diff)
	}
}

func TestDoors_HTTPAnswers(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	post := func(header http.Header, body string) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, p.URL("/api/events"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		if header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got map[string]any
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, got
	}
	key := http.Header{"Idempotency-Key": {"k1"}}
	steps := []struct {
		header http.Header
		body   string
		status int
		want   map[string]any // some members
	}{
		{http.Header{}, `{"source":"api","severity":"err","message":"m"}`, 201, map[string]any{"id": 1.0, "event_id": 1.0, "severity": "error", "channel": "http_api"}},
		{key, `{"source":"api","message":"keyed"}`, 201, map[string]any{"id": 2.0}},
		{key, `{"source":"api","message":"keyed"}`, 200, map[string]any{"id": 2.0, "duplicate": true}},
		{key, `{"source":"api","message":"different"}`, 409, map[string]any{"error": "key_conflict"}},
		{http.Header{}, `{"source":["a"]}`, 400, map[string]any{"error": "invalid_event", "field": "source"}},
		{http.Header{}, `{"source"`, 400, map[string]any{"error": "invalid_json"}},
		{http.Header{}, `{"message":"` + strings.Repeat("x", 1<<20) + `"}`, 413, map[string]any{"error": "too_large"}},
		{http.Header{"Content-Type": {"image/png"}}, `{}`, 415, map[string]any{"error": "unsupported_media_type"}},
	}
	for _, step := range steps {
		status, got := post(step.header, step.body)
		if status != step.status {
			t.Errorf("%.60s: status %d, want %d: %v", step.body, status, step.status, got)
		}
		for member, want := range step.want {
			if got[member] != want {
				t.Errorf("%.60s: %s is %v, want %v", step.body, member, got[member], want)
			}
		}
	}
	// A batch is answered item by item, whatever is wrong with some.
	for _, batch := range []struct{ kind, body string }{
		{"application/json", `[{"source":"b","message":"1"},7,{"source":"api","key":"k1","message":"keyed"},{"severity":{}}]`},
		{"application/x-ndjson", `{"source":"b","message":"1"}` + "\n7\n" + `{"source":"api","key":"k1","message":"keyed"}` + "\n" + `{"severity":{}}` + "\n"},
	} {
		var got struct{ Results []answer }
		if status := p.request(http.MethodPost, "/api/events", batch.kind, strings.NewReader(batch.body), &got); status != http.StatusOK {
			t.Fatalf("%s: status %d", batch.kind, status)
		}
		if len(got.Results) != 4 || !got.Results[0].OK {
			t.Fatalf("%s: %+v", batch.kind, got.Results)
		}
		want := []answer{{OK: true, EventID: got.Results[0].EventID}, {Error: "invalid_json"}, {OK: true, EventID: 2, Duplicate: true}, {Error: "invalid_event", Field: "severity"}}
		if diff := cmp.Diff(want, got.Results); diff != "" {
			t.Errorf("%s (-want +got):\n%s", batch.kind, diff)
		}
	}
	// The key of one door is known at the other.
	if diff := cmp.Diff(answer{OK: true, EventID: 2, Duplicate: true}, dialDevice(t, p).Ask(`{"source":"api","message":"keyed","key":"k1"}`)); diff != "" {
		t.Errorf("the same event by TCP (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(answer{Error: "key_conflict"}, dialDevice(t, p).Ask(`{"source":"api","message":"else","key":"k1"}`)); diff != "" {
		t.Errorf("another event of that key by TCP (-want +got):\n%s", diff)
	}
}

func TestDoors_ListsAreFiltered(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	d := dialDevice(t, p)
	for i := range 30 {
		if a := d.Ask(fmt.Sprintf(`{"source":"src-%d","severity":"%d","message":"number %02d"}`, i%3, i%8, i)); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	if status := p.postJSON("/api/events", `{"source":"web","message":"by hand"}`, nil); status != http.StatusCreated {
		t.Fatalf("POST: %d", status)
	}
	for query, want := range map[string]int{
		"":                           31,
		"?limit=7":                   7,
		"?before=11":                 10,
		"?after=20":                  11,
		"?after=10&before=21":        10,
		"?severity=critical":         12,
		"?severity=critical,error":   16,
		"?channel=http_api":          1,
		"?source=src-1":              10,
		"?q=%22number+1%22":          10,
		"?from=2001-01-01T00:00:00Z": 31,
		"?to=2001-01-01T00:00:00Z":   0,
	} {
		events := p.list(query).Events
		if len(events) != want {
			t.Errorf("%s: %d events, want %d", query, len(events), want)
		}
		for i := 1; i < len(events); i++ {
			if events[i-1].ID <= events[i].ID {
				t.Errorf("%s: not newest first: %d, %d", query, events[i-1].ID, events[i].ID)
			}
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?before=x", "?from=yesterday", "?severity=loud", "?channel=smoke"} {
		var problem struct{ Error, Field string }
		if status := p.getJSON("/api/events"+query, &problem); status != http.StatusBadRequest || !strings.Contains(query, problem.Field+"=") {
			t.Errorf("%s: %d %+v", query, status, problem)
		}
	}
}

func TestDoors_FeedReplaysAndAnswers(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	d := dialDevice(t, p)
	for i := range 700 {
		d.Send(fmt.Sprintf(`{"source":"a","message":"%d"}`, i+1))
	}
	for range 700 {
		if a := d.Answer(); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	last := int64(700)
	for _, address := range []string{"ws://" + p.Feed + "/", "ws://" + p.HTTP + "/ws/events"} {
		for _, query := range []string{"?since=100", "?since=100&batch=1"} {
			f := follow(t, address+query)
			events := f.Events(int(last - 100))
			for i, e := range events {
				if e.ID != int64(101+i) || e.Message != fmt.Sprint(e.ID) {
					t.Fatalf("%s%s: place %d is event %d, %q", address, query, i, e.ID, e.Message)
				}
			}
			if err := f.conn.WriteMessage(websocket.TextMessage, []byte("ping")); err != nil {
				t.Fatal(err)
			}
			if m := f.Next(); m.Type != "pong" || time.Since(time.Unix(m.TS, 0)).Abs() > time.Minute {
				t.Errorf("ping is answered %+v", m)
			}
			last++
			if a := d.Ask(fmt.Sprintf(`{"source":"a","message":"%d"}`, last)); a.EventID != last {
				t.Errorf("answered %+v, want event %d", a, last)
			}
			if events = f.Events(1); events[0].ID != last {
				t.Errorf("then came %+v, want event %d", events, last)
			}
			f.conn.Close()
		}
	}
}

func TestDoors_HealthAndMetrics(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	if a := dialDevice(t, p).Ask(`{"source":"a","severity":"error"}`); !a.OK {
		t.Fatalf("%+v", a)
	}
	if status := p.getJSON("/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	if diff := cmp.Diff(ready{Status: 200, Ready: true}, p.ready()); diff != "" {
		t.Errorf("/readyz (-want +got):\n%s", diff)
	}
	_, text := p.get("/metrics")
	// One name at least of each family: ingest, commits, queue, outbox, sockets, runtime.
	for _, name := range []string{"alerthub_commit_seconds_count", "alerthub_commit_events_count", "go_goroutines", "process_open_fds"} {
		if p.metric(name) < 1 {
			t.Errorf("/metrics has no %s", name)
		}
	}
	for _, family := range []string{"alerthub_tcp_", "alerthub_events", "alerthub_queue", "alerthub_email", "alerthub_feed"} {
		if !strings.Contains(text, "\n"+family) {
			t.Errorf("/metrics has nothing of %s", family)
		}
	}
}

func TestDoors_ForeignSitesAreRefused(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	for _, address := range []string{"ws://" + p.Feed + "/", "ws://" + p.HTTP + "/ws/events", "ws://" + p.HTTP + "/ws?view=events", "ws://" + p.HTTP + "//ws?view=events", "ws://" + p.HTTP + "/ws/?view=events", "ws://" + p.HTTP + "/WS?view=events"} {
		for _, origin := range []string{"https://evil.example.net", "null", "http://127.0.0.1.example.net:1", "file://"} {
			conn, res, err := websocket.DefaultDialer.Dial(address, http.Header{"Origin": {origin}})
			if err == nil {
				conn.Close()
				t.Errorf("%s opens for the origin %s", address, origin)
				continue
			}
			if res == nil || res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusNotFound {
				t.Errorf("%s for the origin %s: %v, %v", address, origin, res, err)
			}
		}
	}
	for _, address := range []string{"ws://" + p.Feed + "/", "ws://" + p.HTTP + "/ws/events", "ws://" + p.HTTP + "/ws?view=events"} {
		conn, _, err := websocket.DefaultDialer.Dial(address, http.Header{"Origin": {"http://" + p.HTTP}})
		if err != nil {
			t.Errorf("%s for the panel's own origin: %v", address, err)
			continue
		}
		conn.Close()
	}
	// The same request from a page of the hub is taken: what refuses it is who sends it.
	write := func(path string, from http.Header) int {
		t.Helper()
		kind, body := "application/json", `{"source":"evil","message":"m"}`
		if path == "/events" || path == "//events" {
			kind, body = "application/x-www-form-urlencoded", "source=evil&severity=info&message=m"
		}
		req, err := http.NewRequest(http.MethodPost, p.URL(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = from.Clone()
		req.Header.Set("Content-Type", kind)
		res, err := (&http.Client{Transport: httpClient.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, path := range []string{"/api/events", "/events", "//events", "//api/events", "/api//events", "/api/../api/events", "/API/events", "/api/events/"} {
		for _, from := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.example.net"}}, {"Origin": {"null"}}} {
			if status := write(path, from); status < 400 {
				t.Errorf("POST %s from another site (%v): %d", path, from, status)
			}
		}
	}
	if n := p.stats().TotalEvents; n != 0 {
		t.Errorf("%d events were stored", n)
	}
	for _, path := range []string{"/api/events", "/events"} {
		if status := write(path, http.Header{"Sec-Fetch-Site": {"same-origin"}}); status >= 400 {
			t.Errorf("POST %s from the panel: %d", path, status)
		}
	}
	if n := p.stats().TotalEvents; n != 2 {
		t.Errorf("%d events were stored, want 2", n)
	}
}
