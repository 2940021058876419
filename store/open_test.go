package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/store"
)

// rawOpen opens a database file as any other program would.
func rawOpen(t *testing.T, path string) *sql.DB {
	t.Helper()
	u := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Exec(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// goodDatabase makes a database with some events and returns its bytes.
func goodDatabase(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.InsertBatch(t.Context(), benchRecords(500)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOpen_makes_a_private_directory_and_files(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	s := open(t, dir)
	if _, err := s.InsertBatch(t.Context(), benchRecords(1)); err != nil {
		t.Fatal(err)
	}
	if s.Path() != filepath.Join(dir, "alerthub.db") {
		t.Errorf("path %s", s.Path())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestOpen_keeps_rows_over_restarts_and_leaves_one_file(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		s, err := store.Open(t.Context(), store.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		stats, err := s.Stats(t.Context())
		if err != nil || stats.Events != int64(10*i) {
			t.Errorf("start %d: %+v, %v", i, stats, err)
		}
		if _, err := s.InsertBatch(t.Context(), benchRecords(10)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	}
}

func TestOpen_takes_any_directory_name(t *testing.T) {
	for _, name := range []string{"with blank", "what?", "no#1", "100%", "%20", "ñ漢🚨", "a&b=c;d", "mode=memory"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			s := open(t, dir)
			if _, err := s.InsertBatch(t.Context(), benchRecords(1)); err != nil {
				t.Fatal(err)
			}
			if stats, err := s.Stats(t.Context()); err != nil || stats.Events != 1 {
				t.Errorf("%+v, %v", stats, err)
			}
			if info, err := os.Stat(filepath.Join(dir, store.FileName)); err != nil || info.Size() == 0 {
				t.Errorf("the file is not there: %v", err)
			}
			if around, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(around) != 1 {
				t.Errorf("beside it: %v, %v", around, err)
			}
		})
	}
}

func TestOpen_refuses_a_second_hub(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	_, err := store.Open(t.Context(), store.Config{Dir: dir})
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), first.Path()) {
		t.Errorf("second: %v", err)
	}
	if _, err := first.InsertBatch(t.Context(), benchRecords(1)); err != nil {
		t.Errorf("the first no longer works: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// TestOpen_refuses_a_bad_database: one clear line soon, and not a byte changed.
func TestOpen_refuses_a_bad_database(t *testing.T) {
	good := goodDatabase(t)
	foreign := func(statements ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			db := rawOpen(t, path)
			run(t, db, statements...)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	content := func(data []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	garbled := bytes.Clone(good)
	for i := 100; i < len(garbled); i++ {
		garbled[i] = byte(i * 31)
	}
	longer := bytes.Clone(good) // claims more pages than there are
	binary.BigEndian.PutUint32(longer[28:], uint32(len(good)/4096+7))
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"empty", content(nil), "truncated"},
		{"a few bytes", content(good[:60]), "truncated"},
		{"header alone", content(good[:100]), "truncated"},
		{"half", content(good[:len(good)/2]), "truncated"},
		{"one page short", content(good[:len(good)-4096]), "truncated"},
		{"one byte short", content(good[:len(good)-1]), "truncated"},
		{"claims more pages", content(longer), "truncated"},
		{"garbage", content(bytes.Repeat([]byte("not a database\n"), 1000)), "not an SQLite database"},
		{"garbage behind a good header", content(garbled), "malformed"},
		{"another program's", foreign("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"), "notes"},
		{"the same names, other columns", foreign("CREATE TABLE events (id INTEGER PRIMARY KEY, title TEXT)", "CREATE TABLE email_alerts (id INTEGER)"), "other tables"},
		{"only half the tables", foreign(seedEvents), "other tables"},
		{"no table at all", foreign("CREATE TABLE t (x)", "DROP TABLE t"), "other tables"},
		{"read-only", func(t *testing.T, path string) {
			content(good)(t, path)
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
		}, "read-only"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, store.FileName)
			test.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, dir, store.ErrNotUsable, test.want)
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file changed: %d bytes, then %d, %v", len(before), len(after), err)
			}
			// SQLite makes an empty log and its index to read a file in WAL mode.
			if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
				t.Errorf("a log of %d bytes was written", info.Size())
			}
		})
	}
	t.Run("a directory in its place", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, store.FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, store.ErrNotUsable, "directory")
	})
	t.Run("missing, with its log there", func(t *testing.T) {
		dir := t.TempDir()
		content([]byte("something"))(t, filepath.Join(dir, store.FileName+"-wal"))
		refused(t, dir, store.ErrNotUsable, "missing")
		if _, err := os.Stat(filepath.Join(dir, store.FileName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a database was made: %v", err)
		}
	})
	t.Run("a file in the directory's place", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		content([]byte("x"))(t, dir)
		if _, err := store.Open(t.Context(), store.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v", err)
		}
	})
}

// refused opens dir and wants one line that names the file, soon.
func refused(t *testing.T, dir string, reason error, words string) {
	t.Helper()
	began := time.Now()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err == nil {
		_ = s.Close()
		t.Fatal("opened")
	}
	t.Log(err)
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), words) ||
		!strings.Contains(err.Error(), filepath.Join(dir, store.FileName)) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line with %q", err, words)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOpen_refuses_a_newer_schema(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, store.FileName)
	if err := os.WriteFile(path, goodDatabase(t), 0o600); err != nil {
		t.Fatal(err)
	}
	db := rawOpen(t, path)
	run(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)", "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, dir, store.ErrNewerSchema, "schema version is 99")
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
}

func TestOpen_refuses_a_locked_database(t *testing.T) {
	for name, lock := range map[string][]string{
		"written by another": {"BEGIN IMMEDIATE", "INSERT INTO counters VALUES ('x', 1)"},
		"held exclusively":   {"PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, store.FileName)
			if err := os.WriteFile(path, goodDatabase(t), 0o600); err != nil {
				t.Fatal(err)
			}
			db := rawOpen(t, path)
			run(t, db, lock...)
			refused(t, dir, store.ErrLocked, "locked")
			run(t, db, "ROLLBACK")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, dir)
		})
	}
}

func TestOpen_continues_after_a_first_start_that_was_cut_off(t *testing.T) {
	dir := t.TempDir()
	for _, leftover := range []string{".new", ".new-wal", ".new-journal"} {
		if err := os.WriteFile(filepath.Join(dir, store.FileName+leftover), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	if _, err := s.InsertBatch(t.Context(), benchRecords(1)); err != nil {
		t.Fatal(err)
	}
}

// What a crash leaves is the file and its log as they were: nothing was closed.
func TestOpen_finds_every_acknowledged_event_after_a_crash(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	s := open(t, dir)
	for range 20 {
		if _, err := s.InsertBatch(t.Context(), benchRecords(333)); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(s.Path() + suffix)
		if err != nil || len(data) == 0 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		if err := os.WriteFile(filepath.Join(crashed, store.FileName+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after := open(t, crashed)
	if stats, err := after.Stats(t.Context()); err != nil || stats.Events != 20*333 || stats.LastEventID != 20*333 {
		t.Errorf("%+v, %v", stats, err)
	}
	db := rawOpen(t, after.Path())
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpen_ends_with_its_context(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Open(ctx, store.Config{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestClose_refuses_later_writes(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InsertBatch(t.Context(), benchRecords(1)); !errors.Is(err, models.ErrClosed) {
		t.Errorf("InsertBatch: %v", err)
	}
	if _, err := s.FinishAlert(t.Context(), models.AlertUpdate{ID: 1, Status: models.EmailSent}); !errors.Is(err, models.ErrClosed) {
		t.Errorf("FinishAlert: %v", err)
	}
	if err := s.Probe(t.Context()); !errors.Is(err, models.ErrClosed) {
		t.Errorf("Probe: %v", err)
	}
	if _, err := s.Events(t.Context(), models.EventFilter{}); err == nil {
		t.Error("Events of a closed store")
	}
}
