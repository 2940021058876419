//go:build bench

package e2e

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// mailSink is a mail server that takes everything at once and notes how long
// the hub is busy between two mails: writing down the outcome of the one and
// finding the next.
type mailSink struct {
	port string

	mu    sync.Mutex
	taken time.Time // when the last mail was accepted
	turns durations
}

// startMailSink listens until the test ends.
func startMailSink(t testing.TB) *mailSink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sink := &mailSink{port: strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)}
	server := smtp.NewServer(sink)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends with Close
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return sink
}

// NewSession is called once a connection; a connection may bring many mails.
func (s *mailSink) NewSession(*smtp.Conn) (smtp.Session, error) { return sinkSession{s}, nil }

// reset forgets what was noted and returns it.
func (s *mailSink) reset() durations {
	s.mu.Lock()
	defer s.mu.Unlock()
	turns := s.turns
	s.turns, s.taken = nil, time.Time{}
	return turns
}

type sinkSession struct{ sink *mailSink }

func (sinkSession) Reset()                               {}
func (sinkSession) Logout() error                        { return nil }
func (sinkSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s sinkSession) Mail(string, *smtp.MailOptions) error {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if !s.sink.taken.IsZero() {
		s.sink.turns = append(s.sink.turns, time.Since(s.sink.taken))
	}
	return nil
}

func (s sinkSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.taken = time.Now()
	return err
}
