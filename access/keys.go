package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// KeyStore keeps the keys.
type KeyStore interface {
	// AddKey returns k with its ID; a *models.FieldError for a taken name.
	AddKey(ctx context.Context, k models.Key, hash string) (models.Key, error)
	RevokeKey(ctx context.Context, id int64, at time.Time) error
	KeysUsed(ctx context.Context, uses []models.KeyUse) error
	// Keys are all keys that ever were, by the hashes of their secrets.
	Keys(ctx context.Context) (map[string]models.Key, error)
}

const (
	// secretSize is the random part of a key in bytes. Nobody guesses 256
	// bits, which is why one fast hash keeps them safe where passwords need a
	// slow one.
	secretSize = 32
	// hintSize is how much of a key is shown later, its prefix included.
	hintSize = len(models.KeyPrefix) + 4
	// useStep is how exactly the last use is known.
	useStep = time.Second
)

// keyring is the keys of scripts and devices.
type keyring struct {
	store KeyStore
	now   func() time.Time
	own   string // hash of the token that the hub shows to itself

	changing sync.Mutex // held while keys are made and revoked, before mu

	mu     sync.RWMutex
	byHash map[string]*heldKey
	byID   map[int64]*heldKey
}

// heldKey is one key.
type heldKey struct {
	models.Key // RevokedAt is guarded by the keyring's mu, the rest does not change
	use        atomic.Pointer[models.KeyUse]
	stored     *models.KeyUse // the last use that is stored; of Run alone
}

func newKeyring(ctx context.Context, store KeyStore, now func() time.Time) (*keyring, error) {
	keys, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	r := &keyring{store: store, now: now, byHash: make(map[string]*heldKey), byID: make(map[int64]*heldKey)}
	for hash, k := range keys {
		r.hold(k, hash)
	}
	return r, nil
}

// hold must be called with mu held, or before anybody else knows the keyring.
func (r *keyring) hold(k models.Key, hash string) {
	held := &heldKey{Key: k}
	if !k.LastUsedAt.IsZero() {
		use := &models.KeyUse{ID: k.ID, At: k.LastUsedAt, From: k.LastUsedFrom}
		held.use.Store(use)
		held.stored = use
	}
	r.byHash[hash], r.byID[k.ID] = held, held
}

// newSecret is the printed form of a new key.
func newSecret() string {
	random := make([]byte, secretSize)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return models.KeyPrefix + base64.RawURLEncoding.EncodeToString(random)
}

// hashOf is what is kept of a random secret: there is nothing to guess in it,
// so it needs no salt and no slow hash.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// makeKey is MakeKey without the record of it.
func (r *keyring) makeKey(ctx context.Context, draft models.KeyDraft) (secret string, k models.Key, err error) {
	now := r.now().UTC().Truncate(time.Microsecond)
	if draft, err = draft.Clean(now); err != nil {
		return "", models.Key{}, err
	}
	actor := models.ActorOf(ctx)
	secret = newSecret()
	k = models.Key{
		Name: draft.Name, Hint: secret[:hintSize], Scopes: draft.Scopes, Sources: draft.Sources,
		CreatedAt: now, CreatedBy: cmp.Or(actor.Name, string(actor.Kind)), ExpiresAt: draft.ExpiresAt,
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	hash := hashOf(secret)
	if k, err = r.store.AddKey(ctx, k, hash); err != nil {
		return "", models.Key{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold(k, hash)
	return secret, k, nil
}

// Keys are all keys that ever were, the newest first.
func (r *keyring) Keys() []models.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]models.Key, 0, len(r.byID))
	for _, held := range r.byID {
		list = append(list, held.shown())
	}
	slices.SortFunc(list, func(a, b models.Key) int { return cmp.Compare(b.ID, a.ID) })
	return list
}

// shown is the key with its last use. It must be called with mu held.
func (k *heldKey) shown() models.Key {
	shown := k.Key
	if use := k.use.Load(); use != nil {
		shown.LastUsedAt, shown.LastUsedFrom = use.At, use.From
	}
	return shown
}

// revokeKey is RevokeKey without the record of it.
func (r *keyring) revokeKey(ctx context.Context, id int64) (models.Key, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	held := r.find(id)
	if held == nil {
		return models.Key{}, fmt.Errorf("key %d: %w", id, models.ErrNotFound)
	}
	if held.RevokedAt.IsZero() { // only changing may write it
		now := r.now().UTC().Truncate(time.Microsecond)
		if err := r.store.RevokeKey(ctx, id, now); err != nil {
			return models.Key{}, err
		}
		r.mu.Lock()
		held.RevokedAt = now
		r.mu.Unlock()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return held.shown(), nil
}

// HasIngestKey reports whether any key may hand in events now.
func (r *keyring) HasIngestKey() bool {
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, held := range r.byID {
		if held.Usable(now) && held.Ingests() {
			return true
		}
	}
	return false
}

// OwnToken is a token by which the hub knows itself, at its own doors, until
// it is asked for another one. It is kept nowhere else.
func (r *keyring) OwnToken() string {
	secret := newSecret()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = hashOf(secret)
	return secret
}

// bearer is who holds a key.
func (r *keyring) bearer(secret, address string) (models.Actor, error) {
	hash, now := hashOf(secret), r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if hash == r.own {
		return models.Actor{Kind: models.ActorHub, Address: address}, nil
	}
	held := r.byHash[hash]
	if held == nil || !held.Usable(now) {
		return models.Actor{}, models.ErrUnauthorized
	}
	held.touch(now, address)
	return held.actor(address), nil
}

func (k *heldKey) actor(address string) models.Actor {
	return models.Actor{Kind: models.ActorKey, ID: k.ID, Name: k.Name, Address: address, Scopes: k.Scopes, Sources: k.Sources}
}

// find is the key with an id; nil for none.
func (r *keyring) find(id int64) *heldKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// holds reports whether the key that a has shown is still good.
func (r *keyring) holds(a models.Actor) bool {
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	held := r.byID[a.ID]
	if held == nil || !held.Usable(now) {
		return false
	}
	held.touch(now, a.Address)
	return true
}

// touch notes a use.
func (k *heldKey) touch(now time.Time, address string) {
	if last := k.use.Load(); last == nil || last.From != address || now.Sub(last.At) >= useStep {
		k.use.Store(&models.KeyUse{ID: k.ID, At: now.UTC().Truncate(time.Microsecond), From: address})
	}
}

// storeUses stores the last use of every key that was used since. Only Run
// calls it.
func (r *keyring) storeUses(ctx context.Context) error {
	used := make(map[*heldKey]*models.KeyUse)
	var uses []models.KeyUse
	r.mu.RLock()
	for _, held := range r.byID {
		if use := held.use.Load(); use != held.stored {
			used[held] = use
			uses = append(uses, *use)
		}
	}
	r.mu.RUnlock()
	if len(uses) == 0 {
		return nil
	}
	if err := r.store.KeysUsed(ctx, uses); err != nil {
		return err
	}
	for held, use := range used {
		held.stored = use
	}
	return nil
}
