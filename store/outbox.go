package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// The rows that wait for a message, and those that carry one that is under
// way. The words must be those of the partial indexes.
const (
	isWaiting  = "status = 'pending' AND mail_id IS NULL"
	isCarrying = "status = 'pending' AND mail_id = id"
)

// waitingRow is a row that waits, and what its event says of its source.
type waitingRow struct {
	ID, EventID      int64
	CreatedAt        string
	Contact          sql.NullString
	Channel          string
	Recipient        sql.NullString
	Attempts         int
	Source, Severity string
}

func (r *waitingRow) waiting() (models.WaitingAlert, error) {
	w := models.WaitingAlert{
		ID: r.ID, EventID: r.EventID, Attempts: r.Attempts, Source: r.Source, Severity: models.Severity(r.Severity),
		Address: models.Address{Contact: r.Contact.String, Channel: r.Channel, Recipient: r.Recipient.String},
	}
	var err error
	if w.CreatedAt, err = models.ParseTime(r.CreatedAt); err != nil {
		return w, fmt.Errorf("email alert %d: %w", r.ID, err)
	}
	return w, nil
}

// ofLane are the conditions of a lane, on the columns of a table.
func ofLane(q *gorm.DB, table string, lane models.Lane) *gorm.DB {
	q = q.Where(table+"channel = ?", lane.Channel)
	if lane.Recipient != "" {
		q = q.Where(table+"contact IS ? AND "+table+"recipient = ?", optional(lane.Contact), lane.Recipient)
	}
	return q
}

// Waiting returns the waiting rows of a lane with ids above after, the oldest
// first, at most limit, and the id up to which nothing was left out.
func (s *Store) Waiting(ctx context.Context, lane models.Lane, after int64, limit int) (list []models.WaitingAlert, upTo int64, err error) {
	db := s.gormR.WithContext(ctx)
	if err := db.Raw("SELECT coalesce(max(id), 0) FROM email_alerts").Scan(&upTo).Error; err != nil {
		return nil, 0, fmt.Errorf("read the outbox: %w", err)
	}
	if upTo <= after {
		return nil, after, nil
	}
	var rows []waitingRow
	// By the table: nearly all that is above after is looked for.
	err = ofLane(db.Table("email_alerts a NOT INDEXED CROSS JOIN events e"), "a.", lane).
		Select("a.id, a.event_id, a.created_at, a.contact, a.channel, a.recipient, a.attempts, e.source, e.severity").
		Where("e.id = a.event_id AND a.id > ? AND a.id <= ? AND a.status = 'pending' AND a.mail_id IS NULL", after, upTo).
		Order("a.id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, 0, fmt.Errorf("read the outbox: %w", err)
	}
	if len(rows) == limit {
		upTo = rows[limit-1].ID
	}
	list, err = convert(rows, (*waitingRow).waiting)
	return list, upTo, err
}

// OldestWaiting is the id of the oldest waiting row of a lane; 0 for none.
func (s *Store) OldestWaiting(ctx context.Context, lane models.Lane) (id int64, err error) {
	err = ofLane(s.gormR.WithContext(ctx).Table("email_alerts INDEXED BY email_alerts_pending"), "", lane).
		Select("coalesce(min(id), 0)").Where(isWaiting).Scan(&id).Error
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", err)
	}
	return id, nil
}

// PendingAddresses are the addresses that something is pending for.
func (s *Store) PendingAddresses(ctx context.Context, channel string) ([]models.Address, error) {
	var rows []struct{ Contact, Recipient sql.NullString }
	err := s.gormR.WithContext(ctx).Raw("SELECT DISTINCT contact, recipient FROM email_alerts WHERE status = 'pending' AND channel = ?", channel).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	list := make([]models.Address, len(rows))
	for i, r := range rows {
		list[i] = models.Address{Contact: r.Contact.String, Channel: channel, Recipient: r.Recipient.String}
	}
	return list, nil
}

// decided is a decision as the statement of Decide reads it.
type decided struct {
	ID     int64              `json:"i"`
	Mail   *int64             `json:"m,omitempty"`
	Claim  models.Claim       `json:"c,omitempty"`
	Next   string             `json:"n,omitempty"`
	Status models.EmailStatus `json:"s"`
	Detail string             `json:"d,omitempty"`
}

// Decide records decisions about waiting rows, in one transaction, and returns
// those rows as they are then. Rows that do not wait any more are left alone.
// The error wraps models.ErrUnavailable, or is the context's, which counts
// only until the transaction begins.
func (s *Store) Decide(ctx context.Context, now time.Time, decisions []models.Decision) ([]models.EmailAlert, error) {
	if len(decisions) == 0 {
		return nil, nil
	}
	at := models.FormatTime(now)
	list := make([]decided, len(decisions))
	for i, d := range decisions {
		list[i] = decided{ID: d.ID, Status: models.EmailPending, Detail: d.Detail}
		switch {
		case d.Claim != "":
			list[i].Mail, list[i].Claim, list[i].Next = &list[i].ID, d.Claim, at
		case d.Status != "":
			list[i].Status = d.Status
		default:
			list[i].Next = models.FormatTime(d.Until)
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("decide about %d alerts: %w", len(decisions), err)
	}
	var rows []alertRow
	err = s.write(ctx, fmt.Sprintf("decide about %d alerts", len(decisions)), func(tx *gorm.DB, sum *tally) error {
		err := tx.Raw(`UPDATE email_alerts NOT INDEXED SET
				status = j.value->>'s', detail = j.value->>'d', next_attempt_at = j.value->>'n', updated_at = ?1,
				mail_id = j.value->>'m', claim = j.value->>'c', claimed_at = iif(j.value->>'c' IS NULL, NULL, ?1)
			FROM json_each(?2) j WHERE email_alerts.id = j.value->>'i' AND `+isWaiting+` RETURNING *`, at, string(text)).Scan(&rows).Error
		if err != nil {
			return err
		}
		return sum.left(rows)
	})
	if err != nil {
		return nil, err
	}
	return convert(rows, (*alertRow).alert)
}

// left counts rows that were pending.
func (t *tally) left(rows []alertRow) error {
	before := alertRow{Status: string(models.EmailPending)}
	for i := range rows {
		if err := t.moved(&before, &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// Due returns the message of a lane that is due first, of equals the one with
// the fewest attempts, then the oldest, if that is not after now; its contact is left to be filled in. Otherwise ok is false and wait is the time until
// then; 0 when nothing is under way.
func (s *Store) Due(ctx context.Context, lane models.Lane, now time.Time) (n models.Notice, ok bool, wait time.Duration, err error) {
	var rows []alertRow
	err = ofLane(s.gormR.WithContext(ctx), "", lane).Where(isCarrying).Order("next_attempt_at, attempts, id").Limit(1).Find(&rows).Error
	if err != nil {
		return n, false, 0, fmt.Errorf("read the next due alert: %w", err)
	}
	if len(rows) == 0 {
		return n, false, 0, nil
	}
	if n.Alert, err = rows[0].alert(); err != nil {
		return models.Notice{}, false, 0, err
	}
	if wait := n.Alert.NextAttemptAt.Sub(now); wait > 0 {
		return models.Notice{}, false, wait, nil
	}
	if n.Event, err = s.Event(ctx, n.Alert.EventID); err != nil {
		return models.Notice{}, false, 0, fmt.Errorf("alert %d: %w", n.Alert.ID, err)
	}
	if claim := models.Claim(rows[0].Claim.String); claim != models.ClaimAlone && claim != models.ClaimReserve {
		if n.Digest, err = s.digest(ctx, n.Alert.ID, models.DigestReason(claim)); err != nil {
			return models.Notice{}, false, 0, fmt.Errorf("alert %d: %w", n.Alert.ID, err)
		}
	}
	return n, true, 0, nil
}
