package store

import (
	"database/sql"
	"fmt"
	"time"

	"alerthub/models"
)

// eventRow is GORM's view of the events table. Times are text in
// models.TimeLayout and bound as text: the driver would write a time.Time
// with the local offset. idempotency_key and fingerprint are written and
// looked up by the hot INSERT only.
type eventRow struct {
	ID            int64  `gorm:"column:id;primaryKey"`
	CreatedAt     string `gorm:"column:created_at;autoCreateTime:false"`
	Source        string
	Severity      string
	Message       string
	Channel       string
	RawPayload    sql.NullString
	Peer          sql.NullString
	AckedAt       sql.NullString
	AckedBy       sql.NullString
	AckedPeer     sql.NullString
	AckedVerified bool
}

// TableName is GORM's hook.
func (eventRow) TableName() string { return "events" }

func (r *eventRow) event() (models.Event, error) {
	at, err := models.ParseTime(r.CreatedAt)
	if err != nil {
		return models.Event{}, fmt.Errorf("event %d: created_at: %w", r.ID, err)
	}
	e := models.Event{
		ID: r.ID, CreatedAt: at, Source: r.Source, Severity: models.Severity(r.Severity),
		Message: r.Message, Channel: models.Channel(r.Channel), RawPayload: r.RawPayload.String,
		Peer: r.Peer.String, AckedBy: r.AckedBy.String, AckedPeer: r.AckedPeer.String,
		AckedVerified: r.AckedVerified,
	}
	if r.AckedAt.Valid {
		if e.AckedAt, err = models.ParseTime(r.AckedAt.String); err != nil {
			return models.Event{}, fmt.Errorf("event %d: acked_at: %w", r.ID, err)
		}
	}
	return e, nil
}

// alertRow is GORM's view of the email_alerts table.
type alertRow struct {
	ID            int64 `gorm:"column:id;primaryKey"`
	EventID       int64
	CreatedAt     string `gorm:"column:created_at;autoCreateTime:false"`
	Recipient     sql.NullString
	Status        string
	Detail        sql.NullString
	Attempts      int
	NextAttemptAt sql.NullString
	UpdatedAt     sql.NullString `gorm:"column:updated_at;autoUpdateTime:false"`
	Contact       sql.NullString
	Channel       string
	MailID        sql.NullInt64
	ClaimedAt     sql.NullString
	Claim         sql.NullString
}

// TableName is GORM's hook.
func (alertRow) TableName() string { return "email_alerts" }

func (r *alertRow) alert() (models.EmailAlert, error) {
	a := models.EmailAlert{
		ID: r.ID, EventID: r.EventID, Contact: r.Contact.String, Channel: r.Channel, Recipient: r.Recipient.String, MailID: r.MailID.Int64,
		Status: models.EmailStatus(r.Status), Detail: r.Detail.String, Attempts: r.Attempts,
	}
	for _, at := range []struct {
		into *time.Time
		text string
	}{{&a.CreatedAt, r.CreatedAt}, {&a.NextAttemptAt, r.NextAttemptAt.String}, {&a.ClaimedAt, r.ClaimedAt.String}, {&a.UpdatedAt, r.UpdatedAt.String}} {
		if at.text == "" {
			continue
		}
		t, err := models.ParseTime(at.text)
		if err != nil {
			return a, fmt.Errorf("email alert %d: %w", r.ID, err)
		}
		*at.into = t
	}
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt // a row of the first program
	}
	return a, nil
}

// convert maps a page of rows.
func convert[R, M any](rows []R, one func(*R) (M, error)) ([]M, error) {
	list := make([]M, len(rows))
	for i := range rows {
		m, err := one(&rows[i])
		if err != nil {
			return nil, err
		}
		list[i] = m
	}
	return list, nil
}

// optional is NULL for an empty text.
func optional(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
