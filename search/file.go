package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	gosqlite "github.com/glebarez/go-sqlite"
)

// version is written into the file; one of another version is made anew.
// Raise it when the tables, or query.Fold, change.
const version = 1

// schema. words is contentless and without positions: three letters of a word
// (or three characters that stand for a facet, see tokens.go) lead to ids and
// to nothing else, which makes it small; that the letters stand together is
// checked on the event. "case_sensitive 1" because query.Fold has folded the
// text: FTS5 must not have ideas of its own. hashsize lets a batch become one
// segment.
const schema = `
CREATE VIRTUAL TABLE words USING fts5(text, source, facet, stop, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1');
INSERT INTO words(words, rank) VALUES('hashsize', 16777216);
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last INTEGER NOT NULL); -- last: minute of its newest event
CREATE TABLE counts (step INTEGER, bucket INTEGER, shard INTEGER, n BLOB NOT NULL, PRIMARY KEY (step, bucket, shard)); -- see counts.go
CREATE TABLE zones (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL); -- see zones.go
CREATE TABLE late (id INTEGER PRIMARY KEY); -- to be indexed although below the watermark
CREATE TABLE meta (watermark INTEGER NOT NULL, mark TEXT NOT NULL); -- mark: which event the watermark is
INSERT INTO meta VALUES (0, '');
`

// file is an open search.db.
type file struct {
	writer *sql.DB // one connection; Run's, and addLate's
	reader *sql.DB // read-only connections

	zones     zones
	watermark atomic.Int64 // everything up to this id is in the file, but late ones
	late      atomic.Int64 // how many wait in table late
	mark      string       // Run's

	sources map[string]*known // Run's: some of the sources, to spare look-ups

	writing sync.Mutex // one transaction at a time
}

// errStale: the file is not of this version, or not of these events.
var errStale = errors.New("search index is stale")

func openFile(ctx context.Context, path string) (_ *file, err error) {
	f := &file{sources: map[string]*known{}}
	defer func() {
		if resultCode(err) == sqliteError {
			err = fmt.Errorf("%w: %w", errStale, err)
		}
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	// It holds what devices said: only its owner may read it. SQLite gives its
	// log the same mode.
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return nil, err
	}
	// NORMAL keeps the file consistent through a power cut and may lose the
	// last transactions, which are done again: the watermark is lost with them.
	if f.writer, err = openDB(path, 1, url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)",
		"wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-32000)", "temp_store(MEMORY)",
	}}); err != nil {
		return nil, err
	}
	var found int
	if err := f.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil {
		return nil, err
	}
	switch found {
	case version:
	case 0: // new, or somebody else's: then the tables may clash
		if err := f.inTx(ctx, func(tx *sql.Tx) error {
			return exec(ctx, tx, schema+fmt.Sprintf("PRAGMA user_version = %d", version))
		}); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: its version is %d", errStale, found)
	}
	var watermark, late int64
	err = f.writer.QueryRowContext(ctx, "SELECT watermark, mark, (SELECT count(*) FROM late) FROM meta").Scan(&watermark, &f.mark, &late)
	if err != nil {
		return nil, err
	}
	f.watermark.Store(watermark)
	f.late.Store(late)
	if err := f.zones.load(ctx, f.writer); err != nil {
		return nil, err
	}
	f.reader, err = openDB(path, 2, url.Values{"mode": {"ro"}, "_pragma": {
		"busy_timeout(5000)", "cache_size(-16000)", "temp_store(MEMORY)",
	}})
	return f, err
}

func openDB(path string, connections int, options url.Values) (*sql.DB, error) {
	path, err := filepath.Abs(path) // the first part of a relative one would be read as a host
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func (f *file) close() error {
	var errs []error
	for _, db := range []*sql.DB{f.reader, f.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// removeFile deletes the index.
func removeFile(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// inTx runs do in a transaction of the writer. Its context cannot be
// cancelled: the driver would roll back under way and spend a goroutine on
// each statement.
func (f *file) inTx(ctx context.Context, do func(tx *sql.Tx) error) (err error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	tx, err := f.writer.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	_, err := tx.ExecContext(context.WithoutCancel(ctx), statement, args...)
	return err
}

// queryInts runs a query of one column of integers.
func queryInts(ctx context.Context, db *sql.DB, statement string, args ...any) ([]int64, error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

// damaged reports whether err says that the file itself is bad.
func damaged(err error) bool {
	code := resultCode(err)
	return code == sqliteCorrupt || code == sqliteNotADB || errors.Is(err, errStale) || errors.Is(err, errBlob)
}

// SQLite's primary result codes that are told apart (sqlite.org/rescode.html).
const (
	sqliteError   = 1 // a table or column is missing
	sqliteCorrupt = 11
	sqliteNotADB  = 26
)

func resultCode(err error) int {
	var e *gosqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}
