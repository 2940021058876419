package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// importing is what the store knows of the import that runs.
type importing struct {
	id      int64
	minutes map[int64]*models.Counts // as in rollups, old ones folded
	unacked tally                    // all but its minutes
}

// ImportRows writes rows of the running import, with their final ids, in one
// transaction, which is not synced to disk before the import is finished.
// They stay invisible. Nobody else may call it at the same time.
// The error wraps models.ErrUnavailable, or is the context's, which counts only
// until the transaction begins.
func (s *Store) ImportRows(ctx context.Context, id int64, events []models.Event, emails []models.EmailAlert) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	if err := s.ingest.insertImported(id, events, emails); err != nil {
		return unavailable("write rows of an import", err)
	}
	s.keeper.writes.Add(1)
	s.importing.Load().add(events, emails, time.Now())
	return nil
}

// add counts what was written.
func (i *importing) add(events []models.Event, emails []models.EmailAlert, now time.Time) {
	end := foldEnd(now)
	count := func(born time.Time) *models.Counts { return at(i.minutes, foldedMinute(minuteOf(born), end)) }
	for n := range events {
		e := &events[n]
		count(e.CreatedAt).Event[e.Severity.Rank()][e.Channel.Index()]++
		if !e.Acked() {
			i.unacked.unackedBy(e.Severity, 1)
		}
	}
	for n := range emails {
		if status := emails[n].Status.Index(); emails[n].Channel == models.DeliveryWebhook {
			i.unacked.webhook[status]++
		} else {
			count(emails[n].CreatedAt).Email[status]++
		}
	}
}

// sum is what the whole import adds. Minutes that became old meanwhile are
// folded: who folds later does not look that far back.
func (i *importing) sum(now time.Time) tally {
	end := foldEnd(now)
	folded := map[int64]*models.Counts{}
	for minute, counts := range i.minutes {
		at(folded, foldedMinute(minute, end)).Add(counts)
	}
	sum := i.unacked
	for minute, counts := range folded {
		sum.minutes = append(sum.minutes, minuteCounts{minute, *counts})
	}
	return sum
}

// foldEnd is the minute before which rollups are kept by half-hours.
func foldEnd(now time.Time) int64 { return halfHour(minuteOf(now.Add(-models.RollupFold))) }

func foldedMinute(minute, end int64) int64 {
	if minute < end {
		return halfHour(minute)
	}
	return minute
}

// FinishImport makes the rows of the running import visible, and counts them,
// all in one transaction. The errors are those of ImportRows.
func (s *Store) FinishImport(ctx context.Context, id int64) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	sum := s.importing.Load().sum(time.Now())
	err := s.ingest.inTx(func() error {
		if err := sum.write(s.ingest.add, s.ingest.addRollup); err != nil {
			return err
		}
		return s.ingest.conn.exec(fmt.Sprintf("UPDATE imports SET state = '%s', ended_at = '%s' WHERE id = %d",
			models.ImportFinished, models.FormatTime(time.Now()), id))
	})
	if err != nil {
		return unavailable("finish an import", err)
	}
	s.recent.add(&sum)
	s.keeper.writes.Add(1)
	s.importing.Store(nil)
	s.reserved.Store(nil)
	return nil
}

// removeRows bounds the rows of one transaction of a removal.
const removeRows = 500

// RemoveImport removes all rows of an import that cannot be finished, in short
// transactions, and keeps why. It may be called again after an error, and
// after a restart.
func (s *Store) RemoveImport(ctx context.Context, id int64, why string) error {
	if running, err := s.UnfinishedImport(ctx); err != nil || running != id {
		return errors.Join(err, fmt.Errorf("remove import %d: %d is running", id, running))
	}
	for _, table := range []string{"email_alerts", "events"} {
		for removed := int64(1); removed > 0; {
			err := s.write(ctx, "remove rows of an import", func(tx *gorm.DB, _ *tally) error {
				done := tx.Exec("DELETE FROM "+table+" WHERE id IN (SELECT id FROM "+table+" WHERE import_id = ? LIMIT ?)", id, removeRows)
				removed = done.RowsAffected
				return done.Error
			})
			if err != nil {
				return err
			}
		}
	}
	err := s.write(ctx, "give up an import", func(tx *gorm.DB, _ *tally) error {
		return tx.Model(&importRow{}).Where("id = ?", id).Updates(&importRow{
			State: string(models.ImportFailed), Error: optional(why), EndedAt: optional(models.FormatTime(time.Now())),
		}).Error
	})
	if err != nil {
		return err
	}
	s.importing.Store(nil)
	s.reserved.Store(nil)
	return nil
}

// The statements that write imported rows. They are compiled for each
// transaction: the time of that is nothing beside 500 rows.
const (
	insertImportedEvent = "INSERT INTO events (id, created_at, source, severity, message, channel, raw_payload, peer, acked_at, acked_by, acked_peer, import_id, acked_verified)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	insertImportedAlert = "INSERT INTO email_alerts (id, event_id, created_at, recipient, status, detail, attempts, updated_at, contact, channel, import_id)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

func (g *ingest) insertImported(id int64, events []models.Event, emails []models.EmailAlert) error {
	return g.inTxUnsynced(func() error {
		event, err := g.conn.compile("insert imported event", insertImportedEvent)
		if err != nil {
			return err
		}
		defer event.finalize()
		alert, err := g.conn.compile("insert imported email", insertImportedAlert)
		if err != nil {
			return err
		}
		defer alert.finalize()
		for i := range events {
			if err := g.insertImportedEvent(event, id, &events[i]); err != nil {
				return err
			}
		}
		for i := range emails {
			if err := g.insertImportedAlert(alert, id, &emails[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// inTxUnsynced is inTx without waiting for the disk. The log is one file: the
// next synced commit, the one that finishes the import at the latest, makes
// this one durable too, and what a power cut takes before was to be removed.
func (g *ingest) inTxUnsynced(f func() error) error {
	if err := g.open(); err != nil {
		return err
	}
	err := g.conn.exec("PRAGMA synchronous(NORMAL)")
	if err == nil {
		err = g.inTx(f)
	}
	if g.conn != nil {
		if full := g.conn.exec("PRAGMA synchronous(FULL)"); full != nil {
			// Events must not be acknowledged over this connection any more.
			return errors.Join(err, full, g.close())
		}
	}
	return err
}

func (g *ingest) insertImportedEvent(st *compiled, id int64, e *models.Event) error {
	const fixed = 2*len(models.TimeLayout) + 32 // times, severity and channel
	err := g.texts.room(fixed + len(e.Source) + len(e.Message) + len(e.RawPayload) + len(e.Peer) + len(e.AckedBy) + len(e.AckedPeer))
	if err != nil {
		return err
	}
	st.int(1, e.ID)
	g.bind(st, 2, models.FormatTime(e.CreatedAt))
	g.bind(st, 3, e.Source)
	g.bind(st, 4, string(e.Severity))
	g.bind(st, 5, e.Message)
	g.bind(st, 6, string(e.Channel))
	g.bindOptional(st, 7, e.RawPayload)
	g.bindOptional(st, 8, e.Peer)
	ackedAt := ""
	if e.Acked() {
		ackedAt = models.FormatTime(e.AckedAt)
	}
	g.bindOptional(st, 9, ackedAt)
	g.bindOptional(st, 10, e.AckedBy)
	g.bindOptional(st, 11, e.AckedPeer)
	st.int(12, id)
	verified := int64(0)
	if e.AckedVerified {
		verified = 1
	}
	st.int(13, verified)
	return st.exec()
}

func (g *ingest) insertImportedAlert(st *compiled, id int64, a *models.EmailAlert) error {
	const fixed = 2*len(models.TimeLayout) + 16 // times and status
	if err := g.texts.room(fixed + len(a.Contact) + len(a.Channel) + len(a.Recipient) + len(a.Detail)); err != nil {
		return err
	}
	st.int(1, a.ID)
	st.int(2, a.EventID)
	g.bind(st, 3, models.FormatTime(a.CreatedAt))
	g.bindOptional(st, 4, a.Recipient)
	g.bind(st, 5, string(a.Status))
	g.bindOptional(st, 6, a.Detail)
	st.int(7, int64(a.Attempts))
	g.bind(st, 8, models.FormatTime(a.UpdatedAt))
	g.bindOptional(st, 9, a.Contact)
	g.bind(st, 10, a.Channel)
	st.int(11, id)
	return st.exec()
}
