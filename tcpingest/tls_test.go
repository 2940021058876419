package tcpingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alerthub/certs"
)

// labTLS is the configuration of a server, and one for its clients.
func labTLS(t *testing.T) *tls.Config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tls")
	if err := certs.MakeLab(dir, []string{"127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := certs.Load(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Config()
}

// dialTLS connects; what is trusted is tested with the certificates.
func dialTLS(t *testing.T, addr string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func TestTLS_LinesAreAnswered(t *testing.T) {
	svc := &fakeService{}
	_, addr := start(t, svc, Config{Access: &fakeAccess{}, TLS: labTLS(t)})
	conn := dialTLS(t, addr)
	answers := bufio.NewReader(conn)
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(conn, "{\"message\":\"%d\"}\n", i)
		fmt.Fprintf(&want, "{\"ok\":true,\"event_id\":%d}\n", i+1)
	}
	io.WriteString(conn, `{"message":"last"}`)
	want.WriteString("{\"ok\":true,\"event_id\":501}\n")
	conn.CloseWrite()
	if got, err := io.ReadAll(answers); err != nil || string(got) != want.String() {
		t.Errorf("answered %d bytes, want %d: %v", len(got), want.Len(), err)
	}
	if got := svc.stored()[0]; got.Peer != "127.0.0.1" {
		t.Errorf("stored %+v", got)
	}
}

func TestTLS_PlainTextIsToldSo(t *testing.T) {
	svc := &fakeService{}
	s, addr := start(t, svc, Config{Access: &fakeAccess{}, TLS: labTLS(t)})
	texts := []string{"{}\n", "\n", "{", "GET / HTTP/1.1\r\n\r\n{}\n", "\x00", strings.Repeat("{}\n", 100_000)}
	for _, text := range texts {
		c := dial(t, addr)
		go io.WriteString(c, text) // a long one may be cut
		c.expect(`{"ok":false,"error":"tls_required"}`)
		if len(text) < 100 {
			if got := c.rest(); got != "" {
				t.Errorf("%.10q is answered %q, too", text, got)
			}
		}
	}
	if got := s.Stats().Refused["tls_required"]; got != int64(len(texts)) {
		t.Errorf("%d counted", got)
	}
	if n := len(svc.stored()); n != 0 {
		t.Errorf("%d events stored", n)
	}
}

func TestTLS_OldVersionsAndOtherProtocols(t *testing.T) {
	s, addr := start(t, &fakeService{}, Config{Access: &fakeAccess{}, TLS: labTLS(t)})
	if _, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	eventually(t, "the failed handshake is counted", func() bool { return s.Stats().Refused["tls_handshake"] == 1 })
	conn := dialTLS(t, addr)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
		t.Errorf("HTTP over TLS: %q, %v", got, err)
	}
}

func TestTLS_TooManyConnections(t *testing.T) {
	_, addr := start(t, &fakeService{}, Config{TLS: labTLS(t), MaxConnections: 1})
	first := dialTLS(t, addr)
	io.WriteString(first, "{}\n")
	if _, err := first.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(dialTLS(t, addr)); err != nil || string(got) != "{\"ok\":false,\"error\":\"too_many_connections\"}\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTLS_SlowHandshakesEnd(t *testing.T) {
	s, addr := start(t, &fakeService{}, Config{TLS: labTLS(t), LineTimeout: 50 * time.Millisecond})
	for _, opening := range []string{"", "\x16", "\x16\x03\x01"} {
		c := dial(t, addr)
		c.send(opening)
		if _, err := io.ReadAll(c); err != nil && !isReset(err) {
			t.Errorf("%q: %v", opening, err)
		}
	}
	eventually(t, "no connection is left", func() bool { return s.Stats().Connections == 0 })
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// TestTLS_Shutdown has a client in each state in which it can be: none may
// hold up the end.
func TestTLS_Shutdown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	commit, open := gate()
	s := New(&fakeService{commit: commit}, Config{Access: &fakeAccess{}, TLS: labTLS(t)})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	addr := ln.Addr().String()
	dial(t, addr)              // says nothing
	dial(t, addr).send("\x16") // is in the handshake
	idle, waiting := dialTLS(t, addr), dialTLS(t, addr)
	io.WriteString(waiting, "{}\n")
	eventually(t, "all are there", func() bool { return s.Stats().Connections == 4 && s.Stats().Lines == 1 })

	time.AfterFunc(50*time.Millisecond, open)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	began := time.Now()
	// idle keeps its side open: it is cut after the time to linger.
	if err := s.Shutdown(ctx); err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("Shutdown after %v: %v", time.Since(began), err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(waiting); err != nil || string(got) != "{\"ok\":true,\"event_id\":1}\n" {
		t.Errorf("what was in flight is answered %q, %v", got, err)
	}
	if got, err := io.ReadAll(idle); err != nil || len(got) != 0 {
		t.Errorf("who waits is told %q, %v", got, err)
	}
}

// TestTLS_HardEnd cuts a client that takes no answer.
func TestTLS_HardEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	commit, open := gate()
	defer open()
	s := New(&fakeService{commit: commit}, Config{Access: &fakeAccess{}, TLS: labTLS(t)})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	for range 3 {
		io.WriteString(dialTLS(t, ln.Addr().String()), "{}\n")
	}
	eventually(t, "all are there", func() bool { return s.Stats().Lines == 3 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("Shutdown after %v: %v", time.Since(began), err)
	}
	<-served
}
