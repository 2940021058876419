package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// lab is a directory with certificates that the binary made for 127.0.0.1.
type lab struct {
	dir   string
	roots *x509.CertPool
}

func makeLab(t *testing.T) lab {
	t.Helper()
	l := lab{filepath.Join(t.TempDir(), "tls"), x509.NewCertPool()}
	if got := runBinary(t, nil, "cert", "--dir", l.dir, "hub.example.net", "127.0.0.1"); got.Code != 0 {
		t.Fatalf("cert: %s", got.Stderr)
	}
	pem, err := os.ReadFile(l.file("ca.pem"))
	if err != nil || !l.roots.AppendCertsFromPEM(pem) {
		t.Fatalf("ca.pem: %v", err)
	}
	return l
}

func (l lab) file(name string) string { return filepath.Join(l.dir, name) }

func (l lab) client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: l.roots}}}
}

func (l lab) start(t *testing.T) *process {
	t.Helper()
	return startHub(t, options{
		args: []string{"--tls-cert", l.file("cert.pem"), "--tls-key", l.file("key.pem")},
		env:  []string{"ALERTHUB_TCP_TLS_CERT=" + l.file("cert.pem"), "ALERTHUB_TCP_TLS_KEY=" + l.file("key.pem")},
	})
}

func (l lab) follow(t *testing.T, address string) *follower {
	t.Helper()
	conn, res, err := (&websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: l.roots}}).Dial(address, http.Header{"Origin": {strings.Replace(address, "wss", "https", 1)}})
	if err != nil {
		t.Fatalf("connect to %s: %v (%v)", address, err, res)
	}
	t.Cleanup(func() { conn.Close() })
	return &follower{t, conn}
}

func TestTLS_EveryDoor(t *testing.T) {
	t.Parallel()
	l := makeLab(t)
	p := l.start(t)
	if !strings.Contains(p.log.String(), `"panel":"https://`+p.HTTP+`"`) {
		t.Errorf("ready does not say https:\n%s", p.log.Tail(3))
	}
	feeds := []*follower{l.follow(t, "wss://"+p.Feed+"/"), l.follow(t, "wss://"+p.HTTP+"/ws/events")}
	l.follow(t, "wss://"+p.HTTP+"/ws?view=events")

	if got := runBinary(t, nil, "send", "--addr", p.TCP, "--tls-ca", l.file("ca.pem"), "--count=3", "--interval=1ms", "--key"); got.Code != 0 {
		t.Errorf("send: %s%s", got.Stdout, got.Stderr)
	}
	for _, f := range feeds {
		if events := f.Events(3); len(events) != 3 {
			t.Errorf("the feed has %d events", len(events))
		}
	}
	res, err := l.client().Get("https://" + p.HTTP + "/events?density=compact")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 1 || res.TLS.Version != tls.VersionTLS13 || !strings.Contains(string(page), "</html>") {
		t.Errorf("the page: %d %s, %v", res.StatusCode, res.Proto, err)
	}
	if cookies := res.Cookies(); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("cookies %v", cookies)
	}

	// What is plain is told so, and does nothing.
	for _, addr := range []string{p.HTTP, p.Feed} {
		res, err := httpClient.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTPS") {
			t.Errorf("plain HTTP on %s: %d %s", addr, res.StatusCode, text)
		}
	}
	if got := dialDevice(t, p).Ask(`{"message":"plain"}`); got.Error != "tls_required" {
		t.Errorf("plain JSON is answered %+v", got)
	}
	if got := runBinary(t, nil, "send", "--addr", p.TCP, "--count=1"); got.Code == 0 || !strings.Contains(got.Stderr, "it wants --tls") {
		t.Errorf("send without TLS: exit %d, %s", got.Code, got.Stderr)
	}
	if _, err := tls.Dial("tcp", p.HTTP, &tls.Config{RootCAs: l.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("the panel speaks TLS 1.1")
	}
	res, err = l.client().Get("https://" + p.HTTP + "/api/stats")
	if err != nil {
		t.Fatal(err)
	}
	stats, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if !strings.Contains(string(stats), `"total_events":3`) {
		t.Errorf("stats: %s", stats)
	}
	p.Stop(10 * time.Second)
}

// TestTLS_NewFilesUnderLoad replaces the certificate while devices and a feed
// are connected: they stay, and who comes later sees the new one.
func TestTLS_NewFilesUnderLoad(t *testing.T) {
	t.Parallel()
	l, next := makeLab(t), makeLab(t)
	p := l.start(t)
	feed := l.follow(t, "wss://"+p.Feed+"/?batch=1")
	stop, done := make(chan struct{}), make(chan error, 3)
	for range cap(done) {
		conn, err := tls.Dial("tcp", p.TCP, &tls.Config{RootCAs: l.roots})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() { // ends with stop
			answers := bufio.NewReader(conn)
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.WriteString(conn, "{}\n"); err != nil {
					done <- err
					return
				}
				if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"ok":true,`) {
					done <- fmt.Errorf("answered %q: %w", line, err)
					return
				}
			}
		}()
	}
	feed.Events(10)
	copyFile := func(name string) {
		content, err := os.ReadFile(next.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.file(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyFile("cert.pem")
	time.Sleep(1100 * time.Millisecond) // past the second between two looks
	for _, addr := range []string{p.TCP, p.HTTP, p.Feed} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: l.roots})
		if err != nil {
			t.Fatalf("%s with half of new files: %v", addr, err)
		}
		conn.Close()
	}
	if n := strings.Count(p.log.String(), "the old certificate stays"); n != 2 {
		t.Errorf("logged %d times, want once for each pair", n)
	}
	copyFile("key.pem")
	for _, addr := range []string{p.TCP, p.HTTP, p.Feed} {
		eventually(t, 10*time.Second, func() error {
			conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: next.roots})
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	feed.Events(10)
	close(stop)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	p.Stop(10 * time.Second)
}

// TestTLS_CanaryComesThrough: the hub speaks TLS to its own door, and the
// command to the panel.
func TestTLS_CanaryComesThrough(t *testing.T) {
	t.Parallel()
	l := makeLab(t)
	server := newMailServer(t, false)
	server.Start()
	p := startHub(t, options{
		env: server.Settings("tester@example.net", login...),
		args: append([]string{"--canary=SMTP_TO", "--tls-cert", l.file("cert.pem"), "--tls-key", l.file("key.pem"),
			"--tcp-tls-cert", l.file("cert.pem"), "--tcp-tls-key", l.file("key.pem")}, impatient...),
	})
	if got := runBinary(t, nil, "canary", "--addr", p.HTTP, "--tls-ca", l.file("ca.pem")); got.Code != 0 || !strings.Contains(got.Stdout, "came through: event ") {
		t.Errorf("alerthub canary: %+v", got)
	}
	if got := runBinary(t, nil, "canary", "--addr", p.HTTP, "--tls"); got.Code == 0 || !strings.Contains(got.Stderr, "unknown authority") {
		t.Errorf("alerthub canary without the authority: %+v", got)
	}
}

func TestTLS_WrongFilesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	a, b := makeLab(t), makeLab(t)
	dir := filepath.Join(t.TempDir(), "data")
	got := runBinary(t, nil, "serve", "--data-dir", dir, "--http-addr=127.0.0.1", "--tls-cert", a.file("cert.pem"), "--tls-key", b.file("key.pem"), "--tcp-tls-cert", a.file("none.pem"))
	if got.Code != 64 {
		t.Errorf("exit %d", got.Code)
	}
	for _, want := range []string{"--http-addr: ", "--tls-cert, --tls-key: ", "does not match", "--tcp-tls-cert: ", "no such file", "--tcp-tls-key: is needed"} {
		if !strings.Contains(got.Stderr, want) {
			t.Errorf("does not say %q:\n%s", want, got.Stderr)
		}
	}
}
