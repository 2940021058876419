package live

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"alerthub/models"
	"alerthub/views"
)

// reader is a page with its socket, read as frames come.
type reader struct {
	*page
	conn *websocket.Conn

	mu     sync.Mutex
	frames []string
}

// connect opens the socket of p, with what it shows.
func (r *rig) connect(t *testing.T, p *page) *reader {
	c := &reader{page: p, conn: r.open(t, p)}
	go func() {
		for {
			_, frame, err := c.conn.ReadMessage()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.frames = append(c.frames, string(frame))
			c.mu.Unlock()
		}
	}()
	return c
}

// take applies what has come.
func (c *reader) take(t *testing.T) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, frame := range c.frames {
		c.apply(t, frame)
	}
	c.frames = nil
}

func (c *reader) say(t *testing.T, text string) {
	t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// pause and resume apply first what was sent before.
func (c *reader) pause(t *testing.T) {
	t.Helper()
	c.say(t, `{"op":"pause"}`)
	c.take(t)
	c.paused = true
}

func (c *reader) resume(t *testing.T) {
	t.Helper()
	c.take(t)
	c.paused = false
	c.say(t, `{"op":"resume"}`)
	c.take(t)
}

// chances is how many more games TestPanel_EndsAsAFreshPage plays. The name of
// a game that fails is its seed, to be kept in the test.
var chances = flag.Int("chances", 12, "games of chance that pages take part in")

// Whatever happens while pages are open, paused or away: once it is calm they
// show what a fresh page would.
func TestPanel_EndsAsAFreshPage(t *testing.T) {
	filters := []string{"", "sev=error,critical", "q=link+-down", "ack=no", "src=sw-2", "ack=no&q=fan", "ch=http"}
	seeds := []uint64{
		178471804038899440,  // a page left while changes waited for their frame
		8818795628801063904, // repeats on two channels were acknowledged together
	}
	more := *chances
	if testing.Short() {
		more = min(more, 3)
	}
	for range more {
		seeds = append(seeds, rand.Uint64())
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				r := bubbleRig(t, Config{}, 0)
				w := &world{rig: r, random: random}
				w.commit(random.IntN(300))
				time.Sleep(time.Second)
				var pages []*reader
				for range 3 {
					pages = append(pages, r.connect(t, r.eventsPage(filters[random.IntN(len(filters))])))
				}
				for range 40 {
					w.happen()
					w.visit(t, pages)
					time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				}
				for i, p := range pages {
					w.end(t, i, p)
				}
			})
		})
	}
}

// Rows leave a list when its range has moved beyond them, on pages that are open,
// were stopped, or were away, in a burst too.
func TestPanel_RangesMoveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		now := func(e *models.Event) { e.CreatedAt, e.Severity = time.Now().UTC(), models.SeverityError }
		r.commitEach(3, now)
		var pages []*reader
		for _, params := range []string{"range=15m", "range=15m&ack=no", "range=15m&src=sw-1", "range=15m&q=message", "range=15m&sev=error", "range=15m", "range=15m"} {
			pages = append(pages, r.connect(t, r.eventsPage(params)))
		}
		day := r.connect(t, r.eventsPage("range=24h"))
		pages[5].pause(t)
		time.Sleep(2 * beatEvery)
		pages[6].take(t)
		pages[6].conn.Close()
		time.Sleep(10 * time.Minute)
		r.commitEach(3, now)
		time.Sleep(6 * time.Minute)
		pages[6] = r.connect(t, pages[6].page)
		pages[6].take(t)
		if got := ids(pages[6].rows); !slices.Equal(got, []int64{6, 5, 4}) {
			t.Errorf("who was away shows %v", got)
		}
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Second / 2) {
			r.commitEach(20, func(e *models.Event) { now(e); e.Source, e.Message = "sw-2", "link flaps" })
		}
		for i, p := range pages {
			if i == 5 {
				p.resume(t)
			}
			p.take(t)
			if got := ids(p.rows); len(got) == 0 || got[len(got)-1] < 4 {
				t.Errorf("page %d of %s shows %v", i, p.params, got)
			}
		}
		if day.take(t); len(day.rows) == 0 || day.rows[len(day.rows)-1].id != 1 {
			t.Error("rows left a range that has not moved")
		}
	})
}

// world is what happens by chance.
type world struct {
	*rig
	random *rand.Rand
}

func (w *world) commit(n int) {
	w.commitEach(n, func(e *models.Event) {
		e.Severity = models.Severities()[w.random.IntN(4)]
		e.Source = fmt.Sprint("sw-", 1+w.random.IntN(3))
		e.Channel = models.Channels()[w.random.IntN(2)]
		e.Message = []string{"link down", "link up", "fan failed", fmt.Sprint("link ", e.ID), fmt.Sprint("fan ", e.ID)}[w.random.IntN(5)]
	})
}

func (w *world) happen() {
	r := w.random
	last := int(w.truth.last())
	switch r.IntN(8) {
	case 0:
	case 1:
		w.commit(100 + r.IntN(1500))
	case 2, 3:
		w.commit(r.IntN(40))
	case 4, 5:
		var ids []int64
		for range 1 + r.IntN(1+r.IntN(60)) {
			if last > 0 {
				ids = append(ids, int64(max(1, last-r.IntN(150))))
			}
		}
		w.ack([]string{"", "ada"}[r.IntN(2)], ids...)
	default:
		for range r.IntN(30) {
			if n := len(w.truth.alerts); n > 0 {
				w.deliver(int64(max(1, n-r.IntN(100))), models.EmailStatuses()[r.IntN(4)])
			}
		}
	}
}

// visit lets people do something with their pages.
func (w *world) visit(t *testing.T, pages []*reader) {
	i := w.random.IntN(len(pages))
	p := pages[i]
	p.take(t)
	switch w.random.IntN(7) {
	case 0, 1:
		p.pause(t)
	case 2, 3:
		p.resume(t)
	case 4:
		p.conn.Close()
		time.Sleep(time.Duration(w.random.IntN(3000)) * time.Millisecond)
		w.happen()
		pages[i] = w.connect(t, p.page)
	}
}

func (w *world) end(t *testing.T, i int, p *reader) {
	t.Helper()
	p.resume(t)
	time.Sleep(15 * time.Second)
	p.take(t)
	want := w.fresh(p.params, w.truth.last())
	w.forgive(p, want)
	if diff := cmp.Diff(want, p.rows, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("page %d of %s, up to %d of %d, differs from a fresh one (-want +got):\n%.3000s", i, p.params, p.lastID, w.truth.last(), diff)
	}
	if p.lastID != w.truth.last() {
		t.Errorf("page %d is told up to %d of %d", i, p.lastID, w.truth.last())
	}
}

// forgive lets a page know of repeats that are older than all rows of a fresh
// one, which does not count those.
func (w *world) forgive(p *reader, want []row) {
	request, _ := http.NewRequest(http.MethodGet, "/?"+p.params, nil)
	_, q, _ := readAudience(request, request.URL.Query(), time.Now())
	f := q.Filter(time.Now())
	f.Limit = tableReads
	held, _ := w.truth.Events(request.Context(), f)
	full := make(map[int64]int)
	for _, r := range views.Group(held.Events, nil, tableReads) {
		full[r.Event.ID] = r.N
	}
	for i := range min(len(want), len(p.rows)) {
		have := &p.rows[i]
		if have.id == want[i].id && have.n > want[i].n && have.n <= int64(full[have.id]) {
			have.n = want[i].n
		}
	}
}
