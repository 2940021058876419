package notify

import (
	"time"

	"alerthub/models"
)

const (
	// hour is what the limits of a contact are counted by.
	hour = time.Hour
	// loneWait is how long a critical waits whose own message was not possible
	// any more: it is told within a minute of its receipt.
	loneWait = 45 * time.Second
	// maxSources bounds the sources that are remembered for one address. One
	// that is forgotten counts as not told of; the limit by the hour still holds.
	maxSources = 10_000
)

// Why rows wait.
const (
	waitsGathered = "gathered with what follows on a message about the same source"
	waitsLimit    = "waits for a digest: the limit by the hour is reached"
	waitsQuiet    = "held back in the quiet hours"
)

// budget is what is known of one address: what it was told in the last hour,
// and what waits for it.
type budget struct {
	spent   []spending         // of the last hour, the oldest first
	told    map[string]telling // of each source
	waiting batch              // for the next digest
	held    batch              // for the end of quiet hours
}

type spending struct {
	at    time.Time
	claim models.Claim
}

// telling is when an address was last told of a source.
type telling struct {
	at    time.Time // by whatever message
	named time.Time // by one that was sure to name it, or that told of a critical of it
}

// batch are rows that wait together. The zero value is empty.
type batch struct {
	first, last int64 // ids
	due         time.Time
	lone        time.Time       // when a critical in it must be told at the latest; zero for none
	quiet       bool            // some of it was held back
	sources     map[string]bool // whether it is about a critical of the source
}

func (b *batch) empty() bool { return b.last == 0 }

func (b *batch) add(w *models.WaitingAlert, due time.Time) {
	if b.empty() {
		*b = batch{first: w.ID, due: due, sources: map[string]bool{}}
	}
	b.first, b.last = min(b.first, w.ID), max(b.last, w.ID)
	b.due = earlier(b.due, due)
	b.about(w.Source, w.Severity == models.SeverityCritical)
}

func (b *batch) about(source string, critical bool) {
	if _, known := b.sources[source]; known || len(b.sources) < maxSources {
		b.sources[source] = b.sources[source] || critical
	}
}

// merge adds other, which may be empty.
func (b *batch) merge(other batch) {
	switch {
	case other.empty():
	case b.empty():
		*b = other
	default:
		b.first, b.last = min(b.first, other.first), max(b.last, other.last)
		b.due, b.quiet = earlier(b.due, other.due), b.quiet || other.quiet
		for s, critical := range other.sources {
			b.about(s, critical)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// spend notes a message about a source.
func (b *budget) spend(at time.Time, claim models.Claim) {
	b.spent = append(b.spent, spending{at, claim})
}

func (b *budget) tell(source string, at time.Time, named bool) {
	if b.told == nil {
		b.told = map[string]telling{}
	}
	t, known := b.told[source]
	if !known && len(b.told) >= maxSources {
		return
	}
	if t.at = at; named {
		t.named = at
	}
	b.told[source] = t
}

// forget drops what is an hour old.
func (b *budget) forget(now time.Time) {
	old := 0
	for old < len(b.spent) && now.Sub(b.spent[old].at) >= hour {
		old++
	}
	if b.spent = b.spent[old:]; old == 0 {
		return // sources are told of by messages: none of them is old either
	}
	for source, t := range b.told {
		if now.Sub(t.at) >= hour {
			delete(b.told, source)
		}
	}
}

// used counts the messages of the last hour: those of the reserve, and the
// others within the limit. Digests past it are neither.
func (b *budget) used() (reserve, others int) {
	for _, s := range b.spent {
		switch s.claim {
		case models.ClaimReserve:
			reserve++
		case models.ClaimLimit:
		default:
			others++
		}
	}
	return reserve, others
}

// room tells whether one more message is within the limit, without the
// reserve; and within the reserve.
func (b *budget) room(l models.Limits) (others, reserve bool) {
	if l.PerHour == 0 {
		return true, true
	}
	r, o := b.used()
	return o < l.PerHour-l.Reserve, r < l.Reserve
}

// back is when a message becomes possible again that is not now.
func (b *budget) back() time.Time {
	for _, s := range b.spent {
		if s.claim != models.ClaimReserve && s.claim != models.ClaimLimit {
			return s.at.Add(hour)
		}
	}
	return time.Time{}
}

// decide is what becomes of a row, and notes it. Rows come in the order of
// their ids.
func (b *budget) decide(w *models.WaitingAlert, c *models.Contact, now time.Time) models.Decision {
	b.forget(now)
	if end, quiet := c.Quiet.Until(now, w.Severity); quiet {
		b.held.add(w, end)
		b.held.quiet = true
		return models.Decision{ID: w.ID, Until: end, Detail: waitsQuiet}
	}
	l := c.Limits
	last, known := b.told[w.Source]
	lone := w.Severity == models.SeverityCritical && w.CreatedAt.Sub(last.named) >= hour
	if known && !lone && l.Gather > 0 && w.CreatedAt.Before(last.at.Add(min(l.Gather, hour))) {
		return b.wait(w, last.at.Add(l.Gather), waitsGathered)
	}
	others, reserve := b.room(l)
	switch {
	case others:
		return b.alone(w, models.ClaimAlone, now)
	case lone && reserve:
		return b.alone(w, models.ClaimReserve, now)
	case lone:
		due := w.CreatedAt.Add(loneWait)
		d := b.wait(w, due, waitsLimit)
		if b.waiting.lone.IsZero() || due.Before(b.waiting.lone) {
			b.waiting.lone = due
		}
		return d
	default:
		return b.wait(w, b.pastLimit(l), waitsLimit)
	}
}

func (b *budget) alone(w *models.WaitingAlert, claim models.Claim, now time.Time) models.Decision {
	b.spend(now, claim)
	b.tell(w.Source, now, true)
	return models.Decision{ID: w.ID, Claim: claim}
}

func (b *budget) wait(w *models.WaitingAlert, due time.Time, why string) models.Decision {
	b.waiting.add(w, due)
	return models.Decision{ID: w.ID, Until: due, Detail: why}
}

// pastLimit is when the next digest past the limit may go.
func (b *budget) pastLimit(l models.Limits) time.Time {
	var last time.Time
	if n := len(b.spent); n > 0 {
		last = b.spent[n-1].at
	}
	next := last.Add(l.Interval)
	if back := b.back(); !back.IsZero() {
		next = earlier(next, back)
	}
	return next
}

// digest is the claim of a digest of what waits, "" if it is not due; then
// next is when to ask again, zero if nothing waits.
func (b *budget) digest(c *models.Contact, now time.Time) (claim models.Claim, next time.Time) {
	b.forget(now)
	if !b.held.empty() && !now.Before(b.held.due) {
		b.waiting.merge(b.held)
		b.held = batch{}
	}
	claim, next = b.digestOfWaiting(c, now)
	if claim == "" && !b.held.empty() && (next.IsZero() || b.held.due.Before(next)) {
		next = b.held.due
	}
	return claim, next
}

func (b *budget) digestOfWaiting(c *models.Contact, now time.Time) (models.Claim, time.Time) {
	w := &b.waiting
	if w.empty() {
		return "", time.Time{}
	}
	lone := !w.lone.IsZero() && !now.Before(w.lone)
	if now.Before(w.due) && !lone {
		return "", w.due
	}
	others, _ := b.room(c.Limits)
	switch {
	case others && w.quiet:
		return models.ClaimQuiet, time.Time{}
	case others:
		return models.ClaimGathered, time.Time{}
	}
	next := b.pastLimit(c.Limits)
	if lone || !now.Before(next) {
		return models.ClaimLimit, time.Time{}
	}
	if !w.lone.IsZero() {
		next = earlier(next, w.lone)
	}
	w.due = next
	return "", next
}

// allowed are the severities of which events may be told now, and when the
// others may be.
func allowed(q *models.QuietHours, now time.Time) (told []models.Severity, others time.Time) {
	for _, s := range models.Severities() {
		if end, quiet := q.Until(now, s); quiet {
			others = end
		} else {
			told = append(told, s)
		}
	}
	return told, others
}

// take empties what waits for a digest that goes now. If some of it may not be
// told before an end of quiet hours, it is held until then.
func (b *budget) take(others time.Time) batch {
	w := b.waiting
	b.waiting = batch{}
	if !others.IsZero() {
		held := w
		held.due, held.lone, held.quiet = others, time.Time{}, true
		b.held.merge(held)
	}
	return w
}

// sent notes that a digest was claimed.
func (b *budget) sent(w *batch, claim models.Claim, now time.Time) {
	b.spend(now, claim)
	few := len(w.sources) <= models.NamedSources
	for s, critical := range w.sources {
		b.tell(s, now, few || critical)
	}
}
