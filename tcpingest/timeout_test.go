package tcpingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alerthub/models"
)

// pipeListener makes connections whose deadlines follow the clock of a
// synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// bubble runs client against a server with the default limits, in fake time.
func bubble(t *testing.T, svc Service, client func(t *testing.T, s *Server, nc net.Conn)) {
	bubbleWith(t, svc, Config{Access: &fakeAccess{}}, client)
}

// bubbleWith is bubble with other limits.
func bubbleWith(t *testing.T, svc Service, cfg Config, client func(t *testing.T, s *Server, nc net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s := New(svc, cfg)
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		ours, theirs := net.Pipe()
		ln.conns <- theirs
		client(t, s, ours)
		ours.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// closedAfter reads until the server closes nc and returns how long that took.
func closedAfter(t *testing.T, nc net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if got, err := io.ReadAll(nc); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v", got, err)
	}
	return time.Since(start)
}

func TestServer_IdleTimeout(t *testing.T) {
	bubble(t, &fakeService{}, func(t *testing.T, _ *Server, nc net.Conn) {
		answer := make([]byte, 100)
		for range 3 {
			time.Sleep(DefaultIdleTimeout - time.Second)
			io.WriteString(nc, "{}\n")
			if n, err := nc.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), `{"ok":true,`) {
				t.Fatalf("answer %q, %v", answer[:n], err)
			}
		}
		if got := closedAfter(t, nc); got != DefaultIdleTimeout {
			t.Errorf("closed after %s, want %s", got, DefaultIdleTimeout)
		}
	})
}

func TestServer_LineTimeout(t *testing.T) {
	for name, head := range map[string]string{
		"a line that never ends":   `{"message":"`,
		"the rest of a giant line": strings.Repeat("x", 2*DefaultMaxLine),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &fakeService{}, func(t *testing.T, _ *Server, nc net.Conn) {
				go io.Copy(io.Discard, nc)
				start := time.Now()
				io.WriteString(nc, head)
				for {
					if _, err := io.WriteString(nc, "x"); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if got := time.Since(start); got < DefaultLineTimeout || got > DefaultLineTimeout+time.Second {
					t.Errorf("closed after %s, want %s", got, DefaultLineTimeout)
				}
			})
		})
	}
}

func TestServer_LineTimeoutStartsAnewWithEachLine(t *testing.T) {
	bubble(t, &fakeService{}, func(t *testing.T, s *Server, nc net.Conn) {
		go io.Copy(io.Discard, nc)
		// The rest of one line always comes with the beginning of the next.
		io.WriteString(nc, "{")
		for range 10 {
			time.Sleep(DefaultLineTimeout - time.Second)
			if _, err := io.WriteString(nc, "}\n{"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := s.Stats().Lines; got != 10 {
			t.Errorf("%d lines read, want 10", got)
		}
	})
}

func TestServer_LineTimeoutStartsAnewAfterABlankLine(t *testing.T) {
	bubble(t, &fakeService{}, func(t *testing.T, s *Server, nc net.Conn) {
		io.WriteString(nc, " ")
		time.Sleep(DefaultLineTimeout - time.Second)
		io.WriteString(nc, "\n")
		time.Sleep(DefaultLineTimeout)
		io.WriteString(nc, "{")
		time.Sleep(DefaultLineTimeout - time.Second)
		if _, err := io.WriteString(nc, "}\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.Stats().Lines; got != 1 {
			t.Errorf("%d lines read, want 1", got)
		}
	})
}

// Who may say nothing has the time of one line to show a token, whatever else
// it sends; who has shown a good one may be silent for longer.
func TestServer_StrangersDoNotStay(t *testing.T) {
	cfg := func() Config {
		return Config{Access: &fakeAccess{strict: true, keys: map[string]models.Actor{"good": ingestKey()}}}
	}
	bubbleWith(t, &fakeService{}, cfg(), func(t *testing.T, _ *Server, nc net.Conn) {
		start := time.Now()
		for {
			if _, err := io.WriteString(nc, "\n"); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if got := time.Since(start); got < DefaultLineTimeout || got > DefaultLineTimeout+time.Second {
			t.Errorf("closed after %s, want %s", got, DefaultLineTimeout)
		}
	})
	bubbleWith(t, &fakeService{}, cfg(), func(t *testing.T, _ *Server, nc net.Conn) {
		time.Sleep(DefaultLineTimeout - time.Second)
		io.WriteString(nc, `{"token":"good"}`+"\n")
		answer := make([]byte, 100)
		if n, err := nc.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), `{"ok":true`) {
			t.Fatalf("answer %q, %v", answer[:n], err)
		}
		if got := closedAfter(t, nc); got != DefaultIdleTimeout {
			t.Errorf("closed after %s, want %s", got, DefaultIdleTimeout)
		}
	})
}

func TestServer_WindowBoundsWhatIsInFlight(t *testing.T) {
	long := `{"message":"m","filler":"` + strings.Repeat("x", 10<<10) + `"}` + "\n"
	for name, tt := range map[string]struct {
		line string
		want int64
	}{
		"lines":                        {"{}\n", DefaultWindow},
		"bytes: 11 for a line of 10 K": {long, DefaultWindow / 11},
	} {
		t.Run(name, func(t *testing.T) {
			commit, open := gateInBubble()
			bubble(t, &fakeService{commit: commit}, func(t *testing.T, s *Server, nc net.Conn) {
				const lines = 3 * DefaultWindow
				go io.WriteString(nc, strings.Repeat(tt.line, lines))
				synctest.Wait()
				if got := s.Stats().Lines; got != tt.want {
					t.Errorf("%d lines in flight, want %d", got, tt.want)
				}
				open()
				answers := bufio.NewReader(nc)
				for range lines {
					if answer, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(answer, `{"ok":true,`) {
						t.Fatalf("answer %q, %v", answer, err)
					}
				}
			})
		})
	}
}

// gateInBubble is gate for a bubble, whose channels must be made inside of it.
func gateInBubble() (commit func(int) chan struct{}, open func()) {
	made := sync.OnceValue(func() chan struct{} { return make(chan struct{}) })
	return func(int) chan struct{} { return made() }, func() { close(made()) }
}

func TestServer_ClientThatNeverReads(t *testing.T) {
	svc := &fakeService{}
	bubble(t, svc, func(t *testing.T, s *Server, nc net.Conn) {
		start := time.Now()
		lines := 0
		for {
			if _, err := io.WriteString(nc, strings.Repeat("{}\n", 10)); err != nil {
				break
			}
			lines += 10
		}
		if got := time.Since(start); got != DefaultWriteTimeout {
			t.Errorf("closed after %s, want %s", got, DefaultWriteTimeout)
		}
		if lines > DefaultWindow+10 {
			t.Errorf("%d lines were taken, want at most %d", lines, DefaultWindow)
		}
		synctest.Wait()
		if got := s.Stats().Connections; got != 0 {
			t.Errorf("%d connections are left", got)
		}
	})
}

func TestServer_ShutdownHurriesClientThatNeverReads(t *testing.T) {
	bubble(t, &fakeService{}, func(t *testing.T, s *Server, nc net.Conn) {
		io.WriteString(nc, "{}\n")
		synctest.Wait()
		start := time.Now()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != hasteTime {
			t.Errorf("shut down after %s, want %s", got, hasteTime)
		}
		if _, err := nc.Write([]byte("{}\n")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection is open: %v", err)
		}
	})
}

func TestServer_ShutdownHurriesAnswersThatComeLate(t *testing.T) {
	commit, open := gateInBubble()
	bubble(t, &fakeService{commit: commit}, func(t *testing.T, s *Server, nc net.Conn) {
		io.WriteString(nc, "{}\n")
		synctest.Wait()
		start := time.Now()
		down := make(chan error)
		go func() { down <- s.Shutdown(context.Background()) }()
		time.Sleep(time.Second)
		open()
		if err := <-down; err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != time.Second+hasteTime {
			t.Errorf("shut down after %s, want %s", got, time.Second+hasteTime)
		}
	})
}
