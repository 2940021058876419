package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"alerthub/models"
)

// signed is a token (JWT) of a header and claims, by a secret.
func signed(header, claims, secret string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestAccess_ForgedTokens: no door takes a token that the hub has not signed,
// whatever it says of how to check it.
func TestAccess_ForgedTokens(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"keys":[{"kty":"oct","kid":"1","alg":"HS256","k":"aw"}]}`) // the secret "k"
	}))
	defer keys.Close()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, args: []string{"--anonymous", "none"}})
	addUser(t, dir, "ana", models.RoleAdmin)
	secret := makeKey(t, dir, "script", "--scope", "admin,ingest,read")
	var issued struct{ Token string }
	if status := p.bearer(secret, http.MethodPost, "/api/token", &issued); status != http.StatusOK {
		t.Fatalf("a token: %d", status)
	}
	parts := strings.Split(issued.Token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(parts) != 3 {
		t.Fatalf("%q: %v", issued.Token, err)
	}
	claims := string(raw)
	ana := strings.Replace(claims, `"sub":"key:1"`, `"sub":"user:1"`, 1)
	if ana == claims {
		t.Fatalf("claims without their subject: %s", claims)
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	const header = `{"alg":"HS256","typ":"JWT"}`
	forged := map[string]string{
		"alg none":             encoded(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
		"alg nOnE":             encoded(`{"alg":"nOnE","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"no alg":               encoded(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"no signature":         parts[0] + "." + parts[1] + ".",
		"another's claims":     parts[0] + "." + encoded(ana) + "." + parts[2],
		"signed by nothing":    signed(header, claims, ""),
		"signed by the key":    signed(header, claims, secret),
		"signed by a word":     signed(header, ana, "secret"),
		"a key id of a file":   signed(`{"alg":"HS256","typ":"JWT","kid":"../../../../dev/null"}`, claims, ""),
		"a key id of a query":  signed(`{"alg":"HS256","typ":"JWT","kid":"x' UNION SELECT 'k' --"}`, claims, "k"),
		"an address of keys":   signed(`{"alg":"HS256","typ":"JWT","kid":"1","jku":"`+keys.URL+`/keys"}`, claims, "k"),
		"an address of chains": signed(`{"alg":"HS256","typ":"JWT","x5u":"`+keys.URL+`/chain"}`, claims, "k"),
		"a key of its own":     signed(`{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"aw"}}`, claims, "k"),
		"expired, and signed":  signed(header, strings.Replace(claims, `"exp":`, `"exp":1,"was":`, 1), "k"),
		"a megabyte of dots":   strings.Repeat(".", 1<<20),
		"dots behind a token":  issued.Token + strings.Repeat(".", 1<<20),
	}
	for what, token := range forged {
		long := len(token) > 1<<19 // the limit on headers is met first
		for _, path := range []string{"/api/stats", "/api/users", "/events"} {
			status := p.bearer(token, http.MethodGet, path, nil)
			if status != http.StatusUnauthorized && (!long || status != http.StatusRequestHeaderFieldsTooLarge) {
				t.Errorf("%s: GET %s: %d", what, path, status)
			}
		}
		if got := dialDevice(t, p).show(token); got.OK || got.Error != "unauthorized" && (!long || got.Error != "line_too_long") {
			t.Errorf("%s: the first line: %+v", what, got)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("an address in a token was asked %d times", n)
	}
	if status := p.bearer(issued.Token, http.MethodGet, "/api/users", nil); status != http.StatusOK {
		t.Errorf("the token itself, after all that: %d", status)
	}
	if got := dialDevice(t, p).show(issued.Token); !got.OK {
		t.Errorf("the token itself, over TCP: %+v", got)
	}
}
