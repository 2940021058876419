package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

// Limits on one transaction of an import: whoever stores events waits for it.
// After each comes a pause as long as it took, so that imports leave half of
// the time of disk and CPU to others.
const (
	batchRows = 250
	batchText = 1 << 20 // bytes
)

// retryAfter is the pause before something that failed is tried again.
const retryAfter = time.Second

// Run removes what a crash left of an import, and then writes imports as they
// are started, until the context ends. An import under way is left as it is
// then: it stays invisible, and the next Run removes it.
func (t *Transfer) Run(ctx context.Context) error {
	if err := t.clear(ctx); err != nil {
		return err
	}
	t.setBusy(false)
	for {
		var retry <-chan time.Time
		if err := t.index(ctx); err != nil && ctx.Err() == nil {
			t.cfg.Logger.Warn("import not indexed", "error", err)
			retry = time.After(retryAfter)
		}
		select {
		case u := <-t.starts:
			t.run(ctx, u)
		case <-retry:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// clear removes the rows of an import that an earlier process began.
func (t *Transfer) clear(ctx context.Context) error {
	for {
		id, err := t.store.UnfinishedImport(ctx)
		if err == nil && id == 0 {
			return nil
		}
		if err == nil {
			t.cfg.Logger.Warn("removing an import that was not finished", "import", id)
			return t.remove(ctx, id, "the hub ended before the import was finished")
		}
		t.cfg.Logger.Error("cannot look for an unfinished import", "error", err)
		if err := pause(ctx, retryAfter); err != nil {
			return err
		}
	}
}

// remove removes an import's rows, however often that takes. The error is the
// context's.
func (t *Transfer) remove(ctx context.Context, id int64, why string) error {
	for {
		err := t.store.RemoveImport(ctx, id, why)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			t.cfg.Logger.Error("cannot remove an import", "import", id, "error", err)
		}
		if err := pause(ctx, retryAfter); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run writes an upload, or leaves nothing of it.
func (t *Transfer) run(ctx context.Context, u *upload) {
	defer t.setBusy(false)
	defer t.drop(u)
	began := time.Now()
	id, err := t.write(ctx, u)
	switch {
	case err == nil:
		t.update(u, func(i *models.Import) { i.State = models.ImportFinished })
		t.cfg.Logger.Info("import finished", "import", id, "events", u.state.Events, "took", time.Since(began))
		t.cfg.Changed()
		return
	case ctx.Err() != nil:
		return // the next Run removes what there is
	}
	why := reason(err)
	t.cfg.Logger.Error("import failed", "import", id, "error", err)
	t.update(u, func(i *models.Import) { i.Error = why })
	if id > 0 && t.remove(ctx, id, why) != nil {
		return
	}
	t.update(u, func(i *models.Import) { i.State = models.ImportFailed })
}

// reason is what people are told of a failure: the rows that failed, and the
// database's own words.
func reason(err error) string {
	why := models.ErrUnavailable.Error()
	var worded interface{ Reason() string }
	if errors.As(err, &worded) {
		why = worded.Reason()
	}
	var at *rowsError
	if errors.As(err, &at) {
		return at.rows + ": " + why
	}
	return why
}

// rowsError says which rows could not be written.
type rowsError struct {
	rows string
	err  error
}

func (e *rowsError) Error() string { return e.rows + ": " + e.err.Error() }
func (e *rowsError) Unwrap() error { return e.err }

// write writes all rows of an upload and makes them visible. With an id there
// may be rows to remove after an error.
func (t *Transfer) write(ctx context.Context, u *upload) (id int64, err error) {
	file, err := os.Open(u.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	plan, err := t.store.BeginImport(ctx, u.state, u.events, u.emails)
	if err != nil {
		return 0, err
	}
	t.update(u, func(i *models.Import) {
		i.Renumbered = int64(len(plan.Events.Taken))
		i.Kept, i.FirstRenumbered = i.Events-i.Renumbered, 0
		if i.Renumbered > 0 {
			i.FirstRenumbered = plan.Events.Base + 1
		}
	})
	b := batch{plan: plan}
	var failed error
	err = eachRow(ctx, file, func(row *wire.ExportRow) bool {
		if b.add(row); b.rows() >= batchRows || b.text >= batchText {
			failed = t.flush(ctx, u, &b)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err == nil {
		err = t.flush(ctx, u, &b)
	}
	if err != nil {
		return plan.ID, err
	}
	return plan.ID, t.store.FinishImport(ctx, plan.ID)
}

// flush writes a batch and empties it.
func (t *Transfer) flush(ctx context.Context, u *upload, b *batch) error {
	if b.rows() == 0 {
		return nil
	}
	began := time.Now()
	if err := t.store.ImportRows(ctx, b.plan.ID, b.events, b.emails); err != nil {
		return &rowsError{b.name(), err}
	}
	if err := pause(ctx, time.Since(began)); err != nil {
		return err
	}
	t.update(u, func(i *models.Import) { i.Done += int64(len(b.events)) })
	b.events, b.emails, b.text = b.events[:0], b.emails[:0], 0
	return nil
}

// batch collects rows for one transaction, under their final ids.
type batch struct {
	plan   models.ImportPlan
	events []models.Event
	emails []models.EmailAlert
	text   int // bytes, about

	lastEvent, lastEmail int // the row of the last one
}

func (b *batch) rows() int { return len(b.events) + len(b.emails) }

func (b *batch) add(row *wire.ExportRow) {
	if row.Email {
		a := row.Alert
		a.ID, a.EventID = b.plan.Emails.ID(a.ID), b.plan.Events.ID(a.EventID)
		b.emails = append(b.emails, a)
		b.text += len(a.Contact) + len(a.Recipient) + len(a.Detail)
		b.lastEmail = row.Row
		return
	}
	e := row.Event
	e.ID = b.plan.Events.ID(e.ID)
	b.events = append(b.events, e)
	b.text += len(e.Source) + len(e.Message) + len(e.RawPayload)
	b.lastEvent = row.Row
}

// name is how people are told which rows these are.
func (b *batch) name() string {
	if len(b.events) > 0 {
		return fmt.Sprintf("events %d to %d", b.lastEvent-len(b.events)+1, b.lastEvent)
	}
	return fmt.Sprintf("emails %d to %d", b.lastEmail-len(b.emails)+1, b.lastEmail)
}

// index tells the search room of imports that it does not know yet.
func (t *Transfer) index(ctx context.Context) error {
	for {
		id, err := t.store.UnindexedImport(ctx)
		if err != nil || id == 0 {
			return err
		}
		var after int64
		for {
			ids, err := t.store.ImportedIDs(ctx, id, after, models.MaxLimit)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			if err := t.cfg.Imported(ctx, ids); err != nil {
				return err
			}
			after = ids[len(ids)-1]
		}
		if err := t.store.ImportIndexed(ctx, id); err != nil {
			return err
		}
	}
}
