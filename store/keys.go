package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// keyRow is GORM's view of the api_keys table. Scopes are separated by commas,
// sources by line feeds, which none of them holds.
type keyRow struct {
	ID           int64 `gorm:"primaryKey"`
	Name         string
	Hash         string
	Hint         string
	Scopes       string
	Sources      string
	CreatedAt    string `gorm:"autoCreateTime:false"`
	CreatedBy    string
	ExpiresAt    sql.NullString
	LastUsedAt   sql.NullString
	LastUsedFrom sql.NullString
	RevokedAt    sql.NullString
}

// TableName is GORM's hook.
func (keyRow) TableName() string { return "api_keys" }

func (r *keyRow) key() (models.Key, error) {
	k := models.Key{
		ID: r.ID, Name: r.Name, Hint: r.Hint, CreatedBy: r.CreatedBy, LastUsedFrom: r.LastUsedFrom.String,
	}
	for scope := range strings.SplitSeq(r.Scopes, ",") {
		k.Scopes = append(k.Scopes, models.Scope(scope))
	}
	if r.Sources != "" {
		k.Sources = strings.Split(r.Sources, "\n")
	}
	for _, at := range []struct {
		into *time.Time
		text string
	}{{&k.CreatedAt, r.CreatedAt}, {&k.ExpiresAt, r.ExpiresAt.String}, {&k.LastUsedAt, r.LastUsedAt.String}, {&k.RevokedAt, r.RevokedAt.String}} {
		if at.text == "" {
			continue
		}
		t, err := models.ParseTime(at.text)
		if err != nil {
			return k, fmt.Errorf("key %d: %w", r.ID, err)
		}
		*at.into = t
	}
	return k, nil
}

// optionalTime is NULL for the zero time.
func optionalTime(t time.Time) sql.NullString {
	if t.IsZero() {
		return sql.NullString{}
	}
	return optional(models.FormatTime(t))
}

// AddKey stores a new key and returns it with its ID; hash is that of its
// secret. The error is a *models.FieldError for a name that is taken, or wraps
// models.ErrUnavailable, or is the context's.
func (s *Store) AddKey(ctx context.Context, k models.Key, hash string) (models.Key, error) {
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	row := keyRow{
		Name: k.Name, Hash: hash, Hint: k.Hint, Scopes: strings.Join(scopes, ","), Sources: strings.Join(k.Sources, "\n"),
		CreatedAt: models.FormatTime(k.CreatedAt), CreatedBy: k.CreatedBy, ExpiresAt: optionalTime(k.ExpiresAt),
	}
	err := s.write(ctx, "add a key", func(tx *gorm.DB, _ *tally) error { return tx.Create(&row).Error })
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return k, &models.FieldError{Field: "name", Reason: "is taken"}
	}
	k.ID = row.ID
	return k, err
}

// RevokeKey makes a key worthless; one that is revoked stays as it is. The
// error wraps models.ErrNotFound or models.ErrUnavailable, or is the context's.
func (s *Store) RevokeKey(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, fmt.Sprintf("revoke key %d", id), func(tx *gorm.DB, _ *tally) error {
		if err := tx.Select("id").Take(&keyRow{}, id).Error; err != nil {
			return err
		}
		return tx.Model(&keyRow{}).Where("id = ? AND revoked_at IS NULL", id).Update("revoked_at", models.FormatTime(at)).Error
	})
}

// KeysUsed stores when keys were used last. The error wraps
// models.ErrUnavailable, or is the context's.
func (s *Store) KeysUsed(ctx context.Context, uses []models.KeyUse) error {
	return s.write(ctx, fmt.Sprintf("store the last use of %d keys", len(uses)), func(tx *gorm.DB, _ *tally) error {
		for _, use := range uses {
			set := keyRow{LastUsedAt: optionalTime(use.At), LastUsedFrom: optional(use.From)}
			if err := tx.Model(&keyRow{}).Where("id = ?", use.ID).Select("LastUsedAt", "LastUsedFrom").Updates(&set).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// Keys are all keys that ever were, by the hashes of their secrets.
func (s *Store) Keys(ctx context.Context) (map[string]models.Key, error) {
	var rows []keyRow
	if err := s.gormR.WithContext(ctx).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	keys := make(map[string]models.Key, len(rows))
	for i := range rows {
		k, err := rows[i].key()
		if err != nil {
			return nil, err
		}
		keys[rows[i].Hash] = k
	}
	return keys, nil
}
