package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"alerthub/models"
)

// load puts right what was cut off, and learns from the outbox what was told
// and where the rows begin that wait.
func (l *lane) load(ctx context.Context) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	oldest, err := l.outbox.OldestWaiting(ctx, l.route.Lane)
	if err != nil {
		return err
	}
	told, err := l.outbox.Told(ctx, l.route.Lane, l.now().Add(-hour))
	if err != nil {
		return err
	}
	l.budgets = map[models.Address]*budget{}
	for _, t := range told {
		b := l.budget(t.Address)
		if b.tell(t.Source, t.At, t.Named); t.Mail {
			b.spend(t.At, t.Claim)
		}
	}
	first := max(oldest-1, 0)
	l.planned, l.marked, l.aged, l.agesAt = first, first, first, time.Time{}
	l.waits, l.loaded = nil, true
	return nil
}

// settle ends digests that were sent but not recorded as a whole, and lets
// those wait again that were not gathered, or not cancelled, as a whole.
func (l *lane) settle(ctx context.Context) error {
	carriers, err := l.outbox.Unsettled(ctx, l.route.Lane)
	if err != nil {
		return err
	}
	for _, c := range carriers {
		switch {
		case c.MailID != c.ID || c.Status == models.EmailCancelled:
			err = l.outbox.Release(ctx, c.ID)
		case c.Status != models.EmailPending:
			for more := true; more && err == nil; {
				more, err = l.outbox.Settle(ctx, c)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) budget(a models.Address) *budget {
	b := l.budgets[a]
	if b == nil {
		b = &budget{}
		l.budgets[a] = b
	}
	return b
}

// plan decides about rows that have come, and tells whether there may be more.
func (l *lane) plan(ctx context.Context, now time.Time) (more bool, err error) {
	rows, upTo, err := l.outbox.Waiting(ctx, l.route.Lane, l.planned, chunk)
	if err != nil {
		return false, fmt.Errorf("read the outbox: %w", err)
	}
	var decisions []models.Decision
	for i := range rows {
		w := &rows[i]
		c, why := l.contact(w.Address)
		d := models.Decision{ID: w.ID, Status: models.EmailSkipped, Detail: why}
		switch {
		case why != "":
		case !now.Before(w.CreatedAt.Add(l.cfg.MaxAge)):
			d.Status, d.Detail = models.EmailFailed, l.gaveUp(now.Sub(w.CreatedAt), cmp.Or(l.reason, "its turn did not come"))
		default:
			d = l.budget(w.Address).decide(w, &c, now)
		}
		if d.Until.IsZero() {
			decisions = append(decisions, d)
			continue
		}
		if len(l.waits) == 0 {
			l.writeBy = now.Add(waitsFlush)
		}
		l.waits = append(l.waits, d)
	}
	if len(decisions) > 0 || len(l.waits) >= chunk || len(l.waits) > 0 && !now.Before(l.writeBy) {
		if err := l.decide(ctx, now, append(decisions, l.waits...)); err != nil {
			return false, err
		}
		l.waits = nil
	}
	l.planned, l.plannedAt = upTo, now
	return len(rows) == chunk, nil
}

func (l *lane) decide(ctx context.Context, now time.Time, decisions []models.Decision) error {
	for part := range slices.Chunk(decisions, chunk) {
		changed, err := l.outbox.Decide(ctx, now, part)
		if err != nil {
			return fmt.Errorf("write the outbox: %w", err)
		}
		for _, a := range changed {
			if a.Status == models.EmailFailed {
				l.failed(a)
			}
		}
	}
	return nil
}

// contact is who a row is for; otherwise why it is told nothing more.
func (l *lane) contact(a models.Address) (c models.Contact, why string) {
	c, ok := l.cfg.Contact(a.Contact)
	switch {
	case !ok:
		return c, fmt.Sprintf("the contact %s is not in the routes file any more", a.Contact)
	case l.route.Why != "":
		return c, l.route.Why
	case l.route.Sender == nil:
		return c, fmt.Sprintf("the contact %s has no webhook %s any more", a.Contact, a.Recipient)
	}
	return c, ""
}

// gather makes the digests that are due, and tells when the next one may be.
func (l *lane) gather(ctx context.Context, now time.Time) (next time.Time, err error) {
	for address, b := range l.budgets {
		c, why := l.contact(address)
		if why != "" {
			b.waiting, b.held = batch{}, batch{}
			continue // its rows are skipped when the hub starts anew
		}
		claim, at := b.digest(&c, now)
		if claim == "" {
			next = soonest(next, at)
			continue
		}
		severities, others := allowed(c.Quiet, now)
		w := b.take(others)
		if len(severities) == 0 {
			next = soonest(next, others)
			continue
		}
		if len(l.waits) > 0 { // or their reasons would be written over the digest
			if err := l.decide(ctx, now, l.waits); err != nil {
				return next, err
			}
			l.waits = nil
		}
		carrier, err := l.outbox.Gather(ctx, models.Gathering{Address: address, From: w.first, To: w.last, Severities: severities, Claim: claim}, now)
		if err != nil {
			return next, fmt.Errorf("write the outbox: %w", err)
		}
		if carrier > 0 {
			b.sent(&w, claim, now)
			l.log.Info("digest gathered", "alert", carrier, "contact", address.Contact, "reason", claim)
		}
		if !b.held.empty() {
			next = soonest(next, b.held.due)
		}
	}
	return next, nil
}
