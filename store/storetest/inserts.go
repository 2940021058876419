package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alerthub/models"
)

func receiptsEqualRows(t *testing.T, s Store) {
	records := batch(0, 100)
	records[7].Truncated = []string{"message"}
	records[9].RawPayload = ""
	records[50].Alerts = []models.NewAlert{
		{Recipient: "noc@example.net", Status: models.EmailPending},
		{Status: models.EmailSkipped, Detail: "SMTP_HOST is not set"},
	}
	receipts := insert(t, s, records...)
	last := int64(0)
	for i, r := range receipts {
		d := records[i].Draft
		if !r.Recorded() || r.Event.ID <= last {
			t.Fatalf("receipt %d: recorded %v, id %d after %d", i, r.Recorded(), r.Event.ID, last)
		}
		last = r.Event.ID
		want := models.Event{ID: last, CreatedAt: records[i].ReceivedAt, Source: d.Source, Severity: d.Severity,
			Message: d.Message, Channel: d.Channel, RawPayload: d.RawPayload, Peer: d.Peer}
		same(t, fmt.Sprintf("receipt %d", i), want, r.Event)
		same(t, "truncated", d.Truncated, r.Truncated)
		row, err := s.Event(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("row %d", i), r.Event, row)
		alerts, err := s.EmailAlerts(t.Context(), models.EmailFilter{EventIDs: []int64{last}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(alerts)
		same(t, "alerts", r.Alerts, alerts)
		if len(alerts) != len(records[i].Alerts) {
			t.Errorf("event %d has %d alerts, want %d", last, len(alerts), len(records[i].Alerts))
		}
	}
	if a := receipts[50].Alerts; len(a) == 2 && (!a[0].NextAttemptAt.Equal(records[50].ReceivedAt) || !a[1].NextAttemptAt.IsZero()) {
		t.Errorf("next attempts: pending %v, skipped %v", a[0].NextAttemptAt, a[1].NextAttemptAt)
	}
}

func batchSizes(t *testing.T, s Store) {
	if receipts, err := s.InsertBatch(t.Context(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("an empty batch: %v, %v", receipts, err)
	}
	var want []string
	n := 0
	for _, size := range []int{1, 2, 31, 32, 33, 64, 65, 300, 8192} {
		records := batch(n, size)
		n += size
		if size == 65 { // a key in the middle of what could be a run
			records[40] = keyed(n, "in the middle", 1)
		}
		for i, r := range insert(t, s, records...) {
			if r.Event.Message != records[i].Message {
				t.Fatalf("size %d: receipt %d is for %q", size, i, r.Event.Message)
			}
			want = append(want, records[i].Message)
		}
	}
	events, _ := all(t, s, models.EventFilter{Limit: models.MaxLimit})
	slices.Reverse(events)
	got := make([]string, len(events))
	for i := range events {
		got[i] = events[i].Message
	}
	same(t, "messages in the order of ids", want, got)
}

func repeatedKey(t *testing.T, s Store) {
	first := insert(t, s, record(0), keyed(1, "k1", 11), keyed(2, "k2", 22), keyed(3, "k1", 11))
	if !first[1].Recorded() || !first[2].Recorded() {
		t.Fatalf("first uses: %+v", first)
	}
	again := insert(t, s, keyed(9, "k2", 22), record(5), keyed(9, "k1", 11))
	for _, repeat := range []struct {
		what string
		got  models.Receipt
		of   models.Receipt
	}{{"within a batch", first[3], first[1]}, {"of k2", again[0], first[2]}, {"of k1", again[2], first[1]}} {
		want := models.Receipt{Event: models.Event{ID: repeat.of.Event.ID}, Duplicate: true}
		same(t, "repeat "+repeat.what, want, repeat.got)
	}
	events, _ := all(t, s, models.EventFilter{})
	same(t, "stored ids", []int64{again[1].Event.ID, first[2].Event.ID, first[1].Event.ID, first[0].Event.ID}, ids(events))
}

func keyConflict(t *testing.T, s Store) {
	withAlert := keyed(2, "k", 2)
	withAlert.Alerts = []models.NewAlert{{Recipient: "noc@example.net", Status: models.EmailPending}}
	receipts := insert(t, s, keyed(1, "k", 1), withAlert, record(3))
	if !errors.Is(receipts[1].Err, models.ErrKeyConflict) || receipts[1].Recorded() || len(receipts[1].Alerts) != 0 {
		t.Errorf("conflict: %+v", receipts[1])
	}
	if !receipts[0].Recorded() || !receipts[2].Recorded() {
		t.Errorf("the rest: %+v, %+v", receipts[0], receipts[2])
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Events != 2 || stats.Email[models.EmailPending] != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func keysPerSource(t *testing.T, s Store) {
	a, b := keyed(1, "k", 1), keyed(2, "k", 2)
	b.Source = "somebody else"
	for _, r := range insert(t, s, a, b, record(0), record(0)) {
		if !r.Recorded() {
			t.Errorf("not recorded: %+v", r)
		}
	}
}

func invalidRecord(t *testing.T, s Store) {
	for name, change := range map[string]func(*models.Record){
		"severity": func(r *models.Record) { r.Severity = "loud" },
		"channel":  func(r *models.Record) { r.Channel = "pigeon" },
		"email":    func(r *models.Record) { r.Alerts = []models.NewAlert{{Status: models.EmailSent}} },
	} {
		records := batch(0, 40)
		change(&records[39])
		if _, err := s.InsertBatch(t.Context(), records); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stats, err := s.Stats(t.Context()); err != nil || stats.Events != 0 || stats.LastEventID != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func cancelledInsert(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // whichever way a select goes
		if _, err := s.InsertBatch(ctx, batch(0, 3)); !errors.Is(err, context.Canceled) {
			t.Fatalf("InsertBatch: %v", err)
		}
	}
	if stats, err := s.Stats(t.Context()); err != nil || stats.Events != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func texts(t *testing.T, s Store) {
	samples := []string{
		"plain", "ñandú 漢字 🚨 e\u0301", "'; DROP TABLE events; --", `"quoted" \ % _`, "<script>alert(1)</script>",
		"line\nfeed\ttab", "nul\x00inside", "\ufffd", "?1 :a @b $c", strings.Repeat("é", models.MaxMessage),
		strings.Repeat("x", 1<<20),
	}
	var records []models.Record
	for range 5 { // in runs and alone
		for _, text := range samples {
			r := record(0)
			r.Source, r.Message, r.RawPayload = "s"+text, "m"+text, "p"+text
			records = append(records, r)
		}
	}
	for i, r := range insert(t, s, records...) {
		event, err := s.Event(t.Context(), r.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		d := records[i].Draft
		if event.Source != d.Source || event.Message != d.Message || event.RawPayload != d.RawPayload {
			t.Errorf("%.40q came back as %.40q, %.40q, %.40q", d.Message, event.Source, event.Message, event.RawPayload)
		}
	}
}

func times(t *testing.T, s Store) {
	zone := time.FixedZone("far", 5*3600+1800)
	for _, at := range []time.Time{
		start, start.In(zone), start.Add(999 * time.Nanosecond), time.Unix(0, 0), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Now(),
	} {
		r := record(0)
		r.ReceivedAt = at
		r.Alerts = []models.NewAlert{{Recipient: "a@example.net", Status: models.EmailPending}}
		receipt := insert(t, s, r)[0]
		event, err := s.Event(t.Context(), receipt.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := at.UTC().Truncate(time.Microsecond)
		same(t, "read back", want, event.CreatedAt)
		same(t, "receipt", want, receipt.Event.CreatedAt)
		same(t, "alert", want, receipt.Alerts[0].NextAttemptAt)
		if event.CreatedAt.Location() != time.UTC {
			t.Errorf("location %v", event.CreatedAt.Location())
		}
	}
}

func concurrency(t *testing.T, s Store) {
	const batches, size = 40, 50
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for b := range batches {
				records := batch(w*10_000+b*size, size)
				records[0].Alerts = []models.NewAlert{{Recipient: "noc@example.net", Status: models.EmailPending}}
				receipts, err := s.InsertBatch(t.Context(), records)
				if err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				id := receipts[0].Alerts[0].ID
				if _, err := s.FinishAlert(t.Context(), models.AlertUpdate{ID: id, Status: models.EmailSent, Attempts: 1, At: start}); err != nil {
					t.Errorf("finish: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range batches {
				page, err := s.Events(t.Context(), models.EventFilter{Limit: 100})
				if err != nil {
					t.Errorf("events: %v", err)
				}
				if !slices.IsSortedFunc(page.Events, func(a, b models.Event) int { return int(b.ID - a.ID) }) {
					t.Error("a page is out of order")
				}
				if stats, err := s.Stats(t.Context()); err != nil || stats.Events != stats.LastEventID {
					t.Errorf("stats of one moment: %d events, last id %d, %v", stats.Events, stats.LastEventID, err)
				}
			}
		})
	}
	wg.Wait()
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Events != 3*batches*size || stats.Email[models.EmailSent] != 3*batches || stats.Email[models.EmailPending] != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}
