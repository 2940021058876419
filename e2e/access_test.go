package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// makeKey makes a key by the command, beside the hub of a data directory or
// while there is none.
func makeKey(t *testing.T, dir, name string, args ...string) (secret string) {
	t.Helper()
	got := runBinary(t, nil, append([]string{"key", "add", "--data-dir", dir, name}, args...)...)
	secret = strings.TrimSpace(got.Stdout)
	if got.Code != 0 || len(secret) != 47 || strings.Contains(got.Stderr, secret) {
		t.Fatalf("key add %s: exit %d, %s%s", name, got.Code, got.Stdout, got.Stderr)
	}
	return secret
}

func revokeKey(t *testing.T, dir, name string) {
	t.Helper()
	if got := runBinary(t, nil, "key", "revoke", "--data-dir", dir, name); got.Code != 0 {
		t.Fatalf("key revoke %s: exit %d, %s", name, got.Code, got.Stderr)
	}
}

func (d *device) show(secret string) answer {
	d.t.Helper()
	return d.Ask(fmt.Sprintf(`{"token":%q}`, secret))
}

// bearer asks as who holds a key or token, and returns the status.
func (p *process) bearer(token, method, path string, into any) int {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.URL(path), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := httpClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return res.StatusCode
}

// ends reports how long it takes until the hub closes the connection.
func (d *device) ends() (time.Duration, error) {
	start := time.Now()
	_ = d.conn.SetReadDeadline(start.Add(20 * time.Second))
	if line, err := d.in.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("still open: %q", line)
	}
	return time.Since(start), nil
}

// TestAccess_Keys: a key opens the TCP port, binds to its sources, and ends on
// open connections; nobody else is touched by it, and no secret is left anywhere.
func TestAccess_Keys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, args: []string{"--log-level", "debug"}})
	anonymous := dialDevice(t, p)
	if got := anonymous.Ask(`{"source":"sw-1"}`); got.EventID != 1 {
		t.Fatalf("an anonymous device on this machine: %+v", got)
	}
	ups := makeKey(t, dir, "ups", "--source", "ups-*")
	other := makeKey(t, dir, "other")

	speaking, idle, kept := dialDevice(t, p), dialDevice(t, p), dialDevice(t, p)
	for d, k := range map[*device]string{speaking: ups, idle: ups, kept: other} {
		if got := d.show(k); !got.OK || got.EventID != 0 {
			t.Fatalf("a good token: %+v", got)
		}
	}
	if got := speaking.Ask(`{"source":"ups-1"}`); got.EventID != 2 {
		t.Errorf("its source: %+v", got)
	}
	if got := speaking.Ask(`{"source":"sw-1"}`); got.Error != "unauthorized" {
		t.Errorf("another's source: %+v", got)
	}
	wrong := dialDevice(t, p)
	if got := wrong.Ask(`{"token":"` + another(ups) + `"}`); got.Error != "unauthorized" {
		t.Errorf("a wrong token: %+v", got)
	}
	if got := dialDevice(t, p).Ask(`{"message":"m","token":"` + ups + `"}`); got.Field != "token" {
		t.Errorf("a key in an event: %+v", got)
	}
	if got := runBinary(t, []string{"ALERTHUB_TOKEN=" + other}, "send", "--addr", p.TCP, "--count=2", "--interval=1ms"); got.Code != 0 {
		t.Errorf("send: %s%s", got.Stdout, got.Stderr)
	}

	var jwt struct{ Token string }
	if status := p.bearer(ups, http.MethodPost, "/api/token", &jwt); status != http.StatusOK {
		t.Fatalf("a token: %d", status)
	}
	short := dialDevice(t, p)
	if got := short.show(jwt.Token); !got.OK {
		t.Errorf("a token: %+v", got)
	}
	if got := short.Ask(`{"source":"sw-1"}`); got.Error != "unauthorized" {
		t.Errorf("another's source, by a token: %+v", got)
	}

	revokeKey(t, dir, "ups")
	if got := speaking.Ask(`{"source":"ups-1"}`); got.Error != "unauthorized" {
		t.Errorf("after the revocation: %+v", got)
	}
	for name, d := range map[string]*device{"that spoke": speaking, "that was idle": idle, "with a token": short} {
		if took, err := d.ends(); err != nil || took > 5*time.Second {
			t.Errorf("the connection %s: closed after %v, %v", name, took, err)
		}
	}
	if got := dialDevice(t, p).show(ups); got.Error != "unauthorized" {
		t.Errorf("a revoked token: %+v", got)
	}
	if got := kept.Ask(`{"source":"sw-1"}`); !got.OK {
		t.Errorf("the other key: %+v", got)
	}
	// A key changes nothing for who has none.
	for name, d := range map[string]*device{"that was there": anonymous, "that is new": dialDevice(t, p)} {
		if got := d.Ask(`{"source":"sw-1"}`); !got.OK {
			t.Errorf("an anonymous device %s: %+v", name, got)
		}
	}
	senders := func() string {
		t.Helper()
		got := runBinary(t, nil, "senders", "--data-dir", dir, "--anonymous", "10.0.0.0/8")
		if got.Code != 0 {
			t.Errorf("senders: exit %d, %s", got.Code, got.Stderr)
		}
		return got.Stdout
	}
	list := senders()
	if fields := strings.Fields(strings.Split(list, "\n")[1]); fields[0] != "127.0.0.1" || fields[1] != "sw-1" || fields[2] != "3" || !strings.HasSuffix(list, "1 senders without a key, 1 of them refused by 10.0.0.0/8\n") {
		t.Errorf("senders:\n%s", list)
	}
	admin := makeKey(t, dir, "admin", "--scope", "admin")

	p.Stop(10 * time.Second)
	again := startHub(t, options{dir: dir, like: p, args: []string{"--anonymous", "none", "--canary", "SMTP_TO"}, env: []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=1", "SMTP_TLS=none", "SMTP_FROM=hub@example.net", "SMTP_TO=noc@example.net"}})
	if got := senders(); got != list {
		t.Errorf("senders after a restart:\n%s\nbefore:\n%s", got, list)
	}
	var keys struct {
		Keys []struct {
			LastUsedAt *string `json:"last_used_at"`
		}
	}
	if status := again.bearer(admin, http.MethodGet, "/api/keys", &keys); status != http.StatusOK || len(keys.Keys) != 3 || keys.Keys[1].LastUsedAt == nil || keys.Keys[2].LastUsedAt == nil {
		t.Errorf("keys after a restart: %d %+v", status, keys)
	}
	if status := again.bearer(jwt.Token, http.MethodGet, "/api/events", nil); status != http.StatusUnauthorized {
		t.Errorf("a token of before: %d", status)
	}
	if got := dialDevice(t, again).Ask(`{"source":"sw-1"}`); got.Error != "unauthorized" {
		t.Errorf("an anonymous device where there may be none: %+v", got)
	}
	d := dialDevice(t, again)
	if d.show(other); !d.Ask("{}").OK {
		t.Error("the other key opens nothing after a restart")
	}
	// The hub knows itself.
	again.postJSON("/api/canary", "", nil)
	eventually(t, 20*time.Second, func() error {
		var state struct {
			Last struct {
				Stage   string
				EventID *int64 `json:"event_id"`
			}
		}
		if again.getJSON("/api/canary", &state); state.Last.EventID == nil {
			return fmt.Errorf("the canary is at %+v", state.Last)
		}
		return nil
	})
	again.Stop(10 * time.Second)

	// Nothing that opens anything is left anywhere.
	texts := map[string]string{"the first log": p.log.String(), "the second log": again.log.String()}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(content)
	}
	for name, text := range texts {
		for _, secret := range []string{ups[8:], other[8:], admin[8:], strings.Split(jwt.Token, ".")[2]} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %s", name)
			}
		}
	}
}

// another changes the last character of a secret.
func another(secret string) string {
	last := "A"
	if strings.HasSuffix(secret, last) {
		last = "B"
	}
	return secret[:len(secret)-1] + last
}

// TestAccess_OpenListener: a TCP port that others reach needs a key or a word.
func TestAccess_OpenListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(args ...string) []string { return append([]string{"--tcp-addr", "0.0.0.0:0"}, args...) }
	refused := func(what string, args ...string) {
		t.Helper()
		got := runBinary(t, nil, append([]string{"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--feed-addr", "127.0.0.1:0"}, args...)...)
		if got.Code != 64 || !strings.Contains(got.Stderr, "alerthub key add --data-dir "+dir) || !strings.Contains(got.Stderr, "alerthub serve --anonymous 192.0.2.0/24") {
			t.Errorf("%s: exit %d, %s", what, got.Code, got.Stderr)
		}
	}
	refused("without anything", open()...)
	startHub(t, options{dir: dir, args: open("--anonymous", "none")}).Stop(10 * time.Second)
	startHub(t, options{dir: dir, args: open("--insecure-open")}).Stop(10 * time.Second)
	makeKey(t, dir, "reader", "--scope", "read")
	refused("with a key to read", open()...)
	makeKey(t, dir, "devices", "--scope", "ingest")
	p := startHub(t, options{dir: dir, args: open()})
	revokeKey(t, dir, "devices")
	p.Stop(10 * time.Second)
	refused("with a revoked key", open()...)
}

// TestAccess_ClientCertificates: a device that shows a certificate needs no
// key, and speaks as nobody else; new authorities are taken while it runs.
func TestAccess_ClientCertificates(t *testing.T) {
	t.Parallel()
	l := makeLab(t)
	for _, name := range []string{"ups-1", "core.rtr_2"} {
		if got := runBinary(t, nil, "cert", "--dir", l.dir, "--client", name); got.Code != 0 || !strings.Contains(got.Stdout, "--tcp-client-ca "+l.file("ca.pem")) {
			t.Fatalf("cert: exit %d, %s%s", got.Code, got.Stdout, got.Stderr)
		}
	}
	if got := runBinary(t, nil, "cert", "--dir", l.dir, "--client", "../ups"); got.Code != 64 {
		t.Errorf("a name that is none: exit %d, %s", got.Code, got.Stderr)
	}
	p := startHub(t, options{args: []string{
		"--tcp-addr", "0.0.0.0:0", "--tcp-tls-cert", l.file("cert.pem"), "--tcp-tls-key", l.file("key.pem"), "--tcp-client-ca", l.file("ca.pem"), "--anonymous", "none",
	}})
	_, port, _ := strings.Cut(p.TCP, "]:")
	if port == "" {
		_, port, _ = strings.Cut(p.TCP, ":")
	}
	send := func(device, lines string) finished {
		args := []string{"send", "--stdin", "--addr", "127.0.0.1:" + port, "--tls-ca", l.file("ca.pem")}
		if device != "" {
			args = append(args, "--client-cert", l.file("client-"+device+".pem"), "--client-key", l.file("client-"+device+"-key.pem"))
		}
		return runBinaryWith(t, lines, args...)
	}
	if got := send("ups-1", `{"message":"m"}`+"\n"+`{"source":"ups-1"}`+"\n"); got.Code != 0 {
		t.Errorf("as itself: %s%s", got.Stdout, got.Stderr)
	}
	if got := send("core.rtr_2", `{"source":"ups-1"}`); got.Code != 1 || !strings.Contains(got.Stderr, "unauthorized") {
		t.Errorf("as another one: exit %d, %s%s", got.Code, got.Stdout, got.Stderr)
	}
	if got := send("", `{}`); got.Code != 1 || !strings.Contains(got.Stderr, "unauthorized") {
		t.Errorf("without a certificate: exit %d, %s%s", got.Code, got.Stdout, got.Stderr)
	}
	var page struct {
		Events []struct{ Source string } `json:"events"`
	}
	if p.getJSON("/api/events", &page); len(page.Events) != 2 || page.Events[0].Source != "ups-1" || page.Events[1].Source != "ups-1" {
		t.Errorf("stored %+v", page.Events)
	}
	p.Stop(10 * time.Second)
}

// runBinaryWith is runBinary with standard input.
func runBinaryWith(t *testing.T, stdin string, args ...string) finished {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = cleanEnv(), strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return finished{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}
