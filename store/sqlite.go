package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"alerthub/models"
)

// setup is what every writing connection is told. synchronous=FULL is the
// promise that an acknowledged event survives a power cut
// (docs/adr/0003-sqlite-durability.md). journal_mode=WAL stands after
// busy_timeout, which it may need. A log longer than wal_autocheckpoint pages
// (of 4 KiB) is copied by the commit that made it so; one that grew for want
// of that is cut back to journal_size_limit. cache_size is in KiB when
// negative: what a connection may keep, on a small machine.
func setup() []string {
	return []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"wal_autocheckpoint(400)", "journal_size_limit(67108864)", "cache_size(-2000)", "temp_store(MEMORY)",
	}
}

// fileURI names a file for SQLite. The path is percent-encoded, so that one
// with blanks, "?", "#" or "%" is the same file here as everywhere else.
func fileURI(path string, query url.Values) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

// writerURI opens for writing and never makes a file that is gone.
func writerURI(path string) string { return fileURI(path, url.Values{"mode": {"rw"}}) }

// openWriter opens the one connection of everyday writes and takes its write
// lock once, to learn at start if another process holds it.
func openWriter(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open(sqlite.DriverName, fileURI(path, url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": setup(),
	}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		err = tx.Rollback()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openReader makes the pool of read-only connections; the first query opens
// the first of them.
func openReader(path string) (*sql.DB, error) {
	db, err := sql.Open(sqlite.DriverName, readerURI(path, "ro"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, nil
}

func readerURI(path, mode string) string {
	return fileURI(path, url.Values{"mode": {mode}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "cache_size(-2000)", "temp_store(MEMORY)",
	}})
}

// openGORM maps the tables over a pool. The logger renders no parameter, since they
// are what devices sent, and no missing row, which is an answer.
func openGORM(db *sql.DB, log *slog.Logger) (*gorm.DB, error) {
	return gorm.Open(&sqlite.Dialector{Conn: db}, &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		Logger: logger.NewSlogLogger(log, logger.Config{
			LogLevel: logger.Warn, SlowThreshold: time.Second,
			ParameterizedQueries: true, IgnoreRecordNotFoundError: true,
		}),
	})
}

// refusal puts a fault met while opening into one line that names the file.
func refusal(path string, err error) error {
	switch code := resultCode(err); {
	case code == sqliteBusy || code == sqliteLocked:
		return fmt.Errorf("%s is %w: %w", path, ErrLocked, err)
	case errors.Is(err, ErrNewerSchema), errors.Is(err, ErrNotUsable):
		return fmt.Errorf("%s is %w", path, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("open %s: %w", path, err)
	}
	return fmt.Errorf("%s is %w: %s", path, ErrNotUsable, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// SQLite's primary result codes that are told apart (sqlite.org/rescode.html).
const (
	sqliteBusy   = 5
	sqliteLocked = 6
)

// resultCode is SQLite's primary code of an error, or 0.
func resultCode(err error) int {
	var e *gosqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	var raw *rawError
	if errors.As(err, &raw) {
		return int(raw.code & 0xff)
	}
	return 0
}

// unavailable wraps a refused write.
func unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, models.ErrUnavailable, err)
}
