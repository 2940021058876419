package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"alerthub/models"
	"alerthub/wire"
)

// feedMessage is any message of the feed.
type feedMessage struct {
	Type      string
	Data      json.RawMessage
	Message   string
	Timestamp string
	TS        int64
}

func next(t *testing.T, conn *websocket.Conn) feedMessage {
	t.Helper()
	var m feedMessage
	text := read(t, conn)
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return m
}

// subscribe dials the feed and reads the greeting.
func (r *rig) subscribe(t *testing.T, query string) *websocket.Conn {
	t.Helper()
	conn := r.dial(t, "/ws/events"+query)
	if m := next(t, conn); m.Type != "hello" || m.Message == "" {
		t.Fatalf("greeting %+v", m)
	}
	return conn
}

// collect reads events until the one with id last, and checks that they are
// exactly those after the cursor, in order. It scans instead of decoding, to
// be quicker than what it tests. It is safe in any goroutine.
func collect(conn *websocket.Conn, after, last int64) error {
	_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	for after < last {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("after event %d: %w", after, err)
		}
		if !bytes.HasPrefix(text, []byte(`{"type":"event","data":{"id":`)) && !bytes.HasPrefix(text, []byte(`{"type":"events","data":[{"id":`)) {
			return fmt.Errorf("unexpected %.200s", text)
		}
		for _, e := range bytes.Split(text, []byte(`{"id":`))[1:] {
			digits, _, _ := bytes.Cut(e, []byte(","))
			id, err := strconv.ParseInt(string(digits), 10, 64)
			if err != nil {
				return err
			}
			if after++; id != after {
				return fmt.Errorf("event %d came where %d was due", id, after)
			}
		}
	}
	return nil
}

func TestFeed_SpeaksAsDocumented(t *testing.T) {
	r := newRig(t, Config{Now: func() time.Time { return received }}, 3)
	conn := r.dial(t, "/ws/events")
	want := `{"type":"hello","message":"Network Alert Hub event feed","timestamp":"2026-11-23T18:30:00.123456Z"}`
	if got := read(t, conn); got != want {
		t.Errorf("greeting %s, want %s", got, want)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, conn), `{"type":"pong","ts":1795458600}`; got != want {
		t.Errorf("pong %s, want %s", got, want)
	}
	r.commit(1, 0)
	want = `{"type":"event","data":{"id":4,"created_at":"2026-11-23T18:30:00.123456Z","source":"sw-1",` +
		`"severity":"warning","message":"message 4","channel":"tcp_socket","raw_payload":null}}`
	if got := read(t, conn); got != want {
		t.Errorf("event %s, want %s", got, want)
	}
	batch := r.subscribe(t, "?batch=1&since=2")
	want = strings.Join(frames(t, r.truth.events[2:]), ",")
	if got := read(t, batch); got != `{"type":"events","data":[`+want+`]}` {
		t.Errorf("batch %s", got)
	}
}

func frames(t *testing.T, events []models.Event) (out []string) {
	for _, e := range events {
		b, err := wire.Marshal(wire.FeedEvent(wire.FromEvent(e)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// Duplicates and refused drafts are part of receipts, not of the feed.
func TestFeed_OnlyWhatWasRecorded(t *testing.T) {
	r := newRig(t, Config{}, 0)
	conn := r.subscribe(t, "")
	receipts := r.truth.insert(2, 0)
	r.EventsRecorded([]models.Receipt{
		{Duplicate: true, Event: models.Event{ID: 77}}, receipts[0], {Err: models.ErrKeyConflict}, receipts[1],
		{Duplicate: true, Event: models.Event{ID: 1}},
	})
	r.EventsRecorded([]models.Receipt{{Duplicate: true, Event: models.Event{ID: 99}}})
	r.commit(1, 0)
	if err := collect(conn, 0, 3); err != nil {
		t.Error(err)
	}
}

func TestFeed_BurstArrivesWhole(t *testing.T) {
	const burst = 10_000
	r := newRig(t, Config{}, 5)
	var clients sync.WaitGroup
	for i := range 6 {
		conn := r.subscribe(t, []string{"", "?batch=1", "?since=0"}[i%3])
		from := []int64{5, 5, 0}[i%3]
		clients.Go(func() {
			if err := collect(conn, from, 5+burst); err != nil {
				t.Error(err)
			}
		})
	}
	r.commit(burst, 100)
	clients.Wait()
	if c := r.Counters(); c.Cut != 0 || c.FeedClients != 6 || c.Deliveries != 6*burst+2*5 {
		t.Errorf("counters %+v", c)
	}
}

// Clients come at any moment of a running ingest and ask for any past.
func TestFeed_ReplayRunsIntoLive(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const total, stored = 12_000, 3000
	r := newRig(t, Config{}, stored)
	var clients sync.WaitGroup
	ingest := make(chan struct{})
	go func() {
		defer close(ingest)
		sizes := rand.New(rand.NewPCG(seed, 1))
		for at := stored; at < total; {
			n := min(total-at, 1+sizes.IntN(400))
			r.commit(n, 50)
			at += n
			time.Sleep(time.Millisecond)
		}
	}()
	for range 12 {
		since := random.Int64N(stored)
		query := fmt.Sprintf("?since=%d", since)
		if random.IntN(2) == 0 {
			query += "&batch=1"
		}
		clients.Go(func() {
			conn, _, err := websocket.DefaultDialer.Dial(r.url("/ws/events"+query), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, _, err := conn.ReadMessage(); err != nil {
				t.Error(err)
				return
			}
			if err := collect(conn, since, total); err != nil {
				t.Errorf("%s: %v", query, err)
			}
		})
		time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
	}
	<-ingest
	clients.Wait()
}

// More than the inbox and the ring can hold comes at once, and the database
// fails for a moment: what was dropped is read by id.
func TestFeed_OverflowIsReadFromTheDatabase(t *testing.T) {
	r := newRig(t, Config{}, 0)
	conn := r.subscribe(t, "?batch=1")
	r.truth.set(func(s *truth) { s.fail = models.ErrUnavailable })
	const n = inboxEvents + 5000
	r.commit(n, 0)
	before := r.truth.reads.Load()
	eventually(t, "the feed tries to read", func() bool { return r.truth.reads.Load() > before })
	r.truth.set(func(s *truth) { s.fail = nil })
	r.commit(10, 0)
	if err := collect(conn, 0, n+10); err != nil {
		t.Error(err)
	}
}

// A client that is slower than the ring is long, but reads, goes on from the
// database.
func TestFeed_LaggardGoesOnFromTheDatabase(t *testing.T) {
	r := newRig(t, Config{WriteWait: time.Minute}, 0)
	conn := r.subscribe(t, "?batch=1")
	quick := r.subscribe(t, "?batch=1")
	const rounds, n, payload = 40, 50, 16 << 10 // twice the ring's bytes
	for i := range rounds {
		r.commit(n, payload)
		if err := collect(quick, int64(i*n), int64((i+1)*n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := collect(conn, 0, rounds*n); err != nil {
		t.Error(err)
	}
	if r.truth.reads.Load() == 0 {
		t.Error("the laggard never fell behind the ring: the test proves nothing")
	}
}

func TestFeed_ClientThatTakesNothingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wait = 3 * time.Second
		r := bubbleRig(t, Config{WriteWait: wait}, 0)
		r.subscribe(t, "?batch=1") // takes the greeting and nothing else
		good := r.subscribe(t, "")
		const n = 400
		r.commit(n, 32<<10)
		if err := collect(good, 0, n); err != nil {
			t.Error(err)
		}
		time.Sleep(wait - time.Second)
		synctest.Wait()
		if c := r.Counters(); c.FeedClients != 2 {
			t.Errorf("%d clients before the time is up, want 2", c.FeedClients)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c := r.Counters(); c.FeedClients != 1 || c.Cut != 1 {
			t.Errorf("%d clients are left and %d counted as cut, want 1 and 1", c.FeedClients, c.Cut)
		}
		r.commit(1, 0)
		if err := collect(good, n, n+1); err != nil {
			t.Errorf("the good client afterwards: %v", err)
		}
	})
}

func TestFeed_Since(t *testing.T) {
	r := newRig(t, Config{}, 10)
	t.Run("id of another database", func(t *testing.T) {
		conn := r.subscribe(t, "?since=5000")
		r.commit(1, 0)
		if err := collect(conn, 10, 11); err != nil {
			t.Error(err)
		}
	})
	t.Run("known to the client before it is to us", func(t *testing.T) {
		receipts := r.truth.insert(1, 0)
		conn := r.subscribe(t, "?since=12")
		r.EventsRecorded(receipts)
		r.commit(1, 0)
		if err := collect(conn, 12, 13); err != nil {
			t.Error(err)
		}
	})
	t.Run("holes at the end of what is stored", func(t *testing.T) {
		r := newRig(t, Config{}, 13)
		r.truth.set(func(s *truth) { s.events = s.events[:4] }) // 5 to 13 are gone
		conn := r.subscribe(t, "?since=4")
		r.truth.set(func(s *truth) { s.events = append(s.events, models.Event{ID: 13, CreatedAt: received}) })
		r.commit(1, 0)
		var e wire.Event
		for e.ID != 14 {
			if err := json.Unmarshal(next(t, conn).Data, &e); err != nil || e.ID < 13 {
				t.Fatalf("event %d, %v", e.ID, err)
			}
		}
	})
	for _, bad := range []string{"x", "-1", "", "1e3"} {
		_, response, err := websocket.DefaultDialer.Dial(r.url("/ws/events?since="+bad), nil)
		if err == nil || response == nil || response.StatusCode != 400 {
			t.Errorf("since=%q: %v, want 400", bad, response)
		}
	}
}

func TestFeed_ReplayThatCannotReadSaysTryAgain(t *testing.T) {
	r := newRig(t, Config{}, 10)
	r.truth.set(func(s *truth) { s.fail = errors.New("disk") })
	conn := r.subscribe(t, "?since=1")
	if code := closeCode(t, conn); code != websocket.CloseTryAgainLater {
		t.Errorf("close code %d, want 1013", code)
	}
}

// Nobody listens: nothing is kept. Then somebody does: nothing is missed.
func TestFeed_RestsWithoutClients(t *testing.T) {
	r := newRig(t, Config{}, 0)
	for range 5 {
		conn := r.subscribe(t, "")
		last := r.feed.inbox.seen()
		r.commit(20, 0)
		if err := collect(conn, last, last+20); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		eventually(t, "the client has left", func() bool {
			r.feed.mu.Lock()
			defer r.feed.mu.Unlock()
			return r.feed.subscribers == 0
		})
		r.commit(20, 0)
		if got := r.feed.inbox.take(); len(got.batches) > 0 {
			t.Error("the inbox keeps what nobody will read")
		}
		r.feed.ring.mu.Lock()
		if held := len(r.feed.ring.entries); held > 0 {
			t.Errorf("the ring keeps %d events", held)
		}
		r.feed.ring.mu.Unlock()
	}
}

func TestRing_ClientsAtTheSamePlaceShareOneFrame(t *testing.T) {
	r := newRing()
	r.reset(0)
	var entries []entry
	for id := range int64(batchEvents + 10) {
		e, err := encodeEvent(models.Event{ID: id + 1, CreatedAt: received})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	r.append(entries)
	first, _ := r.batchAfter(0)
	second, _ := r.batchAfter(0)
	if &first.frame[0] != &second.frame[0] {
		t.Error("the same frame was built twice")
	}
	rest, _ := r.batchAfter(first.last)
	if diff := cmp.Diff([]int{batchEvents, 10}, []int{first.events, rest.events}); diff != "" {
		t.Errorf("events a frame (-want +got):\n%s", diff)
	}
	if b, changed := r.batchAfter(rest.last); b.events != 0 || changed == nil {
		t.Error("there is more than was put in")
	}
}

// What comes twice, from the inbox and from the database, is held once.
func TestRing_TakesEachEventOnce(t *testing.T) {
	r := newRing()
	r.reset(2)
	for _, ids := range [][]int64{{1, 2}, {2, 3, 4}, {3}, {4, 5, 7}, {7, 8}} {
		var entries []entry
		for _, id := range ids {
			entries = append(entries, entry{id: id, frame: []byte("x")})
		}
		r.append(entries)
	}
	held, _ := r.after(2, 100)
	var got []int64
	for _, e := range held {
		got = append(got, e.id)
	}
	if diff := cmp.Diff([]int64{3, 4, 5, 7, 8}, got); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func TestRing_IsBounded(t *testing.T) {
	r := newRing()
	r.reset(0)
	frame := make([]byte, len(eventPrefix)+200)
	for id := int64(1); id <= 3*ringEvents; id++ {
		r.append([]entry{{id: id, frame: frame}})
	}
	if held := len(r.entries) - r.start; held > ringEvents || r.bytes > ringBytes || cap(r.entries) > 4*ringEvents {
		t.Errorf("%d events, %d bytes, capacity %d", held, r.bytes, cap(r.entries))
	}
	if _, changed := r.after(r.floor-1, 1); changed != nil {
		t.Error("the ring claims to reach back to what it let go")
	}
	if got, _ := r.after(r.floor, 1); len(got) != 1 || got[0].id != r.floor+1 {
		t.Errorf("after the floor %d: %v", r.floor, got)
	}
	r.append([]entry{{id: r.head, frame: frame}, {id: r.head + 1, frame: make([]byte, ringBytes)}})
	if held := len(r.entries) - r.start; held != 1 {
		t.Errorf("%d events beside one as large as the ring", held)
	}
}
