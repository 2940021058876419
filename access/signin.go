package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"alerthub/models"
)

// nobodysHash is compared with the password of somebody who does not exist,
// which takes as long as for somebody who does.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$Tm9ib2R5J3Mgc2FsdC4hIQ$m0f0Vj3H8vJm3yDwV0x0mQ5g3m0aH1u2i3o4p5q6r7s"

// SignIn begins a session for who shows name and password. The token that the
// browser showed until now is worth nothing afterwards. The error is
// models.ErrUnauthorized, the same for a wrong name, a wrong password and a
// user who is disabled; a *models.TooManyError; or one of the store's.
func (s *Service) SignIn(ctx context.Context, name, password, token string, visitor models.Visitor) (models.Ticket, error) {
	c, err := s.check(ctx, triedPassword, name, password, visitor.Address)
	if err != nil {
		return models.Ticket{}, err
	}
	return s.begin(ctx, c, token, visitor, c.TOTPSecret != "")
}

// check finds the user whose password this is. A try is counted before the
// password is looked at, so that many at once count too, but when it has its
// turn: who only waits has not failed.
func (s *Service) check(ctx context.Context, what, name, password, address string) (*models.Credentials, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if utf8.RuneCountInString(name) > models.MaxUserName {
		name = "" // nobody has one of these, and they count as one
	}
	if wait := s.attempts.wait(s.now(), what, name, address); wait > 0 { // takes nobody's turn
		return nil, &models.TooManyError{Wait: wait}
	}
	var t try
	var c *models.Credentials
	matches, err := s.hashing.matches(ctx, password, func() (stored string, err error) {
		if t, err = s.attempt(what, name, address); err != nil {
			return "", err
		}
		if c, _ = s.credentials(name); c == nil {
			return nobodysHash, nil
		}
		return c.PasswordHash, nil
	})
	if err != nil {
		return nil, err
	}
	if c == nil || !matches || !c.DisabledAt.IsZero() {
		s.failed(ctx, c, address, "password")
		return nil, fmt.Errorf("sign in: %w", models.ErrUnauthorized)
	}
	s.attempts.succeeded(t)
	return c, nil
}

// attempt counts a try, or refuses it.
func (s *Service) attempt(what, name, address string) (try, error) {
	t, wait := s.attempts.begin(s.now(), what, name, address)
	if wait > 0 {
		return try{}, &models.TooManyError{Wait: wait}
	}
	return t, nil
}

// failed tells of a sign-in that failed. The name of nobody is not kept:
// people type passwords into that field.
func (s *Service) failed(ctx context.Context, c *models.Credentials, address, what string) {
	actor := models.Actor{Kind: models.ActorNobody, Address: address}
	if c != nil {
		actor.Name = c.Name
	}
	s.cfg.Logger.Warn("sign-in failed", "user", actor.Name, "known", c != nil, "peer", address, "wrong", what)
	_ = s.Record(models.WithActor(ctx, actor), models.AuditSignInFailed, "", what)
}

// begin makes a session for c, one that waits for a code when code is set.
// models.ErrUnauthorized: what they have shown is worth nothing any more.
func (s *Service) begin(ctx context.Context, c *models.Credentials, token string, visitor models.Visitor, code bool) (models.Ticket, error) {
	ctx, err := s.scs.Load(context.WithValue(ctx, signInKey{}, signIn{visitor, c, code}), token)
	if err != nil {
		return models.Ticket{}, err
	}
	if err := s.scs.Clear(ctx); err != nil {
		return models.Ticket{}, err
	}
	if err := s.scs.RenewToken(ctx); err != nil { // nobody else can have known it
		return models.Ticket{}, err
	}
	if code {
		s.scs.SetDeadline(ctx, s.now().Add(codeWithin))
	}
	token, _, err = s.scs.Commit(ctx)
	if err != nil {
		return models.Ticket{}, err
	}
	if !code {
		s.cfg.Logger.Info("signed in", "user", c.Name, "peer", visitor.Address)
		actor := models.Actor{Kind: models.ActorUser, ID: c.ID, Name: c.Name, Address: visitor.Address}
		_ = s.Record(models.WithActor(ctx, actor), models.AuditSignIn, "", "")
	}
	return models.Ticket{Token: token, Expires: s.scs.Deadline(ctx), Code: code}, nil
}

// Confirm ends a sign-in by its second factor: a code, or one of the recovery
// codes. The error is models.ErrUnauthorized for a wrong one, a
// *models.TooManyError, or models.ErrNotFound when no sign-in waits: it begins anew then.
func (s *Service) Confirm(ctx context.Context, code, token string, visitor models.Visitor) (models.Ticket, error) {
	s.mu.RLock()
	v := s.sessions[hashOf(token)]
	waits := v != nil && v.owes != nil && s.now().Before(v.ExpiresAt) && s.unchanged(v.owes)
	s.mu.RUnlock()
	if !waits {
		return models.Ticket{}, fmt.Errorf("confirm a sign-in: %w", models.ErrNotFound)
	}
	if err := s.checkCode(ctx, v.owes, code, visitor.Address); err != nil {
		return models.Ticket{}, err
	}
	return s.begin(ctx, v.owes, token, visitor, false)
}

// SignOut ends the session of a token. The error is the store's: the session
// has ended all the same.
func (s *Service) SignOut(ctx context.Context, token string) error {
	loaded, err := s.scs.Load(ctx, token)
	if err != nil {
		return err
	}
	err = s.scs.Destroy(loaded)
	_ = s.Record(ctx, models.AuditSignOut, "", "")
	return err
}

// setupWithin is how long the link of a first start is good for.
const setupWithin = time.Hour

// OfferSetup makes the token by which, once and within an hour, the first user
// can be added without being signed in. It is not kept.
func (s *Service) OfferSetup() string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setup, s.setupEnd = hashOf(token), s.now().Add(setupWithin)
	return token
}

// SetupOffered reports whether token would let SetUp add the first user.
func (s *Service) SetupOffered(token string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.opensSetup(token)
}

// opensSetup is SetupOffered; the caller holds mu.
func (s *Service) opensSetup(token string) bool {
	return len(s.users) == 0 && s.setup != "" && s.now().Before(s.setupEnd) &&
		subtle.ConstantTimeCompare([]byte(hashOf(token)), []byte(s.setup)) == 1
}

// SetUp adds the first user, an admin. The error is models.ErrUnauthorized for
// a token that is wrong, used, in use or too old, or one of AddUser's, after
// which the token is good again.
func (s *Service) SetUp(ctx context.Context, token, name, password string) (models.User, error) {
	s.mu.Lock()
	offered := s.opensSetup(token)
	if offered {
		s.setup = "" // whoever comes with it at the same time comes second
	}
	s.mu.Unlock()
	if !offered {
		return models.User{}, fmt.Errorf("set up: %w", models.ErrUnauthorized)
	}
	user, err := s.AddUser(ctx, name, password, models.RoleAdmin)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.setup = hashOf(token)
	}
	return user, err
}
