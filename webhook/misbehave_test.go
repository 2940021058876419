package webhook

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func reader(c io.Reader) *bufio.Reader { return bufio.NewReader(c) }

// raw is a server that does with a connection whatever serve does; it returns
// its URL. The connection is closed after serve, and at the end of the test.
func raw(t testing.TB, serve func(c io.ReadWriter)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// request reads the whole request, so that closing resets nothing.
func request(c io.Reader) {
	if r, err := http.ReadRequest(reader(c)); err == nil {
		io.Copy(io.Discard, r.Body)
	}
}

// stall reads on until the other side closes.
func stall(c io.Reader) { io.Copy(io.Discard, c) }

// drip writes text a byte at a time, again and again.
func drip(c io.Writer, text string) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(c, text[i%len(text):i%len(text)+1]); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const broken = "HTTP/1.1 500 Broken\r\nContent-Type: text/plain\r\n"

func TestSend_EndsWhateverTheServerDoes(t *testing.T) {
	const limit = 300 * time.Millisecond
	const timeout = "no answer within 300ms"
	const closed = "answer: the server closed the connection"
	for name, c := range map[string]struct {
		serve func(c io.ReadWriter)
		words string // prefix of the fault's words; "ok" for success
		slow  bool   // it ends by the limit, and not before
	}{
		"says nothing":        {func(c io.ReadWriter) { stall(c) }, "answer: " + timeout, true},
		"stops in the status": {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 2"); stall(c) }, "answer: " + timeout, true},
		"stops in the header": {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nX: y"); stall(c) }, "answer: " + timeout, true},
		"drips a header":      {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); drip(c, "y") }, "answer: " + timeout, true},
		"goes on continuing":  {func(c io.ReadWriter) { request(c); drip(c, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") }, "answer: " + timeout, true},
		"accepts, then stalls": {func(c io.ReadWriter) {
			request(c)
			io.WriteString(c, "HTTP/1.1 200 Fine\r\nContent-Length: 9\r\n\r\n")
			stall(c)
		}, "ok", false},
		"accepts without end": {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 Fine\r\n\r\n"); flood(c) }, "ok", false},
		"refuses, then stalls": {func(c io.ReadWriter) {
			request(c)
			io.WriteString(c, broken+"Content-Length: 99\r\n\r\nbad")
			stall(c)
		}, "500 Broken: bad", true},
		"refuses, drips":      {func(c io.ReadWriter) { request(c); io.WriteString(c, broken+"\r\n"); drip(c, "y") }, "500 Broken: yyy", true},
		"refuses without end": {func(c io.ReadWriter) { request(c); io.WriteString(c, broken+"\r\n"); flood(c) }, "500 Broken: 222", false},
		"refuses, cut short":  {func(c io.ReadWriter) { request(c); io.WriteString(c, broken+"Content-Length: 99\r\n\r\nbad") }, "500 Broken: bad", false},
		"refuses in bad chunks": {func(c io.ReadWriter) {
			request(c)
			io.WriteString(c, broken+"Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\nzz")
		}, "500 Broken: bad", false},
		"closes at once":          {func(c io.ReadWriter) {}, "answer: ", false},
		"closes when it knows":    {func(c io.ReadWriter) { request(c) }, closed, false},
		"closes in the header":    {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nX: y") }, closed, false},
		"speaks another tongue":   {func(c io.ReadWriter) { request(c); io.WriteString(c, "220 mail ESMTP\r\n") }, "answer: malformed HTTP", false},
		"speaks no tongue":        {func(c io.ReadWriter) { request(c); c.Write(bytes.Repeat([]byte{0xff, 0, 1}, 99)) }, "answer: malformed HTTP", false},
		"answers 000":             {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 000 Oh\r\n\r\n") }, "", false},
		"a header without end":    {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); flood(c) }, "answer: ", false},
		"headers without end":     {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\n"); many(c, "X: y\r\n") }, "answer: ", false},
		"a status without end":    {func(c io.ReadWriter) { request(c); io.WriteString(c, "HTTP/1.1 200 "); flood(c) }, "answer: ", false},
		"early hints without end": {func(c io.ReadWriter) { request(c); many(c, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") }, "answer: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := sender(t, func(cfg *Config) {
				if c.slow {
					cfg.AttemptTimeout = limit
				}
			})
			at := raw(t, c.serve)
			begin := time.Now()
			words, err := to.Send(t.Context(), hook("slack", at), single("a", "b"))
			took := time.Since(begin)
			// What is not slow ends by itself, long before the limit of 10 s.
			if c.slow && took < limit || took > 4*time.Second {
				t.Errorf("took %v", took)
			}
			if c.words == "ok" {
				if err != nil || words != "200 Fine" {
					t.Errorf("words %q, error %v", words, err)
				}
				return
			}
			f := asFault(t, err)
			if f.RetryAfter != 0 || !strings.HasPrefix(f.Words, c.words) || len([]rune(f.Words)) > 301 {
				t.Errorf("fault %+v, want %q", f, c.words)
			}
			if name != "answers 000" && (f.Server || f.Permanent) {
				t.Errorf("fault %+v", f)
			}
		})
	}
}

// flood says an endless line as fast as it can.
func flood(c io.Writer) { many(c, strings.Repeat("2", 4096)) }

func many(c io.Writer, text string) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func TestSend_WordsAreNotWorthALongWait(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c io.ReadWriter) {
		request(c)
		io.WriteString(c, broken+"Content-Length: 99\r\n\r\nbad")
		stall(c)
	})
	begin := time.Now()
	_, err := sender(t, nil).Send(t.Context(), hook("slack", at), single("a", "b"))
	if took := time.Since(begin); took < bodyTimeout || took > 8*time.Second {
		t.Errorf("took %v", took)
	}
	if f := asFault(t, err); f.Words != "500 Broken: bad" || f.Server {
		t.Errorf("fault %+v", f)
	}
}

func TestSend_TLSThatNeverComesUp(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c io.ReadWriter) { stall(c) })
	begin := time.Now()
	_, err := sender(t, func(c *Config) { c.AttemptTimeout = 300 * time.Millisecond }).
		Send(t.Context(), hook("slack", strings.Replace(at, "http:", "https:", 1)), single("a", "b"))
	f := asFault(t, err)
	if took := time.Since(begin); took > 4*time.Second || !f.Server || !strings.HasPrefix(f.Words, "connect to 127.0.0.1:") {
		t.Errorf("took %v, fault %+v", took, f)
	}
}

func TestSend_KeepsNoConnection(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	ended := make(chan struct{}, 2)
	at := raw(t, func(c io.ReadWriter) {
		conns.Add(1)
		in := reader(c)
		if r, err := http.ReadRequest(in); err == nil {
			io.Copy(io.Discard, r.Body)
		}
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		io.Copy(io.Discard, in)
		ended <- struct{}{}
	})
	to := sender(t, nil)
	for range 2 {
		if _, err := to.Send(t.Context(), hook("slack", at), single("a", "b")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the connection stays")
		}
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
