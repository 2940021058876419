package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"alerthub/models"
)

// codeWithin is how long a sign-in waits for its second factor.
const codeWithin = 5 * time.Minute

// storeEvery is how often the end of a session that is in use is stored: a
// request must not cost a write. A crash ends sessions earlier by so much.
const storeEvery = time.Minute

const maxAgent = 200 // bytes of a browser's name that are kept

// session is one that is known, by the hash of its token.
type session struct {
	models.Session
	stored  time.Time           // the end that is in the database
	offered models.SecondFactor // waits to be confirmed
	owes    *models.Credentials // who has shown a password and owes a code, as they were then: it opens nothing
}

// signIn is what a new session is told of itself, by the context, since the
// library locks what it knows while it has it kept.
type signIn struct {
	models.Visitor
	user *models.Credentials // as they were when they showed what they know
	code bool                // is owed
}

type signInKey struct{}

func (s *Service) loadSessions(ctx context.Context) error {
	// Not by scs.New, which starts a goroutine for a store that is not used.
	s.scs = &scs.SessionManager{Lifetime: s.cfg.SessionMax, IdleTimeout: s.cfg.SessionIdle, Codec: scs.GobCodec{}, Store: sessionStore{s}}
	stored, err := s.store.Sessions(ctx)
	if err != nil {
		return err
	}
	var ended []int64
	for _, v := range stored {
		c := s.users[v.UserID]
		if c == nil || !s.now().Before(v.ExpiresAt) {
			ended = append(ended, v.ID)
			continue
		}
		s.sessions[v.TokenHash] = &session{Session: v, stored: v.ExpiresAt}
		s.attempts.know(knownAt(triedPassword, strings.ToLower(c.Name), v.Address))
	}
	return s.forget(ctx, ended)
}

// sessionStore is the library's view of the sessions.
type sessionStore struct{ *Service }

// FindCtx returns what is kept of a session that goes on.
func (s sessionStore) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := s.sessions[hashOf(token)]
	if v == nil || !s.now().Before(v.ExpiresAt) {
		return nil, false, nil
	}
	return v.Data, true, nil
}

// CommitCtx keeps a session, and forgets those that have ended. One that waits
// for its code is not stored; nor is one while nothing can be, which must keep
// nobody out: its number is negative, and it lasts until the hub stops. Nobody
// changes meanwhile: whoever ends sessions afterwards finds this one.
func (s sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	by, _ := ctx.Value(signInKey{}).(signIn)
	v := &session{Session: models.Session{
		TokenHash: hashOf(token), UserID: by.user.ID, Data: data, BegunAt: s.now(), ExpiresAt: expiry.UTC().Truncate(time.Microsecond),
		Address: by.Address, Agent: strings.ToValidUTF8(by.Agent[:min(len(by.Agent), maxAgent)], ""),
	}}
	if err := s.drop(ctx, func(v *session) bool { return !s.now().Before(v.ExpiresAt) }); err != nil {
		s.cfg.Logger.Warn("sessions that have ended are still stored", "error", err)
	}
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.RLock()
	same := s.unchanged(by.user)
	s.mu.RUnlock()
	if !same {
		return fmt.Errorf("sign in: %w", models.ErrUnauthorized)
	}
	if by.code {
		v.owes = by.user
	} else {
		switch stored, err := s.store.SaveSession(ctx, v.Session); {
		case err == nil:
			v.Session, v.stored = stored, stored.ExpiresAt
		case errors.Is(err, models.ErrUnavailable):
			s.cfg.Logger.Warn("a session is not stored", "user", v.UserID, "error", err)
			v.ID = -s.unstored.Add(1)
		default:
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[v.TokenHash] = v
	return nil
}

// unchanged reports whether c has the password that it had, and may sign in.
// The caller holds mu.
func (s *Service) unchanged(c *models.Credentials) bool {
	now := s.users[c.ID]
	return now != nil && now.PasswordHash == c.PasswordHash && now.DisabledAt.IsZero()
}

// DeleteCtx ends a session.
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return s.drop(ctx, func(v *session) bool { return v.TokenHash == hashOf(token) })
}

// Find, Commit and Delete make it the library's type; it calls the others.
func (s sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx.
func (s sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx.
func (s sessionStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// drop ends the sessions that which selects: in memory at once, so that it
// holds although the store may refuse.
func (s *Service) drop(ctx context.Context, which func(*session) bool) error {
	var ids []int64
	s.mu.Lock()
	for token, v := range s.sessions {
		if which(v) {
			delete(s.sessions, token)
			if v.ID > 0 {
				ids = append(ids, v.ID)
			}
		}
	}
	s.mu.Unlock()
	return s.forget(ctx, ids)
}

// forget deletes sessions that have ended, also when whoever ended them has
// gone meanwhile. Those that are still stored are left to Run: a restart would
// bring them back.
func (s *Service) forget(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if err := s.store.DeleteSessions(ctx, ids); err != nil {
		s.mu.Lock()
		s.undeleted = append(s.undeleted, ids...)
		s.mu.Unlock()
		return fmt.Errorf("end %d sessions: %w", len(ids), err)
	}
	return nil
}

// storeEnds deletes the sessions that could not be deleted when they ended.
func (s *Service) storeEnds(ctx context.Context) error {
	s.mu.Lock()
	ids := s.undeleted
	s.undeleted = nil
	s.mu.Unlock()
	return s.forget(ctx, ids)
}

// endSessions ends all sessions of a user but the one with the id keep.
func (s *Service) endSessions(ctx context.Context, name string, keep int64) error {
	user, err := s.User(name)
	if err != nil {
		return err
	}
	return s.drop(ctx, func(v *session) bool { return v.UserID == user.ID && (keep == 0 || v.ID != keep) })
}

// Session tells who shows this token, and that it is used now. False: nobody
// who is signed in. It asks the memory and not the library, which decodes what
// it keeps anew each time: 0.1 ms.
func (s *Service) Session(ctx context.Context, token, address string) (models.Actor, bool) {
	s.mu.RLock()
	v := s.sessions[hashOf(token)]
	var c *models.Credentials
	if v != nil {
		c = s.users[v.UserID]
	}
	s.mu.RUnlock()
	if c == nil || !s.use(ctx, v, c) {
		return models.Actor{}, false
	}
	return models.Actor{Kind: models.ActorUser, ID: c.ID, Name: c.Name, Role: c.Role, Session: v.ID, Address: address}, true
}

// sessionGoesOn reports whether a user is still signed in by the session that
// they were once found by.
func (s *Service) sessionGoesOn(a models.Actor) bool {
	s.mu.RLock()
	v, c := s.sessionByID(a.Session), s.users[a.ID]
	s.mu.RUnlock()
	return v != nil && c != nil && s.use(context.Background(), v, c)
}

// sessionByID finds a session or nil: nobody is signed in by number 0, which
// sign-ins have that wait for a code. The caller holds mu.
func (s *Service) sessionByID(id int64) *session {
	for _, v := range s.sessions {
		if v.ID == id && id != 0 {
			return v
		}
	}
	return nil
}

// use moves the end of a session that goes on, and reports whether it does.
func (s *Service) use(ctx context.Context, v *session, c *models.Credentials) bool {
	now := s.now()
	s.mu.Lock()
	if s.sessions[v.TokenHash] != v || v.owes != nil || !now.Before(v.ExpiresAt) || !c.DisabledAt.IsZero() {
		s.mu.Unlock()
		return false
	}
	v.ExpiresAt = now.Add(s.cfg.SessionIdle)
	if last := v.BegunAt.Add(s.cfg.SessionMax); v.ExpiresAt.After(last) {
		v.ExpiresAt = last
	}
	due := v.ID > 0 && v.ExpiresAt.Sub(v.stored) >= storeEvery
	if due {
		v.stored = v.ExpiresAt
	}
	stored := v.Session
	s.mu.Unlock()
	if due {
		if _, err := s.store.SaveSession(ctx, stored); err != nil {
			s.cfg.Logger.Warn("the end of a session is not stored", "session", v.ID, "error", err)
		}
	}
	return true
}

// Sessions are where a user is signed in, the newest first; current is the one
// that asks.
func (s *Service) Sessions(userID, current int64) []models.Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []models.Session
	for _, v := range s.sessions {
		if v.UserID == userID && v.ID != 0 && s.now().Before(v.ExpiresAt) {
			listed := v.Session
			listed.Current = v.ID == current
			list = append(list, listed)
		}
	}
	slices.SortFunc(list, func(a, b models.Session) int { return int(b.ID - a.ID) })
	return list
}

// EndSession ends one session of a user; models.ErrNotFound. EndOthers ends
// all but one.
func (s *Service) EndSession(ctx context.Context, userID, id int64) error {
	if !slices.ContainsFunc(s.Sessions(userID, 0), func(v models.Session) bool { return v.ID == id }) {
		return fmt.Errorf("session %d: %w", id, models.ErrNotFound)
	}
	err := s.drop(ctx, func(v *session) bool { return v.ID == id && v.UserID == userID })
	s.mu.RLock()
	name := s.users[userID].Name
	s.mu.RUnlock()
	_ = s.Record(ctx, models.AuditSessionRevoked, "user "+name, fmt.Sprintf("session %d", id))
	return err
}

// EndOthers ends all sessions of a user but the one with the id keep.
func (s *Service) EndOthers(ctx context.Context, name string, keep int64) error {
	err := s.endSessions(ctx, name, keep)
	if errors.Is(err, models.ErrNotFound) {
		return err
	}
	which := "all sessions"
	if keep != 0 {
		which = "all other sessions"
	}
	_ = s.Record(ctx, models.AuditSessionRevoked, "user "+name, which)
	return err
}
