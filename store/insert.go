package store

import (
	"cmp"
	"context"
	"fmt"

	"alerthub/models"
)

// InsertBatch stores records in one transaction, in their order: events, the
// emails that they cause, the counters and the rollups. When it returns receipts, they
// are on disk. A record whose key was seen before gets the first one's id and
// stores nothing; a repeated key with other content gets ErrKeyConflict in
// its receipt. On an error nothing is stored: it wraps
// models.ErrUnavailable when storage refused, models.ErrInvalid for a record
// that NewDraft cannot have made, models.ErrClosed after Close; else it is
// the context's, which counts only until the transaction begins.
func (s *Store) InsertBatch(ctx context.Context, records []models.Record) ([]models.Receipt, error) {
	if len(records) == 0 {
		return nil, nil
	}
	for i := range records {
		if err := checkRecord(&records[i]); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
	}
	if err := s.turn.take(ctx); err != nil {
		return nil, err
	}
	defer s.turn.give()
	receipts, sum, err := s.ingest.insert(records)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("insert batch of %d", len(records)), err)
	}
	s.recent.add(&sum)
	s.keeper.writes.Add(1)
	return receipts, nil
}

// checkRecord refuses the words that no counter counts.
func checkRecord(r *models.Record) error {
	if !r.Severity.Valid() || !r.Channel.Valid() {
		return fmt.Errorf("%w: severity %q, channel %q", models.ErrInvalid, r.Severity, r.Channel)
	}
	for i := range r.Alerts {
		if status := r.Alerts[i].Status; status != models.EmailPending && status != models.EmailSkipped {
			return fmt.Errorf("%w: email status %q of a new event", models.ErrInvalid, status)
		}
	}
	return nil
}

func (g *ingest) insert(records []models.Record) (receipts []models.Receipt, sum tally, err error) {
	receipts = make([]models.Receipt, len(records))
	n := 0
	for i := range records {
		n += len(records[i].Alerts)
	}
	alerts := make([]models.EmailAlert, 0, n) // one allocation for all receipts
	err = g.inTx(func() error {
		for from := 0; from < len(records); {
			group, err := g.insertGroup(records[from:], receipts[from:])
			if err != nil {
				return err
			}
			for i := from; i < from+group; i++ {
				if receipts[i].Recorded() {
					sum.event(&receipts[i].Event)
				}
			}
			from += group
		}
		alerts = bornAlerts(records, receipts, alerts, &sum)
		if err := g.insertAlerts(alerts); err != nil {
			return err
		}
		return sum.write(g.add, g.addRollup)
	})
	return receipts, sum, err
}

// insertGroup inserts a whole run if the records begin with one, else the
// first record, and returns how many it took.
func (g *ingest) insertGroup(records []models.Record, receipts []models.Receipt) (int, error) {
	run := 0
	for run < min(runRows, len(records)) && records[run].Key == "" {
		run++
	}
	if run < runRows {
		return 1, g.insertOne(records, receipts)
	}
	if err := g.room(records[:run]); err != nil {
		return 0, err
	}
	for i := range run {
		g.bindEvent(g.run, int32(i*eventParams), &records[i], &receipts[i])
	}
	if err := g.run.exec(); err != nil {
		return 0, err
	}
	// The rows of one statement get ids in a row: this transaction is the only writer.
	first := g.conn.lastID() - int64(run) + 1
	for i := range run {
		receipts[i].Event.ID = first + int64(i)
	}
	return run, nil
}

func (g *ingest) insertOne(records []models.Record, receipts []models.Receipt) error {
	d, receipt, st := &records[0].Draft, &receipts[0], g.one
	if err := g.room(records[:1]); err != nil {
		return err
	}
	if d.Key != "" {
		if found, err := g.lookUp(d, receipt); found || err != nil {
			return err
		}
		st = g.keyed
		g.texts.used = 0 // what was bound for the lookup is done with
		g.bind(st, eventParams+1, d.Key)
		st.int(eventParams+2, d.Fingerprint)
	}
	g.bindEvent(st, 0, &records[0], receipt)
	if err := st.exec(); err != nil {
		return err
	}
	receipt.Event.ID = g.conn.lastID()
	return nil
}

// lookUp fills the receipt of a repeat, or of a key that was used for
// something else, also by an earlier record of the same batch.
func (g *ingest) lookUp(d *models.Draft, receipt *models.Receipt) (found bool, err error) {
	g.bind(g.seen, 1, d.Source)
	g.bind(g.seen, 2, d.Key)
	if found, err = g.seen.row(); !found {
		return false, err
	}
	id, fingerprint := g.seen.column(0), g.seen.column(1)
	g.seen.reset()
	if fingerprint != d.Fingerprint {
		*receipt = models.Receipt{Err: models.ErrKeyConflict}
	} else {
		*receipt = models.Receipt{Event: models.Event{ID: id}, Duplicate: true}
	}
	receipt.Truncated = d.Truncated
	return true, nil
}

// bornAlerts appends the emails that the recorded events cause to all, which
// has the capacity. Each receipt gets its part; the ids come with the insert.
func bornAlerts(records []models.Record, receipts []models.Receipt, all []models.EmailAlert, sum *tally) []models.EmailAlert {
	for i := range records {
		if len(records[i].Alerts) == 0 || !receipts[i].Recorded() {
			continue
		}
		from, event := len(all), &receipts[i].Event
		for _, a := range records[i].Alerts {
			alert := models.EmailAlert{
				EventID: event.ID, CreatedAt: event.CreatedAt, UpdatedAt: event.CreatedAt,
				Contact: a.Contact, Channel: cmp.Or(a.Channel, models.DeliveryEmail), Recipient: a.Recipient, Status: a.Status, Detail: a.Detail,
			}
			if a.Status == models.EmailPending {
				alert.NextAttemptAt = alert.CreatedAt
			}
			sum.alert(alert.Channel, event.CreatedAt, a.Status, 1)
			all = append(all, alert)
		}
		receipts[i].Alerts = all[from:len(all):len(all)]
	}
	return all
}

// insertAlerts inserts emails in their order and fills in their ids.
func (g *ingest) insertAlerts(alerts []models.EmailAlert) error {
	for len(alerts) > 0 {
		n, st := 1, g.alert
		if len(alerts) >= alertRows {
			n, st = alertRows, g.alertRun
		}
		if err := g.insertAlertRun(st, alerts[:n]); err != nil {
			return err
		}
		alerts = alerts[n:]
	}
	return nil
}

// insertAlertRun inserts as many emails as st takes.
func (g *ingest) insertAlertRun(st *compiled, alerts []models.EmailAlert) error {
	size := 0
	for i := range alerts {
		a := &alerts[i]
		size += len(models.TimeLayout) + len(a.Contact) + len(a.Channel) + len(a.Recipient) + len(a.Status) + len(a.Detail)
	}
	if err := g.texts.room(size); err != nil {
		return err
	}
	for i := range alerts {
		a, before := &alerts[i], int32(i*alertParams)
		g.clock.set(a.CreatedAt)
		at := g.texts.put(g.clock.text)
		st.int(before+1, a.EventID)
		st.text(before+2, at, len(g.clock.text))
		g.bindOptional(st, before+3, a.Recipient)
		g.bind(st, before+4, string(a.Status))
		g.bindOptional(st, before+5, a.Detail)
		st.null(before + 6)
		if a.Status == models.EmailPending {
			st.text(before+6, at, len(g.clock.text))
		}
		g.bindOptional(st, before+7, a.Contact)
		g.bind(st, before+8, a.Channel)
	}
	if err := st.exec(); err != nil {
		return err
	}
	// There is one writer: the ids of a statement are consecutive.
	id := g.conn.lastID() - int64(len(alerts))
	for i := range alerts {
		id++
		alerts[i].ID = id
	}
	return nil
}
