package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// The versions that Go code speaks of. The other migrations are SQL files.
const (
	normalizeVersion = 2 // old rows get their fixed form
	latestVersion    = 10
)

// schemaVersion is the newest schema that this hub knows.
func schemaVersion() int64 { return latestVersion }

// migrate brings a database to the newest schema, each version in its own
// transaction, so that one that was cut off continues where it was.
func migrate(ctx context.Context, db *sql.DB) error { return migrateTo(ctx, db, latestVersion) }

func migrateTo(ctx context.Context, db *sql.DB, version int64) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goose.NewGoMigration(normalizeVersion, &goose.GoFunc{RunTx: normalize}, nil)))
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}

// backUp copies the database as it is before a migration to a file beside it,
// named by the first version that will be applied. A copy that is there
// already is kept: a migration that is repeated must not replace the original
// by what the first try left.
func (s *Store) backUp(ctx context.Context, version int64) (err error) {
	copyPath := fmt.Sprintf("%s.before-v%d", s.path, version+1)
	if _, err := os.Stat(copyPath); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := copyPath + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFile(part); err != nil {
		return err
	}
	reader, err := openReader(s.path)
	if err != nil {
		return err
	}
	_, err = reader.ExecContext(ctx, "VACUUM INTO ?", part)
	if err = errors.Join(err, reader.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := publish(part, copyPath); err != nil {
		return err
	}
	s.logger.Info("database backed up before its migration", "file", copyPath)
	return nil
}
