package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"alerthub/models"
)

// exchange gives a token for a key, as the web door does.
func (b *bench) exchange(secret string) (string, time.Time) {
	b.t.Helper()
	a, err := b.Bearer(b.t.Context(), secret, home)
	if err != nil {
		b.t.Fatal(err)
	}
	token, expires, err := b.IssueToken(models.WithActor(b.t.Context(), a))
	if err != nil {
		b.t.Fatal(err)
	}
	return token, expires
}

func (b *bench) opens(what, token string, p models.Permission) models.Actor {
	b.t.Helper()
	a, err := b.Bearer(b.t.Context(), token, home)
	if err != nil || !a.May(p) || !b.Valid(a) || a.Address != home {
		b.t.Errorf("%s: %+v, %v", what, a, err)
	}
	return a
}

func (b *bench) shut(what, token string) {
	b.t.Helper()
	if a, err := b.Bearer(b.t.Context(), token, home); !errors.Is(err, models.ErrUnauthorized) || a.Kind != "" {
		b.t.Errorf("%s: %+v, %v", what, a, err)
	}
}

func TestTokens_OfAKey(t *testing.T) {
	b := begin(t)
	secret, k := makeKey(t, b.Service, models.KeyDraft{Name: "ups", Scopes: []models.Scope{models.ScopeIngest}, Sources: []string{"ups-*"}})
	token, expires := b.exchange(secret)
	if !expires.Equal(b.clock.Add(15 * time.Minute)) {
		t.Errorf("expires %v", expires)
	}
	a := b.opens("a token", token, models.PermitIngest)
	if a.Kind != models.ActorKey || a.ID != k.ID || a.Name != "ups" || len(a.Sources) != 1 || a.May(models.PermitRead) {
		t.Errorf("actor %+v", a)
	}
	if _, _, err := b.IssueToken(models.WithActor(t.Context(), a)); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("a token for a token: %v", err)
	}
	for _, nobody := range []models.Actor{{}, {Kind: models.ActorOpen}, {Kind: models.ActorUser, ID: 1, Session: 1}, {Kind: models.ActorDevice, Name: "ups-1"}, {Kind: models.ActorKey, ID: 99}} {
		if _, _, err := b.IssueToken(models.WithActor(t.Context(), nobody)); !errors.Is(err, models.ErrUnauthorized) {
			t.Errorf("a token for %+v: %v", nobody, err)
		}
	}
	b.clock = b.clock.Add(15*time.Minute - time.Second)
	b.opens("in its last second", token, models.PermitIngest)
	b.clock = b.clock.Add(time.Second)
	b.shut("expired", token)
	if b.Valid(a) {
		t.Error("who has shown it is valid after its end")
	}

	token, _ = b.exchange(secret)
	a = b.opens("another one", token, models.PermitIngest)
	if _, err := b.RevokeKey(local(t), k.ID); err != nil {
		t.Fatal(err)
	}
	b.shut("of a revoked key", token)
	if b.Valid(a) {
		t.Error("valid although the key is revoked")
	}

	// It ends with its key, and with the process.
	secret, _ = makeKey(t, b.Service, models.KeyDraft{Name: "short", Scopes: []models.Scope{models.ScopeAdmin}, ExpiresAt: b.clock.Add(time.Minute)})
	token, expires = b.exchange(secret)
	if !expires.Equal(b.clock.Add(time.Minute)) {
		t.Errorf("expires %v, after its key", expires)
	}
	b.opens("of a key that ends soon", token, models.PermitAdminister)
	b.restart()
	b.opens("the key, after a restart", secret, models.PermitAdminister)
	b.shut("a token, after a restart", token)
}

func TestTokens_OfAUser(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleOperator)
	if _, _, err := b.IssueTokenFor(t.Context(), "ana", "wrong", "", home); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("a wrong password: %v", err)
	}
	login := func() string {
		t.Helper()
		b.clock = b.clock.Add(time.Millisecond)
		token, _, err := b.IssueTokenFor(t.Context(), "ANA", good, "", home)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := login()
	a := b.opens("a token", token, models.PermitOperate)
	if a.Kind != models.ActorUser || a.Name != "ana" || a.Session != 0 {
		t.Errorf("actor %+v", a)
	}
	if err := b.SetRole(local(t), "ana", models.RoleViewer); err != nil {
		t.Fatal(err)
	}
	if a := b.opens("another role", token, models.PermitRead); a.May(models.PermitOperate) {
		t.Error("the old role holds")
	}
	b.clock = b.clock.Add(time.Millisecond) // of the same second
	if err := b.SetPassword(local(t), "ana", good+"!", 0); err != nil {
		t.Fatal(err)
	}
	b.shut("an older password", token)
	if b.Valid(a) {
		t.Error("valid although the password is another one")
	}
	b.clock = b.clock.Add(time.Millisecond)
	token, _, err := b.IssueTokenFor(t.Context(), "ana", good+"!", "", home)
	if err != nil {
		t.Fatal(err)
	}
	a = b.opens("the new password", token, models.PermitRead)
	if err := b.SetDisabled(local(t), "ana", true); err != nil {
		t.Fatal(err)
	}
	b.shut("disabled", token)
	if b.Valid(a) {
		t.Error("valid although disabled")
	}
	entries, err := b.store.AuditLog(t.Context(), models.AuditFilter{Action: models.AuditToken, Limit: 10})
	if err != nil || len(entries) != 2 || entries[0].Actor != "ana" || entries[0].Address != home || strings.Contains(fmt.Sprint(entries), token) {
		t.Errorf("audit log: %+v, %v", entries, err)
	}
}

func part(t testing.TB, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign signs a header and claims of any kind by HS256.
func sign(t testing.TB, secret []byte, header, claims any) string {
	t.Helper()
	text := part(t, header) + "." + part(t, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestTokens_Forged tries what is known to have opened other doors. Where the
// hub's own secret is used, nothing but the claim or header is wrong.
func TestTokens_Forged(t *testing.T) {
	b := begin(t)
	secret, k := makeKey(t, b.Service, models.KeyDraft{Name: "root", Scopes: []models.Scope{models.ScopeAdmin}})
	other, _ := makeKey(t, b.Service, models.KeyDraft{Name: "ups", Scopes: []models.Scope{models.ScopeIngest}})
	b.add("ana", models.RoleAdmin)
	token, _ := b.exchange(secret)
	lesser, _ := b.exchange(other)
	own := b.tokens.secret
	now := b.clock.Unix()
	type m = map[string]any
	header := m{"alg": "HS256", "typ": "JWT"}
	claims := func(change m) m {
		c := m{"iss": "alerthub", "aud": []string{"alerthub"}, "sub": fmt.Sprintf("key:%d", k.ID), "iat": now, "nbf": now, "exp": now + 600}
		for name, value := range change {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
		return c
	}
	b.opens("the way these tokens are made", sign(t, own, header, claims(nil)), models.PermitAdminister)

	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(claims(nil))).SignedString(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims(claims(nil))).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	hs512, err := jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims(claims(nil))).SignedString(own)
	if err != nil {
		t.Fatal(err)
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, token[len(token)-1]) // of 43 letters for 256 bits: two are to spare
	parts, lesserParts := strings.Split(token, "."), strings.Split(lesser, ".")
	forged := map[string]string{
		"alg none": unsigned, "alg none with a signature": unsigned + parts[2], "RS256": rs256,
		"alg None": part(t, m{"alg": "None", "typ": "JWT"}) + "." + parts[1] + ".", "alg nOnE": part(t, m{"alg": "nOnE", "typ": "JWT"}) + "." + parts[1] + "." + parts[2],
		"no alg": part(t, m{"typ": "JWT"}) + "." + parts[1] + "." + parts[2], "alg hs256": sign(t, own, m{"alg": "hs256", "typ": "JWT"}, claims(nil)),
		"alg HS512": hs512, "alg of a number": sign(t, own, m{"alg": 256, "typ": "JWT"}, claims(nil)),
		"another secret":             sign(t, []byte("secret"), header, claims(nil)),
		"no secret":                  sign(t, nil, header, claims(nil)),
		"signed by the key":          sign(t, []byte(secret), header, claims(nil)),
		"signed by the key's hash":   sign(t, []byte(hashOf(secret)), header, claims(nil)),
		"signed by the version":      sign(t, []byte("alerthub"), header, claims(nil)),
		"another's claims":           lesserParts[0] + "." + parts[1] + "." + lesserParts[2],
		"another's signature":        parts[0] + "." + parts[1] + "." + lesserParts[2],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 token + "." + parts[2],
		"a dot before":               "." + token,
		"cut":                        token[:len(token)-1],
		"cut in the middle":          token[:len(token)/2],
		"one more letter":            token + "A",
		"other bits to spare":        token[:len(token)-1] + letters[last|1:last|1+1],
		"more claims than there are": sign(t, own, header, claims(m{"jti": strings.Repeat("a", maxToken)})),
		"a blank before":             " " + token,
		"a line feed":                token + "\n",
		"padding":                    token + "=",
		"the other alphabet":         parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+",
		"a key id":                   sign(t, own, m{"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"}, claims(nil)),
		"an address of keys":         sign(t, own, m{"alg": "HS256", "typ": "JWT", "jku": "http://192.0.2.1/keys"}, claims(nil)),
		"an address of a chain":      sign(t, own, m{"alg": "HS256", "typ": "JWT", "x5u": "http://192.0.2.1/chain"}, claims(nil)),
		"a key of its own":           sign(t, []byte("k"), m{"alg": "HS256", "typ": "JWT", "jwk": m{"kty": "oct", "k": "aw"}}, claims(nil)),
		"what must be understood":    sign(t, own, m{"alg": "HS256", "typ": "JWT", "crit": []string{"exp"}}, claims(nil)),
		"zipped":                     sign(t, own, m{"alg": "HS256", "typ": "JWT", "zip": "DEF"}, claims(nil)),
		"another type":               sign(t, own, m{"alg": "HS256", "typ": "at+jwt"}, claims(nil)),
		"no type":                    sign(t, own, m{"alg": "HS256"}, claims(nil)),
		"nothing in the place of it": sign(t, own, m{"alg": "HS256", "typ": nil}, claims(nil)),
		"a header that is no object": sign(t, own, `[]`, claims(nil)),
		"claims that are no object":  sign(t, own, header, `"key:1"`),
		"no claims":                  sign(t, own, header, ``),
		"claims and more":            sign(t, own, header, `{}{}`),
		"nested":                     sign(t, own, header, part(t, claims(nil))),
		"dots":                       strings.Repeat(".", 1<<20),
		"dots among letters":         strings.Repeat("a.", 1<<19),
		"a megabyte":                 parts[0] + "." + parts[1] + "." + strings.Repeat("A", 1<<20),
		"two dots":                   "..", "one dot": ".", "no UTF-8": "\xff.\xff.\xff", "zeros": "\x00.\x00.\x00",
	}
	for what, change := range map[string]m{
		"no exp": {"exp": nil}, "no nbf": {"nbf": nil}, "no iat": {"iat": nil}, "no iss": {"iss": nil}, "no aud": {"aud": nil}, "no sub": {"sub": nil},
		"over": {"exp": now}, "long over": {"exp": 1}, "negative": {"exp": -1}, "exp of text": {"exp": "never"}, "endless": {"exp": "1e999"},
		"not yet": {"nbf": now + 1}, "from tomorrow": {"iat": now + 86400}, "another issuer": {"iss": "Alerthub"}, "issuers": {"iss": []string{"alerthub"}},
		"for others": {"aud": "other"}, "for nobody": {"aud": []string{}}, "for a part": {"aud": "alerthub2"},
		"of nobody": {"sub": ""}, "of no kind": {"sub": "1"}, "of another kind": {"sub": "session:1"}, "of an unknown key": {"sub": "key:99"}, "of no user": {"sub": "user:99"},
		"of half an id": {"sub": "key:"}, "of a large id": {"sub": "key:99999999999999999999"}, "of two": {"sub": "key:1:user:1"}, "of a name": {"sub": "user:ana"},
		"of the hub": {"sub": "hub:0"}, "of a number": {"sub": 1}, "of a user of no password": {"sub": "user:1"}, "of a user, before the password": {"sub": "user:1", "password_at": 1}, "of a user, after the password": {"sub": "user:1", "password_at": b.clock.Add(time.Hour).UnixMicro()},
	} {
		forged[what] = sign(t, own, header, claims(change))
	}
	for what, token := range forged {
		begun := time.Now()
		b.shut(what, token)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s takes %v", what, took)
		}
	}
	b.opens("the token itself, after all that", token, models.PermitAdminister)
	t.Logf("%d forged tokens", len(forged))
}

// FuzzBearer: whatever is shown opens nothing, and never panics. A key that
// was made and a token that it was exchanged for are known to the fuzzer.
func FuzzBearer(f *testing.F) {
	s, err := New(f.Context(), &countedStore{}, Config{})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	token, err := s.tokens.make("key:1", 0, now, now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a")
	f.Add(token)
	f.Add(strings.Replace(token, ".", "..", 1))
	f.Add(part(f, `{"alg":"none","typ":"JWT"}`) + "." + part(f, `{"sub":"key:1"}`) + ".")
	f.Add("nah_" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, shown string) {
		a, err := s.Bearer(context.Background(), shown, home)
		known := shown == "a" || shown == "b" || shown == token
		if (err == nil) != known || !known && a.Kind != "" {
			t.Errorf("%q: %+v, %v", shown, a, err)
		}
	})
}
