package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"alerthub/models"
)

// userRow is GORM's view of the users table.
type userRow struct {
	ID           int64 `gorm:"primaryKey"`
	Name         string
	Role         string
	PasswordHash string
	PasswordAt   string
	CreatedAt    string
	DisabledAt   sql.NullString
	TOTPSecret   sql.NullString `gorm:"column:totp_secret"`
	TOTPStep     int64          `gorm:"column:totp_step"`
	Recovery     string
}

// TableName is GORM's hook.
func (userRow) TableName() string { return "users" }

func (r *userRow) credentials() (c models.Credentials, err error) {
	c = models.Credentials{
		User:         models.User{ID: r.ID, Name: r.Name, Role: models.Role(r.Role), TwoFactor: r.TOTPSecret.Valid},
		PasswordHash: r.PasswordHash, TOTPSecret: r.TOTPSecret.String, TOTPStep: r.TOTPStep, RecoveryHash: strings.Fields(r.Recovery),
	}
	c.Recovery = len(c.RecoveryHash)
	if c.CreatedAt, err = models.ParseTime(r.CreatedAt); err == nil {
		c.PasswordAt, err = models.ParseTime(r.PasswordAt)
	}
	if err == nil && r.DisabledAt.Valid {
		c.DisabledAt, err = models.ParseTime(r.DisabledAt.String)
	}
	if err != nil {
		return models.Credentials{}, fmt.Errorf("user %d: %w", r.ID, err)
	}
	return c, nil
}

// Users are all users, in the order in which they were added.
func (s *Store) Users(ctx context.Context) ([]models.Credentials, error) {
	var rows []userRow
	if err := s.gormR.WithContext(ctx).Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return convert(rows, (*userRow).credentials)
}

// SaveUser stores a user: a new one when its ID is 0, else all of it anew. It
// returns it with its ID. The error wraps models.ErrExists when another one
// has the name, or models.ErrUnavailable, or is the context's.
func (s *Store) SaveUser(ctx context.Context, c models.Credentials) (models.Credentials, error) {
	row := userRow{
		ID: c.ID, Name: c.Name, Role: string(c.Role), PasswordHash: c.PasswordHash, PasswordAt: models.FormatTime(c.PasswordAt), CreatedAt: models.FormatTime(c.CreatedAt),
		TOTPSecret: optional(c.TOTPSecret), TOTPStep: c.TOTPStep, Recovery: strings.Join(c.RecoveryHash, " "),
	}
	if !c.DisabledAt.IsZero() {
		row.DisabledAt = optional(models.FormatTime(c.DisabledAt))
	}
	err := s.write(ctx, "save user "+c.Name, func(tx *gorm.DB, _ *tally) error { return tx.Save(&row).Error })
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return c, fmt.Errorf("save user %s: %w", c.Name, models.ErrExists)
	}
	c.ID = row.ID
	return c, err
}

// sessionRow is GORM's view of the sessions table.
type sessionRow struct {
	ID        int64 `gorm:"primaryKey"`
	TokenHash string
	UserID    int64
	BegunAt   string
	ExpiresAt string
	Address   string
	Agent     string
	Data      []byte
}

// TableName is GORM's hook.
func (sessionRow) TableName() string { return "sessions" }

func (r *sessionRow) session() (v models.Session, err error) {
	v = models.Session{ID: r.ID, UserID: r.UserID, Address: r.Address, Agent: r.Agent, TokenHash: r.TokenHash, Data: r.Data}
	if v.BegunAt, err = models.ParseTime(r.BegunAt); err == nil {
		v.ExpiresAt, err = models.ParseTime(r.ExpiresAt)
	}
	if err != nil {
		return models.Session{}, fmt.Errorf("session %d: %w", r.ID, err)
	}
	return v, nil
}

// Sessions are all sessions that are stored, expired ones too, the oldest first.
func (s *Store) Sessions(ctx context.Context) ([]models.Session, error) {
	var rows []sessionRow
	if err := s.gormR.WithContext(ctx).Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return convert(rows, (*sessionRow).session)
}

// SaveSession stores a session: a new one when its ID is 0, else only its new
// end, and nothing when it is not there any more. It returns it with its ID.
// The error wraps models.ErrUnavailable, or is the context's.
func (s *Store) SaveSession(ctx context.Context, v models.Session) (models.Session, error) {
	row := sessionRow{
		ID: v.ID, TokenHash: v.TokenHash, UserID: v.UserID, BegunAt: models.FormatTime(v.BegunAt), ExpiresAt: models.FormatTime(v.ExpiresAt),
		Address: v.Address, Agent: v.Agent, Data: v.Data,
	}
	err := s.write(ctx, "save a session", func(tx *gorm.DB, _ *tally) error {
		if v.ID == 0 {
			return tx.Create(&row).Error
		}
		return tx.Model(&row).Update("expires_at", row.ExpiresAt).Error
	})
	v.ID = row.ID
	return v, err
}

// DeleteSessions ends sessions for good. The error wraps
// models.ErrUnavailable, or is the context's.
func (s *Store) DeleteSessions(ctx context.Context, ids []int64) error {
	return s.write(ctx, "delete sessions", func(tx *gorm.DB, _ *tally) error {
		return tx.Where("id IN ?", ids).Delete(&sessionRow{}).Error
	})
}
