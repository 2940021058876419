package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// finished is what a run of the binary left behind.
type finished struct {
	Code           int
	Stdout, Stderr string
	Took           time.Duration
}

// runBinary runs the binary to its end, which must come within 15 s.
func runBinary(t testing.TB, env []string, args ...string) finished {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(cleanEnv(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Dir = t.TempDir() // where ./data would be made
	start := time.Now()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("run %v: %v", args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v still ran after 15 s:\n%s", args, stderr.String())
	}
	return finished{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(start)}
}

// get reads a page or file of the panel's port.
func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL(path), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html, */*")
	req.Header.Set("Accept-Language", "en")
	res, err := httpClient.Do(req)
	if err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
	return res.StatusCode, string(raw)
}

// metric is the sum over all labels of a metric; -1 when there is none.
func (p *process) metric(name string) float64 {
	p.t.Helper()
	_, text := p.get("/metrics")
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value := rest[strings.LastIndexByte(rest, ' ')+1:]
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			p.t.Fatalf("metric %q: %v", line, err)
		}
		sum, found = sum+n, true
	}
	if !found {
		return -1
	}
	return sum
}

// statusKB is a line of /proc/PID/status in KiB: VmRSS, or VmHWM, its highest.
func (p *process) statusKB(name string) int64 {
	p.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				p.t.Fatalf("%s: %v", line, err)
			}
			return n
		}
	}
	p.t.Fatalf("no %s in /proc/%d/status", name, p.Pid())
	return 0
}

// descriptors counts the open files and sockets of the hub.
func (p *process) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// footprint is what must come back to where it was.
type footprint struct {
	Descriptors, Goroutines int
	RSS                     int64 // KiB
}

func (f footprint) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %.1f MiB", f.Descriptors, f.Goroutines, float64(f.RSS)/1024)
}

func (p *process) footprint() footprint {
	p.t.Helper()
	return footprint{p.descriptors(), int(p.metric("go_goroutines")), p.statusKB("VmRSS")}
}

// backTo waits until descriptors and goroutines are as before, but for a few
// that are idle by design: the readers that a rush opened (four of the
// database and two of the index, two files each), a kept runtime timer.
func (p *process) backTo(before footprint, patience time.Duration) footprint {
	p.t.Helper()
	const few = 12
	var now footprint
	eventually(p.t, patience, func() error {
		now = p.footprint()
		if now.Descriptors > before.Descriptors+few || now.Goroutines > before.Goroutines+few {
			return fmt.Errorf("%v; before: %v", now, before)
		}
		return nil
	})
	return now
}

// ready is the answer of /readyz.
type ready struct {
	Status  int    `json:"-"`
	Ready   bool   `json:"ready"`
	Storage string `json:"storage"`
	Email   string `json:"email"`
	Pauses  []struct{ Channel, Contact, Recipient, Reason string }
}

func (p *process) ready() ready {
	p.t.Helper()
	var r ready
	status := p.getJSON("/readyz", &r)
	r.Status = status
	return r
}

// stats reads /api/stats.
func (p *process) stats() statsAnswer {
	p.t.Helper()
	var s statsAnswer
	if status := p.getJSON("/api/stats", &s); status != http.StatusOK {
		p.t.Fatalf("GET /api/stats: %d", status)
	}
	return s
}

// storedEvent is an event as the API and the feed show it.
type storedEvent struct {
	ID         int64   `json:"id"`
	CreatedAt  string  `json:"created_at"`
	Source     string  `json:"source"`
	Severity   string  `json:"severity"`
	Message    string  `json:"message"`
	Channel    string  `json:"channel"`
	RawPayload *string `json:"raw_payload"`
}

// emailRow is a row of the outbox as the API shows it.
type emailRow struct {
	ID        int64  `json:"id"`
	EventID   int64  `json:"event_id"`
	Contact   string `json:"contact"`
	Channel   string `json:"channel"`
	Recipient string `json:"recipient"`
	Status    string `json:"status"`
	Detail    string `json:"detail"`
	Attempts  int    `json:"attempts"`
	MailID    int64  `json:"mail_id"` // 0 for null
}

// listing is the answer of GET /api/events.
type listing struct {
	Events    []storedEvent `json:"events"`
	EmailLogs []emailRow    `json:"email_logs"`
}

func (p *process) list(query string) listing {
	p.t.Helper()
	var l listing
	if status := p.getJSON("/api/events"+query, &l); status != http.StatusOK {
		p.t.Fatalf("GET /api/events%s: %d", query, status)
	}
	return l
}

// emails are the outbox rows of one event.
func (p *process) emails(event int64) []emailRow {
	p.t.Helper()
	var one struct {
		EmailLogs []emailRow `json:"email_logs"`
	}
	if status := p.getJSON(fmt.Sprintf("/api/events/%d", event), &one); status != http.StatusOK {
		p.t.Fatalf("GET /api/events/%d: %d", event, status)
	}
	return one.EmailLogs
}

// frame is a message of the JSON feed.
type frame struct {
	Type string          `json:"type"`
	TS   int64           `json:"ts"`
	Data json.RawMessage `json:"data"`
}

// follower reads the JSON feed.
type follower struct {
	t    testing.TB
	conn *websocket.Conn
}

// follow connects to a websocket address, which greets with a hello when it
// is the feed's.
func follow(t testing.TB, url string) *follower {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatalf("connect to %s: %v (%v)", url, err, res)
	}
	t.Cleanup(func() { conn.Close() })
	return &follower{t, conn}
}

// Next reads one message.
func (f *follower) Next() frame {
	f.t.Helper()
	_ = f.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, raw, err := f.conn.ReadMessage()
	if err != nil {
		f.t.Fatalf("read the feed: %v", err)
	}
	var m frame
	if err := json.Unmarshal(raw, &m); err != nil {
		f.t.Fatalf("feed message %q: %v", raw, err)
	}
	return m
}

// Events reads until n events came, one or many a frame.
func (f *follower) Events(n int) []storedEvent {
	f.t.Helper()
	var list []storedEvent
	for len(list) < n {
		switch m := f.Next(); m.Type {
		case "event":
			var e storedEvent
			if err := json.Unmarshal(m.Data, &e); err != nil {
				f.t.Fatalf("feed event %q: %v", m.Data, err)
			}
			list = append(list, e)
		case "events":
			var es []storedEvent
			if err := json.Unmarshal(m.Data, &es); err != nil {
				f.t.Fatalf("feed events %q: %v", m.Data, err)
			}
			list = append(list, es...)
		case "hello":
		default:
			f.t.Fatalf("feed message of type %q", m.Type)
		}
	}
	return list
}

// closeCode reads to the end of the socket and returns the code of its close.
func (f *follower) closeCode(patience time.Duration) (int, error) {
	_ = f.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := f.conn.ReadMessage(); err != nil {
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				return closed.Code, nil
			}
			return 0, err
		}
	}
}

// databaseOf is the path of a data directory's database.
func databaseOf(dir string) string { return filepath.Join(dir, "alerthub.db") }
