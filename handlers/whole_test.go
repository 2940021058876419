package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"alerthub/hub"
	"alerthub/models"
	"alerthub/query"
	"alerthub/search"
	"alerthub/store"
)

// silent is a hub's live panel and mailer that do nothing.
type silent struct{}

func (silent) EventsRecorded([]models.Receipt)      {}
func (silent) EventsChanged([]models.Event)         {}
func (silent) AlertUpdated(models.EmailAlert)       {}
func (silent) AlertsChanged()                       {}
func (silent) Wake()                                {}
func (silent) Paused() string                       { return "" }
func (silent) Pauses() []models.Pause               { return nil }
func (silent) Replan()                              {}
func (silent) Finished(string) (sent, failed int64) { return 0, 0 }

// whole serves the web door on a real hub over a real database.
func whole(t *testing.T) *httptest.Server {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	index := search.New(search.Config{Dir: t.TempDir()}, s)
	h := hub.New(s, silent{}, silent{}, hub.Config{
		Index: index, Matcher: func(f models.EventFilter) func(*models.Event) bool { return query.Compile(f).Match },
		Escalation: hub.EscalateTo([]string{"noc@example.net"}, nil),
	})
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()
	options := testOptions(t, h)
	options.Now = nil
	server := httptest.NewServer(New(options))
	t.Cleanup(func() {
		server.Close()
		h.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// From the report of events to their acknowledgement, all rooms real.
func TestWhole_EventsAreFoundAndAcknowledged(t *testing.T) {
	server := whole(t)
	follow(server)
	_, text, _ := page(t, server, "GET", "/", "")
	if !strings.Contains(text, "Listening") {
		t.Error("an empty hub does not say that it listens")
	}
	var batch []string
	for i := range 300 {
		// Three in a row say the same.
		batch = append(batch, `{"source":"sw-`+strconv.Itoa(i/3)+`","severity":"error","message":"Pórt `+strconv.Itoa(i/3)+` dówn"}`)
	}
	batch = append(batch, `{"source":"ups","severity":"critical","message":"Battery <b>low</b>"}`)
	if answer, body := send(t, server, "POST", "/api/events", "["+strings.Join(batch, ",")+"]"); answer.StatusCode != 200 || strings.Contains(body, "error") {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	for target, want := range map[string]int{
		"/events": 100, "/events?q=port+99": 1, "/events?q=PORT+-down": 0, "/events?q=%23301": 1, "/events?sev=critical": 1, "/events?src=sw-7": 1,
		"/events?ch=tcp": 0, "/events?range=15m&q=%22port+1": 11, "/events?ack=no&sev=error,critical": 100,
	} {
		_, _, doc := page(t, server, "GET", target, "")
		if got := len(find(doc, "tr", "data-sev", "error")) + len(find(doc, "tr", "data-sev", "critical")); got != want {
			t.Errorf("%s shows %d rows, want %d", target, got, want)
		}
		if len(find(doc, "b", "", "")) > 0 {
			t.Errorf("%s: a message became markup", target)
		}
	}
	answer, _, _ := page(t, server, "POST", "/events/ack", "id=300&group=1&by=Ana", fragment, "true")
	if toast := toastOf(t, answer); toast.Text != "3 events acknowledged" || toast.Undo != "id=298&id=299&id=300" && toast.Undo != "id=300&id=299&id=298" {
		t.Errorf("%+v", toast)
	}
	answer, _, _ = page(t, server, "POST", "/events/ack-all", "src=sw-5&upto=302", fragment, "true", "Cookie", "name=Ana")
	all := toastOf(t, answer)
	if all.Text != "3 events acknowledged" || !strings.HasPrefix(all.Undo, "batch=") {
		t.Errorf("%+v", all)
	}
	for target, want := range map[string]int{"/events?ack=no&src=sw-5": 0, "/events?ack=no&src=sw-99": 0, "/events?ack=no&src=sw-6": 1} {
		_, _, doc := page(t, server, "GET", target, "")
		if got := len(find(doc, "tr", "data-sev", "error")); got != want {
			t.Errorf("%s shows %d rows, want %d", target, got, want)
		}
	}
	page(t, server, "POST", "/events/unack", all.Undo, fragment, "true")
	if _, body := send(t, server, "GET", "/api/events?ack=no&source=sw-5", ""); strings.Count(body, `"acked_at":null`) != 3 {
		t.Errorf("after the undo: %s", body)
	}
	if _, body := send(t, server, "GET", "/api/events/299", ""); !strings.Contains(body, `"acked_by":"Ana"`) {
		t.Errorf("event 299: %s", body)
	}
}

// Every page of an empty and of a filled hub, and walking back to the first event.
func TestWhole_OlderPagesReachTheFirstEvent(t *testing.T) {
	server := whole(t)
	var batch []string
	for i := range 900 {
		batch = append(batch, `{"source":"s`+strconv.Itoa(i%150)+`","message":"m"}`)
	}
	send(t, server, "POST", "/api/events", "["+strings.Join(batch, ",")+"]")
	var seen int
	next := "/events"
	for range 20 {
		_, _, doc := page(t, server, "GET", next, "")
		for _, row := range find(doc, "tr", "data-sev", "info") {
			n, err := strconv.Atoi(attribute(row, "data-n"))
			if err != nil {
				t.Fatal(err)
			}
			seen += n
		}
		older := slices.IndexFunc(find(doc, "a", "", ""), func(a *html.Node) bool { return strings.HasPrefix(attribute(a, "href"), "/events?before=") })
		if older < 0 {
			break
		}
		next = attribute(find(doc, "a", "", "")[older], "href")
	}
	if seen != 900 {
		t.Errorf("%d of 900 events are on the pages", seen)
	}
	for _, target := range []string{"/", "/?wall=1", "/create", "/events/900", "/alerts", "/audit?range=7d", "/events/ack-all"} {
		if answer, _, _ := page(t, server, "GET", target, ""); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", target, answer.StatusCode)
		}
	}
}
