package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"alerthub/models"
	"alerthub/wire"
)

// maxProblems is how many things that are wrong with a file are told.
const maxProblems = 10

// Upload receives a file and checks the whole of it. The answer is
// ImportChecked and waits for Start, or ImportRefused and says why; nothing is
// written in either case. The error is models.ErrImportTooLarge,
// models.ErrImporting while another upload is received, or what reading or
// keeping the file met.
func (t *Transfer) Upload(ctx context.Context, name string, from io.Reader) (models.Import, error) {
	if !t.uploading.TryLock() {
		return models.Import{}, models.ErrImporting
	}
	defer t.uploading.Unlock()
	u := &upload{state: models.Import{Token: rand.Text(), Name: name, State: models.ImportChecked}}
	file, err := os.CreateTemp(t.cfg.Dir, uploadPattern)
	if err != nil {
		return models.Import{}, fmt.Errorf("keep an upload: %w: %w", models.ErrUnavailable, err)
	}
	u.path = file.Name()
	if err := t.receive(ctx, u, file, from); err != nil || u.state.State == models.ImportRefused {
		t.drop(u)
		if err != nil {
			return models.Import{}, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uploads = append(t.uploads, u)
	t.forget(maxWaiting, func(u *upload) bool { return u.state.State == models.ImportChecked })
	t.forget(maxKnown, func(u *upload) bool { return u.state.State != models.ImportRunning })
	return u.state, nil
}

// forget drops the oldest of some uploads until limit of them are left. The
// caller holds mu.
func (t *Transfer) forget(limit int, which func(*upload) bool) {
	n := 0
	for _, u := range t.uploads {
		if which(u) {
			n++
		}
	}
	t.uploads = slices.DeleteFunc(t.uploads, func(u *upload) bool {
		if n <= limit || !which(u) {
			return false
		}
		n--
		t.drop(u)
		return true
	})
}

// receive copies an upload into its file, checks it, and closes the file.
func (t *Transfer) receive(ctx context.Context, u *upload, file *os.File, from io.Reader) (err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	disk := &diskWriter{w: file}
	u.state.Size, err = io.Copy(disk, io.LimitReader(from, models.MaxImport+1))
	switch {
	case disk.err != nil:
		return fmt.Errorf("keep an upload: %w: %w", models.ErrUnavailable, err)
	case err != nil:
		return fmt.Errorf("receive an upload: %w", err)
	case u.state.Size > models.MaxImport:
		return models.ErrImportTooLarge
	}
	if err := u.check(ctx, file); err != nil {
		return fmt.Errorf("check an upload: %w", err)
	}
	if len(u.state.Problems) > 0 {
		u.state.State = models.ImportRefused
		return nil
	}
	taken, err := t.store.TakenEventIDs(ctx, u.events)
	u.state.Renumbered, u.state.Kept = taken, u.state.Events-taken
	return err
}

// diskWriter remembers that it was writing that failed, not reading.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.err = err
	return n, err
}

// check reads the whole file and notes what it holds and what is wrong with
// it. The error is a fault of reading, not of the file.
func (u *upload) check(ctx context.Context, file io.ReadSeeker) error {
	var eventsOf []int64 // the event of each email
	err := eachRow(ctx, file, func(row *wire.ExportRow) bool {
		switch {
		case row.Err != nil:
			u.problem(row.Name(), row.Err.Error())
		case row.Email:
			u.emails = append(u.emails, row.Alert.ID)
			eventsOf = append(eventsOf, row.Alert.EventID)
		default:
			u.event(&row.Event)
		}
		return len(u.state.Problems) < maxProblems
	})
	if err != nil && !errors.Is(err, models.ErrInvalidJSON) {
		return err
	}
	if err != nil {
		u.problem("", err.Error())
	}
	if len(u.state.Problems) > 0 {
		return nil // rows are missing: what follows would make no sense
	}
	if len(u.events) == 0 {
		u.problem("", "the file holds no events")
	}
	u.state.Events, u.state.Emails = int64(len(u.events)), int64(len(u.emails))
	u.events = u.distinct("event", u.events)
	u.emails = u.distinct("email", u.emails)
	for i, id := range eventsOf {
		if _, found := slices.BinarySearch(u.events, id); !found {
			u.problem(fmt.Sprintf("email %d", i+1), fmt.Sprintf("event_id: the file holds no event %d", id))
		}
	}
	return nil
}

// event notes an event.
func (u *upload) event(e *models.Event) {
	u.events = append(u.events, e.ID)
	if u.state.From.IsZero() || e.CreatedAt.Before(u.state.From) {
		u.state.From = e.CreatedAt
	}
	if e.CreatedAt.After(u.state.To) {
		u.state.To = e.CreatedAt
	}
}

// distinct sorts ids, which are in the order of the rows, and names the rows
// whose id another row before them has.
func (u *upload) distinct(kind string, ids []int64) []int64 {
	sorted := slices.Sorted(slices.Values(ids))
	for i := 1; i < len(sorted) && len(u.state.Problems) < maxProblems; i++ {
		if sorted[i] != sorted[i-1] {
			continue
		}
		first := slices.Index(ids, sorted[i])
		again := first + 1 + slices.Index(ids[first+1:], sorted[i])
		u.problem(fmt.Sprintf("%s %d", kind, again+1), fmt.Sprintf("id: %s %d has %d too", kind, first+1, sorted[i]))
	}
	return sorted
}

// problem notes what is wrong with a row, or with the whole file.
func (u *upload) problem(row, what string) {
	if len(u.state.Problems) >= maxProblems {
		return
	}
	if row != "" {
		what = row + ": " + what
	}
	u.state.Problems = append(u.state.Problems, what)
}

// eachRow reads a file row by row until its end or until each says no. An
// error that wraps models.ErrInvalidJSON is the file's own.
func eachRow(ctx context.Context, file io.ReadSeeker, each func(*wire.ExportRow) bool) error {
	r, err := wire.NewExportReader(file)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !each(&row) {
			return nil
		}
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
