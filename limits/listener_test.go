package limits

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// serveHTTP serves by caps and answers who is crowded with 503.
func serveHTTP(t *testing.T, caps *Connections) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ConnContext: Mark, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Crowded(r.Context()) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(Listen(ln, caps)) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// client is one connection from an address of its own.
type client struct {
	t    *testing.T
	conn net.Conn
}

func connect(t *testing.T, addr, from string) *client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t, conn}
}

// status asks and returns the code of the answer; "" when there is none.
func (c *client) status() string {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n"); err != nil {
		return ""
	}
	answer := make([]byte, 4096)
	n, _ := c.conn.Read(answer)
	if n < 12 {
		return ""
	}
	return string(answer[9:12])
}

func TestListen_PerAddress(t *testing.T) {
	caps := NewConnections(Caps{Total: 5, PerAddress: 2, Shared: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}})
	addr := serveHTTP(t, caps)
	want := func(c *client, status string) {
		t.Helper()
		if got := c.status(); got != status {
			t.Errorf("%s is answered %q, want %q", c.conn.LocalAddr(), got, status)
		}
	}
	first := connect(t, addr, "127.0.0.2")
	want(first, "200")
	want(connect(t, addr, "127.0.0.2"), "200")
	third := connect(t, addr, "127.0.0.2")
	want(third, "503")
	if _, err := third.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the third goes on: %v", err)
	}
	want(connect(t, addr, "127.0.0.4"), "200")
	shared := connect(t, addr, "127.0.0.3")
	want(shared, "200")
	want(connect(t, addr, "127.0.0.3"), "200")
	want(connect(t, addr, "127.0.0.3"), "503") // all five places are taken
	want(first, "200")                         // and whoever is in stays in

	first.conn.Close()
	shared.conn.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c := connect(t, addr, "127.0.0.2")
		if c.status() == "200" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no room after a connection was closed")
		}
	}
}

// TestListen_ClosedWithoutAWord: who only connects, once nobody else can be
// told, is closed.
func TestListen_ClosedWithoutAWord(t *testing.T) {
	addr := serveHTTP(t, NewConnections(Caps{Total: 1}))
	if got := connect(t, addr, "127.0.0.2").status(); got != "200" {
		t.Fatalf("the first is answered %q", got)
	}
	for range minTelling {
		connect(t, addr, "127.0.0.2")
	}
	if _, err := connect(t, addr, "127.0.0.2").conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more: %v", err)
	}
}
