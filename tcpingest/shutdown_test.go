package tcpingest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestServer_ShutdownAnswersWhatIsInFlight(t *testing.T) {
	commit, open := gate()
	svc := &fakeService{commit: commit}
	s, addr := start(t, svc, Config{})
	const lines = 100
	c, idle := dial(t, addr), dial(t, addr)
	c.send(strings.Repeat("{}\n", lines))
	eventually(t, "all lines are in flight", func() bool { return s.Stats().Lines == lines })
	eventually(t, "both connections are served", func() bool { return s.Stats().Connections == 2 })

	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if got := idle.rest(); got != "" {
		t.Errorf("the idle connection was told %q", got)
	}
	idle.Close()
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("a connection was accepted during the shutdown")
	}
	s.Stats() // waits until every connection is told, not the idle one alone
	// Lines sent now are not read, and must not reset the answers away.
	c.send(strings.Repeat("{}\n", lines))
	open()
	if got := strings.Count(c.rest(), `"ok":true`); got != lines {
		t.Errorf("%d answers, want %d", got, lines)
	}
	c.Close()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := len(svc.stored()); got != lines {
		t.Errorf("%d events stored, want %d", got, lines)
	}
}

func TestServer_ShutdownIsCutShortByItsContext(t *testing.T) {
	commit, open := gate()
	defer open()
	s, addr := start(t, &fakeService{commit: commit}, Config{})
	c := dial(t, addr)
	c.send("{}\n")
	eventually(t, "the line is in flight", func() bool { return s.Stats().Lines == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 TCP connection") {
		t.Errorf("Shutdown: %v", err)
	}
	if got, _ := io.ReadAll(c.answers); len(got) != 0 {
		t.Errorf("answered %q without knowing the outcome", got)
	}
}

func TestServer_ShutdownBeforeServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(&fakeService{}, Config{Access: &fakeAccess{}})
	for range 2 {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Serve(ln); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestServer_ListenerClosedByOthers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(&fakeService{}, Config{Access: &fakeAccess{}}).Serve(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}
