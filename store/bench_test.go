package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/store"
)

// batchRows is the transaction size of both benchmarks.
const batchRows = 4096

// benchRecords are the same rows for both.
func benchRecords(n int) []models.Record {
	records := make([]models.Record, n)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range records {
		records[i] = models.Record{ReceivedAt: at, Draft: models.Draft{
			Source: fmt.Sprintf("switch-%03d", i%200), Severity: models.Severities()[i%4],
			Message: fmt.Sprintf("port %d changed state to down, %d errors since the last report", i%48, i),
			Channel: models.ChannelTCP, Peer: "192.0.2.7",
			RawPayload: fmt.Sprintf(`{"source":"switch-%03d","severity":"info","message":"port %d changed state to down"}`, i%200, i%48),
		}}
	}
	return records
}

// BenchmarkInsertBatch is the store's hot path with everything that it keeps:
// indexes, counters, receipts.
func BenchmarkInsertBatch(b *testing.B) {
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	records := benchRecords(batchRows)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.InsertBatch(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*batchRows)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkBarePrepared is what it is measured against: the driver's prepared
// statement, one row an Exec, into a bare table with the same durability.
func BenchmarkBarePrepared(b *testing.B) {
	dsn := url.URL{Scheme: "file", Path: filepath.Join(b.TempDir(), "bare.db"), RawQuery: url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(FULL)"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL, source TEXT NOT NULL,
		severity TEXT NOT NULL, message TEXT NOT NULL, channel TEXT NOT NULL, raw_payload TEXT)`); err != nil {
		b.Fatal(err)
	}
	records := benchRecords(batchRows)
	for b.Loop() {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		insert, err := tx.Prepare("INSERT INTO events (created_at, source, severity, message, channel, raw_payload) VALUES (?,?,?,?,?,?)")
		if err != nil {
			b.Fatal(err)
		}
		for i := range records {
			r := &records[i]
			if _, err := insert.Exec(models.FormatTime(r.ReceivedAt), r.Source, string(r.Severity), r.Message, string(r.Channel), r.RawPayload); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*batchRows)/b.Elapsed().Seconds(), "rows/s")
}

// filled opens a store of n events.
func filled(b *testing.B, n int) (*store.Store, string) {
	b.Helper()
	dir := b.TempDir()
	s, err := store.Open(b.Context(), store.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	records := benchRecords(8000)
	for at := 0; at < n; at += len(records) {
		if _, err := s.InsertBatch(b.Context(), records[:min(len(records), n-at)]); err != nil {
			b.Fatal(err)
		}
	}
	return s, dir
}

// BenchmarkReads shows what does not depend on how much is stored, and the
// search, which looks at a bounded part of it.
func BenchmarkReads(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		s, _ := filled(b, n)
		for _, read := range []struct {
			name string
			run  func() error
		}{
			{"stats", func() error { _, err := s.Stats(b.Context()); return err }},
			{"newest50", func() error { _, err := s.Events(b.Context(), models.EventFilter{}); return err }},
			{"page50", func() error {
				_, err := s.Events(b.Context(), models.EventFilter{Before: int64(n / 2)})
				return err
			}},
			{"rareText", func() error { _, err := s.Events(b.Context(), models.EventFilter{Text: "needle"}); return err }},
		} {
			b.Run(fmt.Sprintf("%s/%d", read.name, n), func(b *testing.B) {
				for b.Loop() {
					if err := read.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSeries counts a week in which each minute had every kind of event,
// from memory, and one of long ago, by half-hours, from the table.
func BenchmarkSeries(b *testing.B) {
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	for age, step := range map[string]time.Duration{"now": time.Minute, "long-ago": 30 * time.Minute} {
		end := now
		if age != "now" {
			end = now.Add(-60 * 24 * time.Hour)
		}
		records := benchRecords(int(8 * 7 * 24 * time.Hour / step))
		for i := range records {
			records[i].ReceivedAt = end.Add(-time.Duration(i/8) * step)
			records[i].Channel = models.Channels()[i/4%2]
		}
		for chunk := range slices.Chunk(records, 480) { // an hour a commit
			if _, err := s.InsertBatch(b.Context(), chunk); err != nil {
				b.Fatal(err)
			}
		}
		for _, r := range []models.Range{models.Range24h, models.Range7d} {
			b.Run(string(r)+"/"+age, func(b *testing.B) {
				for b.Loop() {
					series, err := s.Series(b.Context(), r.Window(end))
					if total := series.Total(); err != nil || total.Events() < 8*48 {
						b.Fatalf("%d events, %v", total.Events(), err)
					}
				}
			})
		}
	}
}

// BenchmarkAttention is what a page asks of a store where half a million
// events wait for a person, and how long acknowledging 500 of them takes.
func BenchmarkAttention(b *testing.B) {
	s, _ := filled(b, 1_000_000)
	b.Run("attention", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Attention(b.Context(), 5); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unacknowledged50", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Events(b.Context(), models.EventFilter{Unacked: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unacknowledgedRareText", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Events(b.Context(), models.EventFilter{Unacked: true, Text: "needle"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("acknowledge500", func(b *testing.B) {
		before := int64(1_000_000)
		for b.Loop() {
			var ids []int64
			for before -= 500; len(ids) < 500; {
				ids = append(ids, before+int64(len(ids)))
			}
			if changed, err := s.Acknowledge(b.Context(), ids, models.Ack{By: "bench", At: time.Now()}); err != nil || len(changed) != 500 {
				b.Fatalf("%d, %v", len(changed), err)
			}
		}
	})
}

// BenchmarkOpen is a start with a million events.
func BenchmarkOpen(b *testing.B) {
	s, dir := filled(b, 1_000_000)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := store.Open(b.Context(), store.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkFinishAlert is an everyday write while an ingest never pauses.
func BenchmarkFinishAlert(b *testing.B) {
	s, _ := filled(b, 1000)
	born := benchRecords(1)
	born[0].Alerts = []models.NewAlert{{Recipient: "noc@example.net", Status: models.EmailPending}}
	receipts, err := s.InsertBatch(b.Context(), born)
	if err != nil {
		b.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		records := benchRecords(batchRows)
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := s.InsertBatch(context.Background(), records); err != nil {
				stopped <- err
				return
			}
		}
	}()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		u := models.AlertUpdate{ID: receipts[0].Alerts[0].ID, Status: models.EmailPending, NextAttemptAt: began, At: began}
		if _, err := s.FinishAlert(b.Context(), u); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	close(stop)
	if err := <-stopped; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkClaim is all that the outbox does for one mail beside a million
// rows, half of them finished, half waiting: it sees the new row, claims it,
// reads the message that is due and records that it was sent.
func BenchmarkClaim(b *testing.B) {
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	lane := models.Lane{Channel: models.DeliveryEmail}
	for i := range 1_000_000 / batchRows {
		records := benchRecords(batchRows)
		for j := range records {
			status := models.EmailPending
			if i%2 == 0 {
				status = models.EmailSkipped
			}
			records[j].Alerts = []models.NewAlert{{Contact: "noc", Recipient: "noc@example.net", Status: status}}
		}
		if _, err := s.InsertBatch(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	fresh := benchRecords(1)
	fresh[0].Alerts = []models.NewAlert{{Contact: "noc", Recipient: "noc@example.net", Status: models.EmailPending}}
	_, planned, err := s.Waiting(b.Context(), lane, 999_000, models.MaxLimit)
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		receipts, err := s.InsertBatch(b.Context(), fresh)
		if err != nil {
			b.Fatal(err)
		}
		id := receipts[0].Alerts[0].ID
		b.StartTimer()
		began := time.Now()
		rows, upTo, err := s.Waiting(b.Context(), lane, planned, 256)
		if err != nil {
			b.Fatal(err)
		}
		if planned = upTo; upTo != id || rows[len(rows)-1].ID != id {
			b.Fatalf("it looked up to %d of %d", upTo, id)
		}
		if _, err := s.Decide(b.Context(), began, []models.Decision{{ID: id, Claim: models.ClaimAlone}}); err != nil {
			b.Fatal(err)
		}
		n, ok, _, err := s.Due(b.Context(), lane, time.Now())
		if !ok || err != nil || n.Alert.ID != id {
			b.Fatalf("due %+v, %v, %v", n.Alert, ok, err)
		}
		claimed := time.Since(began)
		if _, err := s.FinishAlert(b.Context(), models.AlertUpdate{ID: id, Status: models.EmailSent, Attempts: 1, At: began}); err != nil {
			b.Fatal(err)
		}
		took = append(took, claimed)
	}
	slices.Sort(took)
	if p50 := took[len(took)/2]; p50 >= 5*time.Millisecond {
		b.Errorf("a claim takes %v, want less than 5 ms", p50)
	}
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "claim-p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "claim-p99-ms")
}
