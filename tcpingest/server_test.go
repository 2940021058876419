package tcpingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// TestCorpus sends each file of testdata and closes its side: the answers must
// be those of the file beside it. All of good is stored, and a line after
// those of bad works.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.in")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files in testdata, err %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".in"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".in") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			_, addr := start(t, &fakeService{}, Config{MaxLine: 1024})
			c := dial(t, addr)
			c.send(string(in))
			c.CloseWrite()
			if diff := cmp.Diff(string(want), c.rest()); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			good := strings.HasPrefix(file, "testdata/good")
			if refused := strings.Contains(string(want), `"ok":false`); refused == good {
				t.Errorf("a refusal in the expected answers: %v", refused)
			}
			if lines := strings.Split(strings.TrimSpace(string(want)), "\n"); !strings.HasPrefix(lines[len(lines)-1], `{"ok":true,`) {
				t.Error("the last line was not stored")
			}
		})
	}
}

func TestServer_Framing(t *testing.T) {
	svc := &fakeService{}
	_, addr := start(t, svc, Config{})

	t.Run("byte by byte", func(t *testing.T) {
		c := dial(t, addr)
		c.SetNoDelay(true)
		for _, b := range []byte("{\"message\":\"año\"}\r\n") {
			c.Write([]byte{b})
			runtime.Gosched()
		}
		c.expect(`{"ok":true,"event_id":1}`)
	})
	t.Run("the source is the peer's address", func(t *testing.T) {
		if got := svc.stored()[0]; got.Source != "127.0.0.1" || got.Peer != "127.0.0.1" || got.Channel != models.ChannelTCP {
			t.Errorf("stored %+v", got)
		}
	})
	t.Run("last line without newline counts at half-close", func(t *testing.T) {
		c := dial(t, addr)
		c.send("{}\n" + `{"message":"last"}`)
		c.CloseWrite()
		if got, want := c.rest(), "{\"ok\":true,\"event_id\":2}\n{\"ok\":true,\"event_id\":3}\n"; got != want {
			t.Errorf("answers %q, want %q", got, want)
		}
	})
	t.Run("half a line and a reset is no event", func(t *testing.T) {
		before := len(svc.stored())
		c := dial(t, addr)
		c.send("{}")
		c.SetLinger(0)
		c.Close()
		other := dial(t, addr)
		other.send("{}\n")
		other.expect(`{"ok":true,"event_id":4}`)
		if got := len(svc.stored()) - before; got != 1 {
			t.Errorf("%d events stored, want 1", got)
		}
	})
}

func TestServer_AnswersInLineOrder(t *testing.T) {
	// The commits of the groups end in the reverse order.
	gates := make([]chan struct{}, 8)
	for i := range gates {
		gates[i] = make(chan struct{})
	}
	svc := &fakeService{commit: func(group int) chan struct{} { return gates[group] }}
	s, addr := start(t, svc, Config{})
	c := dial(t, addr)
	var want strings.Builder
	for i := range gates {
		c.send(fmt.Sprintf("{\"message\":\"%d\"}\nnonsense %d\n", i, i))
		eventually(t, "the group is read", func() bool { return s.Stats().Lines == int64(2*i+2) })
		fmt.Fprintf(&want, "{\"ok\":true,\"event_id\":%d}\n{\"ok\":false,\"error\":\"invalid_json\"}\n", i+1)
	}
	for i := len(gates) - 1; i >= 0; i-- {
		close(gates[i])
	}
	c.CloseWrite()
	if diff := cmp.Diff(want.String(), c.rest()); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestServer_ManyInFlightAreAllAnswered(t *testing.T) {
	const connections, inFlight = 100, 256
	commit, open := gate()
	svc := &fakeService{commit: commit}
	s, addr := start(t, svc, Config{})
	line := `{"source":"sw-1","severity":"warning","message":"Interface Gi0/1 down"}` + "\n"
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = dial(t, addr)
		clients[i].send(strings.Repeat(line, inFlight))
	}
	eventually(t, "all lines are in flight", func() bool { return s.Stats().Lines == connections*inFlight })
	open()
	var done sync.WaitGroup
	for _, c := range clients {
		done.Go(func() {
			for range inFlight {
				answer, err := c.answers.ReadString('\n')
				if err != nil || !strings.HasPrefix(answer, `{"ok":true,"event_id":`) {
					t.Errorf("answer %q, %v", answer, err)
					return
				}
			}
		})
	}
	done.Wait()
	if got := len(svc.stored()); got != connections*inFlight {
		t.Errorf("stored %d events of %d", got, connections*inFlight)
	}
}

func TestServer_BackPressureReachesTheClient(t *testing.T) {
	svc := &fakeService{full: make(chan struct{})}
	s, addr := start(t, svc, Config{})
	c := dial(t, addr)
	line := `{"message":"` + strings.Repeat("x", 280) + `"}` + "\n"
	chunk := strings.Repeat(line, 1000)
	sent := 0
	c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for {
		n, err := io.WriteString(c, chunk)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the client was held after %d bytes", sent)
	if got := s.Stats().Lines; got > DefaultWindow {
		t.Errorf("%d lines were read ahead, want at most %d", got, DefaultWindow)
	}
	// Once there is room, everything that was sent is stored and answered.
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	close(svc.full)
	go func() {
		c.send(line[sent%len(line):])
		c.CloseWrite()
	}()
	if got, want := strings.Count(c.rest(), `"ok":true`), sent/len(line)+1; got != want {
		t.Errorf("%d lines stored, want %d", got, want)
	}
}

func TestServer_GiantLineInBoundedMemory(t *testing.T) {
	_, addr := start(t, &fakeService{}, Config{})
	c := dial(t, addr)
	c.send("{}\n")
	c.expect(`{"ok":true,"event_id":1}`)
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	for range 64 {
		if _, err := c.Write(chunk); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
	}
	c.expect(`{"ok":false,"error":"line_too_long"}`)
	c.send("\n{}\n")
	c.expect(`{"ok":true,"event_id":2}`)
	grown := int64(most) - int64(before.HeapAlloc)
	t.Logf("a line of 64 MiB: the heap grew by %d KiB at most", grown>>10)
	if grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func TestServer_IdleConnections(t *testing.T) {
	const idle = 1000
	s, addr := start(t, &fakeService{}, Config{})
	c := dial(t, addr)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	clients := make([]*client, idle)
	for i := range clients {
		clients[i] = dial(t, addr)
		clients[i].send("{}\n")
		clients[i].expect(fmt.Sprintf(`{"ok":true,"event_id":%d}`, i+1))
	}
	if got := s.Stats().Connections; got != idle+1 {
		t.Errorf("%d connections, want %d", got, idle+1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Both ends are in this process, and the client's bufio.Reader has 4 KiB.
	each := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / idle
	t.Logf("%d bytes a connection, the client's end included", each)
	if each > 32<<10 {
		t.Errorf("an idle connection costs %d bytes", each)
	}
	c.send("{}\n")
	c.expect(fmt.Sprintf(`{"ok":true,"event_id":%d}`, idle+1))
	for _, c := range clients {
		c.Close()
	}
	eventually(t, "closed connections are forgotten", func() bool { return s.Stats().Connections == 1 })
}

func TestServer_Refusals(t *testing.T) {
	tests := map[string]struct {
		svc  *fakeService
		want string // "" for a close without an answer
	}{
		"busy":                   {&fakeService{submitErr: models.ErrBusy}, "busy"},
		"storage unavailable":    {&fakeService{waitErr: fmt.Errorf("%w: disk full", models.ErrUnavailable)}, "storage_unavailable"},
		"shutting down":          {&fakeService{submitErr: models.ErrClosed}, "shutting_down"},
		"outcome unknown":        {&fakeService{waitErr: context.DeadlineExceeded}, ""},
		"undocumented error":     {&fakeService{waitErr: errStrange}, ""},
		"given up before submit": {&fakeService{submitErr: context.Canceled}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, addr := start(t, tt.svc, Config{})
			c := dial(t, addr)
			c.send("{}\nnonsense\n{}\n")
			if tt.want == "" {
				if got := c.rest(); got != "" {
					t.Errorf("answered %q", got)
				}
				return
			}
			refusal := `{"ok":false,"error":"` + tt.want + `"}`
			c.expect(refusal)
			c.expect(`{"ok":false,"error":"invalid_json"}`)
			c.expect(refusal)
			// The connection stays: the next line is tried again.
			c.send("{}\n")
			c.expect(refusal)
			if got := s.Stats().Refused[tt.want]; got != 3 {
				t.Errorf("%d refusals counted as %s, want 3", got, tt.want)
			}
		})
	}
}

func TestServer_TooManyConnections(t *testing.T) {
	s, addr := start(t, &fakeService{}, Config{MaxConnections: 2})
	first, second := dial(t, addr), dial(t, addr)
	first.send("{}\n")
	first.expect(`{"ok":true,"event_id":1}`)
	second.send("{}\n")
	second.expect(`{"ok":true,"event_id":2}`)
	third := dial(t, addr)
	third.send("{}\n") // unread bytes must not reset the answer away
	third.expect(`{"ok":false,"error":"too_many_connections"}`)
	third.send("{}\n") // a closed socket answers this with a reset, and the next
	third.send("{}\n") // write fails
	third.CloseWrite()
	if got := third.rest(); got != "" {
		t.Errorf("more answers %q", got)
	}
	first.Close()
	eventually(t, "there is room again", func() bool { return s.Stats().Connections == 1 })
	fourth := dial(t, addr)
	fourth.send("{}\n")
	fourth.expect(`{"ok":true,"event_id":3}`)
	want := Stats{Connections: 2, Accepted: 3, Lines: 3}
	got := s.Stats()
	if got.Refused["too_many_connections"] != 1 {
		t.Errorf("refused %v", got.Refused)
	}
	got.Refused = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// shortListener has no descriptors for the first few connections.
type shortListener struct {
	net.Listener
	failures int
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestServer_SurvivesAShortageOfDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, &shortListener{ln, 4}, &fakeService{}, Config{})
	c := dial(t, ln.Addr().String())
	c.send("{}\n")
	c.expect(`{"ok":true,"event_id":1}`)
}

func TestServer_OtherProtocols(t *testing.T) {
	svc := &fakeService{}
	s, addr := start(t, svc, Config{HTTPPort: 5080})
	t.Run("http", func(t *testing.T) {
		body := strings.NewReader("{\"message\":\"from a web page\"}\n")
		resp, err := http.Post("http://"+addr+"/", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "port 5080") {
			t.Errorf("%s: %q, %v", resp.Status, text, err)
		}
	})
	t.Run("http with a request line over the limit", func(t *testing.T) {
		c := dial(t, addr)
		c.send("GET /" + strings.Repeat("x", 2*DefaultMaxLine) + " HTTP/1.1\r\n\r\n{}\n")
		c.CloseWrite()
		if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("tls", func(t *testing.T) {
		c := dial(t, addr)
		err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
		var notTLS tls.RecordHeaderError
		if !errors.As(err, &notTLS) {
			t.Errorf("handshake: %v", err)
		}
	})
	t.Run("tls gets a line", func(t *testing.T) {
		c := dial(t, addr)
		c.send("\x16\x03\x01\x00\xf4\x01\x00\n{}\n")
		c.expect(strings.TrimSpace(tlsAnswer))
		c.CloseWrite()
		if got := c.rest(); got != "" {
			t.Errorf("more answers %q", got)
		}
	})
	if got := svc.stored(); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	if got := s.Stats().Refused; got["http"] != 2 || got["tls"] != 2 {
		t.Errorf("refused %v", got)
	}
}

func TestPeerOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:40000":          "192.0.2.7",
		"[::ffff:192.0.2.7]:40000": "192.0.2.7",
		"[2001:db8::1]:40000":      "2001:db8::1",
		"[fe80::1%eth0]:40000":     "fe80::1",
	} {
		ap, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := peerOf(ap); got != want {
			t.Errorf("peer of %s is %q, want %q", addr, got, want)
		}
	}
}
