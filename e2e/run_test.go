package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// settings are all names that an operator can set.
var settings = []string{
	"--http-addr", "--tcp-addr", "--feed-addr", "--data-dir",
	"ALERTHUB_HTTP_ADDR", "ALERTHUB_TCP_ADDR", "ALERTHUB_FEED_ADDR", "ALERTHUB_DATA_DIR",
	"--tcp-max-connections", "--tcp-max-line", "--tcp-idle-timeout",
	"ALERTHUB_TCP_MAX_CONNECTIONS", "ALERTHUB_TCP_MAX_LINE", "ALERTHUB_TCP_IDLE_TIMEOUT",
	"SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASS", "SMTP_PASS_FILE", "SMTP_FROM", "SMTP_TO", "SMTP_TLS", "SMTP_CA_FILE",
	"--routes", "ALERTHUB_ROUTES", "--allowed-hosts", "ALERTHUB_ALLOWED_HOSTS",
	"--tls-cert", "--tls-key", "--tcp-tls-cert", "--tcp-tls-key",
	"ALERTHUB_TLS_CERT", "ALERTHUB_TLS_KEY", "ALERTHUB_TCP_TLS_CERT", "ALERTHUB_TCP_TLS_KEY",
	"--email-retry-min", "--email-retry-max", "--email-max-age",
	"ALERTHUB_EMAIL_RETRY_MIN", "ALERTHUB_EMAIL_RETRY_MAX", "ALERTHUB_EMAIL_MAX_AGE",
	"--canary", "--canary-every", "--heartbeat-every", "--heartbeat-url-file",
	"ALERTHUB_CANARY", "ALERTHUB_CANARY_EVERY", "ALERTHUB_HEARTBEAT_EVERY", "ALERTHUB_HEARTBEAT_URL", "ALERTHUB_HEARTBEAT_URL_FILE",
	"--log-level", "--log-format", "ALERTHUB_LOG_LEVEL", "ALERTHUB_LOG_FORMAT",
	"127.0.0.1:5080", "127.0.0.1:5090", "127.0.0.1:8767", "starttls",
}

func TestRun_HelpIsAManual(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}} {
		got := runBinary(t, nil, args...)
		if got.Code != 0 || got.Stderr != "" {
			t.Errorf("%v: exit %d, on standard error: %s", args, got.Code, got.Stderr)
		}
		for _, name := range settings {
			if !strings.Contains(got.Stdout, name) {
				t.Errorf("%v says nothing of %s", args, name)
			}
		}
	}
	for _, command := range []string{"serve", "routes", "canary", "send", "cert", "version"} {
		if !strings.Contains(runBinary(t, nil, "--help").Stdout, command) {
			t.Errorf("--help says nothing of the command %s", command)
		}
	}
	got := runBinary(t, nil, "send", "--help")
	for _, name := range []string{"--count", "--interval", "--addr", "--stdin", "--key", "--tls", "--tls-ca"} {
		if !strings.Contains(got.Stdout, name) {
			t.Errorf("send --help says nothing of %s", name)
		}
	}
}

func TestRun_Version(t *testing.T) {
	t.Parallel()
	got := runBinary(t, nil, "version")
	if got.Code != 0 || !regexp.MustCompile(`^alerthub \d+\.\d+\.\d+`).MatchString(got.Stdout) {
		t.Errorf("version: exit %d, %q", got.Code, got.Stdout)
	}
}

func TestRun_WrongSettingsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env, args []string
		want      []string // in the message
	}{
		"all of them by name": {
			env: []string{"SMTP_PORT=mail", "SMTP_USER=hub@example.net", "SMTP_TLS=ssl", "SMTP_TO=nobody", "ALERTHUB_TCP_ADDR=here"},
			args: []string{"--http-addr=127.0.0.1", "--feed-addr=127.0.0.1:70000", "--tcp-max-line=7", "--tcp-max-connections=many",
				"--tcp-idle-timeout=soon", "--email-retry-min=0s", "--log-level=loud", "--log-format=xml"},
			want: []string{"SMTP_PORT", "SMTP_USER", "SMTP_PASS", "SMTP_TLS", "SMTP_TO", "--tcp-addr", "--http-addr", "--feed-addr",
				"--tcp-max-line", "--tcp-max-connections", "--tcp-idle-timeout", "--email-retry-min", "--log-level", "--log-format"},
		},
		"the port of SIP": {
			args: []string{"--http-addr=127.0.0.1:5060"},
			want: []string{"--http-addr", "browsers refuse to connect to port 5060", "ERR_UNSAFE_PORT"},
		},
		"a blocked port for the feed": {
			args: []string{"--feed-addr=127.0.0.1:6667"},
			want: []string{"--feed-addr", "browsers refuse to connect to port 6667"},
		},
		"one address twice": {
			args: []string{"--http-addr=127.0.0.1:5081", "--tcp-addr=127.0.0.1:5081"},
			want: []string{"--tcp-addr", "127.0.0.1:5081 is already --http-addr"},
		},
		"a user without a password":    {env: []string{"SMTP_USER=hub@example.net"}, want: []string{"SMTP_USER", "SMTP_PASS"}},
		"a password without a user":    {env: []string{"SMTP_PASS=s3cret"}, want: []string{"SMTP_USER", "SMTP_PASS"}},
		"a word for TLS that is none":  {env: []string{"SMTP_TLS=STARTTLS"}, want: []string{"SMTP_TLS", "starttls, tls, none"}},
		"a password file that is none": {env: []string{"SMTP_USER=hub@example.net", "SMTP_PASS_FILE=/nowhere/pass"}, want: []string{"SMTP_PASS_FILE", "no such file"}},
		"a password twice": {
			env:  []string{"SMTP_USER=hub@example.net", "SMTP_PASS=s3cret", "SMTP_PASS_FILE=/dev/null"},
			want: []string{"SMTP_PASS_FILE", "SMTP_PASS is set too"},
		},
		"an unknown flag": {args: []string{"--smtp-pass=s3cret"}, want: []string{"--smtp-pass"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			got := runBinary(t, tt.env, append([]string{"serve", "--data-dir", dir}, tt.args...)...)
			if got.Code != 64 {
				t.Errorf("exit %d, want 64", got.Code)
			}
			for _, word := range tt.want {
				if !strings.Contains(got.Stderr, word) {
					t.Errorf("the message does not say %q:\n%s", word, got.Stderr)
				}
			}
			if strings.Contains(got.Stderr, "s3cret") {
				t.Errorf("the message holds the password:\n%s", got.Stderr)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the data directory was made: %v", err)
			}
		})
	}
}

func TestRun_PortZeroIsToldWhereItMatters(t *testing.T) {
	t.Parallel()
	start := time.Now()
	p := startHub(t, options{})
	// A second is promised on a quiet machine; here others work beside it.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("ready after %v", took)
	} else {
		t.Logf("ready after %v", took)
	}
	var config struct {
		HTTP int  `json:"http_port"`
		WS   int  `json:"ws_port"`
		TCP  int  `json:"tcp_port"`
		SMTP bool `json:"smtp_configured"`
	}
	if status := p.getJSON("/api/config", &config); status != http.StatusOK {
		t.Fatalf("GET /api/config: %d", status)
	}
	want := []string{p.HTTP, p.Feed, p.TCP}
	got := []string{fmt.Sprintf("127.0.0.1:%d", config.HTTP), fmt.Sprintf("127.0.0.1:%d", config.WS), fmt.Sprintf("127.0.0.1:%d", config.TCP)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bound (-log +/api/config):\n%s", diff)
	}
	if config.SMTP {
		t.Error("smtp_configured is true without any setting")
	}
}

func TestRun_TakenPortIsAClearError(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"http-addr", "tcp-addr", "feed-addr"} {
		l, err := net.Listen("tcp", fixedAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		args := []string{"serve", "--data-dir", t.TempDir(), "--http-addr=127.0.0.1:0", "--tcp-addr=127.0.0.1:0", "--feed-addr=127.0.0.1:0"}
		got := runBinary(t, nil, append(args, "--"+flag, l.Addr().String())...)
		if got.Code == 0 || got.Took > 10*time.Second {
			t.Errorf("--%s: exit %d after %v", flag, got.Code, got.Took)
		}
		line := lastLine(got.Stderr)
		if !strings.Contains(line, l.Addr().String()) || !strings.Contains(line, "address already in use") {
			t.Errorf("--%s: the last line is %q", flag, line)
		}
	}
}

func TestRun_SecondHubOfAFileLeavesTheFirstUnharmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startHub(t, options{dir: dir})
	device := dialDevice(t, first)
	if a := device.Ask(`{"source":"a","message":"before"}`); !a.OK {
		t.Fatalf("before: %+v", a)
	}
	got := runBinary(t, nil, "serve", "--data-dir", dir, "--http-addr=127.0.0.1:0", "--tcp-addr=127.0.0.1:0", "--feed-addr=127.0.0.1:0")
	if got.Code == 0 || got.Took > 10*time.Second {
		t.Errorf("the second hub: exit %d after %v", got.Code, got.Took)
	}
	if line := lastLine(got.Stderr); !strings.Contains(line, "another hub is using it") || !strings.Contains(line, "alerthub.db") {
		t.Errorf("the second hub said %q", line)
	}
	if a := device.Ask(`{"source":"a","message":"after"}`); !a.OK {
		t.Errorf("the first hub, after the second: %+v", a)
	}
	if n := first.stats().TotalEvents; n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	first.Stop(10 * time.Second)
}

func TestRun_SIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	rnd := newRand(t)
	addrs := fixedAddrs(t)
	for range 3 {
		dir := t.TempDir()
		p := startHub(t, options{dir: dir, like: addrs})
		sockets := []*follower{
			follow(t, "ws://"+p.Feed+"/?batch=1"),
			follow(t, "ws://"+p.HTTP+"/ws/events"),
			follow(t, "ws://"+p.HTTP+"/ws?view=events"),
		}
		load := startLoad(t, p, rnd, 6, 2)
		closed := make(chan error, len(sockets))
		for i, s := range sockets {
			go func() { // ends with its socket
				code, err := s.closeCode(20 * time.Second)
				if err == nil && code != websocket.CloseServiceRestart {
					err = fmt.Errorf("closed with %d, want 1012", code)
				}
				if err != nil {
					err = fmt.Errorf("socket %d: %w", i, err)
				}
				closed <- err
			}()
		}
		load.WaitAcks(1+rnd.Int64N(5000), 30*time.Second)
		took := p.Stop(10 * time.Second)
		t.Logf("stopped within %v", took)
		for range sockets {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		load.Abandon()
		if info, err := os.Stat(databaseOf(dir) + "-wal"); err == nil {
			t.Errorf("the log was not folded into the database: %d bytes", info.Size())
		}
		if v := load.Judge(dir); v.Untold > 0 {
			t.Errorf("%d events are stored whose senders were not answered", v.Untold)
		}
	}
}

// TestRun_SecondSignalEndsItAtOnce makes the first one slow with a request
// whose body never ends.
func TestRun_SecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	stall := func(p *process) {
		conn, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "POST /api/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", p.HTTP)
		// The hub says so once its handler reads the body.
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("the request does not begin: %q, %v", line, err)
		}
	}
	stopping := func(p *process) {
		if !p.log.WaitFor(5*time.Second, p.exit, func(line []byte) bool { return bytes.Contains(line, []byte(`"msg":"stopping"`)) }) {
			t.Fatalf("SIGTERM is not logged:\n%s", p.log.Tail(20))
		}
	}
	t.Run("one signal still ends it in order", func(t *testing.T) {
		t.Parallel()
		p := startHub(t, options{})
		stall(p)
		t.Logf("stopped within %v", p.Stop(10*time.Second))
	})
	t.Run("two signals at once", func(t *testing.T) {
		t.Parallel()
		p := startHub(t, options{})
		stall(p)
		p.Signal(syscall.SIGTERM)
		stopping(p)
		select {
		case <-p.exit:
			t.Fatal("the first signal was not slow: this test proves nothing")
		case <-time.After(300 * time.Millisecond):
		}
		start := time.Now()
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.exit:
			t.Logf("ended %v after the second signal: %v", time.Since(start), p.err)
		case <-time.After(2 * time.Second):
			t.Fatal("still running 2 s after the second signal")
		}
		if p.cmd.ProcessState.Success() {
			t.Error("exit code 0 after a second signal")
		}
	})
}

func TestRun_BadDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	// A real database, to damage copies of it.
	dir := t.TempDir()
	p := startHub(t, options{dir: dir})
	device := dialDevice(t, p)
	for i := range 500 {
		device.Send(fmt.Sprintf(`{"source":"a","message":"%d %s"}`, i, strings.Repeat("x", 200)))
	}
	for range 500 {
		if a := device.Answer(); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	p.Stop(10 * time.Second)
	good, err := os.ReadFile(databaseOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, content, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	execute := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db := openToWrite(t, path)
			for _, s := range statements {
				if _, err := db.Exec(s); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	garbage := make([]byte, 64<<10)
	rnd := newRand(t)
	for i := range garbage {
		garbage[i] = byte(rnd.Uint32())
	}
	tests := map[string]struct {
		make func(t *testing.T, path string)
		want string // in the one line
	}{
		"truncated":                    {write(good[:len(good)*6/10/4096*4096], 0o600), "truncated"},
		"truncated in its header":      {write(good[:57], 0o600), "truncated"},
		"empty":                        {write(nil, 0o600), "truncated"},
		"garbage":                      {write(garbage, 0o600), "not an SQLite database"},
		"text":                         {write([]byte(strings.Repeat("id,source,message\n", 100)), 0o600), "not an SQLite database"},
		"read-only":                    {write(good, 0o400), "read-only"},
		"a directory":                  {func(t *testing.T, path string) { mkdir(t, path) }, "directory"},
		"another program's database":   {execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT)", "INSERT INTO notes VALUES(1, 'mine')"), "other tables"},
		"tables of our name, not ours": {execute("CREATE TABLE events(id INTEGER PRIMARY KEY, title TEXT)", "CREATE TABLE email_alerts(id INTEGER)"), "other tables"},
		"a newer schema": {func(t *testing.T, path string) {
			write(good, 0o600)(t, path)
			execute("INSERT INTO goose_db_version(version_id, is_applied) VALUES(9999, 1)")(t, path)
		}, "newer version"},
		"locked by another process": {func(t *testing.T, path string) {
			write(good, 0o600)(t, path)
			db := openToWrite(t, path)
			if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
		}, "locked by another process"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.make(t, databaseOf(dir))
			before := contents(t, dir)
			got := runBinary(t, nil, "serve", "--data-dir", dir, "--log-format=json",
				"--http-addr=127.0.0.1:0", "--tcp-addr=127.0.0.1:0", "--feed-addr=127.0.0.1:0")
			if got.Code == 0 || got.Took > 10*time.Second {
				t.Errorf("exit %d after %v", got.Code, got.Took)
			}
			line := onlyLine(t, got.Stderr)
			if !strings.Contains(line, tt.want) || !strings.Contains(line, databaseOf(dir)) {
				t.Errorf("the line is %q, want %q and the file's name", line, tt.want)
			}
			t.Log(line)
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Errorf("the data directory changed (-before +after):\n%s", diff)
			}
		})
	}
}

// onlyLine is what a hub that did not start said to the operator: one line
// besides what it logs in order.
func onlyLine(t *testing.T, stderr string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSuffix(line, "\n"); !strings.Contains(line, `"level":"INFO"`) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "alerthub: ") {
		t.Errorf("not one line that begins with alerthub:\n%s", stderr)
	}
	return strings.Join(lines, "\n")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[len(lines)-1]
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// openToWrite opens a database file as another program would.
func openToWrite(t *testing.T, path string) *sql.DB {
	t.Helper()
	u := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// contents is the SHA-256 of each file of a directory, without the lock and
// without SQLite's shared memory, which any reader makes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
			sums[name] = "directory"
		case name == "alerthub.lock" || strings.HasSuffix(name, "-shm"):
		default:
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "-wal") && len(raw) == 0 {
				continue
			}
			sums[name] = fmt.Sprintf("%x", sha256.Sum256(raw))
		}
	}
	return sums
}

// TestRun_DatabaseOfTheFirstProgram opens what the program that this one
// replaces wrote: the same two tables, and times as Python prints them.
func TestRun_DatabaseOfTheFirstProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openToWrite(t, databaseOf(dir))
	for _, s := range []string{
		`CREATE TABLE events (
			id INTEGER PRIMARY KEY AUTOINCREMENT,
			created_at TEXT NOT NULL,
			source TEXT NOT NULL,
			severity TEXT NOT NULL,
			message TEXT NOT NULL,
			channel TEXT NOT NULL,
			raw_payload TEXT
		)`,
		`CREATE TABLE email_alerts (
			id INTEGER PRIMARY KEY AUTOINCREMENT,
			event_id INTEGER NOT NULL,
			created_at TEXT NOT NULL,
			recipient TEXT,
			status TEXT NOT NULL,
			detail TEXT,
			FOREIGN KEY(event_id) REFERENCES events(id)
		)`,
		`INSERT INTO events VALUES
			(1, '2024-03-01T10:20:30.123456+00:00', 'core-sw-1', 'critical', 'link down', 'tcp_socket', '{"source": "core-sw-1", "severity": "critical", "message": "link down"}'),
			(2, '2024-03-01T10:20:31+00:00', 'panel', 'info', 'café ☕', 'http_api', NULL),
			(5, '2024-03-01T12:20:32.000001+02:00', 'fw-1', 'warning', 'cpu 90 %', 'tcp_socket', '{}'),
			(6, '2024-03-01T10:20:33.500000', 'fw-1', 'error', 'disk', 'tcp_socket', '')`,
		`INSERT INTO email_alerts VALUES
			(1, 1, '2024-03-01T10:20:30.223456+00:00', 'ops@example.net', 'sent', 'ok'),
			(2, 6, '2024-03-01T10:20:33.600000+00:00', NULL, 'skipped', 'SMTP not configured')`,
		`DELETE FROM events WHERE id = 2 AND 0`, // nothing: the sequence stays at 6
	} {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	original, err := os.ReadFile(databaseOf(dir))
	if err != nil {
		t.Fatal(err)
	}

	p := startHub(t, options{dir: dir})
	text := func(s string) *string { return &s }
	got := p.list("")
	want := []storedEvent{
		{6, "2024-03-01T10:20:33.500000Z", "fw-1", "error", "disk", "tcp_socket", nil},
		{5, "2024-03-01T10:20:32.000001Z", "fw-1", "warning", "cpu 90 %", "tcp_socket", text("{}")},
		{2, "2024-03-01T10:20:31.000000Z", "panel", "info", "café ☕", "http_api", nil},
		{1, "2024-03-01T10:20:30.123456Z", "core-sw-1", "critical", "link down", "tcp_socket", text(`{"source": "core-sw-1", "severity": "critical", "message": "link down"}`)},
	}
	if diff := cmp.Diff(want, got.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]emailRow{
		{ID: 2, EventID: 6, Channel: "email", Status: "skipped", Detail: "SMTP not configured"},
		{ID: 1, EventID: 1, Channel: "email", Recipient: "ops@example.net", Status: "sent", Detail: "ok"},
	}, got.EmailLogs); diff != "" {
		t.Errorf("email log (-want +got):\n%s", diff)
	}
	stats := p.stats()
	if diff := cmp.Diff(statsAnswer{
		TotalEvents: 4,
		Severity:    map[string]int64{"info": 1, "warning": 1, "error": 1, "critical": 1},
		Channel:     map[string]int64{"tcp_socket": 3, "http_api": 1},
		Email:       map[string]int64{"sent": 1, "skipped": 1, "failed": 0, "pending": 0, "digested": 0, "cancelled": 0},
	}, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	if a := dialDevice(t, p).Ask(`{"source":"new","severity":"error"}`); !a.OK || a.EventID != 7 {
		t.Errorf("the next event: %+v, want id 7", a)
	}
	p.Stop(10 * time.Second)

	reopened := openDatabase(t, dir)
	checkIntegrity(t, reopened)
	backups, err := filepath.Glob(databaseOf(dir) + ".before-*")
	if err != nil || len(backups) != 1 {
		t.Fatalf("backups: %v, %v", backups, err)
	}
	kept := openToWrite(t, backups[0])
	defer kept.Close()
	var rows, pages int
	if err := kept.QueryRow("SELECT count(*), sum(created_at LIKE '2024-03-01T%') FROM events").Scan(&rows, &pages); err != nil || rows != 4 || pages != 4 {
		t.Errorf("the backup holds %d rows, %d of them as written: %v (original %d bytes)", rows, pages, err, len(original))
	}
	again := startHub(t, options{dir: dir})
	if n := again.stats().TotalEvents; n != 5 {
		t.Errorf("%d events after another start, want 5", n)
	}
}

func TestRun_SecretsStayInside(t *testing.T) {
	t.Parallel()
	secret := fmt.Sprintf("pässword-%x", rand.Uint64())
	server := newMailServer(t, false)
	server.auth = func(_, _ string) error {
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "who are you"}
	}
	server.Start()
	file := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, setting := range map[string]string{"in the environment": "SMTP_PASS=" + secret, "in a file": "SMTP_PASS_FILE=" + file} {
		t.Run(name, func(t *testing.T) {
			p := startHub(t, options{
				env:  server.Settings("ops@example.net", "SMTP_USER=hub@example.net", setting),
				args: []string{"--log-level=debug", "--email-retry-min=100ms", "--email-retry-max=200ms"},
			})
			a := dialDevice(t, p).Ask(`{"source":"core","severity":"critical","message":"down"}`)
			eventually(t, 20*time.Second, func() error {
				if rows := p.emails(a.EventID); len(rows) != 1 || rows[0].Attempts < 2 || !strings.Contains(rows[0].Detail, "535") {
					return fmt.Errorf("the login was not tried: %+v", rows)
				}
				return nil
			})
			looked := map[string]string{}
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Pid()))
			if err != nil {
				t.Fatal(err)
			}
			looked["/proc/PID/cmdline"] = string(cmdline)
			crawl(p.get, looked, "/", "/api/config", "/api/stats", "/api/events", fmt.Sprintf("/api/events/%d", a.EventID), "/readyz", "/healthz", "/metrics", "/api/openapi.yaml", "/nowhere")
			p.Stop(10 * time.Second)
			looked["the log"] = p.log.String()
			plain := "\x00hub@example.net\x00" + secret
			for where, text := range looked {
				for _, form := range []string{secret, "pässword", base64.StdEncoding.EncodeToString([]byte(plain)), base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
					if strings.Contains(text, form) {
						t.Errorf("%s holds the password", where)
					}
				}
			}
			if server.logins == 0 || len(looked) < 15 {
				t.Errorf("%d logins, looked at %d places: this proves nothing", server.logins, len(looked))
			}
			t.Logf("looked at %d places, after %d logins: %s", len(looked), server.logins, strings.Join(slices.Sorted(maps.Keys(looked)), " "))
		})
	}
}

var hrefs = regexp.MustCompile(`(?:href|src)="(/[^"]*)"`)

// crawl reads pages and what they link to on the panel's port.
func crawl(get func(path string) (status int, body string), seen map[string]string, paths ...string) {
	for len(paths) > 0 && len(seen) < 100 {
		path := strings.ReplaceAll(paths[0], "&amp;", "&")
		paths = paths[1:]
		if _, known := seen[path]; known {
			continue
		}
		_, body := get(path)
		seen[path] = body
		for _, match := range hrefs.FindAllStringSubmatch(body, -1) {
			paths = append(paths, match[1])
		}
	}
}

// readAll reads a raw HTTP answer to its end.
func readAll(conn net.Conn, patience time.Duration) (*http.Response, []byte, error) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, body, err
}
