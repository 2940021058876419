package access

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 26, 12, 0, 0, 123456000, time.UTC)

// open opens the room on a real database, under a clock that the test sets.
func open(t *testing.T, dir string, now *time.Time, cfg Config) *Service {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.Now = func() time.Time { return *now }
	s, err := New(t.Context(), db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func makeKey(t *testing.T, s *Service, draft models.KeyDraft) (string, models.Key) {
	t.Helper()
	secret, k, err := s.MakeKey(models.WithActor(t.Context(), models.Actor{Kind: models.ActorUser, Name: "ana"}), draft)
	if err != nil {
		t.Fatal(err)
	}
	return secret, k
}

func refused(t *testing.T, s *Service, what, secret string) {
	t.Helper()
	if a, err := s.Bearer(t.Context(), secret, "192.0.2.7"); !errors.Is(err, models.ErrUnauthorized) || a.May(models.PermitIngest) || a.May(models.PermitRead) {
		t.Errorf("%s: %+v, %v", what, a, err)
	}
}

func TestKeys_LiveAndDie(t *testing.T) {
	dir, now := t.TempDir(), start
	s := open(t, dir, &now, Config{})
	secret, k := makeKey(t, s, models.KeyDraft{Name: "ups", Scopes: []models.Scope{models.ScopeIngest}, Sources: []string{"ups-*"}, ExpiresAt: start.Add(time.Hour)})
	other, _ := makeKey(t, s, models.KeyDraft{Name: "script", Scopes: []models.Scope{models.ScopeAdmin, models.ScopeRead}})
	if k.CreatedBy != "ana" || !k.CreatedAt.Equal(start) || secret[:hintSize] != k.Hint || secret == other {
		t.Errorf("made %+v", k)
	}
	_, _, err := s.MakeKey(t.Context(), models.KeyDraft{Name: "UPS", Scopes: []models.Scope{models.ScopeRead}})
	if !errors.Is(err, models.ErrInvalid) {
		t.Errorf("a taken name: %v", err)
	}

	now = start.Add(time.Minute)
	a, err := s.Bearer(t.Context(), secret, "192.0.2.7")
	want := models.Actor{Kind: models.ActorKey, ID: k.ID, Name: "ups", Address: "192.0.2.7", Scopes: k.Scopes, Sources: k.Sources}
	if diff := cmp.Diff(want, a); diff != "" || err != nil {
		t.Errorf("actor (-want +got): %s%v", diff, err)
	}
	if !a.May(models.PermitIngest) || a.May(models.PermitRead) || !s.Valid(a) {
		t.Error("the key may not do what it is for, or more")
	}
	for what, wrong := range map[string]string{
		"nothing": "", "the prefix": models.KeyPrefix, "cut": secret[:len(secret)-1], "one more": secret + "A",
		"another case": strings.ToUpper(secret), "a blank": secret + " ", "its hash": hashOf(secret),
	} {
		refused(t, s, what, wrong)
	}
	if list := s.Keys(); len(list) != 2 || list[1].LastUsedAt != now || list[1].LastUsedFrom != "192.0.2.7" || !list[0].LastUsedAt.IsZero() {
		t.Errorf("keys %+v", list)
	}

	// The hour of its end, and a revocation, count for who has shown it before.
	now = start.Add(time.Hour)
	refused(t, s, "expired", secret)
	if s.Valid(a) {
		t.Error("an expired key is valid")
	}
	now = start
	if !s.Valid(a) || !s.HasIngestKey() {
		t.Error("not valid before that")
	}
	revoked, err := s.RevokeKey(t.Context(), k.ID)
	if err != nil || !revoked.RevokedAt.Equal(now) {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	refused(t, s, "revoked", secret)
	if s.Valid(a) {
		t.Error("a revoked key is valid")
	}
	now = now.Add(time.Minute)
	if again, err := s.RevokeKey(t.Context(), k.ID); err != nil || again.RevokedAt != revoked.RevokedAt {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	if _, err := s.RevokeKey(t.Context(), 99); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("revoke an unknown one: %v", err)
	}
	if _, _, err := s.MakeKey(t.Context(), models.KeyDraft{Name: "ups", Scopes: k.Scopes}); !errors.Is(err, models.ErrInvalid) {
		t.Errorf("the name of a revoked key: %v", err)
	}

	// All of it outlives the hub, the last use too.
	if err := s.storeUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.keyring.store.(*store.Store).Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir, &now, Config{})
	if diff := cmp.Diff(s.Keys(), next.Keys()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	refused(t, next, "revoked, after a restart", secret)
	if a, err := next.Bearer(t.Context(), other, "::1"); err != nil || !a.May(models.PermitAdminister) {
		t.Errorf("the other key: %+v, %v", a, err)
	}
}

func TestKeys_FailingStorageChangesNothing(t *testing.T) {
	now := start
	s := open(t, t.TempDir(), &now, Config{})
	secret, k := makeKey(t, s, models.KeyDraft{Name: "ups", Scopes: []models.Scope{models.ScopeIngest}})
	if err := s.keyring.store.(*store.Store).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeKey(t.Context(), k.ID); err == nil {
		t.Error("revoked without storage")
	}
	if made, _, err := s.MakeKey(t.Context(), models.KeyDraft{Name: "other", Scopes: k.Scopes}); err == nil || made != "" {
		t.Errorf("made without storage: %v", err)
	}
	if _, err := s.Bearer(t.Context(), secret, "::1"); err != nil || len(s.Keys()) != 1 {
		t.Errorf("the key: %v", err)
	}
}

func TestKeys_OwnToken(t *testing.T) {
	now := start
	s := open(t, t.TempDir(), &now, Config{})
	refused(t, s, "nothing, without an own token", "")
	first, second := s.OwnToken(), s.OwnToken()
	refused(t, s, "an old own token", first)
	if a, err := s.Bearer(t.Context(), second, "127.0.0.1"); err != nil || a.Kind != models.ActorHub || len(s.Keys()) != 0 || s.HasIngestKey() {
		t.Errorf("own token: %+v, %v", a, err)
	}
}

// countedStore counts what is written.
type countedStore struct {
	Store
	fail  atomic.Bool
	times [][]models.KeyUse
}

func (c *countedStore) Users(context.Context) ([]models.Credentials, error) { return nil, nil }
func (c *countedStore) Sessions(context.Context) ([]models.Session, error)  { return nil, nil }

func (c *countedStore) Keys(context.Context) (map[string]models.Key, error) {
	return map[string]models.Key{
		hashOf("a"): {ID: 1, Scopes: []models.Scope{models.ScopeIngest}}, hashOf("b"): {ID: 2, Scopes: []models.Scope{models.ScopeIngest}},
	}, nil
}

func (c *countedStore) Senders(context.Context) ([]models.AnonymousSender, error) { return nil, nil }

func (c *countedStore) KeysUsed(_ context.Context, uses []models.KeyUse) error {
	if c.fail.Load() {
		return models.ErrUnavailable
	}
	c.times = append(c.times, uses)
	return nil
}

func TestRun_StoresTheLastUseOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countedStore{}
		s, err := New(t.Context(), counted, Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		use := func() {
			for range 100 {
				if a, err := s.Bearer(ctx, "a", "192.0.2.7"); err != nil || !s.Valid(a) {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		use() // until 1:40
		synctest.Wait()
		if len(counted.times) != 1 || len(counted.times[0]) != 1 || counted.times[0][0].ID != 1 {
			t.Errorf("stored %v", counted.times)
		}
		counted.fail.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		counted.fail.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(counted.times) != 2 {
			t.Errorf("what could not be stored: %v", counted.times)
		}
		time.Sleep(time.Hour) // nobody uses it
		synctest.Wait()
		if len(counted.times) != 2 {
			t.Errorf("stored without a use: %v", counted.times)
		}
		if _, err := s.Bearer(ctx, "b", "::1"); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ran; err != nil || len(counted.times) != 3 || counted.times[2][0].From != "::1" {
			t.Errorf("at the end: %v, %v", counted.times, err)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	s, err := New(b.Context(), &countedStore{}, Config{})
	if err != nil {
		b.Fatal(err)
	}
	a, err := s.Bearer(b.Context(), "a", "192.0.2.7")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !s.Valid(a) {
			b.Fatal("not valid")
		}
	}
}
