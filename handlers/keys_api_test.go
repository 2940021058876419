package handlers

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"alerthub/access"
	"alerthub/models"
	"alerthub/wire"
)

// memoryAccess is the storage behind the access of these tests.
type memoryAccess struct {
	mu   sync.Mutex
	keys map[string]models.Key
	memoryPeople
}

func (m *memoryAccess) AddKey(_ context.Context, k models.Key, hash string) (models.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.keys {
		if strings.EqualFold(other.Name, k.Name) {
			return k, &models.FieldError{Field: "name", Reason: "is taken"}
		}
	}
	k.ID = int64(len(m.keys) + 1)
	m.keys[hash] = k
	return k, nil
}

func (m *memoryAccess) RevokeKey(context.Context, int64, time.Time) error { return nil }
func (m *memoryAccess) KeysUsed(context.Context, []models.KeyUse) error   { return nil }
func (m *memoryAccess) Keys(context.Context) (map[string]models.Key, error) {
	return maps.Clone(m.keys), nil
}

func (m *memoryAccess) SaveSenders(context.Context, []models.AnonymousSender) error { return nil }
func (m *memoryAccess) Senders(context.Context) ([]models.AnonymousSender, error)   { return nil, nil }

// newAccess is a real one on storage in memory.
func newAccess(t testing.TB) *access.Service {
	t.Helper()
	return accessFor(t, "0.0.0.0/0,::/0")
}

// accessFor takes events without a key from these networks.
func accessFor(t testing.TB, anonymous string) *access.Service {
	t.Helper()
	networks, err := models.ParseNetworks(anonymous)
	if err != nil {
		t.Fatal(err)
	}
	service, err := access.New(t.Context(), &memoryAccess{keys: make(map[string]models.Key)}, access.Config{
		Anonymous: networks, Now: func() time.Time { return received },
	})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestKeys_SecretIsShownOnce(t *testing.T) {
	server := serveHere(t, testOptions(t, &fakeService{}))
	res, text := send(t, server, "POST", "/api/keys", `{"name":" ups of hall 3 ","scopes":["ingest"],"sources":["ups-*"]}`, "Content-Type", jsonType)
	made := decodeAs[struct {
		wire.Key
		Secret string `json:"key"`
	}](t, text)
	if res.StatusCode != http.StatusCreated || made.Name != "ups of hall 3" || made.ID != 1 || !strings.HasPrefix(made.Secret, made.Hint) || len(made.Hint) != 8 || len(made.Secret) != 47 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	for _, asked := range [][2]string{{"GET", "/api/keys"}, {"DELETE", "/api/keys/1"}, {"GET", "/api/keys"}} {
		if _, text := send(t, server, asked[0], asked[1], ""); strings.Contains(text, made.Secret[8:]) || !strings.Contains(text, `"hint":"`+made.Hint+`"`) {
			t.Errorf("%v: %s", asked, text)
		}
	}
	if _, text := send(t, server, "GET", "/api/keys", ""); !strings.Contains(text, `"revoked_at":"2026-11-23T18:30:00.123456Z"`) {
		t.Errorf("not revoked: %s", text)
	}
}

func TestKeys_SaysWhatIsWrong(t *testing.T) {
	server := serveHere(t, testOptions(t, &fakeService{}))
	many := `"a"` + strings.Repeat(`,"a"`, models.MaxKeySources)
	for _, tt := range []struct{ body, field string }{
		{`{"scopes":["read"]}`, "name"},
		{`{"name":"` + strings.Repeat("ñ", 41) + `","scopes":["read"]}`, "name"},
		{`{"name":"n","scopes":[]}`, "scopes"},
		{`{"name":"n","scopes":["ingest","all"]}`, "scopes"},
		{`{"name":"n","scopes":{"read":true}}`, "scopes"},
		{`{"name":"n","scopes":["read"],"sources":["a"]}`, "sources"},
		{`{"name":"n","scopes":["ingest","admin"],"sources":["a"]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":["a["]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":[""]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":["a\nb"]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":["` + strings.Repeat("a", 81) + `"]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":[` + many + `]}`, "sources"},
		{`{"name":"n","scopes":["ingest"],"sources":"a"}`, "sources"},
		{`{"name":"n","scopes":["read"],"expires_at":"2026-11-23T18:30:00Z"}`, "expires_at"},
		{`{"name":"n","scopes":["read"],"expires_at":"never"}`, "expires_at"},
	} {
		if res, text := send(t, server, "POST", "/api/keys", tt.body, "Content-Type", jsonType); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, `"field":"`+tt.field+`"`) {
			t.Errorf("%.80s: %d %s", tt.body, res.StatusCode, text)
		}
	}
	if _, text := send(t, server, "GET", "/api/keys", ""); text != `{"keys":[]}` {
		t.Errorf("keys were made: %s", text)
	}
}

// serveKey has everybody show an ingest key for these sources.
func serveKey(t *testing.T, o Options, sources ...string) *httptest.Server {
	t.Helper()
	secret, _, err := o.Keys.MakeKey(t.Context(), models.KeyDraft{Name: sources[0], Scopes: []models.Scope{models.ScopeIngest}, Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	hub := New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+secret)
		hub.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// TestIngest_BoundKey: the rule of the TCP door, by the same function.
func TestIngest_BoundKey(t *testing.T) {
	svc := &fakeService{}
	o := testOptions(t, svc)
	server := serveKey(t, o, "ups-*")
	if res, text := send(t, server, "POST", "/api/events", `{"source":"ups-1"}`, "Content-Type", jsonType); res.StatusCode != http.StatusCreated {
		t.Errorf("its own source: %d %s", res.StatusCode, text)
	}
	for _, body := range []string{`{"source":"sw-1"}`, `{}`} {
		if res, text := send(t, server, "POST", "/api/events", body, "Content-Type", jsonType); res.StatusCode != http.StatusForbidden || !strings.Contains(text, `"error":"unauthorized"`) {
			t.Errorf("%s: %d %s", body, res.StatusCode, text)
		}
	}
	_, text := send(t, server, "POST", "/api/events", `[{"source":"sw-1"},{"source":"ups-2"},{}]`, "Content-Type", jsonType)
	if text != `{"results":[{"ok":false,"error":"unauthorized"},{"ok":true,"event_id":2},{"ok":false,"error":"unauthorized"}]}` {
		t.Errorf("a batch: %s", text)
	}
	one := serveKey(t, o, "sensor-a")
	if res, text := send(t, one, "POST", "/api/events", `{"message":"m"}`, "Content-Type", jsonType); res.StatusCode != http.StatusCreated || !strings.Contains(text, `"source":"sensor-a"`) {
		t.Errorf("no source, of a key for one: %d %s", res.StatusCode, text)
	}
	if senders := o.Senders.Senders(); len(senders) > 0 {
		t.Errorf("keys are anonymous senders: %+v", senders)
	}
	for _, body := range []string{`{"token":"nah_secret","message":"m"}`, `[{"token":"nah_secret"}]`} {
		if _, text := send(t, one, "POST", "/api/events", body, "Content-Type", jsonType); !strings.Contains(text, `"field":"token"`) {
			t.Errorf("a secret in an event: %s", text)
		}
	}
	for _, e := range svc.events {
		if strings.Contains(e.RawPayload, "nah_") {
			t.Errorf("stored: %s", e.RawPayload)
		}
	}
}

func TestSenders_DryRun(t *testing.T) {
	o := testOptions(t, &fakeService{})
	anybody, server := serveOptions(t, o), serveHere(t, o)
	send(t, anybody, "POST", "/api/events", `{"source":"a"}`, "Content-Type", jsonType)
	send(t, anybody, "POST", "/api/events", `[{"source":"b"},{"source":1},{"source":"c"}]`, "Content-Type", jsonType)
	const sender = `"senders":[{"address":"127.0.0.1","first_at":"2026-11-23T18:30:00.123456Z","last_at":"2026-11-23T18:30:00.123456Z","events":3,"last_source":"c","would_refuse":`
	for query, want := range map[string]string{
		"":                                       `{"anonymous":"0.0.0.0/0,::/0",` + sender + `false}]}`,
		"?anonymous=none":                        `{"anonymous":"none",` + sender + `true}]}`,
		"?anonymous=10.0.0.0/8,%202001:db8::/32": `{"anonymous":"10.0.0.0/8,2001:db8::/32",` + sender + `true}]}`,
		"?anonymous=127.0.0.1":                   `{"anonymous":"127.0.0.1/32",` + sender + `false}]}`,
	} {
		if _, text := send(t, server, "GET", "/api/senders"+query, ""); text != want {
			t.Errorf("%s: %s", query, text)
		}
	}
	if res, text := send(t, server, "GET", "/api/senders?anonymous=10.0.0.0/8,,", ""); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, `"field":"anonymous"`) {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}

// TestIngest_WhoMay: whether a key is needed depends on the address alone, and
// on nothing else that is there.
func TestIngest_WhoMay(t *testing.T) {
	for _, networks := range []string{"127.0.0.0/8", "none", "192.0.2.0/24"} {
		o := testOptions(t, &fakeService{})
		who := accessFor(t, networks)
		o.Access, o.Keys, o.Senders = who, who, who
		server := serveStrangers(t, o)
		taken := networks == "127.0.0.0/8"
		check := func(what string, status int, headers ...string) {
			t.Helper()
			if res, text := send(t, server, "POST", "/api/events", `{"source":"a"}`, append(headers, "Content-Type", jsonType)...); res.StatusCode != status {
				t.Errorf("%s, %s: %d, want %d: %s", networks, what, res.StatusCode, status, text)
			}
		}
		anonymous := func(what string) {
			t.Helper()
			status := http.StatusUnauthorized
			if taken {
				status = http.StatusCreated
			}
			check(what, status)
			check(what+", whatever it says of itself", status, "X-Forwarded-For", "127.0.0.1", "Forwarded", "for=192.0.2.1", "X-Real-IP", "192.0.2.1")
		}
		anonymous("nothing is there")
		ingests, reads := secretOf(t, o, "device", models.ScopeIngest), secretOf(t, o, "script", models.ScopeRead)
		anonymous("there are keys")
		if _, err := who.AddUser(t.Context(), "ana", "correct horse battery", models.RoleAdmin); err != nil {
			t.Fatal(err)
		}
		anonymous("there are users")
		check("a key", http.StatusCreated, "Authorization", "Bearer "+ingests)
		check("a key to read", http.StatusForbidden, "Authorization", "Bearer "+reads)
		check("a wrong key", http.StatusUnauthorized, "Authorization", "Bearer nah_wrong")
		if _, err := who.RevokeKey(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		check("a revoked key", http.StatusUnauthorized, "Authorization", "Bearer "+ingests)
		anonymous("a key is revoked")
		want := 0
		if taken {
			want = 1
		}
		if list := who.Senders(); len(list) != want || want == 1 && list[0].Events != 8 {
			t.Errorf("%s: senders %+v", networks, list)
		}
	}
}
