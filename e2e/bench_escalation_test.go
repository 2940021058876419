//go:build bench

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// unlimited is a routes file that tells noc of every error and critical by
// itself: what the outbox can do is measured, not how its limits hold it back.
func unlimited(t testing.TB) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	const routes = "contacts:\n  noc: {email: noc@example.net, limits: none}\nroutes:\n  - {severity: error, contacts: noc}\n"
	if err := os.WriteFile(file, []byte(routes), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--routes", file}
}

// startDeafServer takes connections and never says a word.
func startDeafServer(t testing.TB) (port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// escalation measures what email costs ingest while the mail server stalls,
// and how fast due mails leave.
func (b *bench) escalation(t *testing.T) {
	b.stalled(t)
	b.drain(t)
}

// stalled has 1,000 errors and criticals a second escalate, among others,
// while senders that wait for each answer get through what they can.
func (b *bench) stalled(t *testing.T) {
	with := startHub(t, options{env: mailTo(startDeafServer(t))})
	without := startHub(t, options{})
	hubs := []*process{with, without}
	var rate, p99 [2]sample
	// Who goes second and third has an advantage of a tenth, whoever it is.
	orders := [][]int{{0, 1, 1, 0}, {1, 0, 0, 1}}
	for round := range 2 * rounds {
		var rates, tails [2]float64
		for _, i := range orders[round%2] {
			p := hubs[i]
			var background sync.WaitGroup
			background.Go(func() {
				load := tcpLoad{connections: 4, window: 1 << 14, chunk: 16, rate: 1000 / 0.22, duration: 4 * time.Second}
				if r := load.run(t, p.TCP); r.stored != r.sent {
					t.Errorf("%d events sent, %d stored", r.sent, r.stored)
				}
			})
			time.Sleep(500 * time.Millisecond) // the load runs
			r := oneByOne(16, 3*time.Second).run(t, p.TCP)
			background.Wait()
			rates[i] += r.rate() / 2
			tails[i] += r.took.percentile(0.99) / 2
		}
		for i := range hubs {
			rate[i].add(rates[i])
			p99[i].add(tails[i])
		}
	}
	const group, against = "1,000 errors a second escalate to a mail server that stalls, beside 16 senders one by one", "the same load, no email"
	b.against(group, "their events", "events/s", rate[0], against, rate[1])
	b.against(group, "ack p99", "ms", p99[0], against, p99[1])
	b.atLeast("escalation", "with a stalled mail server / without email: events/s", rate[0].per(rate[1]).median(), 0.9, "x")
	b.atMost("escalation", "with a stalled mail server / without email: ack p99", p99[0].per(p99[1]).median(), 1.1, "x")
	with.Stop(10 * time.Second)
	without.Stop(10 * time.Second)
}

// drain measures how fast 10,000 mails that are due leave by one connection.
func (b *bench) drain(t *testing.T) {
	const due = 10_000
	var rate sample
	for range rounds {
		dir := t.TempDir()
		args := unlimited(t)
		p := startHub(t, options{dir: dir, env: mailTo("1"), args: args})
		load := tcpLoad{connections: 1, window: 1024, chunk: 64, events: due * 100 / 22 / 64 * 64, duration: time.Minute}
		load.must(t, p.TCP)
		p.Stop(10 * time.Second)
		sink := startMailSink(t)
		p = startHub(t, options{dir: dir, env: mailTo(sink.port), args: args})
		sent := func() int64 { return p.stats().Email["sent"] }
		began, before := time.Now(), sent()
		for end := time.Now().Add(5 * time.Minute); p.stats().Email["pending"] > 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after 5 min: %v", p.stats().Email)
			}
		}
		n := sent() - before
		if n < due*9/10 {
			t.Fatalf("%d mails left: nothing was measured", n)
		}
		rate.add(float64(n) / time.Since(began).Seconds())
		p.Stop(10 * time.Second)
	}
	b.figure("10,000 mails are due when the hub starts, one connection to a fast server", "mails", "mails/s", rate)
	b.atLeast("escalation", "10,000 due mails: mails a second", rate.median(), 200, "mails/s")
}
