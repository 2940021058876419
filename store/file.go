package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/glebarez/sqlite"
)

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// lockDir takes the data directory for this process. The lock is on a file of
// its own: opening and closing the database outside of SQLite would drop
// SQLite's locks on it (POSIX locks belong to the process). The kernel lets
// go of it when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "alerthub.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, FileName), ErrInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// checkFile looks at the database's bytes before SQLite does, since SQLite
// takes an empty file for a new database. It reports whether there is a
// database; only a file that is not there at all may be made anew.
func checkFile(path string) (found bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
			return false, fmt.Errorf("%s is %w: it is missing, but its log %s-wal is there", path, ErrNotUsable, FileName)
		}
		return false, nil
	}
	if err == nil {
		err = checkBytes(path, info)
	}
	if err != nil {
		return false, fmt.Errorf("%s is %w: %w", path, ErrNotUsable, err)
	}
	return true, nil
}

func checkBytes(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("a directory is in its place")
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Mode().Perm()&0o222 == 0:
		return errors.New("the file is read-only")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot be opened for writing: %w", errors.Unwrap(err))
	}
	defer f.Close()
	// The header: sqlite.org/fileformat.html, section 1.3.
	header := make([]byte, 100)
	if n, err := io.ReadFull(f, header); err != nil {
		return fmt.Errorf("only %d bytes, truncated", n)
	}
	if string(header[:16]) != "SQLite format 3\x00" {
		return errors.New("not an SQLite database")
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	pages := int64(binary.BigEndian.Uint32(header[28:]))
	// The page count holds when both change counters are equal. With a log
	// beside it the file may end early: the rest is still in the log.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil
	}
	if slices.Equal(header[24:28], header[92:96]) && info.Size() < pages*pageSize {
		return fmt.Errorf("truncated: %d bytes of %d", info.Size(), pages*pageSize)
	}
	return nil
}

// create makes a database of the newest schema under another name and renames
// it when it is complete, so that a crash never leaves half of one in place.
func create(ctx context.Context, path string) (err error) {
	fresh := path + ".new"
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(fresh + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := makeFile(fresh); err != nil {
		return err
	}
	db, err := openWriter(ctx, fresh)
	if err != nil {
		return err
	}
	err = migrate(ctx, db)
	// The last connection's close copies the log into the file and removes it.
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return publish(fresh, path)
}

// makeFile makes an empty file that only its owner may read; SQLite gives its
// log and its shared memory the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// publish syncs a complete file and gives it its name, durably.
func publish(from, to string) error {
	if err := syncFile(from); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFile(filepath.Dir(to))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// The columns of the two tables as the first program of this name made them.
var (
	eventColumns = []string{"id", "created_at", "source", "severity", "message", "channel", "raw_payload"}
	alertColumns = []string{"id", "event_id", "created_at", "recipient", "status", "detail"}
)

// inspect reads which schema version a database has, 0 for one of the first
// program, and refuses what is not the hub's, all without writing.
func inspect(ctx context.Context, path string) (version int64, err error) {
	mode := "ro"
	if journal, err := os.Stat(path + "-journal"); err == nil && journal.Size() > 0 {
		mode = "rw" // a transaction was cut off: SQLite must roll it back before anybody can read
	}
	db, err := sql.Open(sqlite.DriverName, readerURI(path, mode))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)

	var tables []string
	if tables, err = texts(ctx, db, "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"); err != nil {
		return 0, err
	}
	if slices.Contains(tables, "goose_db_version") {
		if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1").Scan(&version); err != nil {
			return 0, err
		}
	}
	if version > schemaVersion() {
		return 0, fmt.Errorf("%w: its schema version is %d, this hub knows %d", ErrNewerSchema, version, schemaVersion())
	}
	for table, want := range map[string][]string{"events": eventColumns, "email_alerts": alertColumns} {
		have, err := texts(ctx, db, "SELECT name FROM pragma_table_info(?) ORDER BY cid", table)
		if err != nil {
			return 0, err
		}
		if len(have) < len(want) || !slices.Equal(have[:len(want)], want) || version == 0 && len(have) != len(want) {
			return 0, fmt.Errorf("%w: it has other tables than the hub's: %q", ErrNotUsable, tables)
		}
		// The newest row is where a damaged end of the file shows; counting all would take seconds.
		var last sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT max(id) FROM "+table).Scan(&last); err != nil {
			return 0, err
		}
	}
	if version < normalizeVersion {
		return version, checkOldRows(ctx, db)
	}
	return version, nil
}

// texts runs a query of one text column.
func texts(ctx context.Context, db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
