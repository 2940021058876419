package live

import (
	"sort"
	"sync"

	"alerthub/models"
	"alerthub/wire"
)

// Bounds of the ring. It holds what a client that is a little late needs;
// whoever is later reads the database.
const (
	ringEvents = 32 << 10
	ringBytes  = 16 << 20
)

// Bounds of one frame of many events.
const (
	batchEvents = 256
	batchBytes  = 128 << 10
)

const (
	eventPrefix = `{"type":"event","data":`
	batchPrefix = `{"type":"events","data":[`
)

// entry is one event, encoded once for everyone.
type entry struct {
	id    int64
	frame []byte // {"type":"event","data":{...}}
}

// object is the event alone, as it stands in a frame of many.
func (e entry) object() []byte { return e.frame[len(eventPrefix) : len(e.frame)-1] }

func encodeEvent(e models.Event) (entry, error) {
	object, err := wire.Marshal(wire.FeedEvent(wire.FromEvent(e)))
	if err != nil {
		return entry{}, err
	}
	frame := make([]byte, 0, len(eventPrefix)+len(object)+1)
	frame = append(frame, eventPrefix...)
	frame = append(frame, object...)
	return entry{id: e.ID, frame: append(frame, '}')}, nil
}

// batch is one frame of many events; clients at the same place share it.
type batch struct {
	frame  []byte // {"type":"events","data":[{...},...]}
	events int
	last   int64 // id of its last event
}

// joinBatch makes one frame of the first entries that fit; there must be at
// least one.
func joinBatch(entries []entry) batch {
	size, n := len(batchPrefix)+2, 0
	for n < len(entries) && n < batchEvents && (n == 0 || size+len(entries[n].frame) <= batchBytes) {
		size += len(entries[n].frame)
		n++
	}
	frame := append(make([]byte, 0, size), batchPrefix...)
	for i, e := range entries[:n] {
		if i > 0 {
			frame = append(frame, ',')
		}
		frame = append(frame, e.object()...)
	}
	return batch{frame: append(frame, "]}"...), events: n, last: entries[n-1].id}
}

// ring is the newest encoded events, shared by all clients of the feed. It
// holds every event with floor < id <= head, ascending. Safe for concurrent use.
type ring struct {
	mu      sync.Mutex
	floor   int64
	head    int64
	entries []entry // in order, from start on
	start   int     // entries before it are evicted and zeroed
	bytes   int
	changed chan struct{}   // closed and replaced by every append
	batches map[int64]batch // by the cursor that they follow
}

func newRing() *ring {
	return &ring{changed: make(chan struct{}), batches: make(map[int64]batch)}
}

// reset empties the ring: it then begins after id.
func (r *ring) reset(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor, r.head = id, id
	r.entries, r.start, r.bytes = nil, 0, 0
	clear(r.batches)
}

// append adds entries that follow the head in the database without a hole.
// Those at or below the head are known already and left out.
func (r *ring) append(entries []entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(entries) > 0 && entries[0].id <= r.head {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return
	}
	for _, e := range entries {
		r.bytes += len(e.frame)
	}
	r.entries = append(r.entries, entries...)
	r.head = entries[len(entries)-1].id
	for len(r.entries)-r.start > ringEvents || r.bytes > ringBytes {
		gone := r.entries[r.start]
		r.floor, r.bytes = gone.id, r.bytes-len(gone.frame)
		r.entries[r.start] = entry{}
		r.start++
	}
	if r.start > ringEvents { // move down seldom, so that an append costs O(1) a row
		r.entries = append(make([]entry, 0, 2*ringEvents), r.entries[r.start:]...)
		r.start = 0
	}
	clear(r.batches)
	close(r.changed)
	r.changed = make(chan struct{})
}

// last is the newest id in the ring, or where it began.
func (r *ring) last() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// after returns up to limit entries that follow cursor, oldest first. When
// there is none yet, changed tells of the next ones; when the ring does not
// reach back to cursor, changed is nil.
func (r *ring) after(cursor int64, limit int) (entries []entry, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cursor < r.floor {
		return nil, nil
	}
	entries = r.from(cursor)
	return append([]entry(nil), entries[:min(limit, len(entries))]...), r.changed
}

// batchAfter is after for clients that take many events a frame. All clients
// at the same place get the same bytes; the batch is empty when there is no
// event.
func (r *ring) batchAfter(cursor int64) (b batch, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cursor < r.floor {
		return batch{}, nil
	}
	if b, ok := r.batches[cursor]; ok {
		return b, r.changed
	}
	entries := r.from(cursor)
	if len(entries) == 0 {
		return batch{}, r.changed
	}
	if len(r.batches) >= keptBatches {
		clear(r.batches)
	}
	b = joinBatch(entries)
	r.batches[cursor] = b
	return b, r.changed
}

// keptBatches bounds the frames kept for clients at other places than most.
const keptBatches = 32

// from is the part of the ring after cursor. mu must be held.
func (r *ring) from(cursor int64) []entry {
	held := r.entries[r.start:]
	return held[sort.Search(len(held), func(i int) bool { return held[i].id > cursor }):]
}

// begin is the id after which the ring begins.
func (r *ring) begin() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.floor
}
