package mailer

import (
	"errors"
	"fmt"
	"time"

	"alerthub/models"
)

// outcome is what an attempt that ended at now with err means for its row.
func (w *Worker) outcome(a models.EmailAlert, words string, err error, now time.Time) models.AlertUpdate {
	attempts := a.Attempts + 1
	var f *fault
	switch {
	case err == nil:
		return models.AlertUpdate{ID: a.ID, Status: models.EmailSent, Detail: words, Attempts: attempts, At: now}
	case errors.As(err, &f) && f.permanent:
		return models.AlertUpdate{ID: a.ID, Status: models.EmailFailed, Detail: f.words, Attempts: attempts, At: now}
	case f != nil && f.server:
		return w.keep(a, attempts, f.words, now, w.pauseUntil)
	default:
		next := now.Add(w.backoff(w.cfg.RetryMin, w.cfg.RetryMax, attempts))
		return w.keep(a, attempts, tidy(err.Error()), now, next)
	}
}

// keep leaves a row pending until next, or until its maximum age if that comes
// first, for one last try; a row beyond that age fails.
func (w *Worker) keep(a models.EmailAlert, attempts int, reason string, now, next time.Time) models.AlertUpdate {
	u := models.AlertUpdate{ID: a.ID, Status: models.EmailPending, Detail: reason, Attempts: attempts, At: now}
	end := a.CreatedAt.Add(w.cfg.MaxAge)
	switch {
	case !now.Before(end):
		u.Status = models.EmailFailed
		u.Detail = fmt.Sprintf("gave up after %v: %s", now.Sub(a.CreatedAt).Round(time.Second), reason)
	case next.After(end):
		u.NextAttemptAt = end
	default:
		u.NextAttemptAt = next
	}
	return u
}

// backoff is the n-th wait in a row, n from 1: it doubles from lo to hi, and
// is cut at random by up to half, so that many hubs do not come back together.
func (w *Worker) backoff(lo, hi time.Duration, n int) time.Duration {
	d := lo
	for i := 1; i < n && d < hi; i++ {
		d *= 2
	}
	d = min(d, hi)
	return d - time.Duration(w.cfg.Rand()*float64(d/2))
}
