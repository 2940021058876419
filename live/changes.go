package live

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"alerthub/models"
)

// Bounds of the changes that wait to be drawn.
const (
	changedEvents = 1000
	changedAlerts = 400

	// logged bounds the changes that pages are told of that were away for a
	// moment, or are new: they were rendered before they could listen.
	logged = 500
)

// change is the new state of an event that was recorded before.
type change struct {
	event models.Event
	acked bool // it was acknowledged, or that was taken back; else an email of it changed
}

// changes takes what becomes of events and emails after they were recorded, as
// their newest states. When there is more than it keeps, it forgets all and
// says so: tables that may show some of it are then drawn anew. While no page
// is open it keeps a log of ids only.
type changes struct {
	now    func() time.Time
	notify chan struct{} // capacity 1: something is waiting

	mu        sync.Mutex
	listening bool
	changed   map[int64]change
	alerts    map[int64]models.EmailAlert
	lost      bool      // there was more than is kept
	acks      bool      // what waits for a person has changed since this was last asked
	waits     time.Time // when the oldest of what is in the box came; zero when it is empty

	log   []logEntry // the oldest first
	begin time.Time  // the log knows everything since
}

// logEntry says that an event, or an email of it, has changed.
type logEntry struct {
	at time.Time
	id int64
}

func newChanges(now func() time.Time) *changes {
	return &changes{
		now:     now,
		begin:   now(),
		notify:  make(chan struct{}, 1),
		changed: make(map[int64]change),
		alerts:  make(map[int64]models.EmailAlert),
	}
}

func (c *changes) events(events []models.Event) {
	if len(events) == 0 {
		return
	}
	ids := make([]int64, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	c.put(ids, func() {
		c.acks = true
		for i := range events {
			c.changed[events[i].ID] = change{events[i], true}
		}
	})
}

func (c *changes) alert(a models.EmailAlert) {
	c.put([]int64{a.EventID}, func() { c.alerts[a.ID] = a })
}

// everything may have changed: the log knows nothing of it.
func (c *changes) everything() {
	c.mu.Lock()
	c.begin = c.now().Add(1)
	c.mu.Unlock()
	c.put(nil, func() { c.acks, c.lost = true, true })
}

// put logs the events ids, lets add write if somebody listens, and rings.
func (c *changes) put(ids []int64, add func()) {
	c.mu.Lock()
	now := c.now()
	for _, id := range ids {
		c.log = append(c.log, logEntry{now, id})
	}
	if over := len(c.log) - logged; over > 0 {
		c.begin = c.log[over-1].at.Add(1)
		c.log = slices.Delete(c.log, 0, over)
	}
	if c.listening {
		add()
		if c.waits.IsZero() {
			c.waits = now
		}
		c.lost = c.lost || len(c.changed) > changedEvents || len(c.alerts) > changedAlerts
		if c.lost {
			c.drop()
		}
	}
	listening := c.listening
	c.mu.Unlock()
	if !listening {
		return
	}
	select {
	case c.notify <- struct{}{}:
	default:
	}
}

// take empties the box. Events and emails are the newest first.
func (c *changes) take() (changed []change, alerts []models.EmailAlert, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = slices.SortedFunc(maps.Values(c.changed), func(a, b change) int { return cmp.Compare(b.event.ID, a.event.ID) })
	alerts = slices.SortedFunc(maps.Values(c.alerts), func(a, b models.EmailAlert) int { return cmp.Compare(b.ID, a.ID) })
	lost = c.lost
	c.lost, c.waits = false, time.Time{}
	c.drop()
	return changed, alerts, lost
}

// asOf is the time up to which everything that came has been taken.
func (c *changes) asOf() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits.IsZero() {
		return c.now()
	}
	return c.waits
}

// putBack keeps for the next frame what this one has no room for, unless
// something newer came. All of it came at asOf or later.
func (c *changes) putBack(later []change, asOf time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = asOf
	for _, l := range later {
		if _, ok := c.changed[l.event.ID]; !ok && c.listening {
			c.changed[l.event.ID] = l
		}
	}
}

// since is the events that have changed after at; known is false when the log
// does not reach back to it.
func (c *changes) since(at time.Time) (ids []int64, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Before(c.begin) {
		return nil, false
	}
	for _, l := range c.log {
		if !l.at.Before(at) && !slices.Contains(ids, l.id) {
			ids = append(ids, l.id)
		}
	}
	return ids, true
}

// acked reports whether what waits for a person has changed, once for each time.
func (c *changes) acked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	acks := c.acks
	c.acks = false
	return acks
}

// listen starts or ends the keeping of changes.
func (c *changes) listen(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listening, c.lost, c.acks, c.waits = on, false, false, time.Time{}
	c.drop()
}

// drop needs mu.
func (c *changes) drop() {
	clear(c.changed)
	clear(c.alerts)
}
