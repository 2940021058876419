// Package transfer takes the history out of the hub as a file, and files of
// history into it. It owns the uploaded files while they wait, the checking of
// each whole file before its first row is written, and the import that runs.
// It never sends an email, knows no transport, and holds no SQL.
//
// Run is its one goroutine: it writes the import that was started, and
// removes the rows of one that could not be finished.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"alerthub/models"
)

// Source is what exports are read from. Its errors are those of package
// models, or a context's.
type Source interface {
	Events(ctx context.Context, f models.EventFilter) (models.EventPage, error)
	EmailAlerts(ctx context.Context, f models.EmailFilter) ([]models.EmailAlert, error)
	Stats(ctx context.Context) (models.Stats, error)
}

// Store is where imports are written.
type Store interface {
	// TakenEventIDs counts which of the ascending ids belong to events.
	TakenEventIDs(ctx context.Context, ids []int64) (int64, error)
	// BeginImport reserves all ids that the import will use.
	BeginImport(ctx context.Context, i models.Import, events, emails []int64) (models.ImportPlan, error)
	// ImportRows writes rows, invisible yet, in one transaction.
	ImportRows(ctx context.Context, id int64, events []models.Event, emails []models.EmailAlert) error
	// FinishImport makes all rows visible in one transaction.
	FinishImport(ctx context.Context, id int64) error
	// RemoveImport removes all rows; it may be repeated after an error.
	RemoveImport(ctx context.Context, id int64, why string) error
	// UnfinishedImport is the import that was running when the hub ended; 0 for none.
	UnfinishedImport(ctx context.Context) (int64, error)
	// Import knows imports that were begun; models.ErrNotFound for others.
	Import(ctx context.Context, token string) (models.Import, error)

	// What Config.Imported has to be told of.
	UnindexedImport(ctx context.Context) (int64, error)
	ImportedIDs(ctx context.Context, id, after int64, limit int) ([]int64, error)
	ImportIndexed(ctx context.Context, id int64) error
}

// Config tunes a Transfer.
type Config struct {
	// Dir is where uploads wait, for nobody else's eyes: the data directory.
	Dir string
	// Imported, if set, is told the ids of finished imports, ascending, a
	// thousand at a time, so that the search index takes in those that it has
	// passed already. It is told again after an error or a restart.
	Imported func(ctx context.Context, ids []int64) error
	// Changed, if set, is called when an import has become visible. It must
	// not block.
	Changed func()

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
}

// Transfer exports and imports. Make one with New. All methods may be called
// concurrently.
type Transfer struct {
	cfg    Config
	source Source
	store  Store

	uploading sync.Mutex // held by the one upload that is received and checked
	starts    chan *upload

	mu      sync.Mutex
	uploads []*upload // guarded by mu, oldest first
	busy    bool      // guarded by mu: an import runs, or its rows are being removed
}

// upload is one file and what is known of it.
type upload struct {
	path           string
	events, emails []int64       // the ids of its rows, ascending
	state          models.Import // guarded by Transfer.mu
}

// Limits on what waits for somebody's word.
const (
	maxWaiting = 4  // files; beyond, the oldest is dropped
	maxKnown   = 32 // uploads that are known at all, likewise; the store knows those that were begun
)

// The names of files in Dir.
const (
	uploadPattern = "import-*.part"
	spoolPattern  = "export-*.part"
)

// New makes a Transfer and removes the files that an earlier process left.
func New(source Source, store Store, cfg Config) (*Transfer, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Imported == nil {
		cfg.Imported = func(context.Context, []int64) error { return nil }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if err := removeLeft(cfg.Dir); err != nil {
		return nil, fmt.Errorf("remove old uploads: %w", err)
	}
	// Busy until Run has looked for an import that was not finished.
	return &Transfer{cfg: cfg, source: source, store: store, starts: make(chan *upload, 1), busy: true}, nil
}

// removeLeft removes the files of an earlier process from dir.
func removeLeft(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		for _, pattern := range []string{uploadPattern, spoolPattern} {
			if ours, err := filepath.Match(pattern, entry.Name()); err != nil || !ours {
				continue
			}
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Import tells how far an import has come; models.ErrNotFound for a token that
// is not known, or not any more.
func (t *Transfer) Import(ctx context.Context, token string) (models.Import, error) {
	t.mu.Lock()
	if u := t.find(token); u != nil {
		defer t.mu.Unlock()
		return u.state, nil
	}
	t.mu.Unlock()
	return t.store.Import(ctx, token)
}

// find returns an upload or nil. The caller holds mu.
func (t *Transfer) find(token string) *upload {
	i := slices.IndexFunc(t.uploads, func(u *upload) bool { return u.state.Token == token })
	if i < 0 {
		return nil
	}
	return t.uploads[i]
}

// Start gives the word for a checked upload; for one that was started before
// it does nothing. The error is models.ErrImporting while another one runs, or
// models.ErrNotFound.
func (t *Transfer) Start(token string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.find(token)
	switch {
	case u == nil || u.state.State == models.ImportRefused:
		return models.ErrNotFound
	case u.state.State != models.ImportChecked:
		return nil
	case t.busy:
		return models.ErrImporting
	}
	t.busy = true
	u.state.State = models.ImportRunning
	t.starts <- u // has room: only who makes the Transfer busy puts into it
	return nil
}

// update changes what is told of an upload.
func (t *Transfer) update(u *upload, change func(*models.Import)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&u.state)
}

func (t *Transfer) setBusy(busy bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = busy
}

// drop removes an upload's file.
func (t *Transfer) drop(u *upload) {
	if err := os.Remove(u.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.cfg.Logger.Warn("upload not removed", "file", u.path, "error", err)
	}
}
