package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// manyPending emails are too many to be sorted for every page.
const manyPending = 1000

// EmailAlerts returns email alerts newest first, at most f.Limit (see
// models.EmailFilter). EventIDs that is not nil but empty selects none.
func (s *Store) EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error) {
	q := s.visibleRows(ctx)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	if f.EventIDs != nil {
		q = q.Where("event_"+withIDs, idList(f.EventIDs))
	}
	switch f.Status {
	case "":
	case models.EmailPending:
		// The index has them in the order of what is due: it finds few among many
		// others, and many, in an outage, are met on the way down the ids.
		var pending int64
		if err := s.gormR.WithContext(ctx).Raw("SELECT value FROM counters WHERE name = ?", emailPrefix+string(f.Status)).Scan(&pending).Error; err != nil {
			return nil, fmt.Errorf("read email alerts: %w", err)
		}
		condition := "status = ?"
		if pending > manyPending {
			condition = "+status = ?"
		}
		q = q.Where(condition, f.Status)
	default:
		// Both columns of the index equal, so that it is in the order of ids.
		q = q.Where("status = ? AND next_attempt_at IS NULL", f.Status)
	}
	var rows []alertRow
	if err := q.Order("id DESC").Limit(pageLimit(f.Limit)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read email alerts: %w", err)
	}
	return convert(rows, (*alertRow).alert)
}

// NextDue returns the pending alert whose next attempt is the earliest (the
// oldest of equals), with its event, if that is not after now. Otherwise ok
// is false and wait is the time until then; 0 when nothing is pending. It
// claims nothing: there is one mailer.
func (s *Store) NextDue(ctx context.Context, now time.Time) (due models.DueAlert, ok bool, wait time.Duration, err error) {
	var rows []alertRow
	err = s.gormR.WithContext(ctx).Where("status = ?", models.EmailPending).
		Order("next_attempt_at, id").Limit(1).Find(&rows).Error
	if err != nil {
		return due, false, 0, fmt.Errorf("read the next due email alert: %w", err)
	}
	if len(rows) == 0 {
		return due, false, 0, nil
	}
	if due.Alert, err = rows[0].alert(); err != nil {
		return models.DueAlert{}, false, 0, err
	}
	if wait := due.Alert.NextAttemptAt.Sub(now); wait > 0 {
		return models.DueAlert{}, false, wait, nil
	}
	if due.Event, err = s.Event(ctx, due.Alert.EventID); err != nil {
		return models.DueAlert{}, false, 0, fmt.Errorf("email alert %d: %w", due.Alert.ID, err)
	}
	return due, true, 0, nil
}

// FinishAlert records the outcome of one delivery attempt, moves the email's
// counters and rollups, and returns the row as stored. When it returns, the outcome is on
// disk. The error wraps models.ErrNotFound, models.ErrInvalid or
// models.ErrUnavailable, or is the context's, which counts only until the
// transaction begins.
func (s *Store) FinishAlert(ctx context.Context, u models.AlertUpdate) (models.EmailAlert, error) {
	if !u.Status.Valid() || (u.Status == models.EmailPending && u.NextAttemptAt.IsZero()) {
		return models.EmailAlert{}, fmt.Errorf("finish email alert %d: %w: status %q, next attempt %v", u.ID, models.ErrInvalid, u.Status, u.NextAttemptAt)
	}
	var row alertRow
	err := s.write(ctx, fmt.Sprintf("finish email alert %d", u.ID), func(tx *gorm.DB, sum *tally) error {
		if err := tx.Where("id = ?", u.ID).Take(&row).Error; err != nil {
			return err
		}
		born, err := models.ParseTime(row.CreatedAt)
		if err != nil {
			return err
		}
		before := models.EmailStatus(row.Status)
		row.Status = string(u.Status)
		row.Detail = optional(u.Detail)
		row.Attempts = u.Attempts
		row.UpdatedAt = optional(models.FormatTime(u.At))
		row.NextAttemptAt = optional("")
		if u.Status == models.EmailPending {
			row.NextAttemptAt = optional(models.FormatTime(u.NextAttemptAt))
		}
		if before != u.Status {
			sum.alert(born, before, -1)
			sum.alert(born, u.Status, 1)
		}
		return tx.Model(&row).Select("Status", "Detail", "Attempts", "NextAttemptAt", "UpdatedAt").Updates(&row).Error
	})
	if err != nil {
		return models.EmailAlert{}, err
	}
	return row.alert()
}
