package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"alerthub/models"
)

// ingest is the connection of the hot INSERT and its compiled statements.
// Whoever uses it holds the store's turn.
type ingest struct {
	uri string

	conn *rawConn // nil after a fault, until the next use opens it again

	begin, commit, rollback *compiled
	run, one, keyed         *compiled // event inserts: of a whole run, of one, of one with a key
	seen                    *compiled // the event of a key
	alert, alertRun         *compiled
	count, rollup           *compiled
	texts                   scratch // what is bound to the statement under way
	clock                   clock
}

// runRows is how many events without a key one statement inserts. SQLite then
// opens the tables and keeps the AUTOINCREMENT sequence once for all of them;
// more rows gain nothing (docs/adr/0002-hot-insert.md).
const runRows = 32

// The parameters that all event statements begin with.
const (
	eventParams = 7
	eventInto   = "events (created_at, source, severity, message, channel, raw_payload, peer"
	eventValues = "(?, ?, ?, ?, ?, ?, ?"
	insertOne   = "INSERT INTO " + eventInto + ") VALUES " + eventValues + ")"
	insertKeyed = "INSERT INTO " + eventInto + ", idempotency_key, fingerprint) VALUES " + eventValues + ", ?, ?)"
	selectSeen  = "SELECT id, fingerprint FROM events WHERE source = ? AND idempotency_key = ?"
	alertParams = 8
	addCount    = "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
)

// insertRun inserts runRows events. A fault ends the transaction in any case;
// OR ROLLBACK says so to SQLite, which otherwise keeps a journal of its own
// for every statement of several rows, to be able to undo it alone.
func insertRun() string {
	return "INSERT OR ROLLBACK INTO " + eventInto + ") VALUES " + strings.Repeat(eventValues+"), ", runRows-1) + eventValues + ")"
}

// alertRows is runRows for the emails of a batch: an email a statement was a
// fifth of the CPU when a fifth of the events escalate.
const alertRows = 16

// insertAlerts inserts rows emails. Eight parameters a row: the time of birth
// stands twice.
func insertAlerts(rows int) string {
	values := make([]string, rows)
	for i := range values {
		n := i * alertParams
		values[i] = fmt.Sprintf("(?%d, ?%d, ?%d, ?%d, ?%d, ?%d, ?%d, ?%d, ?%d)", n+1, n+2, n+3, n+4, n+5, n+6, n+2, n+7, n+8)
	}
	return "INSERT OR ROLLBACK INTO email_alerts (event_id, created_at, recipient, status, detail, next_attempt_at, updated_at, contact, channel) VALUES " +
		strings.Join(values, ", ")
}

func (g *ingest) open() error {
	if g.conn != nil {
		return nil
	}
	var pragmas []string
	for _, p := range setup() {
		pragmas = append(pragmas, "PRAGMA "+p)
	}
	// An email alert is written right after its event, in its transaction:
	// there is nothing to check, and checking costs a run a look for children
	// of every new event.
	pragmas = append(pragmas, "PRAGMA foreign_keys(0)")
	conn, err := openRaw(g.uri, busyTimeout, pragmas...)
	if err != nil {
		return err
	}
	g.conn = conn
	g.texts = scratch{tls: conn.tls}
	for _, st := range []struct {
		into      **compiled
		what, sql string
	}{
		{&g.begin, "begin", "BEGIN IMMEDIATE"}, {&g.commit, "commit", "COMMIT"}, {&g.rollback, "roll back", "ROLLBACK"},
		{&g.run, "insert events", insertRun()}, {&g.one, "insert event", insertOne}, {&g.keyed, "insert keyed event", insertKeyed},
		{&g.seen, "look up key", selectSeen}, {&g.alert, "insert email alert", insertAlerts(1)},
		{&g.alertRun, "insert email alerts", insertAlerts(alertRows)}, {&g.count, "add to counter", addCount},
		{&g.rollup, "add to rollup", addRollup},
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
	for _, st := range []**compiled{&g.begin, &g.commit, &g.rollback, &g.run, &g.one, &g.keyed, &g.seen, &g.alert, &g.alertRun, &g.count, &g.rollup} {
		(*st).finalize()
		*st = nil
	}
	g.texts.free()
	err := g.conn.close()
	g.conn = nil
	return err
}

// inTx runs f in one transaction. After any fault the connection is given up:
// what state a failed read, write or sync left it in is not worth knowing,
// and opening another costs about a millisecond.
func (g *ingest) inTx(f func() error) error {
	err := g.open()
	if err == nil {
		err = g.begin.exec()
	}
	if err == nil {
		if err = f(); err == nil {
			err = g.commit.exec()
		}
		if err != nil {
			_ = g.rollback.exec() // SQLite may have rolled back itself; closing does it in any case
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

// emptyLog checkpoints the log and truncates it. Readers that use it make it
// a partial checkpoint, which is no error.
func (g *ingest) emptyLog() error {
	err := g.open()
	for _, sql := range []string{
		fmt.Sprintf("PRAGMA busy_timeout(%d)", maxLogWait.Milliseconds()),
		"PRAGMA wal_checkpoint(TRUNCATE)",
		fmt.Sprintf("PRAGMA busy_timeout(%d)", busyTimeout.Milliseconds()),
	} {
		if err == nil {
			err = g.conn.exec(sql)
		}
	}
	if err != nil {
		_ = g.close() // as in inTx
	}
	return err
}

// room makes sure that all texts of the next statement fit.
func (g *ingest) room(records []models.Record) error {
	n := 0
	for i := range records {
		d := &records[i].Draft
		n += len(models.TimeLayout) + len(d.Source) + len(d.Severity) + len(d.Message) + len(d.Channel) + len(d.RawPayload) + len(d.Peer) + len(d.Key)
	}
	return g.texts.room(n)
}

// bindEvent binds the parameters of one event, after base others, and fills
// its receipt but for the id.
func (g *ingest) bindEvent(st *compiled, base int32, record *models.Record, receipt *models.Receipt) {
	d := &record.Draft
	at := g.clock.set(record.ReceivedAt)
	g.bind(st, base+1, g.clock.text)
	g.bind(st, base+2, d.Source)
	g.bind(st, base+3, string(d.Severity))
	g.bind(st, base+4, d.Message)
	g.bind(st, base+5, string(d.Channel))
	g.bindOptional(st, base+6, d.RawPayload)
	g.bindOptional(st, base+7, d.Peer)
	receipt.Event = models.Event{
		CreatedAt: at, Source: d.Source, Severity: d.Severity,
		Message: d.Message, Channel: d.Channel, RawPayload: d.RawPayload, Peer: d.Peer,
	}
	receipt.Truncated = d.Truncated
}

func (g *ingest) bind(st *compiled, i int32, s string) { st.text(i, g.texts.put(s), len(s)) }

// bindOptional binds a text, or NULL for an empty one.
func (g *ingest) bindOptional(st *compiled, i int32, s string) {
	if s == "" {
		st.null(i)
		return
	}
	g.bind(st, i, s)
}

// add adds n to a counter.
func (g *ingest) add(name string, n int64) error {
	if err := g.texts.room(len(name)); err != nil {
		return err
	}
	g.bind(g.count, 1, name)
	g.count.int(2, n)
	return g.count.exec()
}

// addRollup adds n to a row of rollups.
func (g *ingest) addRollup(minute int64, kind string, n int64) error {
	if err := g.texts.room(len(kind)); err != nil {
		return err
	}
	g.rollup.int(1, minute)
	g.bind(g.rollup, 2, kind)
	g.rollup.int(3, n)
	return g.rollup.exec()
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
