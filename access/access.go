// Package access knows who people, scripts and devices are, and what they may
// do: users with their passwords, second factors and sessions, and the record
// of who did what. It keeps what it knows in memory, since the hub alone has
// the database, so that a request costs no query; every change is stored
// first. It never sees HTML, and of HTTP only tokens and addresses. It runs no
// goroutine.
package access

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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
}

// Config is what New needs; its zero value works.
type Config struct {
	SessionIdle time.Duration // a session of which nothing is heard for so long ends. 0 means 12 hours
	SessionMax  time.Duration // no session lasts longer. 0 means 30 days
	Logger      *slog.Logger  // nil discards
	Now         func() time.Time
}

// Service is who may do what. All methods may be called concurrently.
type Service struct {
	cfg      Config
	store    Store
	scs      *scs.SessionManager
	hashing  hashing
	attempts attempts

	change sync.Mutex // held by whoever changes a user, from what was read until it is stored

	mu       sync.RWMutex
	users    map[int64]*models.Credentials // values are never changed, only replaced
	named    map[string]int64              // by the name in lower case
	sessions map[string]*session           // by the hash of the token
	setup    string                        // hash of the token that may add the first user; "" for none
	setupEnd time.Time
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
		cfg: cfg, store: store, hashing: newHashing(), attempts: newAttempts(),
		users: make(map[int64]*models.Credentials), named: make(map[string]int64), sessions: make(map[string]*session),
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

// now is the time as it is stored.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
