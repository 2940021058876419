package limits

import (
	"math"
	"time"

	"alerthub/models"
)

const (
	// maxBuckets bounds the senders of one kind that are remembered. One more
	// takes the place of a sender that used little of late.
	maxBuckets = 10_000
	// looks is among how many the place is sought: more than that for each new
	// name would make inventing names a way to slow the hub.
	looks = 8
	// leastRefusals a second cost the hub nothing, however low a limit is set.
	leastRefusals = 1000
	// maxPause bounds how long a door does not listen to a flood.
	maxPause = time.Second
)

// buckets are the token buckets of one kind of sender. They are not safe for
// concurrent use.
type buckets[K comparable] struct {
	limit limit     // of events
	pause limit     // of refusals: as many a second as events, and as many at once
	own   func(K) K // a copy that keeps nothing else alive: a source may be cut from a whole line
	names map[K]*bucket
}

func newBuckets[K comparable](r models.Rate, own func(K) K) *buckets[K] {
	refusals := max(r.PerSecond, leastRefusals)
	return &buckets[K]{
		limit: limitOf(r), pause: limitOf(models.Rate{PerSecond: refusals, Burst: refusals}),
		own: own, names: make(map[K]*bucket),
	}
}

// of returns the bucket of name, a full one if it is not remembered; nil when
// there is no limit.
func (bs *buckets[K]) of(name K, now time.Duration) *bucket {
	if bs.limit.interval == 0 {
		return nil
	}
	b := bs.names[name]
	if b == nil {
		if len(bs.names) >= maxBuckets {
			bs.forget(now)
		}
		b = &bucket{events: meter{limit: &bs.limit}, refusals: meter{limit: &bs.pause}}
		bs.names[bs.own(name)] = b
	}
	return b
}

// forget makes room for at least one more. A full bucket is as good as none;
// without one among those looked at, the fullest is lost, whose sender may
// then have a burst anew.
func (bs *buckets[K]) forget(now time.Duration) {
	var fullest K
	first, looked := time.Duration(math.MaxInt64), 0
	for name, b := range bs.names { // in random order
		full := max(b.events.full, b.refusals.full)
		if full <= now {
			delete(bs.names, name)
		}
		if full < first {
			fullest, first = name, full
		}
		if looked++; looked == looks {
			break
		}
	}
	delete(bs.names, fullest)
}

// bucket is what one sender has left.
type bucket struct{ events, refusals meter }

// refuse notes one refusal and returns how long to pause after it.
func (b *bucket) refuse(now time.Duration) time.Duration {
	pause := b.refusals.wait(now)
	if pause > maxPause {
		return maxPause // what a flood owes does not outlast it
	}
	b.refusals.use(now)
	return pause
}

// meter is a token bucket as the generic cell rate algorithm keeps it (ITU-T
// I.371): by the moment at which it would be full. That says the same as a
// count of tokens, in one whole number. golang.org/x/time/rate says it too, in
// three times the time.
type meter struct {
	*limit
	full time.Duration // since the start of Limits; before now, it is full
}

// wait is how long until one more is allowed; 0 for now.
func (m *meter) wait(now time.Duration) time.Duration { return max(0, m.full-now-m.slack) }

// use takes one.
func (m *meter) use(now time.Duration) { m.full = max(m.full, now) + m.interval }

// limit is a rate in time.
type limit struct {
	interval time.Duration // from one to the next; 0 for no limit
	slack    time.Duration // by how much all of a burst together may be early
}

func limitOf(r models.Rate) limit {
	if r.PerSecond == 0 {
		return limit{}
	}
	interval := time.Second / time.Duration(r.PerSecond)
	return limit{interval, interval * time.Duration(r.Burst-1)}
}
