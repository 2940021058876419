package search

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"alerthub/models"
)

// How the worker goes about its work. Few large batches are cheaper than many
// small ones (a commit rewrites the counts of its minute, and makes FTS5
// merge), so that some events wait for others; until then searches scan them.
const (
	batchSize = 4000            // most events of one transaction
	enough    = 1000            // so many waiting events are a batch at once
	linger    = 2 * time.Second // that is how long fewer wait
	tick      = 5 * time.Second // at least so often it looks, and tries again after a fault

	// For so many events stored while a batch was indexed it sleeps once as
	// long as that took, and at most maxSleeps times; no longer once fewer come.
	eventsASleep = 250
	maxSleeps    = 15
)

// Run fills the index until ctx ends. It works at low priority, on a thread
// that gives way to all others where the system knows that, and the more is
// stored meanwhile the longer it sleeps after each batch: a flood leaves it a
// sixteenth of one processor, in a lull it catches up at full speed. A fault is
// told by State and tried again; a file that is damaged, of another version or
// not of these events is made anew.
func (x *Index) Run(ctx context.Context) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	giveWay()
	for ctx.Err() == nil {
		more, err := x.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			x.failed(err)
			pause(ctx, tick)
		case !more:
			x.fault.Store(nil)
			x.rest(ctx)
		default:
			x.fault.Store(nil)
		}
	}
}

// step indexes one batch and reports whether there is more to do at once.
func (x *Index) step(ctx context.Context) (more bool, err error) {
	if err := x.prepare(ctx); err != nil {
		return false, err
	}
	select {
	case <-x.wake:
	default:
	}
	began, newest := time.Now(), x.newest
	more, err = x.work(ctx, x.file)
	if err != nil || !more {
		return more, err
	}
	return true, x.yield(ctx, time.Since(began), x.newest-newest)
}

// yield leaves the processor to ingest after a batch that took so long, while
// so many events were stored.
func (x *Index) yield(ctx context.Context, took time.Duration, stored int64) error {
	for range min(stored/eventsASleep, maxSleeps) {
		pause(ctx, took)
		newest := x.newest
		if err := x.measure(ctx, x.file); err != nil {
			return err
		}
		if x.newest-newest < eventsASleep {
			break
		}
	}
	return nil
}

// work indexes what is there, at most a batch. Only Run changes x.file, so
// that it needs no lock here.
func (x *Index) work(ctx context.Context, f *file) (more bool, err error) {
	if f.late.Load() > 0 {
		n, err := f.indexLate(ctx, x.source)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	var events []models.Event
	after := f.watermark.Load()
	for len(events) < batchSize {
		some, err := x.source.EventsAfter(ctx, after, models.MaxLimit)
		if err != nil {
			return false, err
		}
		events = append(events, some...)
		if len(some) < models.MaxLimit {
			break
		}
		after = some[len(some)-1].ID
	}
	if len(events) == 0 { // ids above may belong to nothing that can be read, or not yet
		x.behind.Store(f.late.Load())
		return false, nil
	}
	if err := f.index(ctx, events); err != nil {
		return false, err
	}
	return len(events) >= enough, x.measure(ctx, f)
}

// measure finds how far behind the index is.
func (x *Index) measure(ctx context.Context, f *file) error {
	stats, err := x.source.Stats(ctx)
	if err != nil {
		return err
	}
	x.newest = stats.LastEventID
	x.behind.Store(max(0, x.newest-f.watermark.Load()) + f.late.Load())
	return nil
}

// rest waits for the next batch: until events were stored and enough time has
// passed for more of them to gather.
func (x *Index) rest(ctx context.Context) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
		return
	case <-x.wake:
	}
	for waited := time.Duration(0); waited < linger && !x.stale.Load(); waited += linger / 8 {
		if err := x.measure(ctx, x.file); err != nil || x.behind.Load() >= enough {
			return
		}
		pause(ctx, linger/8)
	}
}

// prepare makes x.file the index of these events.
func (x *Index) prepare(ctx context.Context) error {
	if x.stale.Swap(false) {
		if err := x.discard("it was asked for, or the file is damaged"); err != nil {
			x.stale.Store(true)
			return err
		}
	}
	if x.file != nil {
		return nil
	}
	f, err := x.open(ctx)
	if damaged(err) {
		if err := x.discard(err.Error()); err != nil {
			return err
		}
		f, err = x.open(ctx)
	}
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.file = f
	x.mu.Unlock()
	return x.measure(ctx, f)
}

func (x *Index) open(ctx context.Context) (*file, error) {
	f, err := openFile(ctx, x.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", x.path, err)
	}
	if err := x.check(ctx, f); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// check compares the file with the events: the one at its watermark must be
// the one that was indexed as it. A file that is ahead of the events, or was
// made of others, fails.
func (x *Index) check(ctx context.Context, f *file) error {
	watermark := f.watermark.Load()
	if watermark == 0 {
		return nil
	}
	events, err := x.source.EventsByID(ctx, []int64{watermark})
	if err != nil {
		return err
	}
	if len(events) == 0 || markOf(&events[0]) != f.mark {
		return errStale
	}
	return nil
}

// failed tells a fault and throws away a file that is to blame.
func (x *Index) failed(err error) {
	text := err.Error()
	if x.fault.Swap(&text) == nil {
		x.logger.Warn("search index makes no progress", "error", text)
	}
	if damaged(err) {
		x.stale.Store(true)
	}
}

// discard deletes the file; searches under way end before.
func (x *Index) discard(reason string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file != nil {
		_ = x.file.close() // it is deleted
		x.file = nil
	}
	x.logger.Info("search index is made anew", "file", x.path, "reason", reason)
	return removeFile(x.path)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
