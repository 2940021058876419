//go:build bench

package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// feed measures B5: what an event costs to show to many.
func (b *bench) feed(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	measures := []struct {
		clients, rate int
		query, name   string
		bare          bool
	}{
		{1, 20, "", "1 client, 20 events/s", true},
		{200, 20, "", "200 clients, 20 events/s", true},
		{1, 1000, "?batch=1", "1 client with batch=1, 1,000 events/s", false},
		{200, 1000, "?batch=1", "200 clients with batch=1, 1,000 events/s", false},
		{200, 1000, "", "200 clients, a frame an event, 1,000 events/s", false},
	}
	n := len(measures)
	p50, p99, cpu := make([]sample, n), make([]sample, n), make([]sample, n)
	bare50, bare99 := make([]sample, n), make([]sample, n)
	var missing int64
	for range rounds {
		for i, m := range measures {
			if m.bare {
				took := bareFanout(t, m.clients, 60, 20*time.Millisecond)
				bare50[i].add(took.percentile(0.50))
				bare99[i].add(took.percentile(0.99))
			}
			r := fanOut(t, p, m.query, m.clients, m.rate, 5*time.Second)
			missing += r.missing
			p50[i].add(r.took.percentile(0.50))
			p99[i].add(r.took.percentile(0.99))
			cpu[i].add(r.cpu)
		}
	}
	const group, against = "feed, from the device's line to the last client", "bare loop of writes, not stored"
	for i, m := range measures {
		b.against(group, m.name+", p50", "ms", p50[i], against, bare50[i])
		b.against(group, m.name+", p99", "ms", p99[i], against, bare99[i])
		b.figure(group, m.name+", the hub's CPU a delivery", "us", cpu[i])
	}
	b.atMost("B5", "feed: deliveries missing", float64(missing), 0, "")
	b.atMost("B5", "feed, 200 clients, 20 events/s: p99 of the last client", p99[1].median(), 30, "ms")
	b.atMost("B5", "feed, 200 clients, 1,000 events/s, batch=1: CPU a delivery", cpu[3].median(), 5, "us")
	if missing > 0 {
		t.Errorf("%d deliveries are missing", missing)
	}
	p.Stop(10 * time.Second)
}

// mail measures what full ingest leaves to everyday writes: an email's outcome
// has a transaction of its own.
func (b *bench) mail(t *testing.T) {
	sink := startMailSink(t)
	p := startHub(t, options{env: mailTo(sink.port), args: unlimited(t)})
	var idle99, idle50, full50, full99 sample
	for range rounds {
		l := tcpLoad{connections: 1, window: 64, chunk: 64, events: 640, duration: time.Minute}
		l.must(t, p.TCP) // gives the outbox something to do
		sink.reset()
		time.Sleep(2 * time.Second) // the measurement: mails alone
		idle := sink.reset()
		idle50.add(idle.percentile(0.50))
		idle99.add(idle.percentile(0.99))
		pipelined(16).must(t, p.TCP)
		full := sink.reset()
		if len(idle) == 0 || len(full) == 0 {
			t.Fatalf("%d mails while idle, %d at full ingest: nothing was measured", len(idle), len(full))
		}
		full50.add(full.percentile(0.50))
		full99.add(full.percentile(0.99))
	}
	const group, against = "everyday writes: an email's outcome stored and the next mail begun", "the same without ingest"
	b.against(group, "at full ingest, p50", "ms", full50, against, idle50)
	b.against(group, "at full ingest, p99", "ms", full99, against, idle99)
	b.atMost("mail", "at full ingest: an email's outcome p99", full99.median(), 100, "ms")
}

// million measures B6 and B7: memory, pages and starts, empty and with a
// million events.
func (b *bench) million(t *testing.T) {
	env := outboxOn()
	small := startHub(t, options{env: env})
	time.Sleep(2 * time.Second) // at rest
	rest, _ := small.memory(t)

	dir := t.TempDir()
	large := startHub(t, options{dir: dir, env: env})
	l := pipelined(16)
	l.events, l.duration = 1_000_000, 5*time.Minute
	filled := l.must(t, large.TCP)
	after, peak := large.memory(t)
	time.Sleep(10 * time.Second) // at rest again
	idle, _ := large.memory(t)
	l.events = 10_000
	l.must(t, small.TCP)
	for range rareRows {
		dialDevice(t, large).Ask(`{"source":"access-switch-07","message":"` + rareText + `"}`)
	}
	l.events = 50_000
	l.must(t, large.TCP) // so that they are not the newest

	const memory = "memory (resident)"
	b.figure(memory, "at rest", "MB", sample{rest})
	b.figure(memory, fmt.Sprintf("after %d events", filled.stored), "MB", sample{after})
	b.figure(memory, "the same 10 s later", "MB", sample{idle})
	b.figure(memory, "at its peak", "MB", sample{peak})
	b.indexed(t, large)
	b.pages(t, small, large, filled.stored)
	b.panelPages(t, large)
	b.rareWord(t, large, dir)
	small.Stop(10 * time.Second)
	large.Stop(10 * time.Second)
	b.starts(t, large, dir)
	b.atMost("B7", "resident memory at rest", rest, 30, "MB")
	b.atMost("B7", "resident memory after a million events", after, 128, "MB")
}

// pages compares the same questions to a small and a large database.
func (b *bench) pages(t *testing.T, small, large *process, events int) {
	t.Helper()
	questions := []struct {
		name, path string
		bar        bool
	}{
		{"stats", "/api/stats", true},
		{"last 50", "/api/events?limit=50", true},
		{"a page in the middle (keyset)", "/api/events?limit=50&before=%d", true},
		{"one severity", "/api/events?limit=50&severity=critical", false},
		{"one source", "/api/events?limit=50&source=access-switch-07", false},
	}
	few, many := dialRaw(t, small.HTTP, 5*time.Minute), dialRaw(t, large.HTTP, 5*time.Minute)
	const group = "pages, p50, a million events against 10 k"
	for _, q := range questions {
		ofFew, ofMany := q.path, q.path
		if q.name == questions[2].name {
			ofFew, ofMany = fmt.Sprintf(q.path, 5000), fmt.Sprintf(q.path, events/2)
		}
		var floor, hub sample
		for range rounds {
			floor.add(few.get(t, small.HTTP, ofFew, 200).percentile(0.50))
			hub.add(many.get(t, large.HTTP, ofMany, 200).percentile(0.50))
		}
		b.against(group, q.name, "ms", hub, "10 k events", floor)
		if q.bar {
			b.atMost("B6", "p50 at 1 M events / at 10 k: "+q.name, hub.per(floor).median(), 1.5, "x")
		}
	}
}

// indexed waits until the search index has caught up, and says how long that
// took after the last event.
func (b *bench) indexed(t *testing.T, p *process) {
	t.Helper()
	start := time.Now()
	eventually(t, 5*time.Minute, func() error {
		if behind := p.metric("alerthub_index_behind_events"); behind < 0 || behind > 2000 { // the rest is found by looking
			return fmt.Errorf("the index is %.0f events behind", behind)
		}
		return nil
	})
	b.figure("search index", "caught up after a million events at full speed", "s", sample{time.Since(start).Seconds()})
}

// panelPages measures what each page costs the hub with a million events.
func (b *bench) panelPages(t *testing.T, p *process) {
	t.Helper()
	c := dialRaw(t, p.HTTP, 5*time.Minute)
	const group = "pages of the panel, a million events, p95"
	worst, worstSearch := 0.0, 0.0
	for _, path := range []string{
		"/", "/?range=7d", "/?wall=1", "/create", "/events", "/events?sev=critical", "/events?src=access-switch-07", "/events?ack=no",
		"/events?range=1h", "/events?q=GigabitEthernet1%2F0%2F7", "/events?q=line+777", "/events/500000", "/alerts", "/alerts?st=pending", "/audit", "/audit?range=7d",
	} {
		var took sample
		for range rounds {
			took.add(c.get(t, p.HTTP, path, 100).percentile(0.95))
		}
		b.figure(group, path, "ms", took)
		if strings.Contains(path, "q=") {
			worstSearch = max(worstSearch, took.median())
		} else {
			worst = max(worst, took.median())
		}
	}
	b.atMost("panel", "server time of the slowest page at a million events, p95", worst, 20, "ms")
	b.atMost("panel", "the same, of a page that searches words", worstSearch, 100, "ms")
}

// A word that few of the million events have.
const (
	rareText = "Chassis fan tray zx81 replaced"
	rareRows = 3
)

// rareWord compares a search through the index with what SQLite does without.
func (b *bench) rareWord(t *testing.T, p *process, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+databaseOf(dir)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := dialRaw(t, p.HTTP, 5*time.Minute)
	var like, search sample
	for range rounds {
		start := time.Now()
		var n int
		err := db.QueryRow(`SELECT count(*) FROM (SELECT id FROM events WHERE message LIKE '%zx81%' ORDER BY id DESC LIMIT 50)`).Scan(&n)
		if err != nil || n != rareRows {
			t.Fatalf("LIKE finds %d rows, %v; want %d", n, err, rareRows)
		}
		like.add(milliseconds(time.Since(start)))
		search.add(c.get(t, p.HTTP, "/api/events?limit=50&q=zx81", 50).percentile(0.50))
	}
	b.against("search", "a rare word among a million events, p50", "ms", search, "LIKE over the table", like)
	b.atMost("B6", "a rare word: search / LIKE", search.per(like).median(), 0.05, "x")
}

// starts measures how long the doors stay shut. large has ended; its addresses
// are free.
func (b *bench) starts(t *testing.T, large *process, dir string) {
	t.Helper()
	env := outboxOn()
	var bare, empty, emptyAck, full, fullAck sample
	for range 5 {
		bare.add(bareStart(t))
		p, at := timeStart(t, large, t.TempDir(), env)
		p.Stop(10 * time.Second)
		empty.add(at.accept)
		emptyAck.add(at.ack)
		p, at = timeStart(t, large, dir, env)
		p.Stop(10 * time.Second)
		full.add(at.accept)
		fullAck.add(at.ack)
	}
	const group, against = "start", "`alerthub version`"
	b.against(group, "no database yet, until all doors accept", "ms", empty, against, bare)
	b.figure(group, "no database yet, until the first answer", "ms", emptyAck)
	b.against(group, "1 M events, until all doors accept", "ms", full, against, bare)
	b.figure(group, "1 M events, until the first answer", "ms", fullAck)
	b.atMost("B7", "start to first accept, no database yet", empty.median(), 150, "ms")
	b.atMost("B7", "start to first accept, 1 M events", full.median(), 150, "ms")
}

// crowd measures B8: many senders that all hurry.
func (b *bench) crowd(t *testing.T) {
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, env: outboxOn()})
	var rate, p99, peaks sample
	sent, stored, refusal := 0, 0, ""
	for range rounds {
		r := tcpLoad{connections: 100, window: 256, chunk: 64, duration: 5 * time.Second}.run(t, p.TCP)
		rate.add(r.rate())
		p99.add(r.took.percentile(0.99))
		_, peak := p.memory(t)
		peaks.add(peak)
		sent, stored = sent+r.sent, stored+r.stored
		if r.refusal != "" {
			refusal = r.refusal
		}
	}
	var stats struct {
		TotalEvents int `json:"total_events"`
	}
	p.getJSON("/api/stats", &stats)
	const group = "100 connections x 256 in flight"
	b.figure(group, "stored", "events/s", rate)
	b.figure(group, "ack p99", "ms", p99)
	b.figure(group, "resident memory at its peak", "MB", peaks)
	b.atMost("B8", "100 x 256 in flight: events refused", float64(sent-stored), 0, "")
	b.atMost("B8", "100 x 256 in flight: acknowledged but not counted", float64(stored-stats.TotalEvents), 0, "")
	b.atMost("B8", "100 x 256 in flight: resident memory at its peak", peaks.max(), 128, "MB")
	if sent != stored || stored != stats.TotalEvents {
		t.Errorf("%d sent, %d stored, %d counted; a refusal: %s", sent, stored, stats.TotalEvents, refusal)
	}
	p.Stop(10 * time.Second)
	os.RemoveAll(dir)
}

// kill measures B9: ten times kill -9 at half load.
func (b *bench) kill(t *testing.T) {
	env := outboxOn()
	p := startHub(t, options{env: env})
	l := pipelined(16)
	l.keyed, l.duration = true, 2*time.Second
	maximum := l.must(t, p.TCP).rate()
	p.Stop(10 * time.Second)
	r := killRepeatedly(t, 10, maximum/2, env)
	group := fmt.Sprintf("kill -9, 10 times, at %s keyed events/s", number(maximum/2))
	b.figure(group, "acknowledged in all", "events", sample{float64(r.acknowledged)})
	b.figure(group, "from the restart to the first answer", "s", r.restarts)
	b.atMost("B9", "kill -9: acknowledged but lost", float64(r.lost), 0, "")
	b.atMost("B9", "kill -9: wrong id", float64(r.wrong), 0, "")
	b.atMost("B9", "kill -9: stored twice", float64(r.twice), 0, "")
	b.atMost("B9", "kill -9: slowest restart", r.restarts.max(), 1, "s")
	if r.lost+r.wrong+r.twice > 0 || r.acknowledged == 0 {
		t.Errorf("of %d acknowledged: %d lost, %d with another id, %d stored twice", r.acknowledged, r.lost, r.wrong, r.twice)
	}
}
