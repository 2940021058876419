//go:build bench

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBench loads the program through its doors and compares what it does with
// the floors of this machine, measured in the same minutes. It prints one
// table, then the bars, and fails for each bar that is missed. A run of one
// group: go test -tags bench -run 'TestBench/feed' -v ./e2e.
func TestBench(t *testing.T) {
	b := &bench{}
	b.heading = heading(t)
	others := watchStrangers(t)
	groups := []struct {
		name string
		run  func(*testing.T)
	}{
		{"pipelined", b.pipelined},
		{"access", b.access},
		{"one-by-one", b.oneByOne},
		{"half-load", b.halfLoad},
		{"http", b.http},
		{"feed", b.feed},
		{"limits", b.limits},
		{"mail", b.mail},
		{"escalation", b.escalation},
		{"panel", b.panel},
		{"import", b.imports},
		{"million", b.million},
		{"crowd", b.crowd},
		{"kill", b.kill},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			syscall.Sync() // what the last group left to be written is not this one's load
			start := time.Now()
			g.run(t)
			t.Logf("%s took %.0f s", g.name, time.Since(start).Seconds())
		})
	}
	b.heading = append(b.heading, fmt.Sprintf("other programs took %.0f %% of the CPUs meanwhile; the fewer, the more the figures say", 100*others.share(t)), "")
	b.print(os.Stdout)
	for _, bar := range b.bars {
		if !bar.met() {
			t.Errorf("%s NOT met: %s: %s %s, want %s %s", bar.id, bar.what, number(bar.value), bar.unit, bar.relation(), number(bar.limit))
		}
	}
}

// bench is one run: its report, and what one group found that others need.
type bench struct {
	report
	maximum float64 // events a second, 16 pipelined connections; 0 when not measured
}

// outboxOn is the setting of every hub here: alerts are born with their
// events and stay in the outbox, since nobody answers at port 1.
func outboxOn() []string { return mailTo("1") }

func mailTo(port string) []string {
	return []string{"SMTP_HOST=127.0.0.1", "SMTP_PORT=" + port, "SMTP_TLS=none", "SMTP_FROM=hub@example.net", "SMTP_TO=noc@example.net"}
}

// heading says what was measured, where and when.
func heading(t *testing.T) []string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var release strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release.WriteByte(byte(c))
	}
	commit := "unknown"
	if out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return []string{
		"Network Alert Hub, load test of " + time.Now().UTC().Format("2006-01-02 15:04 MST") + ", commit " + commit,
		fmt.Sprintf("%s %s/%s, %d CPUs shared with the load, Linux %s, database on %s (not in memory)",
			runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), release.String(), realDisk(t)),
		"severities weighted 50/28/16/6, all features on: indexes, counters, outbox (one recipient)",
	}
}

// pipelined measures B1: what many senders that do not wait get through.
func (b *bench) pipelined(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	connections := []int{16, 1, 100}
	var floor, keyed, quiet sample
	rates, p50, p99 := make([]sample, len(connections)), make([]sample, len(connections)), make([]sample, len(connections))
	for range rounds {
		floor.add(bareInserts(t, 2*time.Second))
		for i, n := range connections {
			r := pipelined(n).must(t, p.TCP)
			rates[i].add(r.rate())
			p50[i].add(r.took.percentile(0.50))
			p99[i].add(r.took.percentile(0.99))
		}
		l := pipelined(16)
		l.keyed = true
		keyed.add(l.must(t, p.TCP).rate())
		quiet.add(rates[0][len(rates[0])-1])
	}
	const group, against = "TCP, pipelined, 16 k events in flight", "prepared inserts, bare table"
	for _, i := range []int{1, 0, 2} {
		name := fmt.Sprintf("%d connections", connections[i])
		b.against(group, name, "events/s", rates[i], against, floor)
		b.figure(group, name+", ack p50", "ms", p50[i])
		b.figure(group, name+", ack p99", "ms", p99[i])
	}
	b.against(group, "16 connections, a key on every line", "events/s", keyed, against, floor)
	b.atLeast("B1", "16 pipelined connections / prepared single-row inserts (aim 3)", rates[0].per(floor).median(), 1.5, "x")
	b.maximum = rates[0].median()
	p.Stop(10 * time.Second)
}

// oneByOne measures B2: senders that wait for each answer.
func (b *bench) oneByOne(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	connections := []int{1, 16, 100}
	var floor syncFloor
	rates, p50, p99, bare := make([]sample, len(connections)), make([]sample, len(connections)), make([]sample, len(connections)), make([]sample, len(connections))
	for range rounds {
		floor.measure(t)
		for i, n := range connections {
			load := oneByOne(n, 2*time.Second)
			bare[i].add(bareLines(t, load).rate())
			r := load.run(t, p.TCP)
			rates[i].add(r.rate())
			p50[i].add(r.took.percentile(0.50))
			p99[i].add(r.took.percentile(0.99))
		}
	}
	one := floor.one()
	perSecond := each(one, one, func(ms, _ float64) float64 { return 1000 / ms })
	const group = "TCP, one line at a time"
	for i, n := range connections {
		name := fmt.Sprintf("%d connections", n)
		b.against(group, name, "events/s", rates[i], "bare group commits", bare[i])
		b.against(group, name+", ack p50", "ms", p50[i], "fdatasync p50 + echo p50", one)
		b.against(group, name+", ack p99", "ms", p99[i], "fdatasync p99", floor.sync99)
	}
	b.figure(group, "this disk: append 4 KiB + fdatasync, p50", "ms", floor.sync50)
	b.figure(group, "this disk: append 4 KiB + fdatasync, p99", "ms", floor.sync99)
	b.figure(group, "this machine: loopback echo, p50", "ms", floor.echo50)
	b.atMost("B2", "1 connection, one at a time: ack p50 / (fdatasync p50 + echo p50)", p50[0].per(one).median(), 2.5, "x")
	b.figure(group, "16 connections, in the time of one sync + one echo", "events", rates[1].per(perSecond))
	b.atLeast("B2", "16 connections, one at a time: events/s / bare group commits", rates[1].per(bare[1]).median(), 0.5, "x")
	p.Stop(10 * time.Second)
}

// halfLoad measures B3: the answers' time while there is room, and after a
// burst.
func (b *bench) halfLoad(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	maximum := b.maximum
	if maximum == 0 {
		maximum = pipelined(16).must(t, p.TCP).rate()
	}
	half := tcpLoad{connections: 16, window: 1 << 16, chunk: max(1, int(maximum/2/16*0.01)), rate: maximum / 2}
	half.window = half.chunk * 1024 // what is due is sent, whatever is unanswered
	var floor syncFloor
	var p50, p99, after50, after99 sample
	for range moreRounds {
		floor.measure(t)
		half.duration = 5 * time.Second
		r := half.must(t, p.TCP)
		p50.add(r.took.percentile(0.50))
		p99.add(r.took.percentile(0.99))
		pipelined(16).must(t, p.TCP)
		half.duration = 10 * time.Second
		r = half.must(t, p.TCP)
		after50.add(r.took.percentile(0.50))
		after99.add(r.took.percentile(0.99))
	}
	limit := each(floor.sync99, floor.sync99, func(ms, _ float64) float64 { return max(25, 6*ms) })
	group, against := fmt.Sprintf("TCP, half of the maximum (%s events/s, 16 connections)", number(half.rate)), "fdatasync p99"
	b.figure(group, "ack p50", "ms", p50)
	b.against(group, "ack p99", "ms", p99, against, floor.sync99)
	b.figure(group, "in the 10 s after a burst: ack p50", "ms", after50)
	b.against(group, "in the 10 s after a burst: ack p99", "ms", after99, against, floor.sync99)
	b.atMost("B3", "half load: ack p99 (6 x fdatasync p99, or 25 ms if larger)", p99.median(), limit.median(), "ms")
	b.atMost("B3", "10 s after a burst: ack p99 (the same)", after99.median(), limit.median(), "ms")
	p.Stop(10 * time.Second)
}

// http measures B4.
func (b *bench) http(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	postings := []posting{{connections: 1, batch: 1}, {connections: 32, batch: 1}, {connections: 1, batch: 256}, {connections: 32, batch: 256}}
	var floor syncFloor
	rates, p50, p99 := make([]sample, len(postings)), make([]sample, len(postings)), make([]sample, len(postings))
	var bare sample
	for range moreRounds {
		floor.measure(t)
		bare.add(barePosts(t, func(addr string) closedLoop { return postOneByOne(addr, 32, 2*time.Second) }).rate())
		for i, posting := range postings {
			var r loadResult
			if posting.batch == 1 {
				r = postOneByOne(p.HTTP, posting.connections, 2*time.Second).run(t, p.HTTP)
			} else {
				posting.duration = 2 * time.Second
				r = posting.run(t, p.HTTP)
			}
			rates[i].add(r.rate())
			p50[i].add(r.took.percentile(0.50))
			p99[i].add(r.took.percentile(0.99))
		}
	}
	one := floor.one()
	perSecond := each(one, one, func(ms, _ float64) float64 { return 1000 / ms })
	const group = "HTTP POST"
	for i, posting := range postings {
		name := fmt.Sprintf("%d connections, single events", posting.connections)
		if posting.batch > 1 {
			name = fmt.Sprintf("%d connections, batches of %d", posting.connections, posting.batch)
		}
		if i == 1 {
			b.against(group, name, "events/s", rates[i], "bare net/http, group commits", bare)
			b.figure(group, name+", in the time of one sync + one echo", "events", rates[i].per(perSecond))
		} else {
			b.against(group, name, "events/s", rates[i], "one sync + one echo each", perSecond)
		}
		b.against(group, name+", p50", "ms", p50[i], "fdatasync p50 + echo p50", one)
		b.against(group, name+", p99", "ms", p99[i], "fdatasync p99", floor.sync99)
	}
	b.atLeast("B4", "HTTP, 32 connections: events/s / bare net/http, group commits", rates[1].per(bare).median(), 0.5, "x")
	b.atLeast("B4", "HTTP, 32 connections: batches of 256 / single events", rates[3].per(rates[1]).median(), 5, "x")
	b.atLeast("B4", "HTTP, 1 connection: batches of 256 / single events", rates[2].per(rates[0]).median(), 5, "x")
	p.Stop(10 * time.Second)
}
