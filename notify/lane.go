package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"alerthub/models"
)

const (
	// maxSleep is how long a lane trusts its own arithmetic: a clock that was
	// set, or a wake that nobody sent, delays a message no longer.
	maxSleep = time.Minute
	// nap is between two looks at the outbox while rows come in that only wait,
	// so that a storm's commits are not each followed by one.
	nap = 25 * time.Millisecond
	// finishTimeout bounds one attempt to record an outcome. Stopping takes two.
	finishTimeout = 3 * time.Second
	// While the outbox fails it is asked again after waits that double
	// between these.
	outboxRetryMin, outboxRetryMax = 250 * time.Millisecond, 5 * time.Second
	// planEvery is how long what has come may wait behind messages that are due.
	planEvery = 10 * time.Second
	// chunk bounds the rows that are decided about at a time.
	chunk = 256
	// marksPerPause bounds how many waiting rows are told the reason of one
	// pause, so that a long outage does not become a load on the disk.
	marksPerPause = 256
	// standBack is how much later than others a refused message is tried again
	// after a pause.
	standBack = time.Second
	// failingAfter is how long a lane from which nothing was taken may go on
	// before it counts as paused.
	failingAfter = 5 * time.Minute
	// waitsFlush is how long the reason why rows wait may be unwritten.
	waitsFlush = time.Second
)

// outboxReason is what people are told; the outbox's own words may hold paths.
const outboxReason = "the outbox cannot be read or written"

// trouble is a pause, told from a time on; zero for at once.
type trouble struct {
	models.Pause
	from time.Time
}

// lane delivers what goes one way.
type lane struct {
	*Service
	route Route
	log   *slog.Logger

	wake   chan struct{} // holds one: a second wake says nothing new
	anew   atomic.Bool   // what is known of the outbox is not true any more
	paused atomic.Pointer[trouble]

	// All below belongs to the goroutine of run.

	unfinished   *models.AlertUpdate // an outcome that is not recorded yet
	ofDigest     bool                // it is that of a digest
	settling     *models.EmailAlert  // a digest whose rows are not told of its outcome yet
	outboxFaults int                 // in a row

	loaded    bool
	budgets   map[models.Address]*budget
	planned   int64             // rows up to this id were decided about
	plannedAt time.Time         // when that was
	waits     []models.Decision // that are not written yet
	writeBy   time.Time         // when they will be
	pauses    int               // in a row
	until     time.Time         // of the pause
	since     time.Time         // of the first fault after which nothing was taken; zero for none
	reason    string            // of the last one
	refused   map[int64]bool    // rows refused for themselves or for all, and whether another one was taken since
	marks     int               // rows that may still be told of this pause
	marked    int64             // rows up to this id were told
	aged      int64             // rows up to this id failed of old age
	agesAt    time.Time         // when the next one may
}

func newLane(s *Service, r Route) *lane {
	return &lane{
		Service: s, route: r, wake: make(chan struct{}, 1), refused: map[int64]bool{},
		log: s.cfg.Logger.With("channel", r.Channel, "recipient", r.Recipient),
	}
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// reload has the lane look at the outbox anew.
func (l *lane) reload() {
	l.anew.Store(true)
	l.rouse()
}

func (l *lane) run(ctx context.Context) error {
	defer l.closeSender()
	for ctx.Err() == nil {
		wait, err := l.step(ctx)
		wake := l.wake
		if l.outboxAnswered(ctx, err); err != nil {
			l.loaded = false // half of a step may have been taken
			wait, wake = l.backoff(outboxRetryMin, outboxRetryMax, l.outboxFaults), nil
		}
		sleep(ctx, wait, wake)
	}
	return l.finish(ctx)
}

func (l *lane) closeSender() {
	if l.route.Sender != nil {
		l.route.Sender.Close()
	}
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

// step does the next thing and returns how long nothing is to be done. Its
// error is the outbox's.
func (l *lane) step(ctx context.Context) (time.Duration, error) {
	// Before anything new: what was sent must not be taken for due.
	if err := l.finish(ctx); err != nil {
		return 0, err
	}
	if err := l.settleOne(ctx); err != nil || l.settling != nil {
		return 0, err
	}
	if l.anew.Swap(false) || !l.loaded {
		if err := l.load(ctx); err != nil {
			return 0, err
		}
	}
	now := l.now()
	if now.Before(l.until) {
		return l.waitOut(ctx, now)
	}
	if l.pauses > 0 || now.Sub(l.plannedAt) < planEvery {
		// After a pause one message, if possible one that was not refused before,
		// finds out whether the other side works again, before any other is decided
		// about. And while messages go out one after the other, each is not held up
		// by what comes meanwhile.
		if tried, _, err := l.deliverDue(ctx, now); tried || err != nil {
			return 0, err
		}
	}
	more, err := l.plan(ctx, now)
	if err != nil {
		return 0, err
	}
	next, err := l.gather(ctx, now)
	if err != nil {
		return 0, err
	}
	tried, wait, err := l.deliverDue(ctx, now)
	switch {
	case tried || err != nil:
		return 0, err
	case more:
		return 0, nil
	}
	l.closeSender()
	if len(l.waits) > 0 {
		next = soonest(next, l.writeBy)
		sleep(ctx, nap, nil)
	}
	if !next.IsZero() {
		wait = soonestWait(wait, next.Sub(l.now()))
	}
	return soonestWait(wait, maxSleep), nil
}

// deliverDue tries the message that is due first, if there is one; otherwise
// wait is the time until then, 0 when nothing is under way.
func (l *lane) deliverDue(ctx context.Context, now time.Time) (tried bool, wait time.Duration, err error) {
	n, ok, wait, err := l.outbox.Due(ctx, l.route.Lane, now)
	switch {
	case err != nil:
		return false, 0, fmt.Errorf("read the outbox: %w", err)
	case ok:
		l.deliver(ctx, n)
		return true, 0, l.finish(ctx)
	}
	return false, wait, nil
}

// soonest is the earlier of two times, of which zero is none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// soonestWait is the shorter of two waits, of which the first may be none.
func soonestWait(a, b time.Duration) time.Duration {
	if a <= 0 || b < a {
		return max(b, time.Nanosecond)
	}
	return a
}

// settleOne tells some rows of a digest that has ended.
func (l *lane) settleOne(ctx context.Context) error {
	if l.settling == nil {
		return nil
	}
	more, err := l.outbox.Settle(ctx, *l.settling)
	if err == nil && !more {
		l.settling = nil
	}
	return err
}

// outboxAnswered notes whether the outbox works; each change is logged once.
func (l *lane) outboxAnswered(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err == nil && l.outboxFaults > 0:
		l.log.Info("outbox works again", "faults", l.outboxFaults)
		l.outboxFaults = 0
	case err != nil:
		if l.outboxFaults == 0 {
			l.log.Error("outbox failed", "err", err)
		}
		l.outboxFaults++
	default:
		return
	}
	l.publish()
}

// finish records the outcome that waits, if any. It works on after ctx has
// ended: what was sent must not be sent again.
func (l *lane) finish(ctx context.Context) error {
	u := l.unfinished
	if u == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	alert, err := l.outbox.FinishAlert(ctx, *u)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return fmt.Errorf("record alert %d as %s: %w", u.ID, u.Status, err)
	}
	l.unfinished = nil
	// Whoever cancelled a digest has released its rows.
	if err == nil && l.ofDigest && alert.Status != models.EmailPending && alert.Status != models.EmailCancelled {
		l.settling = &alert
	}
	if err == nil && alert.Status == models.EmailFailed {
		l.failed(alert)
	}
	if u.Status == models.EmailSent {
		l.ended(l.route.Channel).sent.Add(1)
	}
	return nil
}

// failed notes a message that has ended as failed.
func (l *lane) failed(a models.EmailAlert) {
	l.ended(l.route.Channel).failed.Add(1)
	if l.cfg.Failed != nil {
		l.cfg.Failed(a)
	}
}

func (l *lane) now() time.Time { return l.cfg.Now().UTC() }
