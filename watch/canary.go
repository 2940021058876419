package watch

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"alerthub/models"
)

// stopped is why a canary failed that the end of its hub cut off.
const stopped = "the hub stopped"

// ackName acknowledges canaries that came through.
const ackName = "canary"

// CanaryState tells what is known of canaries.
func (w *Watch) CanaryState() models.CanaryState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// SendCanary has a canary sent at once and returns it as it begins. Errors:
// models.ErrNotFound when none is configured, models.ErrCanaryRunning with the
// one that is under way, models.ErrUnavailable when storage did not yet say
// which ones there were.
func (w *Watch) SendCanary() (models.Canary, error) {
	if w.cfg.Canary.Contact == "" {
		return models.Canary{}, fmt.Errorf("no canary is configured: %w", models.ErrNotFound)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.restored:
		return models.Canary{}, models.ErrUnavailable
	case w.state.Last.Running():
		return w.state.Last, models.ErrCanaryRunning
	}
	w.state.Last = models.Canary{BegunAt: w.cfg.Now().UTC().Truncate(time.Microsecond), Stage: models.CanaryDoor}
	w.rouse()
	return w.state.Last, nil
}

// Escalate is who is told of d: the canary's contact of a canary, else whom
// rule says. It is called concurrently.
func (w *Watch) Escalate(d models.Draft, rule func(models.Draft) []models.NewAlert) []models.NewAlert {
	// Whoever else calls himself a canary does not know the key.
	if key := w.key.Load(); key != nil && d.Key == *key && d.Source == models.SourceCanary {
		return w.cfg.Canary.Alerts
	}
	return rule(d)
}

// restoreCanaries finds the last canaries, and ends one that was cut off.
func (w *Watch) restoreCanaries(ctx context.Context) error {
	if w.cfg.Canary.Contact == "" {
		return nil
	}
	list, err := w.store.Canaries(ctx)
	if err != nil {
		return err
	}
	var last models.Canary
	if len(list) > 0 {
		last = list[0]
	}
	if last.Running() {
		last.EndedAt, last.Detail = w.cfg.Now().UTC().Truncate(time.Microsecond), stopped
		if last, err = w.store.SaveCanary(ctx, last); err != nil {
			return err
		}
		list[0] = last
	}
	w.verdict = ""
	for i := range list {
		if list[i].Detail != stopped { // that says nothing of the hub's health
			w.verdict = verdict(&list[i])
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Last, w.state.LastThrough = last, time.Time{}
	for i := range list {
		if list[i].Through() {
			w.state.LastThrough = list[i].EndedAt
			break
		}
	}
	w.plan(last)
	return nil
}

func verdict(c *models.Canary) string {
	if c.Failed() {
		return fmt.Sprintf("the last canary failed: %s: %s", c.Stage, c.Detail)
	}
	return ""
}

// plan says when the next canary after last is due.
func (w *Watch) plan(last models.Canary) {
	if w.cfg.Canary.Every <= 0 {
		return
	}
	w.due = w.started.Add(settle)
	next := last.BegunAt.Add(w.cfg.Canary.Every)
	if last.Detail != stopped && next.After(w.due) && !last.BegunAt.After(w.cfg.Now()) { // but for a clock that was set back
		w.due = next
	}
}

// stepCanary does the next thing for the canary that is under way or due, and
// returns how long there is nothing to do.
func (w *Watch) stepCanary(ctx context.Context) time.Duration {
	if w.unsaved {
		w.put(ctx, w.CanaryState().Last)
	}
	c := w.CanaryState().Last
	if !c.Running() {
		if w.due.IsZero() {
			return tick
		}
		if wait := w.due.Sub(w.cfg.Now()); wait > 0 {
			return wait
		}
		var err error
		if c, err = w.SendCanary(); err != nil {
			return look // somebody else was faster
		}
	}
	for c.Running() && c.Stage != models.CanaryDelivered && ctx.Err() == nil {
		c = w.fly(ctx, c)
	}
	if !c.Running() || ctx.Err() != nil {
		return look
	}
	if c = w.deliver(ctx, c); c.Running() {
		return look
	}
	return 0
}

// fly takes c one stage further.
func (w *Watch) fly(ctx context.Context, c models.Canary) models.Canary {
	switch c.Stage {
	case models.CanaryDoor:
		w.deadline = w.cfg.Now().Add(w.cfg.Canary.Patience)
		if c = w.put(ctx, c); w.unsaved {
			c.Stage = models.CanaryStored
			return w.end(ctx, c, "that it begins cannot be stored")
		}
		id, err := w.knock(ctx, c)
		switch {
		case ctx.Err() != nil:
			return c
		case err != nil:
			return w.end(ctx, c, err.Error())
		}
		c.EventID, c.Stage = id, models.CanaryStored
	case models.CanaryStored:
		reading, done := context.WithTimeout(ctx, storeTimeout)
		defer done()
		event, err := w.hub.Event(reading, c.EventID)
		switch {
		case ctx.Err() != nil:
			return c
		case err != nil:
			w.log.Warn("canary not read back", "event", c.EventID, "error", err)
			return w.end(ctx, c, "the event was acknowledged and cannot be read")
		case event.Source != models.SourceCanary || event.Message != message(c):
			return w.end(ctx, c, fmt.Sprintf("event %d is another one", c.EventID))
		}
		c.Stage = models.CanaryRouted
	case models.CanaryRouted:
		rows, err := w.alerts(ctx, c)
		switch {
		case ctx.Err() != nil:
			return c
		case err != nil:
			return w.end(ctx, c, "its alerts cannot be read")
		case len(rows) < max(1, len(w.cfg.Canary.Alerts)):
			return w.end(ctx, c, fmt.Sprintf("it has %d of %d alerts", len(rows), max(1, len(w.cfg.Canary.Alerts))))
		}
		for _, a := range rows {
			if a.Status == models.EmailSkipped {
				return w.end(ctx, c, words(a))
			}
		}
		c.Stage = models.CanaryDelivered
	}
	return w.put(ctx, c)
}

// deliver looks whether c has arrived.
func (w *Watch) deliver(ctx context.Context, c models.Canary) models.Canary {
	rows, err := w.alerts(ctx, c)
	waits := "its alerts cannot be read"
	if err == nil {
		waits = ""
		for _, a := range rows {
			switch a.Status {
			case models.EmailSent, models.EmailDigested:
			case models.EmailPending:
				if waits == "" {
					waits = words(a)
				}
			default:
				return w.end(ctx, c, words(a))
			}
		}
	}
	switch {
	case ctx.Err() != nil:
	case waits == "":
		c.Stage = models.CanaryThrough
		return w.end(ctx, c, "")
	case !w.cfg.Now().Before(w.deadline):
		return w.end(ctx, c, fmt.Sprintf("not within %v: %s", w.cfg.Canary.Patience, waits))
	}
	return c
}

// alerts are the rows of a canary, in the order of their birth.
func (w *Watch) alerts(ctx context.Context, c models.Canary) ([]models.EmailAlert, error) {
	ctx, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	rows, err := w.hub.EmailAlerts(ctx, models.EmailFilter{EventIDs: []int64{c.EventID}, Limit: models.MaxLimit})
	if err != nil {
		w.log.Warn("alerts of the canary not read", "event", c.EventID, "error", err)
	}
	return rows, err
}

// words tell of a row that did not arrive.
func words(a models.EmailAlert) string {
	text := a.Detail
	if text == "" {
		text = string(a.Status)
	}
	if a.Recipient == "" {
		return short(text)
	}
	return short(a.Channel + " to " + a.Recipient + ": " + text)
}

// end ends c: as come through, or at its stage because of detail.
func (w *Watch) end(ctx context.Context, c models.Canary, detail string) models.Canary {
	c.EndedAt, c.Detail = w.cfg.Now().UTC().Truncate(time.Microsecond), short(detail)
	if c.Through() {
		w.log.Info("canary came through", "event", c.EventID, "took", c.EndedAt.Sub(c.BegunAt))
		acking, done := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer done()
		if _, err := w.hub.Acknowledge(acking, []int64{c.EventID}, models.Ack{By: ackName, Verified: true}); err != nil {
			w.log.Warn("canary not acknowledged", "event", c.EventID, "error", err)
		}
	} else {
		w.log.Warn("canary failed", "event", c.EventID, "stage", c.Stage, "detail", c.Detail)
	}
	w.verdict = verdict(&c)
	w.plan(c)
	return w.put(ctx, c)
}

// put makes c known, and stores it; what cannot be stored is tried again.
func (w *Watch) put(ctx context.Context, c models.Canary) models.Canary {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer done()
	saved, err := w.store.SaveCanary(ctx, c)
	if err != nil && !w.unsaved {
		w.log.Warn("canary not stored", "error", err)
	}
	if w.unsaved = err != nil; err == nil {
		c = saved
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.Last.BegunAt.Equal(c.BegunAt) { // or another one has begun
		w.state.Last = c
	}
	if c.Through() {
		w.state.LastThrough = c.EndedAt
	}
	return c
}

// message is what a canary says.
func message(c models.Canary) string {
	return fmt.Sprintf("Canary %d of %s: a test of the way from a device to a person. Nothing is wrong.", c.ID, c.BegunAt.Format("2006-01-02 15:04:05 UTC"))
}

// newKey is an idempotency key that nobody can guess.
func newKey() string { return "canary-" + rand.Text() }
