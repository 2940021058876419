package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func someRecords(n, payload int) []models.Record {
	records := make([]models.Record, n)
	for i := range records {
		records[i] = models.Record{ReceivedAt: time.Unix(1772366400, 0), Draft: models.Draft{
			Source: "switch-1", Severity: models.SeverityError, Message: fmt.Sprintf("message %d", i), Channel: models.ChannelTCP,
			RawPayload: strings.Repeat("x", payload)}}
	}
	return records
}

func pragmas(t *testing.T, conn *sql.Conn, names ...string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, name := range names {
		var value string
		if err := conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		values[name] = value
	}
	return values
}

func TestConnections_have_their_pragmas(t *testing.T) {
	s := openStore(t)
	writing := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "1500",
		"journal_size_limit": "67108864", "wal_autocheckpoint": "400", "cache_size": "-2000", "temp_store": "2"}
	var names []string
	for name := range writing {
		names = append(names, name)
	}
	conn, err := s.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(writing, pragmas(t, conn, names...)); diff != "" {
		t.Errorf("writer (-want +got):\n%s", diff)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"synchronous": 2, "foreign_keys": 0, "busy_timeout": 1500, "wal_autocheckpoint": 400} {
		st, err := s.ingest.conn.compile(name, "PRAGMA "+name)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := st.row(); !ok || err != nil || st.column(0) != want {
			t.Errorf("ingest: %s is %d, want %d, %v", name, st.column(0), want, err)
		}
		st.finalize()
	}
	// All readers at once, so that each is another connection.
	for i := range s.reader.Stats().MaxOpenConnections {
		conn, err := s.reader.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		want := map[string]string{"busy_timeout": "1500", "cache_size": "-2000", "temp_store": "2"}
		if diff := cmp.Diff(want, pragmas(t, conn, "busy_timeout", "cache_size", "temp_store")); diff != "" {
			t.Errorf("reader %d (-want +got):\n%s", i, diff)
		}
		if _, err := conn.ExecContext(t.Context(), "DELETE FROM counters"); err == nil {
			t.Errorf("reader %d can write", i)
		}
	}
}

func TestWriter_begins_immediately(t *testing.T) {
	s := openStore(t)
	tx, err := s.writer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := openRaw(writerURI(s.path), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.exec("BEGIN IMMEDIATE"); resultCode(err) != sqliteBusy {
		t.Errorf("a second writer: %v", err)
	}
	if err := errors.Join(tx.Rollback(), other.exec("BEGIN IMMEDIATE"), other.exec("ROLLBACK"), other.close()); err != nil {
		t.Error(err)
	}
}

func TestWriter_checks_foreign_keys(t *testing.T) {
	s := openStore(t)
	if _, err := s.writer.Exec("INSERT INTO email_alerts (event_id, created_at, status) VALUES (4711, 'x', 'sent')"); err == nil {
		t.Error("an alert of no event was stored")
	}
}

func TestPins(t *testing.T) {
	s := openStore(t)
	var version string
	if err := s.reader.QueryRow("SELECT sqlite_version()").Scan(&version); err != nil || version != "3.54.1" {
		t.Errorf("SQLite %s, %v", version, err)
	}
	list := func(format, module string) string {
		out, err := exec.Command("go", "list", "-m", "-f", format, module).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", module, err)
		}
		return strings.TrimSpace(string(out))
	}
	asked, err := os.ReadFile(list("{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	// modernc.org/sqlite works with exactly the libc that it was generated for.
	if libc := "modernc.org/libc " + list("{{.Version}}", "modernc.org/libc") + "\n"; !strings.Contains(string(asked), libc) {
		t.Errorf("this build has %s which modernc.org/sqlite does not ask for:\n%s", libc, asked)
	}
}

func TestLog_holds_no_values(t *testing.T) {
	var log bytes.Buffer
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gormR.Exec("SELECT * FROM missing WHERE a = ?", "what a device sent").Error; err == nil {
		t.Error("no error")
	}
	if _, err := s.Event(t.Context(), 4711); !errors.Is(err, models.ErrNotFound) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "missing") || strings.Contains(text, "device") || strings.Contains(text, "4711") {
		t.Errorf("log:\n%s", text)
	}
}

func stored(t *testing.T, s *Store) int64 {
	t.Helper()
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	if err := s.reader.QueryRow("SELECT count(*) FROM events").Scan(&rows); err != nil || rows != stats.Events {
		t.Errorf("%d rows, counted %d, %v", rows, stats.Events, err)
	}
	return rows
}

func TestInsertBatch_refuses_all_on_a_fault_and_recovers(t *testing.T) {
	s := openStore(t)
	insert := func(n int) error {
		_, err := s.InsertBatch(t.Context(), someRecords(n, 200))
		return err
	}
	if err := insert(100); err != nil {
		t.Fatal(err)
	}
	t.Run("full", func(t *testing.T) {
		if err := s.ingest.conn.exec("PRAGMA max_page_count=40"); err != nil {
			t.Fatal(err)
		}
		if err := insert(5000); !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "full") {
			t.Errorf("full: %v", err)
		}
	})
	t.Run("full probe", func(t *testing.T) {
		if err := errors.Join(s.ingest.open(), s.ingest.conn.exec("PRAGMA query_only=1")); err != nil {
			t.Fatal(err)
		}
		if err := s.Probe(t.Context()); !errors.Is(err, models.ErrUnavailable) {
			t.Errorf("probe: %v", err)
		}
	})
	t.Run("locked", func(t *testing.T) {
		other, err := openRaw(writerURI(s.path), 0)
		if err == nil {
			err = other.exec("BEGIN IMMEDIATE")
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := insert(10); !errors.Is(err, models.ErrUnavailable) || resultCode(err) != sqliteBusy {
			t.Errorf("locked: %v", err)
		}
		if took := time.Since(began); took < time.Second || took > 3*time.Second {
			t.Errorf("answered after %v", took)
		}
		if err := errors.Join(other.exec("ROLLBACK"), other.close()); err != nil {
			t.Error(err)
		}
	})
	if n := stored(t, s); n != 100 {
		t.Errorf("%d events are stored", n)
	}
	if err := errors.Join(insert(5000), s.Probe(t.Context())); err != nil {
		t.Errorf("after the faults: %v", err)
	}
	if n := stored(t, s); n != 5100 {
		t.Errorf("%d events are stored", n)
	}
}

func TestEvents_looks_at_a_bounded_number_of_rows_a_call(t *testing.T) {
	s := openStore(t)
	if _, err := s.InsertBatch(t.Context(), someRecords(3, 0)); err != nil {
		t.Fatal(err)
	}
	// As if ids 4 to 250,000 had been there: the search goes by ids.
	if _, err := s.writer.Exec("UPDATE sqlite_sequence SET seq = 250000 WHERE name = 'events'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InsertBatch(t.Context(), someRecords(3, 0)); err != nil {
		t.Fatal(err)
	}
	f := models.EventFilter{Text: "message 2"}
	var calls []int64
	var found []int64
	for {
		page, err := s.Events(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			found = append(found, e.ID)
		}
		calls = append(calls, page.NextBefore)
		if f.Before = page.NextBefore; f.Before == 0 {
			break
		}
	}
	if diff := cmp.Diff([]int64{250003 - searchBudget + 1, 250003 - 2*searchBudget + 1, 0}, calls); diff != "" {
		t.Errorf("continued at (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{250003, 3}, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Events(ctx, f); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestEverydayWrites_wait_for_those_before_them: under an ingest that never
// pauses, an outcome waits for the batches that asked earlier, not for more.
func TestEverydayWrites_wait_for_those_before_them(t *testing.T) {
	s := openStore(t)
	records := someRecords(100, 10)
	records[0].Alerts = []models.NewAlert{{Recipient: "noc@example.net", Status: models.EmailPending}}
	receipts, err := s.InsertBatch(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	const ingesters = 4
	ctx, cancel := context.WithCancel(t.Context())
	var batches atomic.Int64
	var wg sync.WaitGroup
	for range ingesters {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.InsertBatch(t.Context(), records[1:]); err != nil {
					t.Error(err)
				}
				batches.Add(1)
			}
		})
	}
	worst := int64(0)
	for i := range 20 {
		before := batches.Load()
		u := models.AlertUpdate{ID: receipts[0].Alerts[0].ID, Status: models.EmailPending, Attempts: i, NextAttemptAt: time.Now(), At: time.Now()}
		if _, err := s.FinishAlert(t.Context(), u); err != nil {
			t.Error(err)
		}
		worst = max(worst, batches.Load()-before)
	}
	cancel()
	wg.Wait()
	t.Logf("%d batches; a write waited for at most %d", batches.Load(), worst)
	// One for each ingester, and as many again that may count between the two loads.
	if worst > 2*ingesters {
		t.Errorf("a write waited for %d batches", worst)
	}
}

func TestKeeper_empties_the_log_when_idle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.InsertBatch(context.Background(), someRecords(10, 10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * keeperTick)
		synctest.Wait()
		if s.logSize() == 0 {
			t.Error("the log was emptied while writes went on")
		}
		time.Sleep((idleTicks + 1) * keeperTick)
		synctest.Wait()
		if n := s.logSize(); n != 0 {
			t.Errorf("the log has %d bytes", n)
		}
		if n := stored(t, s); n != 10 {
			t.Errorf("%d events", n)
		}
	})
}

func TestKeeper_bounds_a_log_that_readers_keep(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		if _, err := s.InsertBatch(ctx, someRecords(1, 10)); err != nil {
			t.Fatal(err)
		}
		rows, err := s.reader.QueryContext(ctx, "SELECT id FROM events")
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		for range 9 {
			if _, err := s.InsertBatch(ctx, someRecords(8, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.logSize(); n <= maxLog {
			t.Fatalf("the log has only %d bytes", n)
		}
		if err := s.emptyLog(ctx); err != nil || s.logSize() <= maxLog {
			t.Errorf("with a reader in it: %d bytes, %v", s.logSize(), err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keeperTick * 3 / 2) // sooner than idle
		synctest.Wait()
		if n := s.logSize(); n != 0 {
			t.Errorf("the log has %d bytes", n)
		}
	})
}
