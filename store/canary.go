package store

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"alerthub/models"
)

// keptCanaries is how many canaries are kept, beside the last one that came
// through.
const keptCanaries = 100

// canaryRow is GORM's view of the canaries table.
type canaryRow struct {
	ID      int64 `gorm:"primaryKey"`
	BegunAt string
	EndedAt sql.NullString
	EventID sql.NullInt64
	Stage   string
	Detail  sql.NullString
}

// TableName is GORM's hook.
func (canaryRow) TableName() string { return "canaries" }

func (r *canaryRow) canary() (c models.Canary, err error) {
	c = models.Canary{ID: r.ID, EventID: r.EventID.Int64, Stage: models.CanaryStage(r.Stage), Detail: r.Detail.String}
	if c.BegunAt, err = models.ParseTime(r.BegunAt); err == nil && r.EndedAt.Valid {
		c.EndedAt, err = models.ParseTime(r.EndedAt.String)
	}
	if err != nil {
		return models.Canary{}, fmt.Errorf("canary %d: %w", r.ID, err)
	}
	return c, nil
}

// SaveCanary stores a canary: a new one when its ID is 0, else what is known
// of it now. It returns it with its ID. Only the newest 100 are kept, and the
// last that came through. The error wraps models.ErrUnavailable, or is the
// context's.
func (s *Store) SaveCanary(ctx context.Context, c models.Canary) (models.Canary, error) {
	row := canaryRow{
		ID: c.ID, BegunAt: models.FormatTime(c.BegunAt), Stage: string(c.Stage), Detail: optional(c.Detail),
		EventID: sql.NullInt64{Int64: c.EventID, Valid: c.EventID != 0},
	}
	if !c.EndedAt.IsZero() {
		row.EndedAt = optional(models.FormatTime(c.EndedAt))
	}
	err := s.write(ctx, "save a canary", func(tx *gorm.DB, _ *tally) error {
		if err := tx.Save(&row).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM canaries WHERE id <= (SELECT max(id) FROM canaries) - ? AND id <> "+
			"coalesce((SELECT max(id) FROM canaries WHERE stage = ?), 0)", keptCanaries, models.CanaryThrough).Error
	})
	if err != nil {
		return c, err
	}
	c.ID = row.ID
	return c, nil
}

// Canaries are all canaries that are kept, the newest first.
func (s *Store) Canaries(ctx context.Context) ([]models.Canary, error) {
	var rows []canaryRow
	if err := s.gormR.WithContext(ctx).Order("id DESC").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read canaries: %w", err)
	}
	return convert(rows, (*canaryRow).canary)
}
