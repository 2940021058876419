package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// serves proves that a new device, the API and the panel are answered now.
func serves(t *testing.T, p *process, patience time.Duration) {
	t.Helper()
	eventually(t, patience, func() error {
		conn, err := net.DialTimeout("tcp", p.TCP, 2*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.WriteString(conn, `{"source":"witness","message":"served?"}`+"\n"); err != nil {
			return err
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, `{"ok":true`) {
			return fmt.Errorf("answered %q, %w", line, err)
		}
		web, err := net.DialTimeout("tcp", p.HTTP, 2*time.Second)
		if err != nil {
			return err
		}
		defer web.Close()
		fmt.Fprintf(web, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", p.HTTP)
		res, _, err := readAll(web, 2*time.Second)
		if err != nil {
			return fmt.Errorf("GET /: %w", err)
		}
		if res.StatusCode != 200 {
			return fmt.Errorf("GET /: %d", res.StatusCode)
		}
		return nil
	})
}

// growthBelow fails when the hub's memory ever grew by more than this.
func growthBelow(t *testing.T, p *process, before footprint, limitMiB int64) {
	t.Helper()
	peak := p.statusKB("VmHWM")
	t.Logf("memory: %.1f MiB before, %.1f MiB at its highest", float64(before.RSS)/1024, float64(peak)/1024)
	if peak-before.RSS > limitMiB<<10 {
		t.Errorf("memory grew by %d MiB, want at most %d", (peak-before.RSS)>>10, limitMiB)
	}
}

func TestResources_GiantLine(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	before := p.footprint()
	d := dialDevice(t, p)
	const size = 100 << 20
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	_ = d.conn.SetWriteDeadline(time.Now().Add(60 * time.Second))
	for sent := 0; sent < size; sent += len(chunk) {
		if _, err := d.conn.Write(chunk); err != nil {
			t.Fatalf("after %d MiB: %v", sent>>20, err)
		}
	}
	d.Send("")
	if a := d.Answer(); a.Error != "line_too_long" {
		t.Errorf("answered %+v", a)
	}
	if a := d.Ask(`{"source":"a","message":"next"}`); !a.OK {
		t.Errorf("the next line: %+v", a)
	}
	growthBelow(t, p, before, 32)
	d.conn.Close()
	t.Logf("before: %v; after: %v", before, p.backTo(before, 10*time.Second))
}

func TestResources_IdleConnections(t *testing.T) {
	t.Parallel()
	count := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Both ends are descriptors of a process with this limit, and the hub
	// leaves a quarter of its own to others.
	if allowed := int(limit.Max/4*3) - 200; allowed < count {
		count = allowed
	}
	p := startHub(t, options{args: []string{fmt.Sprintf("--tcp-max-connections=%d", count+10)}})
	before := p.footprint()
	conns := make([]net.Conn, count)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	inParallel(8, count, func(i int) error {
		conn, err := net.DialTimeout("tcp", p.TCP, 20*time.Second)
		conns[i] = conn
		return err
	})(t)
	eventually(t, 20*time.Second, func() error {
		if n := p.descriptors(); n < count {
			return fmt.Errorf("%d descriptors", n)
		}
		return nil
	})
	during := p.footprint()
	serves(t, p, 10*time.Second)
	t.Logf("%d idle connections of 10000 wanted (limit %d files): %v; %.1f KiB each", count, limit.Max, during, float64(during.RSS-before.RSS)/float64(count))
	growthBelow(t, p, before, int64(count)*20/1024+16)
	// The places that are left, and one more.
	var late []*device
	refused := 0
	for range 11 {
		d := dialDevice(t, p)
		_ = d.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if line, err := d.in.ReadString('\n'); err == nil {
			if !strings.Contains(line, "too_many_connections") {
				t.Errorf("one too many is told %q", line)
			}
			if _, err := d.in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("and then: %v, want the end", err)
			}
			refused++
		}
		late = append(late, d)
	}
	if refused != 1 {
		t.Errorf("%d connections were one too many, want 1", refused)
	}
	for _, d := range late {
		d.conn.Close()
	}
	for _, c := range conns {
		c.Close()
	}
	serves(t, p, 20*time.Second)
	t.Logf("before: %v; after: %v", before, p.backTo(before, 20*time.Second))
}

// inParallel does work for 0 to n-1 by some workers, and fails the test with
// the first error.
func inParallel(workers, n int, work func(i int) error) func(*testing.T) {
	var next atomic.Int64
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	for range workers {
		group.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					err = fmt.Errorf("number %d: %w", i, err)
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	return func(t *testing.T) {
		t.Helper()
		if err := failed.Load(); err != nil {
			t.Fatal(*err)
		}
	}
}

// TestResources_AnswersNobodyReads: devices that send and never read, and feed
// clients that never read, cost bounded memory and nobody else's time.
func TestResources_AnswersNobodyReads(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	before := p.footprint()
	var deaf []*websocket.Conn
	for i := range 20 {
		dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			}
			return conn, err
		}}
		conn, _, err := dialer.Dial(fmt.Sprintf("ws://%s/?batch=%d", p.Feed, i%2), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		deaf = append(deaf, conn)
	}
	stuck := make([]net.Conn, 20)
	// Mostly lines that cost no commit; what the kernel's buffers hold of them
	// is taken before the hub feels anything.
	block := strings.Repeat(`{"severity":[],"pad":"`+strings.Repeat("p", 400)+`"}`+"\n", 99) + `{"source":"deaf","message":"m"}` + "\n"
	var taken atomic.Int64
	inParallel(len(stuck), len(stuck), func(i int) error {
		conn, err := net.Dial("tcp", p.TCP)
		if err != nil {
			return err
		}
		stuck[i] = conn
		if err := errors.Join(conn.(*net.TCPConn).SetReadBuffer(4<<10), conn.(*net.TCPConn).SetWriteBuffer(64<<10)); err != nil {
			return err
		}
		// Until the hub takes no more: back-pressure, not memory.
		for range 1000 {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(conn, block); errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			} else if err != nil {
				return err
			}
			taken.Add(100)
		}
		return errors.New("the hub took 100,000 lines without their answers being read")
	})(t)
	defer func() {
		for _, c := range stuck {
			c.Close()
		}
	}()
	t.Logf("%d devices were made to wait after %d lines each", len(stuck), taken.Load()/int64(len(stuck)))
	serves(t, p, 5*time.Second)
	const sent = 2000
	good := follow(t, "ws://"+p.Feed+"/?batch=1")
	good.Next()
	seen := make(chan int, 1)
	go func() { // ends with its connection
		n := 0
		for n < sent {
			_ = good.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, raw, err := good.conn.ReadMessage()
			if err != nil {
				break
			}
			n += bytes.Count(raw, []byte(`"source":"well"`))
		}
		seen <- n
	}()
	d := dialDevice(t, p)
	start := time.Now()
	for i := range sent {
		if a := d.Ask(fmt.Sprintf(`{"source":"well","message":"%d %s"}`, i, strings.Repeat("z", 250))); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	t.Logf("%d events one at a time beside them: %v each", sent, time.Since(start)/sent)
	if n := <-seen; n != sent {
		t.Errorf("a feed client that reads saw %d of %d events", n, sent)
	}
	good.conn.Close()
	// The deaf feed clients are cut, once the kernel's buffers are full too.
	for range 150 {
		d.Ask(`{"source":"large","pad":"` + strings.Repeat("x", 60_000) + `"}`)
	}
	eventually(t, 20*time.Second, func() error {
		if n := p.metric("alerthub_sockets_cut_total"); n != float64(len(deaf)) {
			return fmt.Errorf("%v feed clients are cut, want %d", n, len(deaf))
		}
		return nil
	})
	growthBelow(t, p, before, 96)
	for _, c := range stuck {
		c.Close()
	}
	d.conn.Close()
	t.Logf("before: %v; after: %v; %d events", before, p.backTo(before, 20*time.Second), p.stats().TotalEvents)
}

func TestResources_SlowHeaders(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	before := p.footprint()
	const count = 300
	start := time.Now()
	inParallel(count, count, func(i int) error {
		conn, err := net.DialTimeout("tcp", []string{p.HTTP, p.Feed}[i%2], 5*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n"); err != nil {
			return err
		}
		// A byte of a header now and then, until the hub has had enough.
		gone := make(chan error, 1)
		go func() {
			_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
			_, err := io.Copy(io.Discard, conn)
			gone <- err
		}()
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case err := <-gone:
				tick.Stop()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					return errors.New("still connected after 15 s")
				}
				return nil
			case <-tick.C:
				if i == 0 {
					continue // one says nothing at all any more
				}
				_, _ = io.WriteString(conn, "X")
			}
		}
	})(t)
	t.Logf("%d slow clients were gone after %v", count, time.Since(start))
	t.Logf("before: %v; after: %v", before, p.backTo(before, 10*time.Second))
	growthBelow(t, p, before, 48)
	serves(t, p, 5*time.Second)
}

// TestResources_EndlessHeaders: a head of a request without end is answered 431
// after little of it, whatever it is made of.
func TestResources_EndlessHeaders(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	before := p.footprint()
	const most = 16 << 20 // sockets keep megabytes on both sides; a hub that reads on takes all of this
	endless := []struct{ begin, more string }{
		{"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", "X-More: and more\r\n"},
		{"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: a=b", "; a=b"},
		{"GET /", "aaaaaaaa"},
		{"", "GET"},
	}
	inParallel(8, 64, func(i int) error {
		conn, err := net.DialTimeout("tcp", []string{p.HTTP, p.Feed}[i%2], 5*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		say := endless[i/2%len(endless)]
		status := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			status <- strings.TrimSpace(line)
		}()
		_, err = io.WriteString(conn, say.begin)
		sent := 0
		for chunk := strings.Repeat(say.more, 1024); err == nil && sent < most; sent += len(chunk) {
			_, err = io.WriteString(conn, chunk)
		}
		if sent >= most {
			return fmt.Errorf("%.10q: all of %d bytes are taken", say.more, sent)
		}
		// A client that goes on sending may meet the reset before the answer.
		if got := <-status; got != "" && got != "HTTP/1.1 431 Request Header Fields Too Large" {
			return fmt.Errorf("%.10q: answered %q", say.more, got)
		}
		return nil
	})(t)
	for i, say := range endless {
		conn, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, say.begin+strings.Repeat(say.more, (40<<10)/len(say.more))); err != nil {
			t.Fatal(err)
		}
		if line, _ := bufio.NewReader(conn).ReadString('\n'); strings.TrimSpace(line) != "HTTP/1.1 431 Request Header Fields Too Large" {
			t.Errorf("40 KiB of %d are answered %q", i, line)
		}
	}
	serves(t, p, 5*time.Second)
	growthBelow(t, p, before, 48)
}

// TestResources_OthersAreServedMeanwhile runs slow headers and looks in between.
func TestResources_OthersAreServedMeanwhile(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	for i := range 200 {
		conn, err := net.Dial("tcp", []string{p.HTTP, p.Feed, p.TCP}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "G"); err != nil {
			t.Fatal(err)
		}
	}
	serves(t, p, 2*time.Second)
}

// TestResources_DescriptorsRunOut: a hub that may open 128 files, and clients
// of all doors that want more.
func TestResources_DescriptorsRunOut(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{wrapper: []string{"prlimit", "--nofile=128:128"}})
	before := p.footprint()
	resident := dialDevice(t, p)
	if a := resident.Ask(`{"source":"resident","message":"before"}`); !a.OK {
		t.Fatalf("%+v", a)
	}
	for _, door := range []string{p.TCP, p.HTTP, p.Feed} {
		var conns []net.Conn
		for range 200 {
			conn, err := net.DialTimeout("tcp", door, 5*time.Second)
			if err != nil {
				break // the backlog is full too
			}
			conns = append(conns, conn)
		}
		enough := 40 // half of what the devices leave is kept for the database
		if door == p.TCP {
			enough = 80 // the rest is kept for the panel and the database
		}
		eventually(t, 10*time.Second, func() error {
			if n := p.descriptors(); n < enough {
				return fmt.Errorf("only %d descriptors are open: this proves nothing", n)
			}
			return nil
		})
		if n := p.descriptors(); door != p.TCP && n > 80 {
			t.Errorf("the web doors took %d descriptors", n)
		}
		if door == p.TCP {
			if r := p.ready(); !r.Ready { // on a descriptor that devices cannot take
				t.Errorf("/readyz: %+v", r)
			}
		} else {
			// Devices that knock now wait in the kernel, and are served later.
			for range 5 {
				conn, err := net.DialTimeout("tcp", p.TCP, 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
		}
		for i := range 20 {
			if a := resident.Ask(fmt.Sprintf(`{"source":"resident","severity":"error","message":"%d"}`, i)); !a.OK {
				t.Errorf("a connected device is answered %+v", a)
			}
		}
		t.Logf("%d connections to %s: %d descriptors", len(conns), door, p.descriptors())
		for _, c := range conns {
			c.Close()
		}
		serves(t, p, 20*time.Second)
	}
	resident.conn.Close()
	t.Logf("before: %v; after: %v", before, p.backTo(before, 20*time.Second))
	p.Stop(10 * time.Second)
}

// TestResources_ComingAndGoing: ten thousand connections to all doors, one
// after the other, leave nothing behind.
func TestResources_ComingAndGoing(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	serves(t, p, 5*time.Second)
	before := p.footprint()
	const count = 10_000
	start := time.Now()
	inParallel(16, count, func(i int) error {
		switch i % 10 {
		case 0, 1: // a feed
			conn, _, err := websocket.DefaultDialer.Dial([]string{"ws://" + p.Feed + "/", "ws://" + p.HTTP + "/ws?view=events"}[i%2], nil)
			if err != nil {
				return err
			}
			return conn.Close()
		case 2: // a request
			conn, err := net.DialTimeout("tcp", p.HTTP, 10*time.Second)
			if err != nil {
				return err
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", p.HTTP)
			_, _, err = readAll(conn, 20*time.Second)
			return err
		case 3: // a request that nobody waits for
			conn, err := net.DialTimeout("tcp", p.HTTP, 10*time.Second)
			if err != nil {
				return err
			}
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", p.HTTP)
			return conn.Close()
		}
		conn, err := net.DialTimeout("tcp", p.TCP, 10*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		switch i % 3 {
		case 0: // says nothing
		case 1: // half a line
			_, err = io.WriteString(conn, `{"source":"a`)
		case 2: // a line whose answer is read
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err = io.WriteString(conn, `{"source":"a","message":"m"}`+"\n"); err == nil {
				_, err = bufio.NewReader(conn).ReadString('\n')
			}
		}
		return err
	})(t)
	t.Logf("%d connections in %v", count, time.Since(start))
	t.Logf("before: %v; after: %v", before, p.backTo(before, 20*time.Second))
	growthBelow(t, p, before, 64)
	serves(t, p, 5*time.Second)
}
