package store

import (
	"context"
	"database/sql"
	"fmt"

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
	if f.Channel != "" {
		q = q.Where("channel = ?", f.Channel)
	}
	if f.Contact != "" {
		q = q.Where("contact = ?", f.Contact)
	}
	if f.MailID != 0 {
		q = q.Where("mail_id = ?", f.MailID)
	}
	switch f.Status {
	case "":
	case models.EmailPending:
		// Their index finds few among many others; many, in an outage, are met on
		// the way down the ids.
		var pending int64
		if err := s.gormR.WithContext(ctx).Raw("SELECT total(value) FROM counters WHERE name IN (?, ?)", emailPrefix+string(f.Status), webhookPrefix+string(f.Status)).Scan(&pending).Error; err != nil {
			return nil, fmt.Errorf("read email alerts: %w", err)
		}
		if pending <= manyPending {
			q = q.Table("email_alerts INDEXED BY email_alerts_pending").Where("status = 'pending'")
		} else {
			q = q.Where("+status = 'pending'")
		}
	default:
		// The second term is that of the index of what has ended.
		q = q.Where("status = ? AND status <> 'pending'", f.Status)
	}
	var rows []alertRow
	if err := q.Order("id DESC").Limit(pageLimit(f.Limit)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read email alerts: %w", err)
	}
	return convert(rows, (*alertRow).alert)
}

// FinishAlert records the outcome of one delivery attempt, moves the alert's
// counters and rollups, and returns the row as stored: one that was cancelled
// while its message was on its way stays cancelled, unless that arrived. What
// becomes of the rows that its message tells of, Settle records. When it
// returns, the outcome is on disk. The error wraps models.ErrNotFound, models.ErrInvalid or
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
		before, at := row, models.FormatTime(u.At)
		row.Attempts, row.UpdatedAt = u.Attempts, optional(at)
		if cancelled := row.Status == string(models.EmailCancelled); !cancelled || u.Status == models.EmailSent {
			row.Status, row.Detail, row.NextAttemptAt = string(u.Status), optional(u.Detail), optional("")
			if u.Status == models.EmailPending {
				row.NextAttemptAt = optional(models.FormatTime(u.NextAttemptAt))
			}
		}
		if err := sum.moved(&before, &row); err != nil {
			return err
		}
		if u.Attempts > before.Attempts {
			attempt := row
			attempt.Detail = optional(u.Detail)
			if err := addAttempt(tx, u.ID, at, &attempt); err != nil {
				return err
			}
		}
		return tx.Model(&row).Select("Status", "Detail", "Attempts", "NextAttemptAt", "UpdatedAt").Updates(&row).Error
	})
	if err != nil {
		return models.EmailAlert{}, err
	}
	return row.alert()
}

// moved counts a row that changed its status.
func (t *tally) moved(before, after *alertRow) error {
	if before.Status == after.Status {
		return nil
	}
	born, err := models.ParseTime(after.CreatedAt)
	if err != nil {
		return err
	}
	t.alert(after.Channel, born, models.EmailStatus(before.Status), -1)
	t.alert(after.Channel, born, models.EmailStatus(after.Status), 1)
	return nil
}

// addAttempt keeps what became of a row at a time.
func addAttempt(tx *gorm.DB, id int64, at string, row *alertRow) error {
	return tx.Exec("INSERT INTO attempts (alert_id, n, at, status, detail, next_attempt_at) "+
		"SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ?, ? FROM attempts WHERE alert_id = ?",
		id, at, row.Status, row.Detail, row.NextAttemptAt, id).Error
}

// Attempts are the tries of the message that a row carries, the oldest first,
// and what people did to it in between; none for what is older than this table.
func (s *Store) Attempts(ctx context.Context, id int64) ([]models.Attempt, error) {
	var rows []struct {
		At, Status            string
		Detail, NextAttemptAt sql.NullString
	}
	err := s.gormR.WithContext(ctx).Raw("SELECT at, status, detail, next_attempt_at FROM attempts WHERE alert_id = ? ORDER BY n", id).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the attempts of alert %d: %w", id, err)
	}
	list := make([]models.Attempt, len(rows))
	for i, r := range rows {
		list[i] = models.Attempt{Status: models.EmailStatus(r.Status), Detail: r.Detail.String}
		if list[i].At, err = models.ParseTime(r.At); err != nil {
			return nil, fmt.Errorf("attempts of alert %d: %w", id, err)
		}
		if r.NextAttemptAt.Valid {
			if list[i].NextAttemptAt, err = models.ParseTime(r.NextAttemptAt.String); err != nil {
				return nil, fmt.Errorf("attempts of alert %d: %w", id, err)
			}
		}
	}
	return list, nil
}
