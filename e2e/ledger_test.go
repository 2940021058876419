package e2e

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver "sqlite"
)

// ledger is what the producers know: what they sent, and what they were told.
// The test process keeps it, so that it outlives every hub.
type ledger struct {
	acked   atomic.Int64 // events acknowledged
	again   atomic.Int64 // of these, told as duplicates: stored before, but not told
	asked   atomic.Int64 // acknowledged events that were sent once more
	refused atomic.Int64 // answers storage_unavailable, busy or shutting_down

	// dark: the power is going, and takes the network with it. What a producer
	// reads from then on it never heard.
	dark atomic.Bool

	mu     sync.Mutex
	events map[string]*sentEvent // by key; keys are unique over all sources here
}

// sentEvent is one event as its producer sends it.
type sentEvent struct {
	Source, Severity, Message, Key string

	channel string
	line    string // as sent: the raw payload
	id      int64  // as acknowledged; 0 before
}

// load is a set of producers that send until Finish.
type load struct {
	t       *testing.T
	ledger  *ledger
	tcp     string
	url     string
	began   time.Time
	drain   chan struct{} // closed: nothing new, but everything unanswered again
	abandon context.CancelFunc
	running sync.WaitGroup
}

// newRand is a random source whose seed is printed; E2E_SEED repeats a run.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("E2E_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("E2E_SEED: %v", err)
		}
	}
	t.Logf("seed %d (E2E_SEED=%d repeats it)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// fixedAddrs chooses three ports for a hub that is to be started several
// times: below those that the kernel gives to clients, so that nobody takes
// them while the hub is down.
func fixedAddrs(t testing.TB) *process {
	t.Helper()
	return &process{HTTP: fixedAddr(t), TCP: fixedAddr(t), Feed: fixedAddr(t)}
}

// fixedAddr chooses one such port.
func fixedAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(20000+rand.IntN(10000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port found")
	return ""
}

// startLoad starts producers against the addresses of p, which may come and
// go: they connect again and send again what was not acknowledged.
func startLoad(t *testing.T, p *process, rnd *rand.Rand, tcp, web int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{
		t: t, tcp: p.TCP, url: p.URL("/api/events"), began: time.Now(),
		ledger: &ledger{events: make(map[string]*sentEvent)}, drain: make(chan struct{}), abandon: cancel,
	}
	for i := range tcp + web {
		p := &producer{
			load: l, source: fmt.Sprintf("device-%02d", i), channel: "tcp_socket",
			rnd: rand.New(rand.NewPCG(rnd.Uint64(), uint64(i))),
		}
		exchange := p.overTCP
		if i >= tcp {
			p.channel, exchange = "http_api", p.overHTTP
		}
		l.running.Go(func() { p.run(ctx, exchange) })
	}
	t.Cleanup(func() {
		cancel()
		l.running.Wait()
	})
	return l
}

// WaitAcks waits until n more events are acknowledged.
func (l *load) WaitAcks(n int64, patience time.Duration) {
	l.t.Helper()
	goal := l.ledger.acked.Load() + n
	eventually(l.t, patience, func() error {
		if have := l.ledger.acked.Load(); have < goal {
			return fmt.Errorf("%d of %d acknowledgements", have, goal)
		}
		return nil
	})
}

// Finish lets the producers send again what is unanswered, until all is
// acknowledged, and ends them.
func (l *load) Finish(patience time.Duration) {
	l.t.Helper()
	close(l.drain)
	done := make(chan struct{})
	go func() {
		l.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		l.Abandon()
		l.t.Fatalf("after %v some events are still not acknowledged", patience)
	}
}

// Abandon ends the producers as they are: what is unanswered stays so.
func (l *load) Abandon() {
	l.abandon()
	l.running.Wait()
}

// producer is one device; its fields belong to its goroutine.
type producer struct {
	*load
	source, channel string
	rnd             *rand.Rand
	serial          int
	open            []*sentEvent // sent, not acknowledged
	done            []*sentEvent // some that are
}

// run exchanges groups of lines until all is acknowledged after drain.
func (p *producer) run(ctx context.Context, exchange func(context.Context, *bool) error) {
	var draining bool
	for ctx.Err() == nil && !(draining && len(p.open) == 0) {
		if err := exchange(ctx, &draining); err != nil {
			p.t.Error(err)
			return
		}
		select {
		case <-p.drain:
			draining = true
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond): // the hub is away or refuses: not a tight loop
		}
	}
}

// group is what to send next: what is open, or something new.
func (p *producer) group(draining *bool) []*sentEvent {
	select {
	case <-p.drain:
		*draining = true
	default:
	}
	for n := 1 + p.rnd.IntN(32); len(p.open) < n && !*draining; {
		p.serial++
		e := &sentEvent{
			Source: p.source, Key: fmt.Sprintf("%s/%d", p.source, p.serial), channel: p.channel,
			Severity: []string{"info", "warning", "error", "critical"}[p.rnd.IntN(4)],
			Message:  fmt.Sprintf("número %d of <b>%s</b> %x", p.serial, p.source, p.rnd.Uint64()),
		}
		line, err := json.Marshal(map[string]string{"source": e.Source, "severity": e.Severity, "message": e.Message, "key": e.Key})
		if err != nil {
			panic(err) // four strings
		}
		e.line = string(line)
		p.open = append(p.open, e)
		p.ledger.mu.Lock()
		p.ledger.events[e.Key] = e
		p.ledger.mu.Unlock()
	}
	group := p.open
	if len(p.done) > 0 && p.rnd.IntN(8) == 0 {
		// An acknowledged one again: it must keep its id.
		group = append(group[:len(group):len(group)], p.done[p.rnd.IntN(len(p.done))])
	}
	return group
}

// take notes the answers to the first events of a group.
func (p *producer) take(group []*sentEvent, answers []answer) error {
	var open []*sentEvent
	for i, e := range group {
		if i >= len(answers) || p.ledger.dark.Load() {
			if e.id == 0 {
				open = append(open, e)
			}
			continue
		}
		switch a := answers[i]; {
		case a.OK && a.EventID <= 0:
			return fmt.Errorf("%s: answered without an id: %+v", e.Key, a)
		case a.OK && e.id != 0:
			p.ledger.asked.Add(1)
			if a.EventID != e.id || !a.Duplicate {
				return fmt.Errorf("%s: acknowledged as %d, and when sent again: %+v", e.Key, e.id, a)
			}
		case a.OK:
			e.id = a.EventID
			p.ledger.acked.Add(1)
			if a.Duplicate {
				p.ledger.again.Add(1)
			}
			if len(p.done) < 64 {
				p.done = append(p.done, e)
			} else {
				p.done[p.rnd.IntN(len(p.done))] = e
			}
		case a.Error == "storage_unavailable" || a.Error == "busy" || a.Error == "shutting_down":
			p.ledger.refused.Add(1)
			if e.id == 0 {
				open = append(open, e)
			}
		default:
			return fmt.Errorf("%s: answered %+v", e.Key, a)
		}
	}
	p.open = open
	return nil
}

// overTCP sends groups over one connection until it breaks.
func (p *producer) overTCP(ctx context.Context, draining *bool) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.tcp)
	if err != nil {
		return nil // the hub is away
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := bufio.NewReader(conn)
	for {
		group := p.group(draining)
		if len(group) == 0 {
			return nil
		}
		var lines strings.Builder
		for _, e := range group {
			lines.WriteString(e.line + "\n")
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, broken := io.WriteString(conn, lines.String())
		var answers []answer
		refused := p.ledger.refused.Load()
		for broken == nil && len(answers) < len(group) {
			var line []byte
			var a answer
			if line, broken = in.ReadBytes('\n'); broken != nil {
				break
			}
			if err := json.Unmarshal(line, &a); err != nil {
				return fmt.Errorf("answer %q: %w", line, err)
			}
			answers = append(answers, a)
		}
		if err := p.take(group, answers); err != nil {
			return err
		}
		if errors.Is(broken, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%s: no answer within 20 s", p.source)
		}
		if broken != nil || p.ledger.refused.Load() != refused && len(answers) > 0 && !answers[0].OK {
			return nil
		}
	}
}

// overHTTP sends one group: as a single event, an array, or lines.
func (p *producer) overHTTP(ctx context.Context, draining *bool) error {
	group := p.group(draining)
	if len(group) == 0 {
		return nil
	}
	lines := make([]string, len(group))
	for i, e := range group {
		lines[i] = e.line
	}
	kind, body, single := "application/json", "["+strings.Join(lines, ",")+"]", false
	switch p.rnd.IntN(3) {
	case 0:
		group, body, single = group[:1], lines[0], true
	case 1:
		kind, body = "application/x-ndjson", strings.Join(lines, "\n")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	res, err := httpClient.Do(req)
	if err != nil {
		return nil // the hub is away
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil // it went while it answered
	}
	var many struct{ Results []answer }
	switch {
	case res.StatusCode == http.StatusServiceUnavailable:
		many.Results = []answer{{Error: "storage_unavailable"}}
		group = group[:1]
	case single && (res.StatusCode == http.StatusCreated || res.StatusCode == http.StatusOK):
		many.Results = make([]answer, 1)
		many.Results[0].OK = true
		err = json.Unmarshal(raw, &many.Results[0])
		many.Results[0].OK = many.Results[0].EventID > 0
	case res.StatusCode == http.StatusOK:
		if err = json.Unmarshal(raw, &many); err == nil && len(many.Results) != len(group) {
			err = fmt.Errorf("%d results for %d events", len(many.Results), len(group))
		}
	default:
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	if err != nil {
		return fmt.Errorf("POST of %d events: %w: %s", len(group), err, bytes.TrimSpace(raw))
	}
	rest := p.open[min(len(p.open), len(group)):]
	if err := p.take(group, many.Results); err != nil {
		return err
	}
	p.open = append(p.open, rest...)
	return nil
}

// openDatabase opens the database of a data directory for reading.
func openDatabase(t testing.TB, dir string) *sql.DB {
	t.Helper()
	path := url.URL{Scheme: "file", Path: filepath.Join(dir, "alerthub.db"), RawQuery: "mode=ro&_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", path.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// verdict compares a ledger with a database.
type verdict struct {
	Sent, Acked, Stored int

	Lost    int // acknowledged, not stored
	Wrong   int // stored under another id, or with other content, than acknowledged
	Twice   int // stored more than once
	Strange int // stored, but never sent
	Untold  int // stored, not acknowledged
	Mailbox int // error or critical without exactly one row in the outbox, or the reverse
}

// Judge compares what the producers know with the database of dir, checks the
// database's integrity and its counters, and fails the test for every
// difference. It returns the verdict, which it also prints.
func (l *load) Judge(dir string) verdict {
	l.t.Helper()
	t := l.t
	db := openDatabase(t, dir)
	var v verdict
	rows, err := db.Query(`SELECT e.id, e.created_at, e.source, e.severity, e.message, e.channel, e.raw_payload, coalesce(e.idempotency_key, ''),
		(SELECT count(*) FROM email_alerts a WHERE a.event_id = e.id) FROM events e ORDER BY e.id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	seen := make(map[string]bool)
	until := time.Now().Add(time.Second)
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	for rows.Next() {
		var id, alerts int64
		var created string
		var got sentEvent
		if err := rows.Scan(&id, &created, &got.Source, &got.Severity, &got.Message, &got.channel, &got.line, &got.Key, &alerts); err != nil {
			t.Fatal(err)
		}
		v.Stored++
		sent, known := l.ledger.events[got.Key]
		if !known {
			v.Strange++
			t.Errorf("event %d was never sent: %+v", id, got)
			continue
		}
		if seen[got.Key] {
			v.Twice++
			t.Errorf("key %s is stored twice, again as %d", got.Key, id)
		}
		seen[got.Key] = true
		got.id = sent.id
		if got != *sent || sent.id != 0 && sent.id != id {
			v.Wrong++
			t.Errorf("event %d is %+v; sent was %+v", id, got, *sent)
		}
		if sent.id == 0 {
			v.Untold++
		}
		escalates := got.Severity == "error" || got.Severity == "critical"
		if escalates != (alerts == 1) || alerts > 1 {
			v.Mailbox++
			t.Errorf("event %d (%s) has %d rows in the outbox", id, got.Severity, alerts)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000000Z", created)
		if err != nil || at.Before(l.began.Add(-time.Second)) || at.After(until) {
			t.Errorf("event %d was received at %q (%v), between %v and now", id, created, err, l.began)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for key, e := range l.ledger.events {
		v.Sent++
		if e.id == 0 {
			continue
		}
		v.Acked++
		if !seen[key] {
			v.Lost++
			if v.Lost <= 5 {
				t.Errorf("acknowledged as %d and lost: %s", e.id, key)
			}
		}
	}
	checkIntegrity(t, db)
	t.Logf("sent %d, acknowledged %d (%d by a repeat), stored %d, stored but not told %d; refused answers %d, acknowledged ones sent again %d",
		v.Sent, v.Acked, l.ledger.again.Load(), v.Stored, v.Untold, l.ledger.refused.Load(), l.ledger.asked.Load())
	t.Logf("acknowledged but lost %d, wrong %d, twice %d, never sent %d, wrong in the outbox %d", v.Lost, v.Wrong, v.Twice, v.Strange, v.Mailbox)
	return v
}

// checkIntegrity has SQLite check the file, and the kept counters compared
// with a recount.
func checkIntegrity(t testing.TB, db *sql.DB) {
	t.Helper()
	var word string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&word); err != nil || word != "ok" {
		t.Errorf("PRAGMA integrity_check: %s, %v", word, err)
	}
	count := func(query string) map[string]int64 {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer rows.Close()
		counts := make(map[string]int64)
		for rows.Next() {
			var name string
			var n int64
			if err := rows.Scan(&name, &n); err != nil {
				t.Fatal(err)
			}
			if n != 0 {
				counts[name] = n
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return counts
	}
	kept := count("SELECT name, value FROM counters")
	recount := count(`SELECT 'events', count(*) FROM events
		UNION ALL SELECT 'severity:' || severity, count(*) FROM events GROUP BY severity
		UNION ALL SELECT 'channel:' || channel, count(*) FROM events GROUP BY channel
		UNION ALL SELECT 'email:' || status, count(*) FROM email_alerts GROUP BY status`)
	for name, n := range recount {
		if kept[name] != n {
			t.Errorf("counter %s is kept as %d, a recount says %d", name, kept[name], n)
		}
	}
}

// statsAnswer is the answer of /api/stats.
type statsAnswer struct {
	TotalEvents int64            `json:"total_events"`
	Severity    map[string]int64 `json:"severity"`
	Channel     map[string]int64 `json:"channel"`
	Email       map[string]int64 `json:"email"`

	TCPMessages   int64 `json:"tcp_messages"`
	HTTPMessages  int64 `json:"http_messages"`
	EmailSentOK   int64 `json:"email_sent_ok"`
	EmailSentFail int64 `json:"email_sent_fail"`
}
