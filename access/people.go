package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"alerthub/models"
)

// Users are all users, in the order in which they were added.
func (s *Service) Users() []models.User {
	s.mu.RLock()
	defer s.mu.RUnlock()
	users := make([]models.User, 0, len(s.users))
	for _, c := range s.users {
		users = append(users, c.User)
	}
	slices.SortFunc(users, func(a, b models.User) int { return int(a.ID - b.ID) })
	return users
}

// User finds a user by name, whatever its case; models.ErrNotFound.
func (s *Service) User(name string) (models.User, error) {
	c, err := s.credentials(name)
	if err != nil {
		return models.User{}, err
	}
	return c.User, nil
}

func (s *Service) credentials(name string) (*models.Credentials, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.users[s.named[strings.ToLower(name)]]
	if c == nil {
		return nil, fmt.Errorf("user %q: %w", name, models.ErrNotFound)
	}
	return c, nil
}

// AddUser adds a person who can sign in. The error is a *models.FieldError
// for "name", "role" or "password", models.ErrExists, or one of the store's.
func (s *Service) AddUser(ctx context.Context, name, password string, role models.Role) (models.User, error) {
	name, err := cleanName(name)
	if err != nil {
		return models.User{}, err
	}
	if !role.Valid() {
		return models.User{}, &models.FieldError{Field: "role", Reason: "must be viewer, operator or admin"}
	}
	if err := CheckPassword(name, password); err != nil {
		return models.User{}, err
	}
	hash, err := s.hashing.hash(ctx, password)
	if err != nil {
		return models.User{}, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	if _, err := s.credentials(name); err == nil {
		return models.User{}, fmt.Errorf("user %q: %w", name, models.ErrExists)
	}
	c := models.Credentials{User: models.User{Name: name, Role: role, CreatedAt: s.now()}, PasswordHash: hash, PasswordAt: s.now()}
	if err := s.save(ctx, c); err != nil {
		return models.User{}, err
	}
	_ = s.Record(ctx, models.AuditUserAdded, "user "+name, string(role))
	return s.User(name)
}

// cleanName is the name of a user as it is kept; the error is a
// *models.FieldError for "name".
func cleanName(typed string) (string, error) {
	name, err := models.CleanName(typed)
	var field *models.FieldError
	if errors.As(err, &field) {
		return "", &models.FieldError{Field: "name", Reason: field.Reason}
	}
	return name, err
}

// save stores a user and then takes it into memory. The caller holds change.
func (s *Service) save(ctx context.Context, c models.Credentials) error {
	c.TwoFactor, c.Recovery = c.TOTPSecret != "", len(c.RecoveryHash)
	c, err := s.store.SaveUser(ctx, c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.know(&c)
	return nil
}

// update changes one user by f, which returns an error to change nothing.
func (s *Service) update(ctx context.Context, name string, f func(c *models.Credentials) error) error {
	s.change.Lock()
	defer s.change.Unlock()
	known, err := s.credentials(name)
	if err != nil {
		return err
	}
	c := *known
	if err := f(&c); err != nil {
		return err
	}
	return s.save(ctx, c)
}

// SetRole gives a user another role, which holds at once. The last admin who
// can sign in stays one: models.ErrLastAdmin.
func (s *Service) SetRole(ctx context.Context, name string, role models.Role) error {
	if !role.Valid() {
		return &models.FieldError{Field: "role", Reason: "must be viewer, operator or admin"}
	}
	err := s.update(ctx, name, func(c *models.Credentials) error {
		if c.Role == models.RoleAdmin && role != models.RoleAdmin && s.lastAdmin(c.ID) {
			return models.ErrLastAdmin
		}
		c.Role = role
		return nil
	})
	if err == nil {
		_ = s.Record(ctx, models.AuditUserRole, "user "+name, string(role))
	}
	return err
}

// lastAdmin reports whether nobody but the user with this id could administer.
// The caller holds change.
func (s *Service) lastAdmin(id int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.users {
		if c.ID != id && c.Role == models.RoleAdmin && c.DisabledAt.IsZero() {
			return false
		}
	}
	return true
}

// SetDisabled keeps a user from signing in, and ends their sessions; or lets
// them in again. models.ErrLastAdmin.
func (s *Service) SetDisabled(ctx context.Context, name string, disabled bool) error {
	err := s.update(ctx, name, func(c *models.Credentials) error {
		switch {
		case !disabled:
			c.DisabledAt = time.Time{}
		case s.lastAdmin(c.ID) && c.Role == models.RoleAdmin:
			return models.ErrLastAdmin
		case c.DisabledAt.IsZero():
			c.DisabledAt = s.now()
		}
		return nil
	})
	if err != nil {
		return err
	}
	action := models.AuditUserEnabled
	if disabled {
		action = models.AuditUserDisabled
		err = s.endSessions(ctx, name, 0)
	}
	_ = s.Record(ctx, action, "user "+name, "")
	return err
}

// SetPassword gives a user another password, and ends all their sessions but
// the one with the id keep. The error is a *models.FieldError for "password".
func (s *Service) SetPassword(ctx context.Context, name, password string, keep int64) error {
	return s.setPassword(ctx, name, password, nil, keep)
}

// setPassword is SetPassword by who has shown the password of old, nil for
// somebody who need not: one that was changed meanwhile is not theirs to replace.
func (s *Service) setPassword(ctx context.Context, name, password string, old *models.Credentials, keep int64) error {
	if err := CheckPassword(name, password); err != nil {
		return err
	}
	hash, err := s.hashing.hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.update(ctx, name, func(c *models.Credentials) error {
		if old != nil && c.PasswordHash != old.PasswordHash {
			return errNotCurrent
		}
		c.PasswordHash = hash
		if now := s.now(); now.After(c.PasswordAt) {
			c.PasswordAt = now
		} else { // each has a time of its own, by which tokens know it
			c.PasswordAt = c.PasswordAt.Add(time.Microsecond)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = s.endSessions(ctx, name, keep)
	_ = s.Record(ctx, models.AuditPassword, "user "+name, "")
	return err
}

// ChangePassword is SetPassword by the user themselves, who shows the old one:
// a wrong one is a *models.FieldError for "current".
func (s *Service) ChangePassword(ctx context.Context, actor models.Actor, current, password string) error {
	old, err := s.checkAgain(ctx, actor, current)
	if err != nil {
		return err
	}
	return s.setPassword(ctx, actor.Name, password, old, actor.Session)
}

var errNotCurrent = &models.FieldError{Field: "current", Reason: "is not the password"}

// CheckPassword has a user who is signed in prove again that it is them. The
// error is a *models.FieldError for "current", or a *models.TooManyError.
func (s *Service) CheckPassword(ctx context.Context, actor models.Actor, password string) error {
	_, err := s.checkAgain(ctx, actor, password)
	return err
}

func (s *Service) checkAgain(ctx context.Context, actor models.Actor, password string) (*models.Credentials, error) {
	c, err := s.check(ctx, triedAgain, actor.Name, password, actor.Address)
	if errors.Is(err, models.ErrUnauthorized) {
		err = errNotCurrent
	}
	return c, err
}
