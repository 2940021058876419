// Package store keeps events, the outbox and the counters in one SQLite file.
// It owns the data directory, the schema and its migrations, the durability
// of each write, and the order of all writers. It never decides what an event
// means or whom it alerts, and nothing of GORM, SQL or the driver leaves it.
//
// A Store runs one goroutine, which keeps the write-ahead log short and folds
// old rollups; Close ends it. All methods may be called from several goroutines.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// FileName is the database's name in the data directory.
const FileName = "alerthub.db"

// busyTimeout bounds each wait for a lock that another process holds. The
// hub's own writers never meet there: they take turns before. It is short
// because a refused write must be answered within two seconds.
const busyTimeout = 1500 * time.Millisecond

// Config says where the database is.
type Config struct {
	// Dir is the data directory; it is made (0700) when absent.
	Dir string
	// Logger takes migrations, slow queries and checkpoint faults; nil for none.
	Logger *slog.Logger
}

// Store is an open database. Make one with Open.
type Store struct {
	path   string
	logger *slog.Logger
	lock   *os.File // held by flock while open

	turn   turn     // whoever writes holds it
	ingest *ingest  // guarded by turn
	writer *sql.DB  // one connection, guarded by turn
	gormW  *gorm.DB // on writer
	reader *sql.DB  // read-only connections
	gormR  *gorm.DB // on reader

	recent    recent
	importing atomic.Pointer[importing] // of the import that runs; changed within the turn
	reserved  atomic.Pointer[idRange]   // ids in which nothing is visible while an import runs; nil for none
	keeper    keeper
	closeOnce sync.Once
	closeErr  error
}

// Open opens the database of cfg.Dir, makes it when there is none, and
// migrates an older one. It fails with one line that names the file, wrapping
// ErrInUse, ErrLocked, ErrNotUsable or ErrNewerSchema where one of them is the
// reason; a file that it refuses is left byte for byte as it was.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", cfg.Dir, err)
	}
	s := &Store{path: filepath.Join(dir, FileName), logger: cfg.Logger, turn: newTurn()}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx, dir); err != nil {
		_ = s.Close() // what was opened before the fault; err says why
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) (err error) {
	if err := makeDir(dir); err != nil {
		return err
	}
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	found, err := checkFile(s.path)
	if err != nil {
		return err
	}
	if !found {
		if err := create(ctx, s.path); err != nil {
			return fmt.Errorf("create %s: %w", s.path, err)
		}
	}
	version, err := inspect(ctx, s.path)
	if err != nil {
		return refusal(s.path, err)
	}
	if version < schemaVersion() {
		if err := s.backUp(ctx, version); err != nil {
			return fmt.Errorf("back up %s before its migration: %w", s.path, err)
		}
	}
	if s.writer, err = openWriter(ctx, s.path); err != nil {
		return refusal(s.path, err)
	}
	if version < schemaVersion() {
		if err := migrate(ctx, s.writer); err != nil {
			return fmt.Errorf("migrate %s from schema version %d to %d: %w", s.path, version, schemaVersion(), err)
		}
		s.logger.Info("database migrated", "file", s.path, "from", version, "to", schemaVersion())
	}
	if s.reader, err = openReader(s.path); err != nil {
		return refusal(s.path, err)
	}
	s.ingest = &ingest{uri: writerURI(s.path)}
	if err := s.ingest.open(); err != nil {
		return refusal(s.path, err)
	}
	if s.gormW, err = openGORM(s.writer, s.logger); err != nil {
		return refusal(s.path, err)
	}
	if s.gormR, err = openGORM(s.reader, s.logger); err != nil {
		return refusal(s.path, err)
	}
	if err := s.recent.load(ctx, s.reader, time.Now()); err != nil {
		return refusal(s.path, err)
	}
	if err := s.loadReserved(ctx); err != nil {
		return refusal(s.path, err)
	}
	s.keeper.start(s)
	return nil
}

// Path is the database file's absolute path.
func (s *Store) Path() string { return s.path }

// Probe proves that a durable write is possible now: it commits one row. The
// error wraps models.ErrUnavailable, or is the context's.
func (s *Store) Probe(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	if err := s.ingest.probe(); err != nil {
		return unavailable("probe the storage", err)
	}
	s.keeper.writes.Add(1)
	return nil
}

// Close waits for the write under way, refuses later ones with
// models.ErrClosed, and closes the file and its lock. It may be called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.turn.closed)
		s.keeper.stop()
		s.turn.slot <- struct{}{} // the last turn, never given back
		var errs []error
		if s.ingest != nil {
			errs = append(errs, s.ingest.close())
		}
		if s.reader != nil {
			errs = append(errs, s.reader.Close())
		}
		if s.writer != nil {
			errs = append(errs, s.writer.Close())
		}
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
		if err := errors.Join(errs...); err != nil {
			s.closeErr = fmt.Errorf("close %s: %w", s.path, err)
		}
	})
	return s.closeErr
}
