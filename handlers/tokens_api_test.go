package handlers

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

type issued struct {
	Token     string `json:"token"`
	Type      string `json:"token_type"`
	ExpiresAt string `json:"expires_at"`
}

// serveStrangers is a server whose clients are known by what they show alone.
func serveStrangers(t *testing.T, o Options) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(New(o))
	t.Cleanup(server.Close)
	return server
}

func secretOf(t *testing.T, o Options, name string, scopes ...models.Scope) string {
	t.Helper()
	secret, _, err := o.Keys.MakeKey(t.Context(), models.KeyDraft{Name: name, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestToken_ForAKey(t *testing.T) {
	o := testOptions(t, &fakeService{})
	if _, err := o.Access.AddUser(t.Context(), "ana", "correct horse battery", models.RoleOperator); err != nil {
		t.Fatal(err)
	}
	server := serveStrangers(t, o)
	reads := secretOf(t, o, "script", models.ScopeRead)
	res, text := send(t, server, "POST", "/api/token", "", "Authorization", "Bearer "+reads)
	token := decodeAs[issued](t, text)
	if res.StatusCode != http.StatusOK || token.Type != "Bearer" || token.ExpiresAt != models.FormatTime(received.Add(15*time.Minute).Truncate(time.Second)) {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		if res, text := send(t, server, "GET", "/api/events", "", "Authorization", scheme+token.Token); res.StatusCode != http.StatusOK {
			t.Errorf("%sread: %d %s", scheme, res.StatusCode, text)
		}
	}
	if res, _ := send(t, server, "GET", "/api/keys", "", "Authorization", "Bearer "+token.Token); res.StatusCode != http.StatusForbidden {
		t.Errorf("administer: %d", res.StatusCode)
	}
	if res, _ := send(t, server, "POST", "/api/token", "", "Authorization", "Bearer "+token.Token); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another token: %d", res.StatusCode)
	}
	if res, _ := send(t, server, "POST", "/api/token", `{"username":"ana","password":"correct horse battery"}`, "Content-Type", jsonType, "Authorization", "Bearer nah_wrong"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong key and a good login: %d", res.StatusCode)
	}
	for _, k := range o.Keys.Keys() {
		if _, err := o.Keys.RevokeKey(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
	}
	if res, text := send(t, server, "GET", "/api/events", "", "Authorization", "Bearer "+token.Token); res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("of a revoked key: %d %s", res.StatusCode, text)
	}
}

func TestToken_ForALogin(t *testing.T) {
	o := testOptions(t, &fakeService{})
	if _, err := o.Access.AddUser(t.Context(), "ana", "correct horse battery", models.RoleOperator); err != nil {
		t.Fatal(err)
	}
	server := serveStrangers(t, o)
	login := func(password string) (*http.Response, string) {
		return send(t, server, "POST", "/api/token", `{"username":"Ana","password":"`+password+`"}`, "Content-Type", jsonType)
	}
	_, text := login("correct horse battery")
	token := decodeAs[issued](t, text).Token
	if res, text := send(t, server, "GET", "/api/stats", "", "Authorization", "Bearer "+token); res.StatusCode != http.StatusOK {
		t.Errorf("read: %d %s", res.StatusCode, text)
	}
	if res, _ := send(t, server, "GET", "/api/keys", "", "Authorization", "Bearer "+token); res.StatusCode != http.StatusForbidden {
		t.Errorf("administer: %d", res.StatusCode)
	}
	if err := o.Access.SetDisabled(t.Context(), "ana", true); err != nil {
		t.Fatal(err)
	}
	if res, _ := send(t, server, "GET", "/api/stats", "", "Authorization", "Bearer "+token); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("disabled: %d", res.StatusCode)
	}
	for range 20 { // brute force meets the same wall as at the page
		res, text := login("wrong")
		if strings.Contains(text, "wrong") {
			t.Errorf("the answer repeats the password: %s", text)
		}
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "" {
			return
		}
		if res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong password: %d %s", res.StatusCode, text)
		}
	}
	t.Error("twenty wrong passwords were looked at")
}

// TestToken_ForgedAtTheDoor: what package access refuses, this door refuses,
// and what does not get there is refused quickly.
func TestToken_ForgedAtTheDoor(t *testing.T) {
	o := testOptions(t, &fakeService{})
	if _, err := o.Access.AddUser(t.Context(), "ana", "correct horse battery", models.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	server := serveStrangers(t, o)
	_, text := send(t, server, "POST", "/api/token", "", "Authorization", "Bearer "+secretOf(t, o, "script", models.ScopeRead))
	token := decodeAs[issued](t, text).Token
	parts := strings.Split(token, ".")
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	admin := strings.Replace(string(decoded(t, parts[1])), `"key:1"`, `"user:1"`, 1)
	for what, header := range map[string]string{
		"alg none":             "Bearer " + encoded(`{"alg":"none","typ":"JWT"}`) + "." + encoded(admin) + ".",
		"swapped claims":       "Bearer " + parts[0] + "." + encoded(admin) + "." + parts[2],
		"swapped header":       "Bearer " + encoded(`{"alg":"HS256","typ":"JWT","kid":"x"}`) + "." + parts[1] + "." + parts[2],
		"cut":                  "Bearer " + token[:len(token)-2],
		"two tokens":           "Bearer " + token + " " + token,
		"a comma":              "Bearer " + token + ", Basic YTph",
		"no scheme":            token,
		"another scheme":       "Basic " + token,
		"a password":           "Basic YW5hOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==",
		"nothing":              "Bearer",
		"a blank":              "Bearer ",
		"many dots":            "Bearer " + strings.Repeat(".", 30_000),
		"a token and dots":     "Bearer " + token + strings.Repeat(".", 30_000),
		"a large signature":    "Bearer " + parts[0] + "." + parts[1] + "." + strings.Repeat("A", 30_000),
		"a session's own name": "session=" + token,
	} {
		for _, path := range []string{"/api/events", "/api/keys", "/events", "/metrics"} {
			begun := time.Now()
			res, text := send(t, server, "GET", path, "", "Authorization", header)
			if res.StatusCode != http.StatusUnauthorized || strings.Contains(text, parts[2]) {
				t.Errorf("%s: GET %s: %d %.200s", what, path, res.StatusCode, text)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s: %v", what, took)
			}
		}
	}
	// A token is no cookie, and no part of an address.
	for _, where := range [][]string{{"/api/events?token=" + token}, {"/api/events?access_token=" + token}, {"/api/events", "Cookie", "session=" + token}, {"/api/events", "X-Token", token}} {
		if res, _ := send(t, server, "GET", where[0], "", where[1:]...); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%.30q: %d", where, res.StatusCode)
		}
	}
}

func decoded(t *testing.T, part string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The second factor is seen to in a session: a token shows no seed.
func TestToken_HasNoSecondFactor(t *testing.T) {
	server, o := closedHub(t, &fakeService{})
	token, _, err := o.Access.IssueTokenFor(t.Context(), "viewer", goodPassword, "", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range (&Handler{}).accountRoutes() {
		if !strings.HasPrefix(r.path, "/account/totp") {
			continue
		}
		answer := visit(t, server, r.method, r.path, url.Values{"current": {goodPassword}, "code": {"000000"}}, "Authorization", "Bearer "+token)
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s: %d", r.method, r.path, answer.StatusCode)
		}
	}
}
