package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"alerthub/models"
)

// TestAccess_EndedSessionsCloseSockets ends sessions in every way there is:
// what they had open is closed within 5 s, and what others have is not.
func TestAccess_EndedSessionsCloseSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir})
	for _, name := range []string{"leaves", "changes", "forgot", "dismissed", "elsewhere", "stays"} {
		addUser(t, dir, name, models.RoleViewer)
	}
	addUser(t, dir, "ana", models.RoleAdmin)
	addUser(t, dir, "second", models.RoleAdmin)
	key := command(t, "key", "add", "--data-dir", dir, "--scope", "ingest,read", "script")
	ana, second, stays := signedIn(t, p, "127.0.0.1", "ana"), signedIn(t, p, "127.0.0.1", "second"), signedIn(t, p, "127.0.0.1", "stays")

	open := map[string]*follower{}
	with := func(name string) *guest {
		g := signedIn(t, p, "127.0.0.2", name)
		open[name+"'s panel"], open[name+"'s feed"] = g.open("/ws?view=events"), g.open("/ws/events")
		return g
	}
	leaves, changes, elsewhere := with("leaves"), with("changes"), with("elsewhere")
	with("forgot")
	with("dismissed")
	script := newGuest(t, p, "127.0.0.3")
	script.header.Set("Authorization", "Bearer "+key)
	open["the key's feed"] = script.open("/ws/events")
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+p.Feed+"/", http.Header{"Authorization": {"Bearer " + key}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	open["the key's feed on its own port"] = &follower{t, conn}
	device := dialDevice(t, p)
	if got := device.Ask(fmt.Sprintf(`{"token":%q}`, key)); !got.OK {
		t.Fatalf("the key's device: %+v", got)
	}
	here, bystander := signedIn(t, p, "127.0.0.1", "changes"), stays.open("/ws/events")
	atHome := signedIn(t, p, "127.0.0.1", "elsewhere")
	var users struct {
		Users []struct {
			ID   int64
			Name string
		}
	}
	decode(t, ana.get("/api/users"), &users)
	dismissed := ""
	for _, u := range users.Users {
		if u.Name == "dismissed" {
			dismissed = fmt.Sprint(u.ID)
		}
	}

	stolen := leaves.session()
	for what, got := range map[string]reply{
		"sign out":               leaves.post("/logout"),
		"change one's password":  here.post("/account/password", "current", password, "password", "another long word", "repeat", "another long word"),
		"end the other sessions": atHome.post("/account/sessions/end", "others", "1"),
		"disable somebody":       ana.post("/access/people/" + dismissed + "/disable"),
	} {
		if got.Status != http.StatusSeeOther || got.asksToSignIn() {
			t.Errorf("%s: %d %.300s", what, got.Status, got.Body)
		}
	}
	command(t, "user", "passwd", "--data-dir", dir, "--password-file", passwordFile(t, "yet another word"), "forgot")
	command(t, "key", "revoke", "--data-dir", dir, "script")
	start := time.Now()
	var closing sync.WaitGroup
	for name, f := range open {
		closing.Go(func() {
			if code, err := f.closeCode(5 * time.Second); code != websocket.ClosePolicyViolation {
				t.Errorf("%s: closed with %d, %v", name, code, err)
			}
		})
	}
	closing.Go(func() {
		_ = device.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := device.in.ReadString('\n'); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("the key's device: %v", err)
		}
	})
	closing.Wait()
	t.Logf("%d sockets closed within %v", len(open)+1, time.Since(start))

	for name, g := range map[string]*guest{"leaves": leaves, "changes, elsewhere": changes, "elsewhere": elsewhere} {
		if got := g.get("/"); !got.asksToSignIn() {
			t.Errorf("%s is still in: %d", name, got.Status)
		}
	}
	leaves.client.Jar.SetCookies(leaves.base, []*http.Cookie{{Name: "session", Value: stolen}})
	if got := leaves.get("/"); !got.asksToSignIn() {
		t.Errorf("the cookie of a session that was ended: %d", got.Status)
	}
	if got := newGuest(t, p, "127.0.0.4").signIn("dismissed", password); got.Status != http.StatusUnauthorized {
		t.Errorf("who was disabled: %d", got.Status)
	}
	for name, g := range map[string]*guest{"who stays": stays, "who changed the password": here, "who ended the others": atHome} {
		if got := g.get("/"); got.Status != http.StatusOK {
			t.Errorf("%s is out: %d", name, got.Status)
		}
	}
	if a := dialDevice(t, p).Ask(`{"source":"last"}`); !a.OK {
		t.Errorf("%+v", a)
	}
	if got := bystander.Events(1); got[0].Source != "last" {
		t.Errorf("the feed of who stays: %+v", got)
	}

	// Another role holds at once, for who is in.
	command(t, "user", "role", "--data-dir", dir, "second", "viewer")
	if got := second.get("/access/people"); got.Status != http.StatusForbidden {
		t.Errorf("an admin who is none any more: %d", got.Status)
	}
	if got := second.get("/events"); got.Status != http.StatusOK {
		t.Errorf("and may still read: %d", got.Status)
	}
}

// TestAccess_ForeignCookiesAreWorthless: a session that somebody else knows
// never becomes the one of who signs in with it.
func TestAccess_ForeignCookiesAreWorthless(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addUser(t, dir, "ana", models.RoleAdmin)
	addUser(t, dir, "eve", models.RoleViewer)
	p := startHub(t, options{dir: dir})
	eve := signedIn(t, p, "127.0.0.1", "eve")
	for what, planted := range map[string]string{"made up": strings.Repeat("A", 43), "eve's own": eve.session()} {
		ana, thief := newGuest(t, p, "127.0.0.1"), newGuest(t, p, "127.0.0.1")
		cookie := &http.Cookie{Name: "session", Value: planted, Path: "/"}
		ana.client.Jar.SetCookies(ana.base, []*http.Cookie{cookie})
		thief.client.Jar.SetCookies(thief.base, []*http.Cookie{cookie})
		got := ana.signIn("ana", password)
		if got.Status != http.StatusSeeOther || ana.session() == planted || len(ana.session()) < 22 { // 128 bits
			t.Errorf("%s: signed in with %d, by the session %q", what, got.Status, ana.session())
		}
		if set := got.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "session=") || !strings.Contains(set, "; HttpOnly") || !strings.Contains(set, "; SameSite=Lax") || !strings.Contains(set, "; Path=/;") || strings.Contains(set, "Domain") || strings.Contains(set, "Secure") {
			t.Errorf("the cookie without TLS: %s", set)
		}
		if got := ana.get("/access/people"); got.Status != http.StatusOK {
			t.Errorf("%s: ana is not in: %d", what, got.Status)
		}
		if got := thief.get("/events"); !got.asksToSignIn() {
			t.Errorf("%s: the planted session is worth something: %d", what, got.Status)
		}
	}
}

// TestAccess_CookieUnderTLS: the session's cookie crosses nothing that is
// plain, and only this host can have set it.
func TestAccess_CookieUnderTLS(t *testing.T) {
	t.Parallel()
	l, dir := makeLab(t), t.TempDir()
	addUser(t, dir, "ana", models.RoleViewer)
	p := startHub(t, options{dir: dir, args: []string{"--tls-cert", l.file("cert.pem"), "--tls-key", l.file("key.pem")}})
	g := newGuest(t, p, "127.0.0.1")
	g.base.Scheme = "https"
	g.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: l.roots}
	got := g.signIn("ana", password)
	set := got.Header.Get("Set-Cookie")
	for _, part := range []string{"; Path=/;", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.HasPrefix(set, "__Host-session=") || !strings.Contains(set, part) || strings.Contains(set, "Domain") {
			t.Errorf("%d, the cookie has no %q: %s", got.Status, part, set)
		}
	}
	if got := g.get("/events"); got.Status != http.StatusOK {
		t.Errorf("signed in over TLS: %d", got.Status)
	}
	plain := newGuest(t, p, "127.0.0.1")
	plain.base, plain.client.Transport = g.base, g.client.Transport
	plain.client.Jar.SetCookies(&url.URL{Scheme: "http", Host: g.base.Host}, []*http.Cookie{{Name: "session", Value: g.session(), Path: "/"}})
	if got := plain.get("/events"); !got.asksToSignIn() {
		t.Errorf("the session under a name that anybody may set: %d", got.Status)
	}
}
