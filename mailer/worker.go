package mailer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

const (
	// maxSleep is how long the worker trusts its own arithmetic: a clock that
	// was set, or a Wake that nobody sent, delays a mail no longer.
	maxSleep = time.Minute
	// finishTimeout bounds one attempt to record an outcome. Stopping takes two.
	finishTimeout = 3 * time.Second
	// While the outbox fails it is asked again after waits that double
	// between these.
	outboxRetryMin, outboxRetryMax = 250 * time.Millisecond, 5 * time.Second
	// marksPerPause bounds how many waiting rows are told the reason of one
	// pause, so that a long outage does not become a load on the disk.
	marksPerPause = 256
)

// outboxReason is what people are told; the outbox's own words may hold paths.
const outboxReason = "the outbox cannot be read or written"

// Outbox is where the alerts wait.
type Outbox interface {
	// NextDue returns the pending alert with the earliest next attempt, if that
	// has come; else how long until then, 0 when none is pending.
	NextDue(ctx context.Context, now time.Time) (models.DueAlert, bool, time.Duration, error)
	// FinishAlert records the outcome of one attempt. Repeating it must do no
	// harm. models.ErrNotFound means that the row is gone.
	FinishAlert(ctx context.Context, u models.AlertUpdate) error
}

// sender delivers one mail at a time and may keep its connection until close.
type sender interface {
	send(ctx context.Context, m message) (words string, err error)
	close()
}

// Worker delivers the outbox. Make one with New.
type Worker struct {
	outbox Outbox
	sender sender
	cfg    Config
	log    *slog.Logger

	wake             chan struct{} // holds one: a second wake says nothing new
	sentOK, sentFail atomic.Int64
	paused           atomic.Pointer[string]

	// Owned by Run.
	unfinished   *models.AlertUpdate // an outcome that is not recorded yet
	outboxFaults int                 // in a row
	pauses       int                 // in a row
	pauseUntil   time.Time
	pauseReason  string // of the last pause; "" once the server works
	marks        int    // rows that may still be told of this pause
}

// New makes a worker that takes alerts from outbox. It starts nothing.
func New(outbox Outbox, cfg Config) *Worker {
	cfg = cfg.withDefaults()
	return &Worker{
		outbox: outbox, sender: newSMTPSender(cfg), cfg: cfg, log: cfg.Logger,
		wake: make(chan struct{}, 1),
	}
}

// Wake says that there may be a new alert. It never blocks and may be called
// from anywhere.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Paused tells why no mail is delivered now, in words for people, the server's
// among them; "" when nothing is known to be wrong. Safe for concurrent use.
func (w *Worker) Paused() string {
	if p := w.paused.Load(); p != nil {
		return *p
	}
	return ""
}

// SentOK counts the mails that a server took since New. Safe for concurrent use.
func (w *Worker) SentOK() int64 { return w.sentOK.Load() }

// SentFail counts the mails that ended as failed since New. Safe for
// concurrent use.
func (w *Worker) SentFail() int64 { return w.sentFail.Load() }

// Run delivers until ctx ends, and is called once. The attempt in flight then
// ends within a moment and its row stays as it was. The only error is that an
// outcome could not be recorded before leaving: that mail will be repeated,
// under the same Message-ID.
func (w *Worker) Run(ctx context.Context) error {
	defer w.sender.close()
	for ctx.Err() == nil {
		wait, err := w.step(ctx)
		wake := w.wake
		if w.outboxAnswered(ctx, err); err != nil {
			wait, wake = w.backoff(outboxRetryMin, outboxRetryMax, w.outboxFaults), nil
		}
		sleep(ctx, wait, wake)
	}
	return w.finish(ctx)
}

// sleep waits for d, a wake, or the end.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// step deals with at most one row and returns how long nothing is to be done.
// Its error is the outbox's.
func (w *Worker) step(ctx context.Context) (time.Duration, error) {
	// Before anything new: a mail that was sent must not be taken for due.
	if err := w.finish(ctx); err != nil {
		return 0, err
	}
	now := w.now()
	if now.Before(w.pauseUntil) && w.marks == 0 {
		// All who are to be told of this pause were told. During a storm every
		// commit wakes the worker: not even a look at the outbox then.
		return min(w.pauseUntil.Sub(now), maxSleep), nil
	}
	due, ok, wait, err := w.outbox.NextDue(ctx, now)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the outbox: %w", err)
	case !ok:
		w.sender.close()
		if wait <= 0 || wait > maxSleep {
			wait = maxSleep
		}
		return wait, nil
	}
	lang, known := w.language(due.Alert)
	switch {
	case !known:
		w.unfinished = w.skip(due.Alert, now)
	case !now.Before(w.pauseUntil):
		w.unfinished = w.attempt(ctx, due, lang)
	default:
		// Not tried, but its line on the panel tells why, and its age counts.
		u := w.keep(due.Alert, due.Alert.Attempts, w.pauseReason, now, w.pauseUntil)
		if u.Status == models.EmailPending {
			w.marks--
		}
		w.unfinished = &u
	}
	return 0, w.finish(ctx)
}

// language is that of the contact of a row, English without one; false if the
// contact is gone.
func (w *Worker) language(a models.EmailAlert) (i18n.Lang, bool) {
	if a.Contact == "" {
		return i18n.English, true
	}
	return w.cfg.Language(a.Contact)
}

// skip ends a row whose contact is gone: who has left is told nothing more.
func (w *Worker) skip(a models.EmailAlert, now time.Time) *models.AlertUpdate {
	detail := fmt.Sprintf("the contact %s is not in the routes file any more", a.Contact)
	w.log.Info("mail skipped", "alert", a.ID, "event", a.EventID, "detail", detail)
	return &models.AlertUpdate{ID: a.ID, Status: models.EmailSkipped, Detail: detail, Attempts: a.Attempts, At: now}
}

// attempt tries to deliver due and returns the outcome; nil when the end of
// the process cut it.
func (w *Worker) attempt(ctx context.Context, due models.DueAlert, lang i18n.Lang) *models.AlertUpdate {
	var words string
	m, err := compose(w.cfg.From, due, lang)
	composed := err == nil
	if composed {
		try, cancel := context.WithTimeout(ctx, w.cfg.AttemptTimeout)
		words, err = w.sender.send(try, m)
		cancel()
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
	now := w.now()
	var f *fault
	if errors.As(err, &f) && f.server {
		w.pause(now, f.words)
	} else if composed {
		w.resume()
	}
	u := w.outcome(due.Alert, words, err, now)
	w.log.Info("mail attempted", "alert", u.ID, "event", due.Event.ID,
		"status", u.Status, "detail", u.Detail, "attempts", u.Attempts)
	return &u
}

// pause stops delivery for a while because of the server.
func (w *Worker) pause(now time.Time, reason string) {
	w.pauses++
	wait := w.backoff(w.cfg.PauseMin, w.cfg.PauseMax, w.pauses)
	// Whole microseconds, as rows have: whoever waits for the end of the pause is due at it.
	w.pauseUntil, w.marks = now.Add(wait).Truncate(time.Microsecond), marksPerPause
	if reason != w.pauseReason {
		w.log.Warn("mail delivery paused", "reason", reason, "for", wait)
	}
	w.pauseReason = reason
	w.publish()
}

// resume notes that the server came as far as a mail.
func (w *Worker) resume() {
	if w.pauses > 0 {
		w.log.Info("mail delivery resumed", "pauses", w.pauses)
	}
	w.pauses, w.pauseUntil, w.pauseReason = 0, time.Time{}, ""
	w.publish()
}

// outboxAnswered notes whether the outbox works; each change is logged once.
func (w *Worker) outboxAnswered(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err == nil && w.outboxFaults > 0:
		w.log.Info("mail outbox works again", "faults", w.outboxFaults)
		w.outboxFaults = 0
	case err != nil:
		if w.outboxFaults == 0 {
			w.log.Error("mail outbox failed", "err", err)
		}
		w.outboxFaults++
	}
	w.publish()
}

// publish makes Paused tell the present state.
func (w *Worker) publish() {
	reason := w.pauseReason
	if w.outboxFaults > 0 {
		reason = outboxReason
	}
	w.paused.Store(&reason)
}

// finish records the outcome that waits, if any. It works on after ctx has
// ended: what was sent must not be sent again.
func (w *Worker) finish(ctx context.Context) error {
	u := w.unfinished
	if u == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := w.outbox.FinishAlert(ctx, *u); err != nil && !errors.Is(err, models.ErrNotFound) {
		return fmt.Errorf("record alert %d as %s: %w", u.ID, u.Status, err)
	}
	w.unfinished = nil
	switch u.Status {
	case models.EmailSent:
		w.sentOK.Add(1)
	case models.EmailFailed:
		w.sentFail.Add(1)
	}
	return nil
}

func (w *Worker) now() time.Time { return w.cfg.Now().UTC() }
