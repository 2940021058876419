package live

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"alerthub/models"
	"alerthub/views"
)

// rowsPerFrame bounds what one frame draws; it is frames and rows that cost a
// browser, so what is more is counted and linked.
const rowsPerFrame = 20

// bulletin is what has happened since the last frame.
type bulletin struct {
	last   int64          // newest event id: the reader is told everything up to it
	count  int64          // events since the last frame
	events []models.Event // the newest rowsPerFrame of them, oldest first

	born      []models.EmailAlert // the newest rowsPerFrame emails since the last frame, newest first
	bornCount int64
	changed   []models.EmailAlert // older emails with a new state, newest first
}

// quiet reports whether there is nothing to draw.
func (b bulletin) quiet() bool { return b.count == 0 && len(b.born) == 0 && len(b.changed) == 0 }

// news takes what was committed for the panel. It holds at most rowsPerFrame
// events and as many emails as a table shows: of more it keeps the newest and
// counts the rest. While no page is open it remembers the last id only.
type news struct {
	notify chan struct{} // capacity 1: something is waiting

	mu        sync.Mutex
	listening bool
	bulletin  bulletin // without its emails
	born      map[int64]models.EmailAlert
	changed   map[int64]models.EmailAlert
}

func newNews() *news {
	return &news{
		notify:  make(chan struct{}, 1),
		born:    make(map[int64]models.EmailAlert),
		changed: make(map[int64]models.EmailAlert),
	}
}

// events takes one commit. last is the newest id in it, or 0.
func (n *news) events(receipts []models.Receipt, last int64) {
	if last == 0 {
		return
	}
	n.mu.Lock()
	n.bulletin.last = max(n.bulletin.last, last)
	if !n.listening {
		n.mu.Unlock()
		return
	}
	recorded := 0
	for i := range receipts {
		if receipts[i].Recorded() {
			recorded++
		}
	}
	n.bulletin.count += int64(recorded)
	skip := recorded - rowsPerFrame
	for i := range receipts {
		r := &receipts[i]
		if !r.Recorded() {
			continue
		}
		if skip--; skip < 0 {
			n.bulletin.events = append(n.bulletin.events, r.Event)
		}
		for _, a := range r.Alerts {
			n.born[a.ID] = a
			n.bulletin.bornCount++
		}
	}
	n.trim()
	n.mu.Unlock()
	n.ring()
}

// alert takes the new state of one email.
func (n *news) alert(a models.EmailAlert) {
	n.mu.Lock()
	if !n.listening {
		n.mu.Unlock()
		return
	}
	if _, ok := n.born[a.ID]; ok {
		n.born[a.ID] = a
	} else {
		n.changed[a.ID] = a
	}
	n.trim()
	n.mu.Unlock()
	n.ring()
}

// trim keeps the bounds. mu must be held.
func (n *news) trim() {
	if over := len(n.bulletin.events) - rowsPerFrame; over > 0 {
		n.bulletin.events = slices.Delete(n.bulletin.events, 0, over)
	}
	keepNewest(n.born, rowsPerFrame)
	// A changed email that is not among the newest of these is not among the
	// newest of all, so no table shows it.
	keepNewest(n.changed, views.AlertsCap)
}

// keepNewest bounds alerts to the newest limit, looking only when it is well
// over that.
func keepNewest(alerts map[int64]models.EmailAlert, limit int) {
	if len(alerts) > 4*limit {
		for _, a := range newestFirst(alerts)[limit:] {
			delete(alerts, a.ID)
		}
	}
}

func newestFirst(alerts map[int64]models.EmailAlert) []models.EmailAlert {
	return slices.SortedFunc(maps.Values(alerts), func(a, b models.EmailAlert) int { return cmp.Compare(b.ID, a.ID) })
}

func (n *news) ring() {
	select {
	case n.notify <- struct{}{}:
	default:
	}
}

// take empties the news.
func (n *news) take() bulletin {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.bulletin
	b.born, b.changed = newestFirst(n.born), newestFirst(n.changed)
	b.born = b.born[:min(len(b.born), rowsPerFrame)]
	b.changed = b.changed[:min(len(b.changed), views.AlertsCap)]
	clear(n.born)
	clear(n.changed)
	n.bulletin = bulletin{last: b.last}
	return b
}

// listen starts or ends the keeping of news, and reports the newest id: every
// event above it will be told from now on.
func (n *news) listen(on bool) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = on
	n.bulletin = bulletin{last: n.bulletin.last}
	clear(n.born)
	clear(n.changed)
	return n.bulletin.last
}

// start makes id the newest one known, unless a newer one came already.
func (n *news) start(id int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bulletin.last = max(n.bulletin.last, id)
}
