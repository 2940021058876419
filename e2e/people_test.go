package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"alerthub/handlers"
	"alerthub/models"
)

// password is everybody's in these tests, as long as nobody changes theirs.
const password = "correct horse battery"

// passwordFile is a file that holds a password, for a command.
func passwordFile(t testing.TB, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// addUser adds somebody by the command, whether a hub runs on dir or not.
func addUser(t testing.TB, dir, name string, role models.Role) {
	t.Helper()
	command(t, "user", "add", "--data-dir", dir, "--role", string(role), "--password-file", passwordFile(t, password), name)
}

// command runs a command of the binary that must succeed, and returns what it
// prints.
func command(t testing.TB, args ...string) string {
	t.Helper()
	got := runBinary(t, nil, args...)
	if got.Code != 0 {
		t.Fatalf("%s: exit %d, %s%s", strings.Join(args, " "), got.Code, got.Stdout, got.Stderr)
	}
	return strings.TrimSpace(got.Stdout)
}

// guest is somebody at the panel's port: with a session, a key, or nothing.
// They see pages as browsers do, but follow no redirects.
type guest struct {
	t      testing.TB
	base   *url.URL
	client *http.Client
	header http.Header // of every request
}

// newGuest comes from an address of this machine.
func newGuest(t testing.TB, p *process, from string) *guest {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	_, port, err := net.SplitHostPort(p.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{
		t: t, base: &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}, header: http.Header{"Accept": {"text/html"}, "Accept-Language": {"en"}},
		client: &http.Client{
			Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// signedIn is somebody with a session.
func signedIn(t testing.TB, p *process, from, name string) *guest {
	t.Helper()
	g := newGuest(t, p, from)
	if got := g.signIn(name, password); got.Status != http.StatusSeeOther {
		t.Fatalf("sign in as %s: %d %s", name, got.Status, got.Body)
	}
	return g
}

// reply is what a guest is answered.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// asksToSignIn reports whether r leads a person to the login.
func (r reply) asksToSignIn() bool {
	return r.Status == http.StatusSeeOther && strings.HasPrefix(r.Header.Get("Location"), "/login?next=")
}

// ask makes a request; form may be nil.
func (g *guest) ask(method, path string, form url.Values) reply {
	g.t.Helper()
	return g.send(method, path, "application/x-www-form-urlencoded", form.Encode())
}

func (g *guest) send(method, path, kind, body string) reply {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.base.String()+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = g.header.Clone()
	if method != http.MethodGet {
		r.Header.Set("Content-Type", kind)
	}
	res, err := g.client.Do(r)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

func (g *guest) get(path string) reply {
	g.t.Helper()
	return g.ask(http.MethodGet, path, nil)
}

func (g *guest) post(path string, pairs ...string) reply {
	g.t.Helper()
	form := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		form.Set(pair[0], pair[1])
	}
	return g.ask(http.MethodPost, path, form)
}

func (g *guest) signIn(name, password string) reply {
	g.t.Helper()
	return g.post("/login", "name", name, "password", password)
}

// session is the value of the session's cookie; "" without one.
func (g *guest) session() string {
	for _, c := range g.client.Jar.Cookies(g.base) {
		if strings.HasSuffix(c.Name, "session") {
			return c.Value
		}
	}
	return ""
}

// open opens a socket of the panel's port, as a page of the hub does.
func (g *guest) open(path string) *follower {
	g.t.Helper()
	header := http.Header{"Origin": {g.base.String()}}
	if token := g.header.Get("Authorization"); token != "" {
		header.Set("Authorization", token)
	}
	conn, res, err := (&websocket.Dialer{Jar: g.client.Jar}).Dial("ws://"+g.base.Host+path, header)
	if err != nil {
		g.t.Fatalf("open %s: %v (%v)", path, err, res)
	}
	g.t.Cleanup(func() { conn.Close() })
	return &follower{g.t, conn}
}

// route is one line of the table of routes.
type route struct {
	method, path string
	permit       models.Permission
}

// allRoutes is that table, with what ends a session at its end.
func allRoutes() (table []route) {
	for line, permit := range handlers.Permissions() {
		method, path, _ := strings.Cut(line, " ")
		table = append(table, route{method, path, permit})
	}
	slices.SortFunc(table, func(a, b route) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(a.path+a.method, b.path+b.method))
	})
	last := func(r route) bool { return r.path == "/logout" }
	i := slices.IndexFunc(table, last)
	return append(slices.Delete(slices.Clone(table), i, i+1), table[i])
}

// refusesByItself are the routes for everybody that answer 401 to who shows
// nothing, or the wrong thing.
var refusesByItself = []string{"POST /login", "POST /login/code", "GET /setup", "POST /setup", "POST /api/token"}

// TestAccess_EveryRouteForEverybody asks for every route as everybody.
func TestAccess_EveryRouteForEverybody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addUser(t, dir, "ana", models.RoleAdmin) // while there is no hub
	p := startHub(t, options{dir: dir, args: []string{"--anonymous", "127.0.0.9"}})
	addUser(t, dir, "olga", models.RoleOperator) // through it
	addUser(t, dir, "vera", models.RoleViewer)

	type somebody struct {
		models.Actor
		*guest
	}
	everybody := map[string]somebody{
		"nobody":           {models.Actor{}, newGuest(t, p, "127.0.0.1")},
		"anonymous device": {models.Actor{Ingest: true}, newGuest(t, p, "127.0.0.9")},
		"viewer":           {models.Actor{Kind: models.ActorUser, Role: models.RoleViewer}, signedIn(t, p, "127.0.0.2", "vera")},
		"operator":         {models.Actor{Kind: models.ActorUser, Role: models.RoleOperator}, signedIn(t, p, "127.0.0.3", "OLGA")},
		"admin":            {models.Actor{Kind: models.ActorUser, Role: models.RoleAdmin}, signedIn(t, p, "127.0.0.4", "ana")},
	}
	for _, scopes := range [][]models.Scope{{models.ScopeIngest}, {models.ScopeRead}, {models.ScopeAdmin}, {models.ScopeIngest, models.ScopeRead}} {
		name := strings.Trim(strings.ReplaceAll(fmt.Sprint(scopes), " ", ","), "[]")
		g := newGuest(t, p, "127.0.0.5")
		g.header.Set("Authorization", "Bearer "+command(t, "key", "add", "--data-dir", dir, "--scope", name, name))
		everybody["key to "+name] = somebody{models.Actor{Kind: models.ActorKey, Scopes: scopes}, g}
	}
	wrong := newGuest(t, p, "127.0.0.9")
	wrong.header.Set("Authorization", "Bearer "+models.KeyPrefix+strings.Repeat("A", 43))
	everybody["wrong key"] = somebody{models.Actor{}, wrong} // no better than nobody
	basic := newGuest(t, p, "127.0.0.4")
	basic.header.Set("Authorization", "Basic YW5hOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==") // ana and her password
	everybody["basic"] = somebody{models.Actor{}, basic}
	everybody["anybody, of a hub without users"] = somebody{models.Actor{Kind: models.ActorOpen, Ingest: true}, newGuest(t, startHub(t, options{}), "127.0.0.1")}

	table := allRoutes()
	asked, refused := 0, 0
	for name, who := range everybody {
		who.t = t
		for _, r := range table {
			line := r.method + " " + r.path
			path := strings.NewReplacer(":id", "999999", ":token", "nothing", "*", "nothing").Replace(r.path)
			got := who.ask(r.method, path, nil)
			asked++
			if who.May(r.permit) {
				own := slices.Contains(refusesByItself, line) && got.Status == http.StatusUnauthorized
				if got.asksToSignIn() || got.Status == http.StatusForbidden || got.Status == http.StatusUnauthorized && !own || got.Status >= 500 {
					t.Errorf("%s as %s, who may: %d %.200s", line, name, got.Status, got.Body)
				}
				continue
			}
			refused++
			known := who.Kind == models.ActorUser || who.Kind == models.ActorKey
			switch {
			case known && got.Status == http.StatusForbidden:
			case who.Kind == models.ActorOpen && got.Status == http.StatusUnauthorized: // nobody could sign in
			case !known && strings.HasPrefix(path, "/api/") && got.Status == http.StatusUnauthorized && got.Header.Get("WWW-Authenticate") == "Bearer":
			case !known && !strings.HasPrefix(path, "/api/") && got.asksToSignIn():
			default:
				t.Errorf("%s as %s, who may not: %d %s %.200s", line, name, got.Status, got.Header.Get("Location"), got.Body)
			}
			if r.method == http.MethodGet {
				if head := who.ask(http.MethodHead, path, nil); head.Status != got.Status {
					t.Errorf("HEAD of %s as %s: %d", path, name, head.Status)
				}
			}
		}
	}
	if asked != len(table)*len(everybody) || refused < 300 {
		t.Errorf("asked %d times for %d routes, and refused %d times: this proves little", asked, len(table), refused)
	}
	t.Logf("asked %d times for %d routes, refused %d times", asked, len(table), refused)

	// The panel's socket opens for everybody, and tells those who may not read.
	for name, who := range everybody {
		f := who.open("/ws?view=events")
		if who.May(models.PermitRead) && who.Kind != models.ActorUser {
			if _, _, err := f.conn.ReadMessage(); err != nil {
				t.Errorf("the panel's socket as %s: %v", name, err)
			}
		} else if code, err := f.closeCode(5 * time.Second); code != websocket.ClosePolicyViolation { // the people have signed out by now
			t.Errorf("the panel's socket as %s: %d, %v", name, code, err)
		}
	}
	// Other spellings are no way around.
	outside := newGuest(t, p, "127.0.0.1")
	for _, path := range []string{"//api/users", "/api/users/", "/API/users", "/api/./users", "/api/keys/../users", "/api/users%2f", "/%61pi/users", "/access/people/", "//events", "/ws/events/"} {
		if got := outside.get(path); got.Status < 300 || strings.Contains(got.Body, "vera") {
			t.Errorf("%s as nobody: %d %.200s", path, got.Status, got.Body)
		}
	}
	// Trying all of that has changed nobody.
	list := command(t, "user", "list", "--data-dir", dir)
	if got := strings.Fields(list); len(got) != 6+3*4 {
		t.Errorf("users afterwards:\n%s", list)
	}
}

// TestAccess_AcknowledgementsSayWhoseTheyAre: the name of who is signed in, or
// of a key, counts for more than one that was typed.
func TestAccess_AcknowledgementsSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir})
	for range 3 {
		dialDevice(t, p).Ask(`{"source":"ups-1","severity":"critical","message":"on battery"}`)
	}
	typed := newGuest(t, p, "127.0.0.1")
	typed.send(http.MethodPost, "/api/events/1/ack", "application/json", `{"by":"ana"}`)
	addUser(t, dir, "ana", models.RoleOperator)
	ana := signedIn(t, p, "127.0.0.2", "ana")
	ana.ask(http.MethodPost, "/events/ack", url.Values{"id": {"2"}, "by": {"Mallory"}})
	key := newGuest(t, p, "127.0.0.3")
	key.header.Set("Authorization", "Bearer "+command(t, "key", "add", "--data-dir", dir, "--scope", "admin", "night-job"))
	key.send(http.MethodPost, "/api/events/3/ack", "application/json", `{"by":"Mallory"}`)
	for i, want := range []struct {
		by       string
		verified bool
	}{{"ana", false}, {"ana", true}, {"night-job", true}} {
		var got struct {
			By       string `json:"acked_by"`
			Verified bool   `json:"acked_verified"`
		}
		id := strconv.Itoa(i + 1)
		if decode(t, ana.get("/api/events/"+id), &got); got.By != want.by || got.Verified != want.verified {
			t.Errorf("event %s: %+v, not %+v", id, got, want)
		}
		if page := ana.get("/events/" + id).Body; strings.Contains(page, "(unverified)") == want.verified {
			t.Errorf("the page of event %s tells otherwise: acknowledged by %s, verified: %t", id, want.by, want.verified)
		}
	}
}

// decode reads an answer's JSON.
func decode(t testing.TB, r reply, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		t.Fatalf("%v in %d %.300s", err, r.Status, r.Body)
	}
}
