package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"alerthub/models"
)

// senderRow is GORM's view of the anonymous_senders table.
type senderRow struct {
	Address    string `gorm:"primaryKey"`
	FirstAt    string
	LastAt     string
	Events     int64
	LastSource string
}

// TableName is GORM's hook.
func (senderRow) TableName() string { return "anonymous_senders" }

func (r *senderRow) sender() (models.AnonymousSender, error) {
	s := models.AnonymousSender{Address: r.Address, Events: r.Events, LastSource: r.LastSource}
	for _, at := range []struct {
		into *time.Time
		text string
	}{{&s.FirstAt, r.FirstAt}, {&s.LastAt, r.LastAt}} {
		t, err := models.ParseTime(at.text)
		if err != nil {
			return s, fmt.Errorf("sender %s: %w", r.Address, err)
		}
		*at.into = t
	}
	return s, nil
}

// SaveSenders stores what is known of anonymous senders now; only the latest
// models.MaxSenders are kept. The error wraps models.ErrUnavailable, or is the
// context's.
func (s *Store) SaveSenders(ctx context.Context, senders []models.AnonymousSender) error {
	rows := make([]senderRow, len(senders))
	for i, known := range senders {
		rows[i] = senderRow{known.Address, models.FormatTime(known.FirstAt), models.FormatTime(known.LastAt), known.Events, known.LastSource}
	}
	return s.write(ctx, fmt.Sprintf("save %d senders", len(senders)), func(tx *gorm.DB, _ *tally) error {
		// Binding is quadratic in this driver: few rows a statement.
		if err := tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(rows, 20).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM anonymous_senders WHERE address IN (SELECT address FROM anonymous_senders ORDER BY last_at DESC, address LIMIT -1 OFFSET ?)", models.MaxSenders).Error
	})
}

// Senders are all anonymous senders that are kept, the latest first.
func (s *Store) Senders(ctx context.Context) ([]models.AnonymousSender, error) {
	var rows []senderRow
	if err := s.gormR.WithContext(ctx).Order("last_at DESC, address").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read senders: %w", err)
	}
	return convert(rows, (*senderRow).sender)
}
