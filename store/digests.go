package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// slice bounds the rows of one transaction of what may concern very many, so
// that an ingest waits for a few milliseconds at most.
const slice = 256

// Gather makes a digest of the waiting rows that g selects: the newest will
// carry it, and the others belong to it. Neither is sent before all of it is
// written. It returns the carrier, 0 when nothing waits any more.
// The error wraps models.ErrUnavailable, or is the context's.
func (s *Store) Gather(ctx context.Context, g models.Gathering, now time.Time) (carrier int64, err error) {
	for to := g.To; ; {
		ids, err := s.gathered(ctx, g, to)
		if err != nil {
			return 0, err
		}
		last := len(ids) < slice
		if len(ids) > 0 {
			to = ids[len(ids)-1] - 1
			if carrier == 0 {
				carrier, ids = ids[0], ids[1:]
			}
		}
		if carrier == 0 {
			return 0, nil
		}
		at := models.FormatTime(now)
		err = s.write(ctx, "gather a digest", func(tx *gorm.DB, _ *tally) error {
			if err := tx.Exec("UPDATE email_alerts NOT INDEXED SET mail_id = ? WHERE "+withIDs+" AND "+isWaiting, carrier, idList(ids)).Error; err != nil {
				return err
			}
			if !last {
				return nil
			}
			done := tx.Exec("UPDATE email_alerts SET mail_id = id, claim = ?, claimed_at = ?, next_attempt_at = ?, updated_at = ?, detail = NULL WHERE id = ? AND "+isWaiting,
				g.Claim, at, at, at, carrier)
			if done.Error == nil && done.RowsAffected == 0 {
				return gorm.ErrRecordNotFound // cancelled meanwhile
			}
			return done.Error
		})
		if errors.Is(err, models.ErrNotFound) {
			return 0, s.Release(ctx, carrier)
		}
		if err != nil || last {
			return carrier, err
		}
	}
}

// gathered are the newest ids up to to that belong to a digest.
func (s *Store) gathered(ctx context.Context, g models.Gathering, to int64) (ids []int64, err error) {
	err = s.gormR.WithContext(ctx).Raw(`SELECT a.id FROM email_alerts a INDEXED BY email_alerts_pending CROSS JOIN events e
		WHERE a.status = 'pending' AND a.mail_id IS NULL AND a.channel = ? AND a.contact IS ? AND a.recipient = ? AND a.id >= ? AND a.id <= ?
		AND e.id = a.event_id AND e.severity IN ? ORDER BY a.id DESC LIMIT ?`,
		g.Channel, optional(g.Contact), g.Recipient, g.From, to, g.Severities, slice).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("read what waits for a digest: %w", err)
	}
	return ids, nil
}

// Release lets rows wait again that belong to a digest which is not sent: its
// carrier carries nothing yet, or was cancelled. Those of any other stay.
func (s *Store) Release(ctx context.Context, carrier int64) error {
	for left := int64(slice); left == slice; {
		err := s.write(ctx, "release a digest", func(tx *gorm.DB, _ *tally) error {
			done := tx.Exec(`UPDATE email_alerts SET mail_id = NULL WHERE id IN (SELECT id FROM email_alerts WHERE mail_id = ? AND id <> ? AND status = 'pending' LIMIT ?)
				AND EXISTS (SELECT 1 FROM email_alerts WHERE id = ? AND (mail_id IS NOT id OR status = 'cancelled'))`, carrier, carrier, slice, carrier)
			left = done.RowsAffected
			return done.Error
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Settle records what a digest that has ended means for rows that belong to
// it, some of them at a time, and returns these; none are left when it returns
// fewer than it may. Repeating it does no harm, also after the digest was made to
// be tried again.
// The error wraps models.ErrUnavailable, or is the context's.
func (s *Store) Settle(ctx context.Context, carrier models.EmailAlert) (changed []models.EmailAlert, more bool, err error) {
	status, detail := carrier.Status, carrier.Detail
	if status == models.EmailSent {
		status, detail = models.EmailDigested, fmt.Sprintf("told in the digest of alert %d", carrier.ID)
	}
	var rows []alertRow
	err = s.write(ctx, fmt.Sprintf("settle the digest of alert %d", carrier.ID), func(tx *gorm.DB, sum *tally) error {
		err := tx.Raw(`UPDATE email_alerts SET status = ?, detail = ?, next_attempt_at = NULL, updated_at = ?
			WHERE id IN (SELECT id FROM email_alerts WHERE mail_id = ? AND id <> ? AND status = 'pending' LIMIT ?)
			AND EXISTS (SELECT 1 FROM email_alerts WHERE id = ? AND status = ?) RETURNING *`,
			status, detail, models.FormatTime(carrier.UpdatedAt), carrier.ID, carrier.ID, slice, carrier.ID, carrier.Status).Scan(&rows).Error
		if err != nil {
			return err
		}
		return sum.left(rows)
	})
	if err != nil {
		return nil, false, err
	}
	changed, err = convert(rows, (*alertRow).alert)
	return changed, len(rows) == slice, err
}

// Unsettled are the carriers of digests of a lane that rows still belong to
// which are pending: of digests that are under way, and of those that a fault,
// or the end of the process, cut off.
func (s *Store) Unsettled(ctx context.Context, lane models.Lane) ([]models.EmailAlert, error) {
	db := s.gormR.WithContext(ctx)
	members := ofLane(db.Table("email_alerts INDEXED BY email_alerts_pending"), "", lane).
		Select("mail_id").Where("status = 'pending' AND mail_id IS NOT NULL AND mail_id <> id")
	var rows []alertRow
	if err := db.Where("id IN (?)", members).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read unsettled digests: %w", err)
	}
	return convert(rows, (*alertRow).alert)
}

// Told is what the addresses of a lane were told since a time, the oldest
// first: every message, and the sources of the other rows of digests.
func (s *Store) Told(ctx context.Context, lane models.Lane, since time.Time) ([]models.Told, error) {
	var rows []struct {
		Contact, Recipient sql.NullString
		ClaimedAt          string
		Claim              string
		Source             string
		Mail, Named        bool
	}
	const carriers = "SELECT c.id, c.contact, c.channel, c.recipient, c.claimed_at, c.claim, e.source, 1 AS mail, e.severity = 'critical' AS critical FROM email_alerts c INDEXED BY email_alerts_claimed CROSS JOIN events e WHERE c.claimed_at >= ? AND e.id = c.event_id"
	const members = "SELECT c.id, c.contact, c.channel, c.recipient, c.claimed_at, c.claim, e.source, 0 AS mail, max(e.severity = 'critical') AS critical FROM email_alerts c INDEXED BY email_alerts_claimed CROSS JOIN email_alerts m CROSS JOIN events e " +
		"WHERE c.claimed_at >= ? AND m.mail_id = c.id AND m.id <> c.id AND e.id = m.event_id GROUP BY c.id, e.source"
	at := models.FormatTime(since)
	err := ofLane(s.gormR.WithContext(ctx).Table("("+carriers+" UNION ALL "+members+") told", at, at), "", lane).
		Select("*, critical OR count(*) OVER (PARTITION BY id) <= ? AS named", models.NamedSources).
		Order("claimed_at, id").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read what was told: %w", err)
	}
	list := make([]models.Told, len(rows))
	for i, r := range rows {
		list[i] = models.Told{
			Address: models.Address{Contact: r.Contact.String, Channel: lane.Channel, Recipient: r.Recipient.String},
			Claim:   models.Claim(r.Claim), Source: r.Source, Mail: r.Mail, Named: r.Named,
		}
		if list[i].At, err = models.ParseTime(r.ClaimedAt); err != nil {
			return nil, fmt.Errorf("what was told: %w", err)
		}
	}
	return list, nil
}

// digest is what the message that a row carries tells; nil when that is its
// own event alone.
func (s *Store) digest(ctx context.Context, carrier int64, reason models.DigestReason) (*models.Digest, error) {
	db := s.gormR.WithContext(ctx)
	const members = " FROM email_alerts a INDEXED BY email_alerts_mail CROSS JOIN events e WHERE a.mail_id = ? AND e.id = a.event_id AND a.status = 'pending' "
	var rows []struct {
		Source, Severity, First, Last string
		N                             int64
	}
	if err := db.Raw("SELECT e.source, e.severity, count(*) AS n, min(e.created_at) AS first, max(e.created_at) AS last"+members+"GROUP BY 1, 2", carrier).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read a digest: %w", err)
	}
	d := &models.Digest{Reason: reason}
	sources := map[string]*models.SourceCount{}
	var first, last string
	for _, r := range rows {
		rank := models.Severity(r.Severity).Rank()
		d.Severity[rank] += r.N
		if sources[r.Source] == nil {
			sources[r.Source] = &models.SourceCount{Source: r.Source}
		}
		sources[r.Source].Severity[rank] += r.N
		if first == "" || r.First < first {
			first = r.First
		}
		last = max(last, r.Last)
	}
	if d.Total() < 2 {
		return nil, nil
	}
	for _, c := range sources {
		d.Sources = append(d.Sources, *c)
	}
	slices.SortFunc(d.Sources, models.ByGravity)
	if len(d.Sources) > models.MaxDigestSources {
		d.OtherSources = len(d.Sources) - models.MaxDigestSources
		d.Sources = d.Sources[:models.MaxDigestSources:models.MaxDigestSources]
	}
	var events []eventRow
	if err := db.Raw("SELECT e.*"+members+"ORDER BY e.id DESC LIMIT ?", carrier, models.MaxDigestNewest).Scan(&events).Error; err != nil {
		return nil, fmt.Errorf("read the events of a digest: %w", err)
	}
	var err error
	if d.Newest, err = convert(events, (*eventRow).event); err != nil {
		return nil, err
	}
	if d.From, err = models.ParseTime(first); err != nil {
		return nil, fmt.Errorf("times of a digest: %w", err)
	}
	if d.To, err = models.ParseTime(last); err != nil {
		return nil, fmt.Errorf("times of a digest: %w", err)
	}
	return d, nil
}
