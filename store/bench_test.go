package store_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
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
