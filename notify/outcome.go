package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"alerthub/models"
)

// deliver tries a message and notes the outcome; none when the end of the
// process cut it.
func (l *lane) deliver(ctx context.Context, n models.Notice) {
	a := n.Alert
	l.ofDigest = n.Digest != nil
	c, why := l.contact(models.Address{Contact: a.Contact, Channel: a.Channel, Recipient: a.Recipient})
	if why != "" {
		l.log.Info("alert skipped", "alert", a.ID, "event", a.EventID, "detail", why)
		l.unfinished = &models.AlertUpdate{ID: a.ID, Status: models.EmailSkipped, Detail: why, Attempts: a.Attempts, At: l.now()}
		return
	}
	n.Contact = c
	try, cancel := context.WithTimeout(ctx, l.cfg.AttemptTimeout)
	words, err := l.route.Sender.Send(try, n)
	cancel()
	if errors.Is(err, context.Canceled) {
		return
	}
	now := l.now()
	err = l.judge(a.ID, err)
	l.follow(now, err)
	u := l.outcome(a, words, err, now)
	l.log.Info("delivery attempted", "alert", u.ID, "event", n.Event.ID,
		"status", u.Status, "detail", u.Detail, "attempts", u.Attempts)
	l.unfinished = &u
}

// judge decides whom a refusal concerns that may be about its message alone:
// that message, if another one was taken since it was refused first. Until
// then it is the other side.
func (l *lane) judge(id int64, err error) error {
	var f *models.Fault
	switch {
	case err == nil:
		delete(l.refused, id)
		for other := range l.refused {
			l.refused[other] = true
		}
	case !errors.As(err, &f) || !f.Server || !f.Permanent:
	case l.refused[id]:
		delete(l.refused, id)
		return &models.Fault{Permanent: true, Words: f.Words}
	default:
		l.refused[id] = false
	}
	return err
}

// follow notes what an attempt that ended at now with err says of the lane.
func (l *lane) follow(now time.Time, err error) {
	var f *models.Fault
	switch known := errors.As(err, &f); {
	case err == nil:
		l.resume()
		l.since, l.reason = time.Time{}, ""
	case known && f.Server:
		l.pause(now, f)
	case known && f.Permanent: // it says nothing of other messages, but that a pause is over
		if l.resume() {
			l.since, l.reason = time.Time{}, ""
		}
	default:
		l.resume()
		l.fault(now, err.Error())
	}
	l.publish()
}

// fault notes why nothing was taken.
func (l *lane) fault(now time.Time, reason string) {
	if l.reason = reason; l.since.IsZero() {
		l.since = now
	}
}

// again is when a row is tried again after the pause: what was refused gives
// way to all others, also to those that are not decided about yet.
func (l *lane) again(id int64) time.Time {
	if _, refused := l.refused[id]; refused {
		return l.until.Add(standBack)
	}
	return l.until
}

// outcome is what an attempt that ended at now with err means for its row.
func (l *lane) outcome(a models.EmailAlert, words string, err error, now time.Time) models.AlertUpdate {
	attempts := a.Attempts + 1
	var f *models.Fault
	switch {
	case err == nil:
		return models.AlertUpdate{ID: a.ID, Status: models.EmailSent, Detail: words, Attempts: attempts, At: now}
	case !errors.As(err, &f):
		f = &models.Fault{Words: err.Error()}
	case f.Server:
		return l.keep(a, attempts, f.Words, now, l.again(a.ID))
	case f.Permanent:
		return models.AlertUpdate{ID: a.ID, Status: models.EmailFailed, Detail: f.Words, Attempts: attempts, At: now}
	}
	wait := max(l.backoff(l.cfg.RetryMin, l.cfg.RetryMax, attempts), f.RetryAfter)
	return l.keep(a, attempts, f.Words, now, now.Add(wait))
}

// keep leaves a row pending until next, or until its maximum age if that comes
// first, for one last try; a row beyond that age fails.
func (l *lane) keep(a models.EmailAlert, attempts int, reason string, now, next time.Time) models.AlertUpdate {
	u := models.AlertUpdate{ID: a.ID, Status: models.EmailPending, Detail: reason, Attempts: attempts, At: now}
	since := a.CreatedAt
	if a.ClaimedAt.Sub(since) >= l.cfg.MaxAge { // held back for so long, or tried again by hand
		since = a.ClaimedAt
	}
	end := since.Add(l.cfg.MaxAge)
	switch {
	case !now.Before(end):
		u.Status, u.Detail = models.EmailFailed, l.gaveUp(now.Sub(since), reason)
	case next.After(end):
		u.NextAttemptAt = end
	default:
		u.NextAttemptAt = next
	}
	return u
}

func (l *lane) gaveUp(age time.Duration, reason string) string {
	return fmt.Sprintf("gave up after %v: %s", age.Round(time.Second), reason)
}

// backoff is the n-th wait in a row, n from 1: it doubles from lo to hi, and
// is cut at random by up to half, so that many hubs do not come back together.
func (l *lane) backoff(lo, hi time.Duration, n int) time.Duration {
	d := lo
	for i := 1; i < n && d < hi; i++ {
		d *= 2
	}
	d = min(d, hi)
	return d - time.Duration(l.cfg.Rand()*float64(d/2))
}

// pause stops the lane for a while because of the other side.
func (l *lane) pause(now time.Time, f *models.Fault) {
	if l.pauses++; l.pauses == 1 {
		l.marked = l.planned
	}
	wait := max(l.backoff(l.cfg.PauseMin, l.cfg.PauseMax, l.pauses), f.RetryAfter)
	// Whole microseconds, as rows have: whoever waits for the end of the pause is due at it.
	l.until, l.marks = now.Add(wait).Truncate(time.Microsecond), marksPerPause
	if f.Words != l.reason {
		l.log.Warn("delivery paused", "reason", f.Words, "for", wait)
	}
	l.fault(now, f.Words)
}

// resume notes that the other side came as far as a message, and tells whether
// that ends a pause.
func (l *lane) resume() bool {
	if l.pauses == 0 {
		return false
	}
	l.log.Info("delivery resumed", "pauses", l.pauses)
	l.pauses, l.until = 0, time.Time{}
	return true
}

// publish makes Pauses tell the present state.
func (l *lane) publish() {
	p := trouble{Pause: models.Pause{Lane: l.route.Lane, Reason: l.reason, Since: l.since}}
	switch {
	case l.outboxFaults > 0:
		p.Reason = outboxReason
		if l.since.IsZero() {
			p.Since = l.now()
		}
	case l.pauses == 0:
		p.from = l.since.Add(failingAfter)
	}
	if p.Reason == "" {
		l.paused.Store(nil)
		return
	}
	l.paused.Store(&p)
}

// waitOut does what is to be done in a pause: rows learn its reason, and those
// that are too old fail. While there is nothing of that, it does not even look
// at the outbox: during a storm every commit wakes the lane.
func (l *lane) waitOut(ctx context.Context, now time.Time) (time.Duration, error) {
	if !now.Before(l.agesAt) {
		if err := l.age(ctx, now); err != nil {
			return 0, err
		}
	}
	if l.marks > 0 {
		if n, ok, _, err := l.outbox.Due(ctx, l.route.Lane, now); err != nil {
			return 0, fmt.Errorf("read the outbox: %w", err)
		} else if ok {
			// Not tried, but its line on the panel tells why, and its age counts.
			u := l.keep(n.Alert, n.Alert.Attempts, l.reason, now, l.again(n.Alert.ID))
			l.marks--
			l.unfinished, l.ofDigest = &u, n.Digest != nil
			return 0, l.finish(ctx)
		}
		if err := l.mark(ctx, now); err != nil {
			return 0, err
		}
	}
	return min(soonestWait(l.until.Sub(now), l.agesAt.Sub(now)), maxSleep), nil
}

// mark tells rows that have come in the pause why they wait.
func (l *lane) mark(ctx context.Context, now time.Time) error {
	rows, upTo, err := l.outbox.Waiting(ctx, l.route.Lane, l.marked, l.marks)
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	decisions := make([]models.Decision, len(rows))
	for i := range rows {
		decisions[i] = models.Decision{ID: rows[i].ID, Until: l.until, Detail: l.reason}
	}
	if err := l.decide(ctx, now, decisions); err != nil {
		return err
	}
	l.marks -= len(rows)
	l.marked = upTo
	return nil
}

// age fails the waiting rows that are too old, and finds out when the next one
// will be.
func (l *lane) age(ctx context.Context, now time.Time) error {
	for {
		rows, upTo, err := l.outbox.Waiting(ctx, l.route.Lane, l.aged, chunk)
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		l.agesAt = now.Add(l.cfg.MaxAge)
		var old []models.Decision
		for i := range rows {
			age := now.Sub(rows[i].CreatedAt)
			if age < l.cfg.MaxAge {
				l.agesAt, upTo = rows[i].CreatedAt.Add(l.cfg.MaxAge), rows[i].ID-1
				break
			}
			old = append(old, models.Decision{ID: rows[i].ID, Status: models.EmailFailed, Detail: l.gaveUp(age, l.reason)})
		}
		if err := l.decide(ctx, now, old); err != nil {
			return err
		}
		if l.aged = upTo; len(old) < chunk {
			return nil
		}
	}
}
