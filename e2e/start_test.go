package e2e

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// TestAccess_StartRule: what others reach needs somebody who signs in, or a
// word; the hub says which commands help.
func TestAccess_StartRule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, setup := "alerthub user add --data-dir "+dir+" --role admin NAME", "alerthub serve --setup"
	key, anonymous := "alerthub key add --data-dir "+dir+" --scope ingest devices", "alerthub serve --anonymous 192.0.2.0/24"
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--http-addr", "0.0.0.0:0"}, []string{"--http-addr", first, setup, "--insecure-open"}},
		{[]string{"--feed-addr", "[::]:0"}, []string{"--feed-addr", first, setup, "--insecure-open"}},
		{[]string{"--tcp-addr", "0.0.0.0:0"}, []string{"--tcp-addr", key, anonymous, "--insecure-open"}},
		{[]string{"--trusted-proxies", "127.0.0.1"}, []string{"--http-addr", first}}, // what it lets in comes from elsewhere
		{[]string{"--http-addr", "0.0.0.0:0", "--tcp-addr", "0.0.0.0:0"}, []string{"--http-addr", "--tcp-addr", first, setup, key, anonymous}},
	} {
		args := append([]string{"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--feed-addr", "127.0.0.1:0", "--tcp-addr", "127.0.0.1:0"}, tt.args...)
		got := runBinary(t, nil, args...)
		if got.Code != 64 || got.Stdout != "" {
			t.Errorf("%v: exit %d, %s", tt.args, got.Code, got.Stdout)
		}
		for _, want := range tt.want {
			if !strings.Contains(got.Stderr, want) {
				t.Errorf("%v does not say %q:\n%s", tt.args, want, got.Stderr)
			}
		}
		if len(tt.args) == 2 && strings.Count(got.Stderr, "other machines reach") != 1+strings.Count(tt.args[0], "proxies") {
			t.Errorf("%v tells of other listeners:\n%s", tt.args, got.Stderr)
		}
	}
	everywhere := []string{"--http-addr", "0.0.0.0:0", "--feed-addr", "0.0.0.0:0", "--tcp-addr", "0.0.0.0:0"}
	p := startHub(t, options{dir: dir, args: append(everywhere, "--insecure-open")})
	if got := newGuest(t, p, "127.0.0.1").get("/events"); got.Status != http.StatusOK {
		t.Errorf("open by name: %d", got.Status)
	}
	p.Stop(10 * time.Second)
	addUser(t, dir, "ana", models.RoleViewer)
	command(t, "key", "add", "--data-dir", dir, "devices")
	p = startHub(t, options{dir: dir, args: everywhere})
	if got := newGuest(t, p, "127.0.0.1").get("/events"); !got.asksToSignIn() {
		t.Errorf("with a user: %d", got.Status)
	}
	p.Stop(10 * time.Second)
}

var setupOffer = regexp.MustCompile(`(?m)^  http://([^/]+)(/setup\?token=([A-Za-z0-9_-]{16,}))$`)

// TestAccess_SetUp: by the link that is printed, once, the first user is
// added; until then nothing else is open.
func TestAccess_SetUp(t *testing.T) {
	t.Parallel()
	dir, stdout := t.TempDir(), filepath.Join(t.TempDir(), "stdout")
	p := startHub(t, options{
		dir: dir, args: []string{"--http-addr", "0.0.0.0:0", "--feed-addr", "0.0.0.0:0", "--setup", "--log-level", "debug"},
		wrapper: []string{"sh", "-c", `exec "$0" "$@" >` + stdout},
	})
	var offer []string
	eventually(t, 10*time.Second, func() error {
		printed, err := os.ReadFile(stdout)
		if offer = setupOffer.FindStringSubmatch(string(printed)); err == nil && offer == nil {
			err = fs.ErrNotExist
		}
		return err
	})
	link, token := offer[2], offer[3]
	_, port, _ := net.SplitHostPort(p.HTTP)
	if machine, err := os.Hostname(); err == nil && offer[1] != machine+":"+port {
		t.Errorf("the link leads to %s, not to %s:%s", offer[1], machine, port)
	}
	g := newGuest(t, p, "127.0.0.1")
	for _, path := range []string{"/", "/events", "/audit", "/access/people", "/export.json", "/metrics"} {
		if got := g.get(path); !got.asksToSignIn() {
			t.Errorf("%s before the first user: %d", path, got.Status)
		}
	}
	if got := g.get("/api/events"); got.Status != http.StatusUnauthorized {
		t.Errorf("the API before the first user: %d", got.Status)
	}
	for _, wrong := range []string{"/setup", "/setup?token=", "/setup?token=" + strings.Repeat("A", len(token))} {
		if got := g.get(wrong); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", wrong, got.Status)
		}
	}
	if got := g.get(link); got.Status != http.StatusOK || !strings.Contains(got.Body, `action="/setup"`) {
		t.Errorf("the link: %d %.300s", got.Status, got.Body)
	}
	post := func(token, password string) reply {
		return g.post("/setup", "token", token, "name", "ana", "password", password, "repeat", password)
	}
	if got := post("wrong", password); got.Status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", got.Status)
	}
	if got := post(token, "short"); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("a short password: %d", got.Status)
	}
	if got := post(token, password); got.Status != http.StatusSeeOther || got.asksToSignIn() {
		t.Errorf("the first user: %d %s", got.Status, got.Body)
	}
	if got := g.get("/access/people"); got.Status != http.StatusOK {
		t.Errorf("the first user is no admin: %d", got.Status)
	}
	other := newGuest(t, p, "127.0.0.2")
	if got := other.get(link); got.Status != http.StatusUnauthorized {
		t.Errorf("the link again: %d", got.Status)
	}
	if got := other.post("/setup", "token", token, "name", "eve", "password", password, "repeat", password); got.Status != http.StatusUnauthorized || other.session() != "" {
		t.Errorf("a second first user: %d", got.Status)
	}
	if list := command(t, "user", "list", "--data-dir", dir); !strings.Contains(list, "ana") || strings.Contains(list, "eve") {
		t.Errorf("users:\n%s", list)
	}
	p.Stop(10 * time.Second)
	if strings.Contains(p.log.String(), token) {
		t.Error("the log holds the token of the link")
	}
}

// TestAccess_AdminSocket: commands reach a hub that runs, and do without one;
// nobody else reaches the socket.
func TestAccess_AdminSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "admin.sock")
	addUser(t, dir, "ana", models.RoleAdmin)
	without := command(t, "user", "list", "--data-dir", dir)
	p := startHub(t, options{dir: dir})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Fatalf("%s: %v, %v", socket, info, err)
	}
	if with := command(t, "user", "list", "--data-dir", dir); with != without || !strings.Contains(with, "ana") {
		t.Errorf("with a hub:\n%s\nwithout:\n%s", with, without)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for path, want := range map[string]int{"/api/users": http.StatusOK, "/api/events": http.StatusNotFound, "/": http.StatusNotFound, "/access/people": http.StatusNotFound} {
		res, err := client.Get("http://localhost" + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s by the socket: %d", path, res.StatusCode)
		}
	}
	// A hub that was killed leaves its socket behind; that stops nobody.
	p.Kill()
	if got := command(t, "user", "list", "--data-dir", dir); got != without {
		t.Errorf("after a kill:\n%s", got)
	}
	startHub(t, options{dir: dir}).Stop(10 * time.Second)
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket outlives the hub: %v", err)
	}
	if got := runBinary(t, nil, "user", "list", "--data-dir", filepath.Join(dir, "nowhere")); got.Code == 0 || !strings.Contains(got.Stderr, "--data-dir") {
		t.Errorf("without a data directory: exit %d, %s", got.Code, got.Stderr)
	}
}
