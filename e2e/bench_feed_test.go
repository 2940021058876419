//go:build bench

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// An audience is clients of the JSON feed that check what they get: every
// event once, in order, nothing missing.
type audience struct {
	clients   []*websocket.Conn
	base      int64          // the id before the first event
	remaining []atomic.Int64 // clients that have not got event base+1+i
	last      []time.Time    // when the last of them got it
	complete  chan struct{}  // closed when all have got all
	missing   atomic.Int64   // event deliveries outstanding
	reading   sync.WaitGroup
	errs      []error
}

// gather connects clients that expect so many events after base.
func gather(t testing.TB, addr, query string, clients, events int, base int64) *audience {
	t.Helper()
	a := &audience{
		clients: make([]*websocket.Conn, clients), errs: make([]error, clients), base: base,
		remaining: make([]atomic.Int64, events), last: make([]time.Time, events), complete: make(chan struct{}),
	}
	a.missing.Store(int64(clients * events))
	for i := range a.remaining {
		a.remaining[i].Store(int64(clients))
	}
	for i := range a.clients {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/"+query, nil)
		if err != nil {
			t.Fatalf("feed client %d: %v", i+1, err)
		}
		a.clients[i] = conn
		if _, hello, err := conn.ReadMessage(); err != nil || !bytes.Contains(hello, []byte(`"hello"`)) {
			t.Fatalf("feed client %d: %q, %v; want a hello", i+1, hello, err)
		}
	}
	for i, conn := range a.clients {
		a.reading.Go(func() { a.errs[i] = a.read(conn) })
	}
	return a
}

var (
	idMember      = []byte(`"id":`)
	payloadMember = []byte(`"raw_payload":`)
)

// read takes frames until the connection ends.
func (a *audience) read(conn *websocket.Conn) error {
	var frame bytes.Buffer
	for next := a.base + 1; ; {
		_, r, err := conn.NextReader()
		if err != nil {
			return nil //nolint:nilerr // a connection ends so; disperse says whether something is missing
		}
		frame.Reset()
		if _, err := io.Copy(&frame, r); err != nil {
			return nil //nolint:nilerr // as above
		}
		now := time.Now()
		for data := frame.Bytes(); ; next++ {
			// The member cannot occur inside a text: quotes are escaped there.
			_, after, found := bytes.Cut(data, idMember)
			if !found {
				break
			}
			end := bytes.IndexByte(after, ',')
			id, err := strconv.ParseInt(string(after[:max(end, 0)]), 10, 64)
			if err != nil {
				return fmt.Errorf("instead of event %d: %w", next, err)
			}
			if id != next {
				return fmt.Errorf("event %d came, want %d", id, next)
			}
			if _, data, found = bytes.Cut(after, payloadMember); !found {
				return fmt.Errorf("event %d has no payload", id)
			}
			i := id - a.base - 1
			if i >= int64(len(a.remaining)) {
				return fmt.Errorf("event %d is one more than was sent", id)
			}
			if a.remaining[i].Add(-1) == 0 {
				a.last[i] = now
			}
			if a.missing.Add(-1) == 0 {
				close(a.complete)
			}
		}
	}
}

// disperse waits until everybody has got everything and ends the clients. It
// returns how many deliveries are missing.
func (a *audience) disperse(t testing.TB, patience time.Duration) (missing int64) {
	t.Helper()
	select {
	case <-a.complete:
	case <-time.After(patience):
	}
	for _, conn := range a.clients {
		conn.Close()
	}
	a.reading.Wait()
	if err := errors.Join(a.errs...); err != nil {
		t.Errorf("feed: %v", err)
	}
	return a.missing.Load()
}

// feedResult is one round of a fan-out.
type feedResult struct {
	took    durations // from the sending of an event to its last client
	missing int64
	cpu     float64 // microseconds of the hub's CPU a delivery, the ingest included
}

// fanOut sends events at a steady rate to clients of the feed.
func fanOut(t testing.TB, p *process, query string, clients, rate int, duration time.Duration) feedResult {
	t.Helper()
	var stats struct {
		TotalEvents int64 `json:"total_events"`
	}
	p.getJSON("/api/stats", &stats)
	events := int(float64(rate) * duration.Seconds())
	a := gather(t, p.Feed, query, clients, events, stats.TotalEvents)

	d := dialDevice(t, p)
	defer d.conn.Close()
	answers := answerCounter{conn: d.conn}
	_ = d.conn.SetDeadline(time.Now().Add(duration + time.Minute))
	var answering sync.WaitGroup
	var answerErr error
	answering.Go(func() {
		for answerErr == nil && answers.answered < events {
			answerErr = answers.read()
		}
	})
	lines := preformatted(1)
	sent := make([]time.Time, events)
	cpu := p.cpuTime(t)
	start := time.Now()
	for i := range events {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		sent[i] = time.Now()
		if _, err := d.conn.Write(lines[i%len(lines)]); err != nil {
			t.Fatal(err)
		}
	}
	answering.Wait()
	if answerErr != nil || answers.ok != events {
		t.Fatalf("%d events sent, %d stored, %v; a refusal: %s", events, answers.ok, answerErr, answers.refusal)
	}
	r := feedResult{missing: a.disperse(t, 10*time.Second)}
	r.cpu = float64((p.cpuTime(t) - cpu).Microseconds()) / float64(events*clients)
	for i, last := range a.last {
		if !last.IsZero() {
			r.took = append(r.took, last.Sub(sent[i]))
		}
	}
	return r
}
