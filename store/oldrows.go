package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"alerthub/models"
)

// oldChunk is how many old rows are read before their changes are written:
// one connection cannot do both at once.
const oldChunk = 1000

// oldTimeLayouts are the forms in which older programs wrote times: ISO 8601
// as Python prints it, with a "T" or a blank, with or without a fraction
// (which Go reads after the seconds of any layout), and with or without a
// zone. A time without a zone is UTC.
var oldTimeLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00",
	"2006-01-02T15:04:05-0700", "2006-01-02 15:04:05-0700",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05",
}

// oldTime reads a time of an older program. One that is finer than a
// microsecond is refused, since TimeLayout could not hold it.
func oldTime(s string) (time.Time, error) {
	for _, layout := range oldTimeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Nanosecond()%1000 != 0 {
				return time.Time{}, fmt.Errorf("time %q is finer than a microsecond", s)
			}
			if y := t.UTC().Year(); y < 0 || y > 9999 {
				break
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q cannot be read", s)
}

// checkOldRows finds what normalize would refuse, before anything is written.
func checkOldRows(ctx context.Context, db *sql.DB) error {
	for _, table := range []string{"events", "email_alerts"} {
		if err := checkOldTimes(ctx, db, table); err != nil {
			return err
		}
	}
	return nil
}

func checkOldTimes(ctx context.Context, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, "SELECT id, created_at FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var at string
		if err := rows.Scan(&id, &at); err != nil {
			return err
		}
		if _, err := oldTime(at); err != nil {
			return fmt.Errorf("%w: row %d of %s: %w", ErrNotUsable, id, table, err)
		}
	}
	return rows.Err()
}

// normalize is migration 2: rows of an older program get the form that all
// later ones have. Times become TimeLayout; they name the same instant.
// Severities go through the words of ParseSeverity; a channel that is not
// ours becomes the one it resembles. What an event said before stays visible:
// an event without a payload gets the old words as its payload, and an
// email's old status moves into its detail.
func normalize(ctx context.Context, tx *sql.Tx) error {
	if err := normalizeEvents(ctx, tx); err != nil {
		return err
	}
	return normalizeAlerts(ctx, tx)
}

type oldEvent struct {
	id                    int64
	at, severity, channel string
	payload               sql.NullString
}

func normalizeEvents(ctx context.Context, tx *sql.Tx) error {
	for last := int64(-1 << 63); ; {
		chunk, err := oldRows(ctx, tx, func(r *sql.Rows) (e oldEvent, err error) {
			return e, r.Scan(&e.id, &e.at, &e.severity, &e.channel, &e.payload)
		}, "SELECT id, created_at, severity, channel, raw_payload FROM events WHERE id > ? ORDER BY id LIMIT ?", last, oldChunk)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, old := range chunk {
			last = old.id
			now, err := old.normalized()
			if err != nil {
				return fmt.Errorf("row %d of events: %w", old.id, err)
			}
			if now == old {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE events SET created_at=?, severity=?, channel=?, raw_payload=? WHERE id=?",
				now.at, now.severity, now.channel, now.payload, now.id); err != nil {
				return fmt.Errorf("row %d of events: %w", old.id, err)
			}
		}
	}
}

func (e oldEvent) normalized() (oldEvent, error) {
	now := e
	at, err := oldTime(e.at)
	if err != nil {
		return e, err
	}
	now.at = models.FormatTime(at)
	severity, known := models.ParseSeverity(e.severity)
	now.severity = string(severity)
	if !models.Channel(e.channel).Valid() {
		known = false
		now.channel = string(models.ChannelHTTP)
		if word := strings.ToLower(e.channel); strings.Contains(word, "tcp") || strings.Contains(word, "socket") {
			now.channel = string(models.ChannelTCP)
		}
	}
	if !known && e.payload.String == "" {
		words, err := json.Marshal(struct {
			Severity string `json:"severity"`
			Channel  string `json:"channel"`
		}{strings.ToValidUTF8(e.severity, "\ufffd"), strings.ToValidUTF8(e.channel, "\ufffd")})
		if err != nil {
			return e, err
		}
		now.payload = sql.NullString{String: string(words), Valid: true}
	}
	return now, nil
}

type oldAlert struct {
	id         int64
	at, status string
	detail     sql.NullString
}

func normalizeAlerts(ctx context.Context, tx *sql.Tx) error {
	for last := int64(-1 << 63); ; {
		chunk, err := oldRows(ctx, tx, func(r *sql.Rows) (a oldAlert, err error) {
			return a, r.Scan(&a.id, &a.at, &a.status, &a.detail)
		}, "SELECT id, created_at, status, detail FROM email_alerts WHERE id > ? ORDER BY id LIMIT ?", last, oldChunk)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, old := range chunk {
			last = old.id
			now, err := old.normalized()
			if err != nil {
				return fmt.Errorf("row %d of email_alerts: %w", old.id, err)
			}
			if now == old {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE email_alerts SET created_at=?, status=?, detail=? WHERE id=?",
				now.at, now.status, now.detail, now.id); err != nil {
				return fmt.Errorf("row %d of email_alerts: %w", old.id, err)
			}
		}
	}
}

func (a oldAlert) normalized() (oldAlert, error) {
	now := a
	at, err := oldTime(a.at)
	if err != nil {
		return a, err
	}
	now.at = models.FormatTime(at)
	if models.EmailStatus(a.status).Valid() {
		return now, nil
	}
	now.status = strings.ToLower(strings.TrimSpace(a.status))
	if !models.EmailStatus(now.status).Valid() {
		// Never pending: what happened to it is not known, and it is old.
		now.status = string(models.EmailFailed)
		now.detail = sql.NullString{String: strings.TrimSuffix("status "+a.status+": "+a.detail.String, ": "), Valid: true}
	}
	return now, nil
}

// oldRows reads one chunk of rows.
func oldRows[T any](ctx context.Context, tx *sql.Tx, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}
