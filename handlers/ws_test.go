package handlers

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// namedSockets answers with the name of the method that was asked, over a real
// websocket; or refuses; or takes the connection over and fails.
type namedSockets struct {
	refuse, breakOff bool
}

func (s namedSockets) ServePanel(w http.ResponseWriter, r *http.Request, _ func() bool) error {
	return s.serve(w, r, "panel")
}

func (s namedSockets) ServeFeed(w http.ResponseWriter, r *http.Request, _ func() bool) error {
	return s.serve(w, r, "feed")
}

func (s namedSockets) serve(w http.ResponseWriter, r *http.Request, name string) error {
	if s.refuse {
		http.Error(w, "no room", http.StatusServiceUnavailable)
		return errors.New("too many")
	}
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, w.Header())
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.breakOff {
		return errors.New("the connection was lost")
	}
	return conn.WriteMessage(websocket.TextMessage, []byte(name))
}

func TestSockets_PassTheMiddleware(t *testing.T) {
	o := Options{Sockets: namedSockets{}, Access: newAccess(t)}
	h := newHandler(o)
	e := h.newEcho()
	h.mount(e, h.socketRoutes())
	tests := map[string]struct {
		handler    http.Handler
		path, want string
	}{
		"panel":                {e, "/ws", "panel"},
		"feed on the panel":    {e, "/ws/events", "feed"},
		"feed on its own port": {NewFeed(o), "/", "feed"},
		"same path there too":  {NewFeed(o), "/ws/events", "feed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, got, err := conn.ReadMessage(); err != nil || string(got) != tt.want {
				t.Errorf("%s answered %q, %v, want %q", tt.path, got, err, tt.want)
			}
		})
	}
}

func TestNewFeed_HasNothingElse(t *testing.T) {
	server := httptest.NewServer(NewFeed(Options{Sockets: namedSockets{}, Access: newAccess(t)}))
	defer server.Close()
	for _, path := range []string{"/ws", "/events", "/api/events", "/metrics"} {
		response, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s on the feed's port: %d, want 404", path, response.StatusCode)
		}
	}
}

func TestSockets_RefusalStands(t *testing.T) {
	server := httptest.NewServer(NewFeed(Options{Sockets: namedSockets{refuse: true}, Access: newAccess(t)}))
	defer server.Close()
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("dial: %v, %v, want 503", response, err)
	}
	if response.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("the refusal carries no security headers")
	}
}

// After the connection was taken over nothing may write an answer: net/http
// would complain, and with another library corrupt the stream.
func TestSockets_NoAnswerAfterTheTakeover(t *testing.T) {
	var complaints strings.Builder
	server := httptest.NewUnstartedServer(NewFeed(Options{Sockets: namedSockets{breakOff: true}, Access: newAccess(t)}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&complaints, nil), slog.LevelError)
	server.Start()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("something was written after the takeover")
	}
	conn.Close()
	server.Close()
	if complaints.Len() > 0 {
		t.Errorf("net/http complains: %s", complaints.String())
	}
}
