// Package access knows who people, scripts and devices are, and what they may
// do: users with their passwords, second factors and sessions, the keys of
// scripts and devices, the addresses from which nothing need be shown, and the
// record of who did what. It keeps what it knows
// in memory, since the hub alone has the database, so that a check costs about
// a microsecond; every change is stored before it holds. It never sees HTML,
// and of HTTP only tokens and addresses; it never keeps or logs a secret.
//
// Run is its one goroutine: it stores what is learnt all the time.
package access

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"

	"alerthub/models"
)

// Store keeps what must outlast the process. Its errors are those of package
// models, or a context's.
type Store interface {
	Users(ctx context.Context) ([]models.Credentials, error)
	SaveUser(ctx context.Context, c models.Credentials) (models.Credentials, error)
	Sessions(ctx context.Context) ([]models.Session, error)
	SaveSession(ctx context.Context, s models.Session) (models.Session, error)
	DeleteSessions(ctx context.Context, ids []int64) error
	AddAudit(ctx context.Context, e models.AuditEntry) error
	AuditLog(ctx context.Context, f models.AuditFilter) ([]models.AuditEntry, error)

	KeyStore
	SenderStore
}

// Config is what New needs; its zero value works.
type Config struct {
	SessionIdle time.Duration   // a session of which nothing is heard for so long ends. 0 means 12 hours
	SessionMax  time.Duration   // no session lasts longer. 0 means 30 days
	Anonymous   models.Networks // from where events are taken without a key
	SetupOnly   bool            // without users nobody may anything but set the hub up
	Logger      *slog.Logger    // nil discards
	Now         func() time.Time
}

// Service is who may do what. All methods may be called concurrently.
type Service struct {
	*keyring
	*senders
	tokens *tokens

	cfg      Config
	store    Store
	scs      *scs.SessionManager
	hashing  hashing
	attempts attempts

	unstored atomic.Int64 // sessions that could not be stored

	change sync.Mutex // held by whoever changes a user, from what was read until it is stored

	mu        sync.RWMutex
	users     map[int64]*models.Credentials // values are never changed, only replaced
	named     map[string]int64              // by the name in lower case
	sessions  map[string]*session           // by the hash of the token
	undeleted []int64                       // sessions that have ended, and are still stored
	setup     string                        // hash of the token that may add the first user; "" for none
	setupEnd  time.Time
}

// New reads what is stored.
func New(ctx context.Context, store Store, cfg Config) (*Service, error) {
	if cfg.SessionIdle == 0 {
		cfg.SessionIdle = 12 * time.Hour
	}
	if cfg.SessionMax == 0 {
		cfg.SessionMax = 30 * 24 * time.Hour
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{
		tokens: newTokens(cfg.Now), cfg: cfg, store: store, hashing: newHashing(), attempts: newAttempts(),
		users: make(map[int64]*models.Credentials), named: make(map[string]int64), sessions: make(map[string]*session),
	}
	var err error
	if s.keyring, err = newKeyring(ctx, store, cfg.Now); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	if s.senders, err = newSenders(ctx, store, cfg.Anonymous, cfg.Now); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	users, err := store.Users(ctx)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	for i := range users {
		s.know(&users[i])
	}
	if err := s.loadSessions(ctx); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return s, nil
}

// know takes a user into memory. The caller holds mu, or is New.
func (s *Service) know(c *models.Credentials) {
	s.users[c.ID] = c
	s.named[strings.ToLower(c.Name)] = c.ID
}

// HasUsers reports whether there is anybody who can sign in.
func (s *Service) HasUsers() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.users) > 0
}

// Open reports whether nobody signs in, and everybody may what users may.
func (s *Service) Open() bool { return !s.HasUsers() && !s.cfg.SetupOnly }

// now is the time as it is stored.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// How often what is learnt is stored.
const (
	storeUsesEvery    = time.Minute
	storeSendersEvery = 10 * time.Second
)

// storeTime bounds how long what must be stored waits for the store, whether
// whoever asked for it is still there or not.
const storeTime = 5 * time.Second

// Run stores what is learnt all the time, and once more when ctx ends; and
// forgets what need not be known any more.
func (s *Service) Run(ctx context.Context) error {
	uses, senders := time.NewTicker(storeUsesEvery), time.NewTicker(storeSendersEvery)
	defer uses.Stop()
	defer senders.Stop()
	for {
		select {
		case <-uses.C:
			s.keep(ctx, "the last use of keys", s.storeUses)
			s.attempts.forget(s.now())
		case <-senders.C:
			s.keep(ctx, "anonymous senders", s.storeSenders)
			s.keep(ctx, "the end of sessions", s.storeEnds)
		case <-ctx.Done():
			ctx = context.WithoutCancel(ctx)
			s.keep(ctx, "the last use of keys", s.storeUses)
			s.keep(ctx, "anonymous senders", s.storeSenders)
			s.keep(ctx, "the end of sessions", s.storeEnds)
			return nil
		}
	}
}

// keep has something stored. What fails is tried again the next time.
func (s *Service) keep(ctx context.Context, what string, store func(context.Context) error) {
	if err := store(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("not stored yet", "what", what, "error", err)
	}
}

// Bearer is who holds a token: an API key, or what it was exchanged for.
// address is where it comes from. The error is models.ErrUnauthorized.
func (s *Service) Bearer(_ context.Context, token, address string) (models.Actor, error) {
	if looksSigned(token) {
		return s.signed(token, address)
	}
	return s.bearer(token, address)
}

// Valid reports whether what a has shown still holds. It is cheap enough for
// every read of a connection, and counts as a use of a key or a session: a
// page that is open uses its session.
func (s *Service) Valid(a models.Actor) bool {
	if !a.Until.IsZero() && !s.now().Before(a.Until) {
		return false
	}
	switch a.Kind {
	case models.ActorKey:
		return s.holds(a)
	case models.ActorUser:
		if a.Session == 0 {
			return s.heldBy(a) != nil
		}
		return s.sessionGoesOn(a)
	case models.ActorOpen:
		return s.Open()
	}
	return true
}

// MakeKey makes a key for whoever acts in ctx to give away, and returns its
// secret, which nobody can ask for again. The error is a *models.FieldError,
// or wraps models.ErrUnavailable, or is the context's.
func (s *Service) MakeKey(ctx context.Context, draft models.KeyDraft) (secret string, k models.Key, err error) {
	if secret, k, err = s.makeKey(ctx, draft); err == nil {
		_ = s.Record(ctx, models.AuditKeyMade, "key "+k.Name, "")
	}
	return secret, k, err
}

// RevokeKey makes a key worthless from now on, on open connections too, and
// returns it. One that is revoked stays as it is. The error wraps
// models.ErrNotFound or models.ErrUnavailable, or is the context's.
func (s *Service) RevokeKey(ctx context.Context, id int64) (models.Key, error) {
	k, err := s.revokeKey(ctx, id)
	if err == nil {
		_ = s.Record(ctx, models.AuditKeyRevoked, "key "+k.Name, "")
	}
	return k, err
}
