package tcpingest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

const (
	ok           = `{"ok":true}`
	unauthorized = `{"ok":false,"error":"unauthorized"}`
)

func ingestKey(sources ...string) models.Actor {
	return models.Actor{Scopes: []models.Scope{models.ScopeIngest}, Sources: sources}
}

// keyed is an access that knows some keys.
func keyed(strict bool) *fakeAccess {
	return &fakeAccess{strict: strict, keys: map[string]models.Actor{
		"any": {ID: 7, Scopes: []models.Scope{models.ScopeIngest}}, "ups": ingestKey("ups-*", "pdu-?"), "one": ingestKey("sensor-a"), "address": ingestKey("127.0.0.*"),
		"reader": {Scopes: []models.Scope{models.ScopeRead}}, "admin": {Scopes: []models.Scope{models.ScopeAdmin}},
	}}
}

func TestAccess_FirstLine(t *testing.T) {
	for _, tt := range []struct {
		name, lines string
		strict      bool
		want        []string // answers; a number stands for an event
		sources     []string // stored
	}{
		{"a good token", `{"token":"any"}` + "\n{}\n{\"source\":\"a\"}\n", true, []string{ok, "1", "2"}, []string{"127.0.0.1", "a"}},
		{"in one packet with a byte order mark, blanks and CRLF", "\uFEFF \t{ \"token\" : \"any\" }\r\n\r\n{}\r\n", true, []string{ok, "1"}, []string{"127.0.0.1"}},
		{"with members that say nothing", `{"token":"any","device":7,"message":null}` + "\n{}\n", true, []string{ok, "1"}, []string{"127.0.0.1"}},
		{"and no line feed", `{"token":"any"}`, true, []string{ok}, nil},
		{"of an admin", `{"token":"admin"}` + "\n{}\n", true, []string{ok, "1"}, []string{"127.0.0.1"}},
		{"of a reader", `{"token":"reader"}` + "\n{}\n", false, []string{unauthorized, unauthorized}, nil},
		{"none, where none is needed", "{}\n", false, []string{"1"}, []string{"127.0.0.1"}},
		{"none, where one is needed", "{}\nnonsense\n{\"source\":7}\n", true, []string{unauthorized, unauthorized, unauthorized}, nil},
		{"wrong, where none is needed", `{"token":"wrong"}` + "\n{}\n", false, []string{unauthorized, unauthorized}, nil},
		{"wrong, then good", `{"token":"wrong"}` + "\n" + `{"token":"any"}` + "\n{}\n", true, []string{unauthorized, ok, "1"}, []string{"127.0.0.1"}},
		{"good, after an event", "{}\n" + `{"token":"any"}` + "\n{}\n", false, []string{"1", "2", "3"}, []string{"127.0.0.1", "127.0.0.1", "127.0.0.1"}},
		{"good, after what was refused", "{}\n" + `{"token":"any"}` + "\n{}\n", true, []string{unauthorized, unauthorized, unauthorized}, nil},
		{"three wrong ones end it", strings.Repeat(`{"token":"wrong"}`+"\n", 9), true, []string{unauthorized, unauthorized, unauthorized}, nil},
		{"an event that has a token", `{"token":"any","message":"m"}` + "\n", true, []string{unauthorized}, nil},
		{"an event that has a token, where none is needed", `{"token":"any","message":"m"}` + "\n", false, []string{"1"}, []string{"127.0.0.1"}},
		{"a token that is no string", `{"token":["any"]}` + "\n", false, []string{"1"}, []string{"127.0.0.1"}},
		{"two tokens", `{"token":"any","token":"any"}` + "\n", false, []string{`{"ok":false,"error":"invalid_json"}`}, nil},
		{"a hundred lines that may not be said end it", strings.Repeat("{}\n", 250), true, slicesRepeat(unauthorized, maxUnauthorized), nil},
		{"a bound key", `{"token":"ups"}` + "\n" + `{"source":"ups-1"}` + "\n" + `{"source":"sw-1"}` + "\n" + `{"source":"pdu-7"}` + "\n{}\n" + `{"source":"UPS-1"}` + "\n" + `{"source":"ups-9"}` + "\n", true,
			[]string{ok, "1", unauthorized, "2", unauthorized, unauthorized, "3"}, []string{"ups-1", "pdu-7", "ups-9"}},
		{"a key bound to one source", `{"token":"one"}` + "\n{}\n" + `{"source":" "}` + "\n" + `{"source":"sensor-a"}` + "\n" + `{"source":"127.0.0.1"}` + "\n", true,
			[]string{ok, "1", "2", "3", unauthorized}, []string{"sensor-a", "sensor-a", "sensor-a"}},
		{"a key bound to addresses", `{"token":"address"}` + "\n{}\n" + `{"source":"ups-1"}` + "\n", true, []string{ok, "1", unauthorized}, []string{"127.0.0.1"}},
		{"a key bound, and a source that is cut", `{"token":"ups"}` + "\n" + `{"source":"ups-` + strings.Repeat("é", 90) + `"}` + "\n", true,
			[]string{ok, `{"ok":true,"event_id":1,"truncated":["source"]}`}, []string{"ups-" + strings.Repeat("é", 76)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			svc := &fakeService{}
			_, addr := start(t, svc, Config{Access: keyed(tt.strict)})
			c := dial(t, addr)
			c.send(tt.lines)
			c.CloseWrite()
			for i, want := range tt.want {
				if len(want) < 3 {
					tt.want[i] = `{"ok":true,"event_id":` + want + `}`
				}
			}
			if diff := cmp.Diff(strings.Join(tt.want, "\n")+"\n", c.rest()); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			var sources []string
			for _, d := range svc.stored() {
				sources = append(sources, d.Source)
			}
			if diff := cmp.Diff(tt.sources, sources); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

func slicesRepeat(s string, n int) []string {
	return strings.Split(strings.TrimSuffix(strings.Repeat(s+"\n", n), "\n"), "\n")
}

// TestAccess_KeysAreNoEvents has a key of this hub, and a signed token, refused
// wherever a device puts it: what is stored is shown.
func TestAccess_KeysAreNoEvents(t *testing.T) {
	svc := &fakeService{}
	_, addr := start(t, svc, Config{Access: keyed(false)})
	c := dial(t, addr)
	c.send("{}\n")
	c.expect(`{"ok":true,"event_id":1}`)
	for _, secret := range []string{"nah_secret", `\u006eah_secret`, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyOjEifQ.c2ln", "eyJhbGciOi", `ey\u004ahbGciOi\ud800`} {
		for _, line := range []string{`{"token":"` + secret + `"}`, `{"message":"m","token":"` + secret + `"}`} {
			c.send(line + "\n")
			c.expect(`{"ok":false,"error":"invalid_event","field":"token"}`)
		}
	}
	for i, harmless := range []string{`"mine"`, `""`, `7`, `null`, `["eyJhbGciOi"]`, `"10.0.0.1"`, `"see sw-1.example.net"`, `"1.2.3"`} {
		c.send(`{"token":` + harmless + "}\n")
		c.expect(fmt.Sprintf(`{"ok":true,"event_id":%d}`, i+2))
	}
}

func TestAccess_AnonymousSendersAreNoted(t *testing.T) {
	access := keyed(false)
	_, addr := start(t, &fakeService{}, Config{Access: access})
	c := dial(t, addr)
	c.send("{\"source\":\"a\"}\nnonsense\n{\"source\":\"b\"}\n")
	for range 3 {
		if _, err := c.answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	known := dial(t, addr)
	known.send(`{"token":"any"}` + "\n{}\n")
	known.expect(ok)
	known.expect(`{"ok":true,"event_id":3}`)
	access.mu.Lock()
	defer access.mu.Unlock()
	events := int64(0)
	for _, s := range access.senders {
		events += s.Events
	}
	if last := access.senders[len(access.senders)-1]; events != 2 || last.Address != "127.0.0.1" || last.LastSource != "b" {
		t.Errorf("noted %+v", access.senders)
	}
}

func TestAccess_RevokedWhileItSpeaks(t *testing.T) {
	commit, open := gate()
	defer open()
	svc := &fakeService{commit: commit}
	access := keyed(false)
	s, addr := start(t, svc, Config{Access: access})
	c, other := dial(t, addr), dial(t, addr)
	c.send(`{"token":"any"}` + "\n{}\n")
	other.send(`{"token":"ups"}` + "\n" + `{"source":"ups-1"}` + "\n")
	eventually(t, "both are read", func() bool { return s.Stats().Lines == 4 })
	access.revoke("any")
	c.send("{}\n{}\n")
	eventually(t, "the next line is read", func() bool { return s.Stats().Lines == 5 })
	open()
	// What was handed over before is answered as it came out.
	c.expect(ok)
	if got := c.rest(); !strings.HasPrefix(got, `{"ok":true,"event_id":`) || !strings.HasSuffix(got, "}\n"+unauthorized+"\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("answered %s", got)
	}
	if n := len(svc.stored()); n != 2 {
		t.Errorf("%d events stored, want 2", n)
	}
	other.send(`{"source":"ups-2"}` + "\n")
	other.expect(ok)
	if _, err := other.answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	other.expect(`{"ok":true,"event_id":3}`)
}

// TestAccess_RevokedWhileIdle ends connections that say nothing, within the
// time that is promised, and no others.
func TestAccess_RevokedWhileIdle(t *testing.T) {
	access := keyed(true)
	bubbleWith(t, &fakeService{}, Config{Access: access}, func(t *testing.T, _ *Server, nc net.Conn) {
		fmt.Fprintln(nc, `{"token":"any"}`)
		answer := make([]byte, len(ok)+1)
		if _, err := nc.Read(answer); err != nil || string(answer) != ok+"\n" {
			t.Fatalf("%q, %v", answer, err)
		}
		time.Sleep(time.Minute)
		access.revoke("any")
		if took := closedAfter(t, nc); took > 5*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestAccess_LimitsKnowTheKey: what bounds events per key is told whose they are.
func TestAccess_LimitsKnowTheKey(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	limit := func(d models.Draft) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, d.Credential)
		return nil
	}
	_, addr := start(t, &fakeService{}, Config{Access: keyed(false), Limit: limit})
	c := dial(t, addr)
	c.send(`{"token":"any"}` + "\n{}\nnonsense\n")
	c.expect(ok)
	c.expect(`{"ok":true,"event_id":1}`)
	c.expect(`{"ok":false,"error":"invalid_json"}`)
	nobody := dial(t, addr)
	nobody.send("{}\n")
	nobody.expect(`{"ok":true,"event_id":2}`)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"key 7", "key 7", ""}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
