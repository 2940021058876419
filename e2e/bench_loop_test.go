//go:build bench

package e2e

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A closedLoop keeps one request in flight on each of its connections, each at
// its own pace. One thread serves them all by epoll: a goroutine a connection
// costs the client three times as much, and the client shares its CPUs with
// the hub.
type closedLoop struct {
	connections int
	duration    time.Duration
	requests    [][]byte // sent in turn
	// answer looks at what came since the request: whether it is a whole
	// answer, and whether that says stored.
	answer func(received []byte) (whole, ok bool)
}

// loopConn is one connection of a closedLoop.
type loopConn struct {
	file     *os.File // keeps the descriptor
	asked    time.Time
	received []byte
	next     int // request
}

// run sends until the duration is over and awaits the answers.
func (l closedLoop) run(t testing.TB, addr string) loadResult {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		t.Fatalf("epoll: %v", err)
	}
	defer syscall.Close(poll)
	conns := make(map[int32]*loopConn, l.connections)
	for i := range l.connections {
		c := dialLoop(t, addr)
		defer c.file.Close()
		fd := int(c.file.Fd()) // blocking, but read only when epoll says that something is there
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatalf("epoll: %v", err)
		}
		c.next = i
		conns[int32(fd)] = c
	}
	var r loadResult
	start := time.Now()
	for fd, c := range conns {
		l.ask(t, int(fd), c)
		r.sent++
	}
	events, buffer := make([]syscall.EpollEvent, l.connections), make([]byte, 64<<10)
	for inFlight := l.connections; inFlight > 0; {
		n, err := syscall.EpollWait(poll, events, 30_000)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("%d answers are missing after 30 s: %v", inFlight, err)
		}
		for _, e := range events[:n] {
			c := conns[e.Fd]
			n, err := syscall.Read(int(e.Fd), buffer)
			if err != nil || n == 0 {
				t.Fatalf("connection lost after %d answers: %v", len(r.took), err)
			}
			c.received = append(c.received, buffer[:n]...)
			whole, ok := l.answer(c.received)
			if !whole {
				continue
			}
			now := time.Now()
			r.took = append(r.took, now.Sub(c.asked))
			if ok {
				r.stored++
			} else {
				r.refusal = string(c.received)
			}
			if now.Sub(start) >= l.duration {
				inFlight--
				continue
			}
			l.ask(t, int(e.Fd), c)
			r.sent++
		}
	}
	r.elapsed = time.Since(start)
	if r.stored != r.sent {
		t.Fatalf("%d events sent, %d stored; a refusal: %s", r.sent, r.stored, r.refusal)
	}
	return r
}

// ask sends the connection's next request, which is small enough for the
// socket's buffer.
func (l closedLoop) ask(t testing.TB, fd int, c *loopConn) {
	request := l.requests[c.next%len(l.requests)]
	c.next++
	c.received = c.received[:0]
	c.asked = time.Now()
	if n, err := syscall.Write(fd, request); err != nil || n != len(request) {
		t.Fatalf("send: %d of %d bytes, %v", n, len(request), err)
	}
}

func dialLoop(t testing.TB, addr string) *loopConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // the file has a descriptor of its own
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	return &loopConn{file: file}
}

// lineAnswer reads an answer of the TCP door.
func lineAnswer(received []byte) (whole, ok bool) {
	return bytes.HasSuffix(received, lineFeed), bytes.Contains(received, saysOK)
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
	created       = []byte("HTTP/1.1 201 ")
)

// httpAnswer reads an answer to the POST of one event. One without a length
// never counts as whole.
func httpAnswer(received []byte) (whole, ok bool) {
	head, body, found := bytes.Cut(received, headEnd)
	_, length, stated := bytes.Cut(head, contentLength)
	if !found || !stated {
		return false, false
	}
	digits, _, _ := bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(digits))
	return err == nil && len(body) >= n, bytes.HasPrefix(received, created)
}

// oneByOne is a load of connections that send a line, wait for its answer, and
// send the next.
func oneByOne(connections int, duration time.Duration) closedLoop {
	return closedLoop{connections, duration, preformatted(1), lineAnswer}
}

// postOneByOne is a load of HTTP connections that post one event at a time.
func postOneByOne(addr string, connections int, duration time.Duration) closedLoop {
	l := closedLoop{connections: connections, duration: duration, answer: httpAnswer}
	for i := range 64 {
		l.requests = append(l.requests, posting{batch: 1}.request(addr, i))
	}
	return l
}
