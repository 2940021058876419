// Package e2e tests the program as its users meet it: the built binary, real
// sockets, a real database file, a real mail server, a real browser. Tests
// that need root, an hour, or a quiet machine are behind the build tags root,
// long and bench; shots takes pictures of the pages.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "alerthub-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "alerthub")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "alerthub/cmd/alerthub")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		code := m.Run()
		closeBrowser()
		if code == 0 {
			if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks")); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return code
	}())
}

// process is one run of the hub.
type process struct {
	HTTP, TCP, Feed string // host:port, as bound

	t    testing.TB
	cmd  *exec.Cmd
	log  *logBuffer
	exit chan struct{} // closed when the process has ended
	err  error         // its Wait error, after exit
}

// options of a start.
type options struct {
	dir     string   // data directory; "" for a fresh one
	args    []string // more flags of serve
	env     []string // more environment, "NAME=value"
	wrapper []string // command that runs the hub: strace, prlimit
	like    *process // listen where this one did
}

// startHub starts the binary and waits until it is ready. It is killed at the
// end of the test if it still runs.
func startHub(t testing.TB, o options) *process {
	t.Helper()
	p := launch(t, o)
	p.waitReady(20 * time.Second)
	return p
}

// launch starts the binary without waiting.
func launch(t testing.TB, o options) *process {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	httpAddr, tcpAddr, feedAddr := "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if o.like != nil {
		httpAddr, tcpAddr, feedAddr = o.like.HTTP, o.like.TCP, o.like.Feed
	}
	args := append(append([]string{}, o.wrapper...), binary, "serve", "--log-format=json", "--data-dir", o.dir,
		"--http-addr", httpAddr, "--tcp-addr", tcpAddr, "--feed-addr", feedAddr)
	args = append(args, o.args...)
	p := &process{t: t, log: newLogBuffer(), exit: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(append(cleanEnv(), "TZ=UTC"), o.env...)
	p.cmd.Stderr = p.log
	p.cmd.Stdout = p.log
	// Its own process group: a wrapper's signals reach the hub too.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %v: %v", args, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exit)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of the hub on %s:\n%s", p.HTTP, p.log.Tail(60))
		}
	})
	return p
}

// cleanEnv is the environment without settings of a hub.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ALERTHUB_") && !strings.HasPrefix(e, "SMTP_") {
			env = append(env, e)
		}
	}
	return env
}

// waitReady waits for the log line that names the bound addresses.
func (p *process) waitReady(patience time.Duration) {
	p.t.Helper()
	var ready struct{ Msg, HTTP, TCP, Feed string }
	found := p.log.WaitFor(patience, p.exit, func(line []byte) bool {
		return json.Unmarshal(line, &ready) == nil && ready.Msg == "ready"
	})
	if !found {
		p.t.Fatalf("the hub is not ready after %v:\n%s", patience, p.log.Tail(60))
	}
	p.HTTP, p.TCP, p.Feed = ready.HTTP, ready.TCP, ready.Feed
}

// URL is an address on the panel's port.
func (p *process) URL(path string) string { return "http://" + p.HTTP + path }

// Pid is the process id of the hub (or of its wrapper).
func (p *process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the hub's process group.
func (p *process) Signal(s syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may have ended already
}

// Kill ends the hub with SIGKILL and waits for its end.
func (p *process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exit
}

// Stop ends the hub with SIGTERM and returns how long that took; it fails the
// test unless the exit code is 0 within patience.
func (p *process) Stop(patience time.Duration) time.Duration {
	p.t.Helper()
	start := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exit:
	case <-time.After(patience):
		p.t.Fatalf("the hub still runs %v after SIGTERM:\n%s", patience, p.log.Tail(60))
	}
	if p.err != nil {
		p.t.Fatalf("the hub ended with %v:\n%s", p.err, p.log.Tail(60))
	}
	return time.Since(start)
}

// getJSON decodes the answer of GET path and returns the status.
func (p *process) getJSON(path string, into any) int {
	p.t.Helper()
	return p.request(http.MethodGet, path, "", nil, into)
}

// postJSON posts body and decodes the answer.
func (p *process) postJSON(path string, body string, into any) int {
	p.t.Helper()
	return p.request(http.MethodPost, path, "application/json", strings.NewReader(body), into)
}

func (p *process) request(method, path, contentType string, body io.Reader, into any) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.URL(path), body)
	if err != nil {
		p.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return res.StatusCode
}

// httpClient keeps no idle connection, so that none outlives its hub.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// answer is a line that TCP ingest answers.
type answer struct {
	OK        bool     `json:"ok"`
	EventID   int64    `json:"event_id"`
	Duplicate bool     `json:"duplicate"`
	Truncated []string `json:"truncated"`
	Error     string   `json:"error"`
	Field     string   `json:"field"`
	RetryMS   int64    `json:"retry_ms"`
}

// device is a TCP connection of a device.
type device struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// dialDevice connects to the TCP ingest; the connection ends with the test.
func dialDevice(t testing.TB, p *process) *device {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.TCP, 5*time.Second)
	if err != nil {
		t.Fatalf("connect to the TCP ingest: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &device{t: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

// Send writes lines without waiting for their answers.
func (d *device) Send(lines ...string) {
	d.t.Helper()
	if _, err := io.WriteString(d.conn, strings.Join(lines, "\n")+"\n"); err != nil {
		d.t.Fatalf("send: %v", err)
	}
}

// Answer reads one answer.
func (d *device) Answer() answer {
	d.t.Helper()
	_ = d.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := d.in.ReadBytes('\n')
	if err != nil {
		d.t.Fatalf("read an answer: %v (got %q)", err, line)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		d.t.Fatalf("answer %q: %v", line, err)
	}
	return a
}

// Ask sends one line and reads its answer.
func (d *device) Ask(line string) answer {
	d.t.Helper()
	d.Send(line)
	return d.Answer()
}

// eventually polls until check returns nil, or fails the test with its last
// error.
func eventually(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still so after %v: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond) // a poll with a deadline, not a hope
	}
}

// logBuffer keeps what a process wrote and lets tests wait for a line of it.
type logBuffer struct {
	mu    sync.Mutex
	lines [][]byte
	rest  []byte
	more  chan struct{} // closed and replaced at each write
}

func newLogBuffer() *logBuffer { return &logBuffer{more: make(chan struct{})} }

// Write takes the process's output.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest = append(b.rest, p...)
	for {
		line, rest, found := bytes.Cut(b.rest, []byte("\n"))
		if !found {
			break
		}
		b.lines = append(b.lines, bytes.Clone(line))
		b.rest = rest
	}
	close(b.more)
	b.more = make(chan struct{})
	return len(p), nil
}

// WaitFor waits until a line satisfies match; false when the patience or the
// process ends first.
func (b *logBuffer) WaitFor(patience time.Duration, exit <-chan struct{}, match func(line []byte) bool) bool {
	timeout := time.After(patience)
	for seen := 0; ; {
		b.mu.Lock()
		lines, more := b.lines[seen:], b.more
		seen = len(b.lines)
		b.mu.Unlock()
		for _, line := range lines {
			if match(line) {
				return true
			}
		}
		if len(lines) > 0 {
			continue
		}
		select {
		case <-more:
		case <-exit:
			return false
		case <-timeout:
			return false
		}
	}
}

// String is everything written so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.Join(append(b.lines[:len(b.lines):len(b.lines)], b.rest), []byte("\n")))
}

// Tail is the last n lines.
func (b *logBuffer) Tail(n int) string {
	lines := strings.Split(b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
