package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// madeKey is the answer to a new key.
type madeKey struct {
	ID         int64   `json:"id"`
	Secret     string  `json:"key"`
	LastUsedAt *string `json:"last_used_at"`
}

func makeKey(t *testing.T, p *process, body string) madeKey {
	t.Helper()
	var k madeKey
	if status := p.postJSON("/api/keys", body, &k); status != http.StatusCreated || len(k.Secret) != 47 {
		t.Fatalf("POST /api/keys: %d %+v", status, k)
	}
	return k
}

func (d *device) show(k madeKey) answer {
	d.t.Helper()
	return d.Ask(fmt.Sprintf(`{"token":%q}`, k.Secret))
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
	ups := makeKey(t, p, `{"name":"ups","scopes":["ingest"],"sources":["ups-*"]}`)
	other := makeKey(t, p, `{"name":"other","scopes":["ingest"]}`)

	speaking, idle, kept := dialDevice(t, p), dialDevice(t, p), dialDevice(t, p)
	for d, k := range map[*device]madeKey{speaking: ups, idle: ups, kept: other} {
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
	if got := wrong.Ask(`{"token":"` + another(ups.Secret) + `"}`); got.Error != "unauthorized" {
		t.Errorf("a wrong token: %+v", got)
	}
	if got := dialDevice(t, p).Ask(`{"message":"m","token":"` + ups.Secret + `"}`); got.Field != "token" {
		t.Errorf("a key in an event: %+v", got)
	}
	if got := runBinary(t, []string{"ALERTHUB_TOKEN=" + other.Secret}, "send", "--addr", p.TCP, "--count=2", "--interval=1ms"); got.Code != 0 {
		t.Errorf("send: %s%s", got.Stdout, got.Stderr)
	}

	var revoked struct {
		RevokedAt *string `json:"revoked_at"`
	}
	if status := p.request(http.MethodDelete, fmt.Sprintf("/api/keys/%d", ups.ID), "", nil, &revoked); status != http.StatusOK || revoked.RevokedAt == nil {
		t.Fatalf("revoke: %d %+v", status, revoked)
	}
	if got := speaking.Ask(`{"source":"ups-1"}`); got.Error != "unauthorized" {
		t.Errorf("after the revocation: %+v", got)
	}
	for name, d := range map[string]*device{"that spoke": speaking, "that was idle": idle} {
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
	var senders struct {
		Senders []struct {
			Address     string
			Events      int64
			WouldRefuse bool `json:"would_refuse"`
		}
	}
	p.getJSON("/api/senders?anonymous=10.0.0.0/8", &senders)
	if len(senders.Senders) != 1 || senders.Senders[0].Address != "127.0.0.1" || senders.Senders[0].Events != 3 || !senders.Senders[0].WouldRefuse {
		t.Errorf("senders %+v", senders)
	}

	p.Stop(10 * time.Second)
	again := startHub(t, options{dir: dir, like: p, args: []string{"--anonymous", "none", "--canary", "SMTP_TO"}, env: []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=1", "SMTP_TLS=none", "SMTP_FROM=hub@example.net", "SMTP_TO=noc@example.net"}})
	again.getJSON("/api/senders", &senders)
	if len(senders.Senders) != 1 || senders.Senders[0].Events != 3 {
		t.Errorf("senders after a restart: %+v", senders)
	}
	var keys struct{ Keys []madeKey }
	if again.getJSON("/api/keys", &keys); len(keys.Keys) != 2 || keys.Keys[0].LastUsedAt == nil || keys.Keys[1].LastUsedAt == nil {
		t.Errorf("keys after a restart: %+v", keys)
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

	secret := ups.Secret[8:]
	for name, text := range map[string]string{"the first log": p.log.String(), "the second log": again.log.String()} {
		if strings.Contains(text, secret) || strings.Contains(text, other.Secret[8:]) {
			t.Errorf("a secret is in %s", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), secret) || strings.Contains(string(content), other.Secret[8:]) {
			t.Errorf("a secret is in %s", filepath.Base(file))
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
	p := startHub(t, options{dir: dir, args: open("--insecure-open")})
	makeKey(t, p, `{"name":"reader","scopes":["read"]}`)
	p.Stop(10 * time.Second)
	refused("with a key to read", open()...)
	p = startHub(t, options{dir: dir})
	k := makeKey(t, p, `{"name":"devices","scopes":["ingest"]}`)
	p.Stop(10 * time.Second)
	p = startHub(t, options{dir: dir, args: open()})
	if status := p.request(http.MethodDelete, fmt.Sprintf("/api/keys/%d", k.ID), "", nil, nil); status != http.StatusOK {
		t.Errorf("revoke: %d", status)
	}
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
