// Package storetest is the conformance suite of the hub's storage: what every
// database must do to stand behind the hub. It starts goroutines only inside
// its tests and waits for them there.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"alerthub/models"
)

// Store is what is tested: all that the rooms of the hub ask of storage.
type Store interface {
	InsertBatch(ctx context.Context, records []models.Record) ([]models.Receipt, error)
	Probe(ctx context.Context) error
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EventsAfter(ctx context.Context, after int64, limit int) ([]models.Event, error)
	Event(ctx context.Context, id int64) (models.Event, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Stats(ctx context.Context) (models.Stats, error)
	Outbox
	EventsByID(ctx context.Context, ids []int64) ([]models.Event, error)
	Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error)
	AcknowledgeGroup(ctx context.Context, id int64, ack models.Ack) ([]models.Event, error)
	Unacknowledge(ctx context.Context, ids []int64) ([]models.Event, error)
	Attention(ctx context.Context, limit int) (models.Attention, error)
	Series(ctx context.Context, w models.Window) (models.Series, error)
	SaveCanary(ctx context.Context, c models.Canary) (models.Canary, error)
	Canaries(ctx context.Context) ([]models.Canary, error)
	AddAudit(ctx context.Context, e models.AuditEntry) error
	AuditLog(ctx context.Context, f models.AuditFilter) ([]models.AuditEntry, error)
	Access
}

// Outbox is what is asked of storage to deliver alerts.
type Outbox interface {
	Waiting(ctx context.Context, lane models.Lane, after int64, limit int) (rows []models.WaitingAlert, upTo int64, err error)
	OldestWaiting(ctx context.Context, lane models.Lane) (id int64, err error)
	PendingAddresses(ctx context.Context, channel string) ([]models.Address, error)
	Told(ctx context.Context, lane models.Lane, since time.Time) ([]models.Told, error)
	Decide(ctx context.Context, now time.Time, decisions []models.Decision) ([]models.EmailAlert, error)
	Gather(ctx context.Context, g models.Gathering, now time.Time) (carrier int64, err error)
	Due(ctx context.Context, lane models.Lane, now time.Time) (n models.Notice, ok bool, wait time.Duration, err error)
	FinishAlert(ctx context.Context, u models.AlertUpdate) (models.EmailAlert, error)
	Attempts(ctx context.Context, id int64) ([]models.Attempt, error)
	Settle(ctx context.Context, carrier models.EmailAlert) (changed []models.EmailAlert, more bool, err error)
	Unsettled(ctx context.Context, lane models.Lane) ([]models.EmailAlert, error)
	Release(ctx context.Context, carrier int64) error
	Retry(ctx context.Context, id int64, by models.Ack) (models.EmailAlert, error)
	CountPending(ctx context.Context, sel models.Cancellation, limit int) (n int64, err error)
	Cancel(ctx context.Context, sel models.Cancellation, by models.Ack) (n int64, err error)
}

// Access is what is asked of storage about who may come in.
type Access interface {
	AddKey(ctx context.Context, k models.Key, hash string) (models.Key, error)
	RevokeKey(ctx context.Context, id int64, at time.Time) error
	KeysUsed(ctx context.Context, uses []models.KeyUse) error
	Keys(ctx context.Context) (map[string]models.Key, error)
	SaveSenders(ctx context.Context, senders []models.AnonymousSender) error
	Senders(ctx context.Context) ([]models.AnonymousSender, error)
}

// Run tests stores made by open, each empty; open also closes it when its
// test ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Store)
	}{
		{"a batch is stored in its order, and receipts equal what is read back", receiptsEqualRows},
		{"batches of all sizes keep their order", batchSizes},
		{"a repeated key answers the first id", repeatedKey},
		{"a key with other content is a conflict, and the rest of the batch is stored", keyConflict},
		{"keys are per source", keysPerSource},
		{"a record that cannot be is refused with all its batch", invalidRecord},
		{"a cancelled context stores nothing", cancelledInsert},
		{"texts of every kind come back unchanged", texts},
		{"times are kept to the microsecond in UTC", times},
		{"pages by id are complete and end", pages},
		{"filters select what they say", filters},
		{"text is looked for literally, in source and message", literalText},
		{"a rare match far back is found", rareMatch},
		{"EventsAfter replays oldest first", eventsAfter},
		{"a missing row is ErrNotFound", notFound},
		{"counters equal a recount", countersEqualRecount},
		{"many emails in one batch", manyAlerts},
		{"the outbox tells what waits, and the message that is due first", outboxOrder},
		{"decisions are about rows that wait, and about no others", decisions},
		{"a digest is gathered, told and settled as a whole", digests},
		{"a digest of more rows than one transaction takes", bigDigest},
		{"digests that a crash cut off are found", cutDigests},
		{"a failed alert is tried again with its digest", retry},
		{"pending alerts are cancelled by contact and source", cancel},
		{"a finished attempt moves the row and the counters", finishAlert},
		{"email alerts are found by event, status and id", emailFilters},
		{"a probe changes nothing that is counted", probe},
		{"an acknowledgement changes what is stored, once, and can be taken back", acknowledge},
		{"an acknowledgement without a name or a time is refused", nobodysAck},
		{"a group is the earlier repeats of the same minute", acknowledgeGroup},
		{"attention shows criticals, then errors, newest first", attention},
		{"what is unacknowledged is paged under all conditions", unackedFilters},
		{"a search of what is unacknowledged goes on where it ended", unackedRareMatch},
		{"events are found by their ids", eventsByID},
		{"counters and series equal a recount after any operations", recount},
		{"a series counts by its bars, now and long ago", seriesBars},
		{"canaries are kept, the newest and the last that came through", canaries},
		{"the audit log is read newest first, by actor and by action", audit},
		{"the latest anonymous senders are kept", senders},
		{"keys are kept, used and revoked", keys},
		{"writers and readers do not disturb each other", concurrency},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func record(i int) models.Record {
	return models.Record{
		Draft: models.Draft{
			Source: fmt.Sprintf("device-%d", i%7), Severity: models.Severities()[i%4], Message: fmt.Sprintf("message %d", i),
			Channel: models.Channels()[i%2], RawPayload: fmt.Sprintf(`{"n":%d}`, i), Peer: "192.0.2.1",
		},
		ReceivedAt: start.Add(time.Duration(i) * time.Millisecond),
	}
}

func batch(from, n int) []models.Record {
	records := make([]models.Record, n)
	for i := range records {
		records[i] = record(from + i)
	}
	return records
}

func keyed(i int, key string, fingerprint int64) models.Record {
	r := record(i)
	r.Source, r.Key, r.Fingerprint = "keyed", key, fingerprint
	return r
}

func insert(t *testing.T, s Store, records ...models.Record) []models.Receipt {
	t.Helper()
	receipts, err := s.InsertBatch(t.Context(), records)
	if err != nil {
		t.Fatalf("InsertBatch of %d: %v", len(records), err)
	}
	if len(receipts) != len(records) {
		t.Fatalf("%d receipts for %d records", len(receipts), len(records))
	}
	return receipts
}

// all reads every event by pages, newest first, and reports how many calls it took.
func all(t *testing.T, s Store, f models.EventFilter) (events []models.Event, calls int) {
	t.Helper()
	for {
		page, err := s.Events(t.Context(), f)
		if err != nil {
			t.Fatalf("Events(%+v): %v", f, err)
		}
		calls++
		events = append(events, page.Events...)
		if page.NextBefore == 0 {
			return events, calls
		}
		if f.Before != 0 && page.NextBefore >= f.Before {
			t.Fatalf("NextBefore %d does not go on from %d", page.NextBefore, f.Before)
		}
		f.Before = page.NextBefore
	}
}

func ids(events []models.Event) []int64 {
	list := make([]int64, len(events))
	for i := range events {
		list[i] = events[i].ID
	}
	return list
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
