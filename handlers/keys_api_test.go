package handlers

import (
	"context"
	"maps"
	"net/http"
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

// newAccess is a real one on storage in memory.
func newAccess(t testing.TB) *access.Service {
	t.Helper()
	service, err := access.New(t.Context(), &memoryAccess{keys: make(map[string]models.Key)}, access.Config{
		Now: func() time.Time { return received },
	})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestKeys_SecretIsShownOnce(t *testing.T) {
	server := serve(t, &fakeService{})
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
	server := serve(t, &fakeService{})
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
