package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"alerthub/models"
)

// shown finds what a page shows to be copied.
var shown = regexp.MustCompile(`(?s)<code[^>]*>([^<]{8,})</code>`)

// TestAccess_SecretsStayInside has somebody come in in every way there is, and
// then looks for what they have shown, and were shown once, in everything that
// the hub writes.
func TestAccess_SecretsStayInside(t *testing.T) {
	t.Parallel()
	dir, stdout := t.TempDir(), filepath.Join(t.TempDir(), "stdout")
	p := startHub(t, options{
		dir: dir, args: []string{"--setup", "--log-level=debug", "--anonymous=none"}, wrapper: []string{"sh", "-c", `exec "$0" "$@" >` + stdout},
	})
	secrets := map[string]string{"a password": password, "a wrong password": "a rather long mistake", "a password for a name": "typed into the wrong field"}
	eventually(t, 10*time.Second, func() error {
		printed, err := os.ReadFile(stdout)
		if offer := setupOffer.FindStringSubmatch(string(printed)); offer != nil {
			secrets["the set-up token"] = offer[3]
		} else if err == nil {
			err = fmt.Errorf("no link in %q", printed)
		}
		return err
	})
	ana := newGuest(t, p, "127.0.0.1")
	step := func(what string, got reply, want int) reply {
		t.Helper()
		if got.Status != want || got.asksToSignIn() {
			t.Fatalf("%s: %d %.300s", what, got.Status, got.Body)
		}
		return got
	}
	step("the link", ana.get("/setup?token="+secrets["the set-up token"]), http.StatusOK)
	step("set up", ana.post("/setup", "token", secrets["the set-up token"], "name", "ana", "password", password, "repeat", password), http.StatusSeeOther)
	secrets["the first session"] = ana.session()
	offered := step("offer a second factor", ana.post("/account/totp", "current", password), http.StatusOK)
	secrets["the second factor"] = shown.FindStringSubmatch(offered.Body)[1]
	code, err := totp.GenerateCode(secrets["the second factor"], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	on := step("turn it on", ana.post("/account/totp/confirm", "code", code), http.StatusOK)
	codes := strings.Fields(shown.FindStringSubmatch(on.Body)[1])
	if len(codes) < 8 {
		t.Fatalf("recovery codes: %q", codes)
	}
	secrets["a recovery code"], secrets["a used recovery code"] = codes[0], codes[1]
	other := newGuest(t, p, "127.0.0.2")
	step("a wrong password", other.signIn("ana", secrets["a wrong password"]), http.StatusUnauthorized)
	step("a password for a name", other.signIn(secrets["a password for a name"], "x"), http.StatusUnauthorized)
	step("sign in", other.signIn("ana", password), http.StatusSeeOther)
	secrets["a session that waits for its code"] = other.session()
	step("a recovery code", other.post("/login/code", "code", codes[1]), http.StatusSeeOther)
	secrets["the second session"] = other.session()
	secrets["a key"] = command(t, "key", "add", "--data-dir", dir, "--scope", "ingest,read", "script")
	byForm := step("a key by the form", ana.post("/access/keys", "name", "form", "scope", "ingest", "expires", "never"), http.StatusOK)
	secrets["a key by the form"] = keyShown.FindString(byForm.Body)
	script := newGuest(t, p, "127.0.0.3")
	script.header.Set("Authorization", "Bearer "+secrets["a key"])
	var issued struct{ Token string }
	decode(t, step("a token", script.post("/api/token"), http.StatusOK), &issued)
	secrets["a token"], secrets["a forged token"] = issued.Token, another(issued.Token)
	secrets["a wrong key"] = another(secrets["a key"])
	for _, show := range []string{"a token", "a forged token", "a wrong key", "a key"} {
		for _, scheme := range []string{"", "Bearer:", "Bearer"} { // forgotten, and mistyped
			script.header.Set("Authorization", scheme+secrets[show])
			if got := script.get("/api/events"); got.Status != http.StatusUnauthorized {
				t.Errorf("%s as %q: %d", show, scheme, got.Status)
			}
		}
		script.header.Set("Authorization", "Bearer "+secrets[show])
		script.get("/api/events")
		device := dialDevice(t, p)
		device.Ask(fmt.Sprintf(`{"token":%q}`, secrets[show]))
		if show == "a key" || show == "a token" {
			device.Ask(`{"source":"core","message":"m"}`)
		}
	}
	addUser(t, dir, "ben", models.RoleViewer)

	onRecord(t, ana)

	looked := map[string]string{}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	looked["/proc/PID/cmdline"] = string(cmdline)
	read := func(path string) (int, string) { got := ana.get(path); return got.Status, got.Body }
	crawl(read, looked, "/", "/account", "/access/people", "/access/keys", "/audit", "/api/users", "/api/keys", "/api/senders", "/api/audit", "/audit.json", "/audit.csv", "/api/config", "/api/events", "/metrics", "/export.json", "/nowhere")
	if len(looked) < 30 || !strings.Contains(looked["/audit.json"], "ana") || !strings.Contains(looked["/access/keys"], "script") {
		t.Errorf("looked at %d places: this proves nothing", len(looked))
	}
	p.Kill() // what it has not tidied up is to be seen, too
	looked["the log"] = p.log.String()
	for _, file := range []string{"alerthub.db", "alerthub.db-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		looked[file] = string(content)
	}
	if !strings.Contains(looked["alerthub.db"]+looked["alerthub.db-wal"], "$argon2id$") {
		t.Error("no hash of a password is where it should be: this proves nothing")
	}
	for what, secret := range secrets {
		if len(secret) < 10 {
			t.Errorf("%s is %q", what, secret)
		}
		for where, text := range looked {
			if what == "the second factor" && strings.HasPrefix(where, "alerthub.db") {
				continue // codes are computed from it
			}
			for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), strings.ReplaceAll(secret, "-", "")} {
				if strings.Contains(text, form) {
					t.Errorf("%s is in %s", what, where)
				}
			}
		}
	}
	t.Logf("looked for %d secrets in %d places", len(secrets), len(looked))
}

// onRecord looks at the audit log of all that: who came in, or tried, and from
// where; names that nobody has are not in it.
func onRecord(t *testing.T, admin *guest) {
	t.Helper()
	var log struct {
		Entries []struct{ Kind, Actor, Address, Action, Object, Detail string }
	}
	decode(t, admin.get("/api/audit?limit=100"), &log)
	var got []string
	for _, e := range slices.Backward(log.Entries) {
		got = append(got, strings.Join(strings.Fields(fmt.Sprintln(e.Kind, e.Actor, e.Address, e.Action, e.Object, e.Detail)), " "))
	}
	want := []string{
		"nobody 127.0.0.1 user_added user ana admin",
		"user ana 127.0.0.1 sign_in",
		"user ana 127.0.0.1 two_factor_on user ana",
		"nobody ana 127.0.0.2 sign_in_failed password",
		"nobody 127.0.0.2 sign_in_failed password",
		"user ana 127.0.0.2 recovery_code_used 9 left",
		"user ana 127.0.0.2 sign_in",
		"local key_made key script",
		"user ana 127.0.0.1 key_made key form",
		"key script 127.0.0.3 token_issued key script",
		"local user_added user ben viewer",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}

// keyShown is a key, as the page shows it once.
var keyShown = regexp.MustCompile(models.KeyPrefix + `[A-Za-z0-9_-]{43}`)
