package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/tcpingest"
)

// memoryHub stores what it is sent, once for each source and key.
type memoryHub struct {
	refuse atomic.Int64 // so many groups are refused as storage_unavailable first

	mu     sync.Mutex
	drafts []models.Draft
	keys   map[string]int64
}

func (h *memoryHub) Submit(_ context.Context, drafts []models.Draft) (func(context.Context) ([]models.Receipt, error), error) {
	if h.refuse.Add(-1) >= 0 {
		return nil, models.ErrUnavailable
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		h.keys = make(map[string]int64)
	}
	receipts := make([]models.Receipt, len(drafts))
	for i, d := range drafts {
		key := d.Source + "\n" + d.Key
		id, known := h.keys[key]
		if d.Key == "" || !known {
			h.drafts = append(h.drafts, d)
			id = int64(len(h.drafts))
			h.keys[key] = id
		}
		receipts[i] = models.Receipt{Event: models.Event{ID: id}, Duplicate: d.Key != "" && known}
	}
	return func(context.Context) ([]models.Receipt, error) { return receipts, nil }, nil
}

// messages are those that are stored, in order.
func (h *memoryHub) messages() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, d := range h.drafts {
		out = append(out, d.Message)
	}
	return out
}

// droppingListener breaks its first few connections at their third write:
// what was stored by then is never acknowledged.
type droppingListener struct {
	net.Listener
	drops atomic.Int64
}

type droppingConn struct {
	net.Conn
	writes int
}

func (l *droppingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.drops.Add(-1) >= 0 {
		c = &droppingConn{Conn: c}
	}
	return c, err
}

func (c *droppingConn) Write(p []byte) (int, error) {
	if c.writes++; c.writes >= 3 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// doorkeeper takes events without a key unless it has one.
type doorkeeper struct{ key string }

func (d doorkeeper) Anonymous(address string) models.Actor {
	return models.Actor{Kind: models.ActorNobody, Address: address, Ingest: d.key == ""}
}

func (d doorkeeper) Bearer(_ context.Context, token, _ string) (models.Actor, error) {
	if token != d.key {
		return models.Actor{}, models.ErrUnauthorized
	}
	return models.Actor{Kind: models.ActorHub}, nil
}

func (doorkeeper) Valid(models.Actor) bool           { return true }
func (doorkeeper) AnonymousSent(string, string, int) {}

// startHub serves svc on loopback, breaking the first drops connections.
func startHub(t *testing.T, svc tcpingest.Service, cfg tcpingest.Config, drops int64) (server *tcpingest.Server, addr string) {
	t.Helper()
	others := goleak.IgnoreCurrent()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dropping := &droppingListener{Listener: ln}
	dropping.drops.Store(drops)
	if cfg.Access == nil {
		cfg.Access = doorkeeper{}
	}
	server = tcpingest.New(svc, cfg)
	served := make(chan error, 1)
	go func() { served <- server.Serve(dropping) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, others)
	})
	return server, ln.Addr().String()
}

// sendLines runs the command on lines from a pipe.
func sendLines(t *testing.T, c sendCmd, lines string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out, log bytes.Buffer
	c.Stdin = true
	err = c.run(ctx, strings.NewReader(lines), &out, &log)
	return out.String(), log.String(), err
}

// numbered makes n lines whose messages are numbers.
func numbered(n int) (lines string, messages []string) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"source\":\"sensor-a\",\"message\":\"%d\"}\n", i)
		messages = append(messages, fmt.Sprint(i))
	}
	return b.String(), messages
}

func TestSend_PrintsEventsAndAnswers(t *testing.T) {
	hub := &memoryHub{}
	_, addr := startHub(t, hub, tcpingest.Config{}, 0)
	var out, log bytes.Buffer
	c := sendCmd{Addr: addr, Count: 12, Interval: time.Millisecond, Key: true, RetryFor: time.Second}
	if err := c.run(context.Background(), nil, &out, &log); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	messages := hub.messages()
	if len(lines) != 12 || len(messages) != 12 {
		t.Fatalf("%d lines printed, %d events stored:\n%s", len(lines), len(messages), out.String())
	}
	for i, line := range lines {
		if !strings.Contains(line, messages[i]) || !strings.HasSuffix(line, fmt.Sprintf(`->  {"ok":true,"event_id":%d}`, i+1)) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
	if log.Len() > 0 {
		t.Errorf("standard error: %s", log.String())
	}
}

func TestSend_RefusedLinesAreToldAndFail(t *testing.T) {
	hub := &memoryHub{}
	_, addr := startHub(t, hub, tcpingest.Config{}, 0)
	out, log, err := sendLines(t, sendCmd{Addr: addr}, "\uFEFF{\"message\":\"one\"}\r\n\n  \nnonsense\n{\"severity\":[]}\n{\"message\":\"two\"}")
	if err == nil || err.Error() != "2 of 4 events refused" {
		t.Errorf("error %v", err)
	}
	want := "line 4 refused: {\"ok\":false,\"error\":\"invalid_json\"} \"nonsense\"\n" +
		"line 5 refused: {\"ok\":false,\"error\":\"invalid_event\",\"field\":\"severity\"} \"{\\\"severity\\\":[]}\"\n"
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("standard error (-want +got):\n%s", diff)
	}
	if out != "2 stored, 2 refused, 0 unknown\n" {
		t.Errorf("standard output %q", out)
	}
	if diff := cmp.Diff([]string{"one", "two"}, hub.messages()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestSend_PipelinesLines(t *testing.T) {
	hub := &memoryHub{}
	_, addr := startHub(t, hub, tcpingest.Config{}, 0)
	lines, want := numbered(20_000)
	if _, log, err := sendLines(t, sendCmd{Addr: addr}, lines); err != nil || log != "" {
		t.Fatalf("%v\n%s", err, log)
	}
	if diff := cmp.Diff(want, hub.messages()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestSend_KeysLoseAndDoubleNothing(t *testing.T) {
	hub := &memoryHub{}
	server, addr := startHub(t, hub, tcpingest.Config{}, 5)
	lines, want := numbered(5000)
	out, log, err := sendLines(t, sendCmd{Addr: addr, Key: true, RetryFor: 10 * time.Second}, lines)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if out != "5000 stored, 0 refused, 0 unknown\n" {
		t.Errorf("standard output %q", out)
	}
	if diff := cmp.Diff(want, hub.messages()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	stats := server.Stats()
	if stats.Accepted != 6 || stats.Lines <= int64(len(want)) {
		t.Errorf("%d connections and %d lines: nothing was sent again", stats.Accepted, stats.Lines)
	}
	t.Logf("%d lines for %d events over %d connections", stats.Lines, len(want), stats.Accepted)
}

func TestSend_WithoutKeysALostConnectionFails(t *testing.T) {
	_, addr := startHub(t, &memoryHub{}, tcpingest.Config{}, 1)
	lines, _ := numbered(5000)
	_, _, err := sendLines(t, sendCmd{Addr: addr}, lines)
	if err == nil || !strings.Contains(err.Error(), "events sent and not acknowledged") {
		t.Errorf("error %v", err)
	}
}

func TestSend_KeysOutlastAFailingDisk(t *testing.T) {
	hub := &memoryHub{}
	hub.refuse.Store(3)
	_, addr := startHub(t, hub, tcpingest.Config{}, 0)
	lines, want := numbered(100)
	if _, log, err := sendLines(t, sendCmd{Addr: addr, Key: true, RetryFor: 10 * time.Second}, lines); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if got := hub.messages(); len(got) != len(want) {
		t.Errorf("%d events stored, want %d", len(got), len(want))
	}
}

func TestSend_GivesUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, log, err := sendLines(t, sendCmd{Addr: ln.Addr().String(), Key: true, RetryFor: 150 * time.Millisecond}, "{}\n")
	if err == nil || !strings.Contains(err.Error(), "1 events sent and not acknowledged") || !strings.Contains(log, "trying again") {
		t.Errorf("error %v\n%s", err, log)
	}
}

func TestSend_TooManyConnections(t *testing.T) {
	server, addr := startHub(t, &memoryHub{}, tcpingest.Config{MaxConnections: 1}, 0)
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	waitUntil(t, func() bool { return server.Stats().Connections == 1 })
	if _, _, err := sendLines(t, sendCmd{Addr: addr}, "{}\n"); err == nil || !strings.Contains(err.Error(), "too_many_connections") {
		t.Errorf("error %v", err)
	}
}

func TestSend_ReconnectsWhenTheHubClosedASilentConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan error, 1)
	go func() {
		c := sendCmd{Addr: ln.Addr().String(), Stdin: true}
		done <- c.run(context.Background(), r, io.Discard, io.Discard)
	}()
	for i := range 3 {
		fmt.Fprintf(w, "{\"message\":\"%d\"}\n", i)
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		lines := bufio.NewReader(conn)
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("{\"message\":\"%d\"}\n", i) {
			t.Fatalf("line %q, %v", line, err)
		}
		fmt.Fprintf(conn, "{\"ok\":true,\"event_id\":%d}\n", i+1)
		conn.(*net.TCPConn).CloseWrite()
		if _, err := lines.ReadByte(); err != io.EOF {
			t.Fatalf("the client keeps the closed connection: %v", err)
		}
		conn.Close()
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSend_Interrupted(t *testing.T) {
	_, addr := startHub(t, &memoryHub{}, tcpingest.Config{}, 0)
	ctx, cancel := context.WithCancel(context.Background())
	out := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	c := sendCmd{Addr: addr, Interval: time.Hour}
	if err := c.run(ctx, nil, out, io.Discard); err == nil || !strings.Contains(err.Error(), "interrupted: 0 events") {
		t.Errorf("error %v", err)
	}
}

func TestSend_UnreadableInput(t *testing.T) {
	hub := &memoryHub{}
	_, addr := startHub(t, hub, tcpingest.Config{}, 0)
	broken := errors.New("broken pipe")
	c := sendCmd{Addr: addr, Stdin: true}
	err := c.run(context.Background(), io.MultiReader(strings.NewReader("{}\n"), iotest.ErrReader(broken)), io.Discard, io.Discard)
	if !errors.Is(err, broken) || len(hub.messages()) != 1 {
		t.Errorf("error %v, %d events stored", err, len(hub.messages()))
	}
}

func TestSend_PortOfSomethingElse(t *testing.T) {
	web := httptest.NewServer(nil)
	defer web.Close()
	if _, _, err := sendLines(t, sendCmd{Addr: web.Listener.Addr().String()}, "{}\n"); err == nil || !strings.Contains(err.Error(), "no TCP port of a hub") {
		t.Errorf("error %v", err)
	}
}

func TestSend_Validate(t *testing.T) {
	for _, c := range []sendCmd{{Addr: "hub"}, {Addr: "hub:5090", Count: -1}, {Addr: "hub:5090", Interval: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
	if err := (&sendCmd{Addr: "hub:5090"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestWithKey(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                            `{"key":"k-1"}`,
		` { "message" : "m" }`:          ` {"key":"k-1", "message" : "m" }`,
		`{"key":null,"message":"m"}`:    `{"key":"k-1","message":"m"}`,
		`{"message":"m","key" : "" }`:   `{"message":"m","key" : "k-1" }`,
		`{"message":"m","key":"mine"}`:  `{"message":"m","key":"mine"}`,
		`{"x":{"key":"inner"}}`:         `{"key":"k-1","x":{"key":"inner"}}`,
		`{"message":"m"`:                `{"message":"m"`,
		`{"message":"m","message":"n"}`: `{"message":"m","message":"n"}`,
		`[{}]`:                          `[{}]`,
		`nonsense`:                      `nonsense`,
	} {
		if got := string(withKey([]byte(in), "k-1")); got != want {
			t.Errorf("withKey(%s) = %s, want %s", in, got, want)
		}
		if got := string(withKey([]byte(in), "")); got != in {
			t.Errorf("withKey(%s) without a key = %s", in, got)
		}
		if json.Valid([]byte(in)) && !json.Valid(withKey([]byte(in), "k-1")) {
			t.Errorf("withKey(%s) is not JSON", in)
		}
	}
}

func TestRandomEvent_Weights(t *testing.T) {
	const n = 100_000
	random := rand.New(rand.NewPCG(1, 0))
	counts := make(map[models.Severity]int)
	for range n {
		severity, source, text := randomEvent(random)
		counts[severity]++
		if utf8.RuneCountInString(source) > models.MaxSource || utf8.RuneCountInString(text) > models.MaxMessage {
			t.Fatalf("%q or %q is too long", source, text)
		}
	}
	for severity, percent := range map[models.Severity]int{"info": 50, "warning": 28, "error": 16, "critical": 6} {
		if got, want := counts[severity], n*percent/100; got < want-n/100 || got > want+n/100 {
			t.Errorf("%d %s of %d, want about %d", got, severity, n, want)
		}
	}
}

func TestSend_SeedRepeatsEvents(t *testing.T) {
	events := func(seed uint64) (labels []string) {
		c := sendCmd{Count: 20, Seed: seed}
		for m := range c.randomEvents(context.Background(), func() string { return "" }) {
			labels = append(labels, m.label)
		}
		return labels
	}
	if diff := cmp.Diff(events(7), events(7)); diff != "" {
		t.Errorf("the same seed made other events:\n%s", diff)
	}
	if cmp.Equal(events(7), events(8)) || cmp.Equal(events(0), events(0)) {
		t.Error("other seeds made the same events")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// waitUntil polls for what another goroutine brings about.
func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}

// TestSend_RateLimited: what is too much is sent again once the hub takes
// more, with keys or without, and nothing is lost or doubled.
func TestSend_RateLimited(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		var asked atomic.Int64
		limit := func(models.Draft) error {
			if n := asked.Add(1); n > 100 && n%3 != 0 {
				return &models.RateLimited{Wait: time.Millisecond}
			}
			return nil
		}
		hub := &memoryHub{}
		_, addr := startHub(t, hub, tcpingest.Config{Limit: limit}, 0)
		lines, want := numbered(500)
		out, log, err := sendLines(t, sendCmd{Addr: addr, Key: keyed, RetryFor: time.Second}, lines)
		if err != nil || log != "" || out != "500 stored, 0 refused, 0 unknown\n" {
			t.Fatalf("keyed %v: %v\n%s%s", keyed, err, out, log)
		}
		// What was refused comes after what was behind it.
		stored := slices.Sorted(slices.Values(hub.messages()))
		slices.Sort(want)
		if diff := cmp.Diff(want, stored); diff != "" {
			t.Errorf("keyed %v: stored (-want +got):\n%s", keyed, diff)
		}
	}
}

func TestSend_ShowsItsToken(t *testing.T) {
	hub := &memoryHub{}
	server, addr := startHub(t, hub, tcpingest.Config{Access: doorkeeper{"nah_secret"}}, 3)
	lines, want := numbered(2000)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("nah_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, log, err := sendLines(t, sendCmd{Addr: addr, Key: true, RetryFor: 10 * time.Second, tokenFrom: tokenFrom{TokenFile: file}}, lines)
	if diff := cmp.Diff(want, hub.messages()); diff != "" || err != nil || server.Stats().Accepted != 4 {
		t.Errorf("%s%s%v over %d connections\n%s", out, log, err, server.Stats().Accepted, diff)
	}
	if _, log, err := sendLines(t, sendCmd{Addr: addr}, lines); err == nil || !strings.Contains(log, `line 1 refused: {"ok":false,"error":"unauthorized"}`) {
		t.Errorf("without a token: %.200s%v", log, err)
	}
	t.Setenv("ALERTHUB_TOKEN", "nah_other")
	for _, key := range []bool{false, true} {
		if _, log, err := sendLines(t, sendCmd{Addr: addr, Key: key, RetryFor: time.Hour}, lines); !errors.Is(err, errToken) || strings.Contains(log+err.Error(), "nah_") {
			t.Errorf("with a wrong token: %s%v", log, err)
		}
	}
	if _, _, err := sendLines(t, sendCmd{Addr: addr, tokenFrom: tokenFrom{TokenFile: file}}, lines); err == nil || !strings.Contains(err.Error(), "give one of them") {
		t.Errorf("two tokens: %v", err)
	}
	if got := len(hub.messages()); got != len(want) {
		t.Errorf("%d events stored, want %d", got, len(want))
	}
}
