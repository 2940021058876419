package live

import (
	"sync"

	"alerthub/models"
)

// Bounds of what the committer handed over and a reader has not yet taken.
const (
	inboxEvents = 32 << 10
	inboxBytes  = 16 << 20
)

// inbox takes committed receipts from the committer, which must never wait.
// While nobody listens it remembers the last id and nothing else. When it is
// full it forgets all it holds and says so: the reader then takes the range
// from the database.
type inbox struct {
	notify chan struct{} // capacity 1: something is waiting

	mu        sync.Mutex
	last      int64 // newest id handed over, or known at start
	listening bool
	missed    bool  // full: everything up to last was dropped
	total     int64 // events since listening began
	taken     int64 // the same when the inbox was last emptied
	batches   [][]models.Receipt
	events    int
	bytes     int
}

func newInbox() *inbox { return &inbox{notify: make(chan struct{}, 1)} }

// put hands receipts over. They are only read. last is the newest id among
// them; it is 0 when none was recorded.
func (b *inbox) put(receipts []models.Receipt, last int64) {
	if last == 0 {
		return
	}
	b.mu.Lock()
	b.last = max(b.last, last)
	if !b.listening {
		b.mu.Unlock()
		return
	}
	for i := range receipts {
		e := &receipts[i].Event
		b.bytes += len(e.RawPayload) + len(e.Message) + len(e.Source)
		if receipts[i].Recorded() {
			b.total++
		}
	}
	b.events += len(receipts)
	switch {
	case b.missed:
	case b.events > inboxEvents || b.bytes > inboxBytes:
		b.missed = true
		b.batches = nil
	default:
		b.batches = append(b.batches, receipts)
	}
	b.mu.Unlock()
	select {
	case b.notify <- struct{}{}:
	default:
	}
}

// parcel is what an inbox held.
type parcel struct {
	batches [][]models.Receipt
	missed  bool  // there was more, so batches holds nothing
	count   int64 // events, missed or not
	upTo    int64 // the newest id: with missed, what to read from the database up to
}

// take empties the inbox.
func (b *inbox) take() parcel {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := parcel{b.batches, b.missed, b.total - b.taken, b.last}
	b.taken = b.total
	b.drop()
	return p
}

// counted is how many events came since listening began.
func (b *inbox) counted() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// listen starts or ends the keeping of receipts. It calls from with the newest
// id while nothing can be taken or put: every event above it will be handed
// over from now on.
func (b *inbox) listen(on bool, from func(id int64)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listening, b.total, b.taken = on, 0, 0
	b.drop()
	from(b.last)
}

// seen is the newest id so far.
func (b *inbox) seen() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// start makes id the newest one known, unless a newer one came already.
func (b *inbox) start(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = max(b.last, id)
}

// drop needs mu.
func (b *inbox) drop() { b.batches, b.missed, b.events, b.bytes = nil, false, 0, 0 }

// newest is the highest id that receipts recorded, or 0.
func newest(receipts []models.Receipt) int64 {
	for i := len(receipts) - 1; i >= 0; i-- {
		if receipts[i].Recorded() {
			return receipts[i].Event.ID
		}
	}
	return 0
}
