package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener that hands out one connection.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func listenOnce(nc net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	l.conns <- nc
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.close(); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// serveOnce talks to a web server in a bubble, on one connection.
func serveOnce(t *testing.T, h http.HandlerFunc, talk func(t *testing.T, nc net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		server := webServer(h, slog.New(slog.DiscardHandler))
		served := make(chan error, 1)
		go func() { served <- server.Serve(listenOnce(theirs)) }()
		talk(t, ours)
		ours.Close()
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// A client that does not take its answer does not stay.
func TestWebServer_CutsWhoReadsNothing(t *testing.T) {
	gone := make(chan time.Duration, 1)
	h := func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
		if err == nil {
			t.Error("nobody read the answer, and it was written")
		}
		gone <- time.Since(began)
	}
	serveOnce(t, h, func(t *testing.T, nc net.Conn) {
		if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(answerTime + time.Second)
		synctest.Wait()
		select {
		case after := <-gone:
			if after != answerTime {
				t.Errorf("cut after %s, want %s", after, answerTime)
			}
		default:
			t.Errorf("not cut within %s", answerTime+time.Second)
		}
	})
}

// Nothing is answered before the checks of the handlers.
func TestWebServer_LeavesEveryAnswerToTheHandler(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMisdirectedRequest) }
	serveOnce(t, h, func(t *testing.T, nc net.Conn) {
		if _, err := io.WriteString(nc, "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || answer.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("answered %v, %v", answer, err)
		}
	})
}
