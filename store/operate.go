package store

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"alerthub/models"
)

// Retry has a failed alert tried again at once, with all of the digest that it
// belongs to, and returns the row that carries the message. The error wraps
// models.ErrNotFound, models.ErrNotFailed or models.ErrUnavailable.
func (s *Store) Retry(ctx context.Context, id int64, by models.Ack) (models.EmailAlert, error) {
	var row alertRow
	ended := false
	what := fmt.Sprintf("retry alert %d", id)
	err := s.write(ctx, what, func(tx *gorm.DB, sum *tally) error {
		if err := tx.Where("id = ?", id).Take(&row).Error; err != nil {
			return err
		}
		if carrier := row.MailID.Int64; carrier != 0 && carrier != id {
			if row = (alertRow{}); tx.Where("id = ?", carrier).Take(&row).Error != nil {
				return gorm.ErrRecordNotFound
			}
		}
		if ended = row.Status == string(models.EmailFailed); !ended {
			return nil
		}
		before, at := row, models.FormatTime(by.At)
		row.Status, row.Detail = string(models.EmailPending), optional("to be tried again: "+by.By)
		row.NextAttemptAt, row.UpdatedAt, row.ClaimedAt = optional(at), optional(at), optional(at)
		row.MailID.Int64, row.MailID.Valid = row.ID, true
		if !row.Claim.Valid {
			row.Claim = optional(string(models.ClaimAlone))
		}
		if err := sum.moved(&before, &row); err != nil {
			return err
		}
		if err := addAttempt(tx, row.ID, at, &row); err != nil {
			return err
		}
		if err := tx.Model(&row).Select("Status", "Detail", "NextAttemptAt", "UpdatedAt", "ClaimedAt", "MailID", "Claim").Updates(&row).Error; err != nil {
			return err
		}
		var members []alertRow
		err := tx.Raw("UPDATE email_alerts SET status = 'pending', detail = NULL, updated_at = ? WHERE mail_id = ? AND id <> ? AND status = 'failed' RETURNING *", at, row.ID, row.ID).Scan(&members).Error
		for i := range members {
			if err == nil {
				err = sum.moved(&before, &members[i])
			}
		}
		return err
	})
	if err == nil && !ended {
		err = fmt.Errorf("%s: %w: it is %s", what, models.ErrNotFailed, row.Status)
	}
	if err != nil {
		return models.EmailAlert{}, err
	}
	return row.alert()
}

// pending are the pending rows that sel selects, as a.
func (s *Store) pending(ctx context.Context, sel models.Cancellation) *gorm.DB {
	q := s.gormR.WithContext(ctx).Table("email_alerts a INDEXED BY email_alerts_pending").Select("a.id").Where("a.status = 'pending'")
	if sel.Contact != "" {
		q = q.Where("a.contact = ?", sel.Contact)
	}
	if sel.Source != "" {
		q = q.Joins("CROSS JOIN events e ON e.id = a.event_id").Where("e.source = ?", sel.Source)
	}
	return q
}

// CountPending tells how many rows Cancel would end now; at most limit, which
// means that there may be more.
func (s *Store) CountPending(ctx context.Context, sel models.Cancellation, limit int) (n int64, err error) {
	err = s.gormR.WithContext(ctx).Table("(?) some", s.pending(ctx, sel).Limit(limit)).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count what is pending: %w", err)
	}
	return n, nil
}

// Cancel ends what is pending for a contact, of a source, or both ("" for
// any), and returns how many rows that were. Rows of digests that lose the
// one that carries them wait again. A message that is on its way just then is
// recorded as sent all the same.
func (s *Store) Cancel(ctx context.Context, sel models.Cancellation, by models.Ack) (n int64, err error) {
	var ids []int64
	if err := s.pending(ctx, sel).Scan(&ids).Error; err != nil {
		return 0, fmt.Errorf("read what is pending: %w", err)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, slice) {
		var rows []alertRow
		err := s.write(ctx, "cancel alerts", func(tx *gorm.DB, sum *tally) error {
			err := tx.Raw("UPDATE email_alerts NOT INDEXED SET status = ?, detail = ?, next_attempt_at = NULL, updated_at = ? WHERE "+withIDs+" AND status = 'pending' RETURNING *",
				models.EmailCancelled, "cancelled by "+by.By, models.FormatTime(by.At), idList(part)).Scan(&rows).Error
			if err != nil {
				return err
			}
			return sum.left(rows)
		})
		if err != nil {
			return n, err
		}
		n += int64(len(rows))
		for i := range rows {
			if rows[i].MailID.Int64 == rows[i].ID {
				// Also for a client that has left: nobody else would.
				if err := s.Release(context.WithoutCancel(ctx), rows[i].ID); err != nil {
					return n, err
				}
			}
		}
	}
	return n, nil
}
