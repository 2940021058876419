package storetest

import (
	"errors"
	"testing"
	"time"

	"alerthub/models"
)

func keptKeys(t *testing.T, s Store) map[string]models.Key {
	t.Helper()
	list, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func addKey(t *testing.T, s Store, k models.Key, hash string) models.Key {
	t.Helper()
	added, err := s.AddKey(t.Context(), k, hash)
	if err != nil || added.ID == 0 {
		t.Fatalf("AddKey(%+v): %+v, %v", k, added, err)
	}
	return added
}

func keys(t *testing.T, s Store) {
	same(t, "keys of an empty store", map[string]models.Key{}, keptKeys(t, s))
	plain := addKey(t, s, models.Key{Name: "script", Hint: "nah_Ab", Scopes: []models.Scope{models.ScopeRead}, CreatedAt: start, CreatedBy: "ana"}, "h1")
	full := addKey(t, s, models.Key{
		Name: "Überwachung, Halle 3", Hint: "nah_Cd", Scopes: []models.Scope{models.ScopeIngest, models.ScopeAdmin},
		Sources: []string{"ups-*", "a,b", `\[x\]`}, CreatedAt: start, CreatedBy: "console", ExpiresAt: start.Add(time.Hour),
	}, "h2")
	same(t, "both", map[string]models.Key{"h1": plain, "h2": full}, keptKeys(t, s))

	var field *models.FieldError
	if _, err := s.AddKey(t.Context(), models.Key{Name: "SCRIPT", Scopes: plain.Scopes, CreatedAt: start}, "h3"); !errors.As(err, &field) || field.Field != "name" {
		t.Errorf("a taken name: %v", err)
	}

	plain.LastUsedAt, plain.LastUsedFrom = start.Add(time.Minute), "2001:db8::1"
	full.LastUsedAt, full.LastUsedFrom = start.Add(2*time.Minute), "192.0.2.7"
	err := s.KeysUsed(t.Context(), []models.KeyUse{
		{ID: plain.ID, At: plain.LastUsedAt, From: plain.LastUsedFrom}, {ID: full.ID, At: full.LastUsedAt, From: full.LastUsedFrom}, {ID: 99, At: start, From: "::1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	plain.RevokedAt = start.Add(time.Hour)
	for _, at := range []time.Time{plain.RevokedAt, start.Add(2 * time.Hour)} { // the first one stands
		if err := s.RevokeKey(t.Context(), plain.ID, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RevokeKey(t.Context(), 99, start); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("revoke an unknown key: %v", err)
	}
	same(t, "used, and one revoked", map[string]models.Key{"h1": plain, "h2": full}, keptKeys(t, s))
}
