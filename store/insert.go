package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"alerthub/models"
)

// InsertBatch stores records in one transaction, in their order: events, the
// emails that they cause, and the counters. When it returns receipts, they
// are on disk. A record whose key was seen before gets the first one's id and
// stores nothing; a repeated key with other content gets ErrKeyConflict in
// its receipt. On an error nothing is stored: it wraps
// models.ErrUnavailable when storage refused, models.ErrInvalid for a record
// that NewDraft cannot have made, else it is the context's, which counts
// only until the transaction begins.
func (s *Store) InsertBatch(ctx context.Context, records []models.Record) ([]models.Receipt, error) {
	if len(records) == 0 {
		return nil, nil
	}
	for i := range records {
		if r := &records[i]; !r.Severity.Valid() || !r.Channel.Valid() {
			return nil, fmt.Errorf("record %d: %w: severity %q, channel %q", i, models.ErrInvalid, r.Severity, r.Channel)
		}
	}
	if err := s.turn.take(ctx); err != nil {
		return nil, err
	}
	defer s.turn.give()
	receipts, err := s.ingest.insert(records)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("insert batch of %d", len(records)), err)
	}
	return receipts, nil
}

// ingest is the connection of the hot INSERT and its compiled statements.
// Whoever uses it holds the store's turn.
type ingest struct {
	uri string

	conn *rawConn // nil after a fault, until the next use opens it again

	begin, commit, rollback *compiled
	event, keyed, seen      *compiled
	alert, count            *compiled
	row                     scratch // texts of the row being bound
	clock                   clock
}

// Parameters shared by both event statements: created_at, source, severity, message, channel, raw_payload, peer.
const (
	insertEvent = `INSERT INTO events (created_at, source, severity, message, channel, raw_payload, peer)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`
	insertKeyed = `INSERT INTO events (created_at, source, severity, message, channel, raw_payload, peer, idempotency_key, fingerprint)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`
	selectSeen  = `SELECT id, fingerprint FROM events WHERE source = ?1 AND idempotency_key = ?2`
	insertAlert = `INSERT INTO email_alerts (event_id, created_at, recipient, status, detail, attempts, next_attempt_at, updated_at)
		VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?2)`
	addCount = `INSERT INTO counters (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`
)

func (g *ingest) open() error {
	if g.conn != nil {
		return nil
	}
	pragmas := setup()
	for i := range pragmas {
		pragmas[i] = "PRAGMA " + pragmas[i]
	}
	conn, err := openRaw(g.uri, busyTimeout, pragmas...)
	if err != nil {
		return err
	}
	g.conn = conn
	g.row = scratch{tls: conn.tls}
	for _, st := range []struct {
		into      **compiled
		what, sql string
	}{
		{&g.begin, "begin", "BEGIN IMMEDIATE"}, {&g.commit, "commit", "COMMIT"}, {&g.rollback, "rollback", "ROLLBACK"},
		{&g.event, "insert event", insertEvent}, {&g.keyed, "insert keyed event", insertKeyed},
		{&g.seen, "look up key", selectSeen}, {&g.alert, "insert email alert", insertAlert},
		{&g.count, "add to counter", addCount},
	} {
		if *st.into, err = conn.compile(st.what, st.sql); err != nil {
			return errors.Join(err, g.close())
		}
	}
	return nil
}

func (g *ingest) close() error {
	if g.conn == nil {
		return nil
	}
	for _, st := range []**compiled{&g.begin, &g.commit, &g.rollback, &g.event, &g.keyed, &g.seen, &g.alert, &g.count} {
		(*st).finalize()
		*st = nil
	}
	g.row.free()
	err := g.conn.close()
	g.conn = nil
	return err
}

// inTx runs f in one transaction. After any fault the connection is given up:
// what state a failed read, write or sync left it in is not worth knowing,
// and opening another costs less than a millisecond.
func (g *ingest) inTx(f func() error) error {
	err := g.open()
	if err == nil {
		err = g.begin.run()
	}
	if err == nil {
		if err = f(); err == nil {
			err = g.commit.run()
		}
		if err != nil {
			_ = g.rollback.run() // SQLite may have rolled back itself; closing does it in any case
		}
	}
	if err != nil {
		_ = g.close() // err says what went wrong first
	}
	return err
}

func (g *ingest) probe() error {
	return g.inTx(func() error { return g.add("probes", 1) })
}

func (g *ingest) insert(records []models.Record) ([]models.Receipt, error) {
	receipts := make([]models.Receipt, len(records))
	n := 0
	for i := range records {
		n += len(records[i].Alerts)
	}
	alerts := make([]models.EmailAlert, 0, n) // one allocation for all receipts
	err := g.inTx(func() error {
		var t tally
		for i := range records {
			record, receipt := &records[i], &receipts[i]
			if err := g.insertOne(record, receipt); err != nil {
				return err
			}
			if !receipt.Recorded() {
				continue
			}
			t.event(&receipt.Event)
			from := len(alerts)
			for j := range record.Alerts {
				alert, err := g.insertAlert(&receipt.Event, &record.Alerts[j])
				if err != nil {
					return err
				}
				t.alert(alert.Status, 1)
				alerts = append(alerts, alert)
			}
			receipt.Alerts = alerts[from:len(alerts):len(alerts)]
		}
		return t.each(g.add)
	})
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

func (g *ingest) insertOne(record *models.Record, receipt *models.Receipt) error {
	d := &record.Draft
	receipt.Truncated = d.Truncated
	if err := g.row.room(len(d.Source) + len(d.Message) + len(d.RawPayload) + len(d.Peer) + len(d.Key) + 64); err != nil {
		return err
	}
	source := g.row.put(d.Source)
	st := g.event
	if d.Key != "" {
		key := g.row.put(d.Key)
		if found, err := g.lookUp(d, source, key, receipt); found || err != nil {
			return err
		}
		st = g.keyed
		st.text(8, key, len(d.Key))
		st.int(9, d.Fingerprint)
	}
	at := g.clock.set(record.ReceivedAt)
	st.text(1, g.row.put(g.clock.text), len(g.clock.text))
	st.text(2, source, len(d.Source))
	st.text(3, g.row.put(string(d.Severity)), len(d.Severity))
	st.text(4, g.row.put(d.Message), len(d.Message))
	st.text(5, g.row.put(string(d.Channel)), len(d.Channel))
	g.optional(st, 6, d.RawPayload)
	g.optional(st, 7, d.Peer)
	if err := st.run(); err != nil {
		return err
	}
	receipt.Event = models.Event{
		ID: g.conn.lastID(), CreatedAt: at, Source: d.Source, Severity: d.Severity,
		Message: d.Message, Channel: d.Channel, RawPayload: d.RawPayload,
	}
	return nil
}

// lookUp fills the receipt of a repeat, or of a key that was used for
// something else, also by an earlier record of the same batch.
func (g *ingest) lookUp(d *models.Draft, source, key uintptr, receipt *models.Receipt) (found bool, err error) {
	g.seen.text(1, source, len(d.Source))
	g.seen.text(2, key, len(d.Key))
	if found, err = g.seen.row(); !found {
		return false, err
	}
	id, fingerprint := g.seen.column(0), g.seen.column(1)
	g.seen.reset()
	if fingerprint != d.Fingerprint {
		receipt.Err = models.ErrKeyConflict
		return true, nil
	}
	receipt.Duplicate = true
	receipt.Event.ID = id
	return true, nil
}

func (g *ingest) insertAlert(event *models.Event, a *models.NewAlert) (models.EmailAlert, error) {
	alert := models.EmailAlert{
		EventID: event.ID, CreatedAt: event.CreatedAt, Recipient: a.Recipient,
		Status: a.Status, Detail: a.Detail, UpdatedAt: event.CreatedAt,
	}
	if err := g.row.room(len(a.Recipient) + len(a.Detail) + len(a.Status) + len(g.clock.text)); err != nil {
		return alert, err
	}
	at := g.row.put(g.clock.text)
	g.alert.int(1, event.ID)
	g.alert.text(2, at, len(g.clock.text))
	g.optional(g.alert, 3, a.Recipient)
	g.alert.text(4, g.row.put(string(a.Status)), len(a.Status))
	g.optional(g.alert, 5, a.Detail)
	if a.Status == models.EmailPending {
		alert.NextAttemptAt = event.CreatedAt
		g.alert.text(6, at, len(g.clock.text))
	} else {
		g.alert.null(6)
	}
	err := g.alert.run()
	alert.ID = g.conn.lastID()
	return alert, err
}

func (g *ingest) add(name string, n int64) error {
	if err := g.row.room(len(name)); err != nil {
		return err
	}
	g.count.text(1, g.row.put(name), len(name))
	g.count.int(2, n)
	return g.count.run()
}

// optional binds a text, or NULL for an empty one.
func (g *ingest) optional(st *compiled, i int32, s string) {
	if s == "" {
		st.null(i)
		return
	}
	st.text(i, g.row.put(s), len(s))
}

// clock formats a receive time once for all rows that share it.
type clock struct {
	last, at time.Time
	text     string
}

// set makes text the stored form of t and returns what reading it gives.
func (c *clock) set(t time.Time) time.Time {
	if c.text == "" || !c.last.Equal(t) {
		c.last, c.at = t, t.UTC().Truncate(time.Microsecond)
		c.text = models.FormatTime(c.at)
	}
	return c.at
}
