//go:build bench

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clockTick is the unit of the times in /proc, 1/100 s on every Linux that Go
// runs on (USER_HZ, proc(5)).
const clockTick = 10 * time.Millisecond

// cpuTime is the CPU time that the hub has used, to 10 ms.
func (p *process) cpuTime(t testing.TB) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	// The name in parentheses may hold anything; what follows it is numbers.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	var ticks int64
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// memory is the hub's resident memory now and at its peak, in MB.
func (p *process) memory(t testing.TB) (now, peak float64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmRSS": &now, "VmHWM": &peak}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			t.Fatal(err)
		}
		*into = kib / 1024
	}
	return now, peak
}

// strangers measures what other programs take of the CPUs that a bench needs
// for itself. Figures of a run with many strangers say little.
type strangers struct {
	start      time.Time
	busy, ours time.Duration
}

func watchStrangers(t testing.TB) strangers {
	t.Helper()
	busy, ours := cpuUse(t)
	return strangers{time.Now(), busy, ours}
}

// share is what others took since, of all CPUs, 0 to 1. Every hub of this
// test must have ended.
func (s strangers) share(t testing.TB) float64 {
	t.Helper()
	busy, ours := cpuUse(t)
	others := (busy - s.busy) - (ours - s.ours)
	return max(0, others.Seconds()/time.Since(s.start).Seconds()/float64(runtime.NumCPU()))
}

// cpuUse is the CPU time of everything on this machine, and of this test with
// the children that it has waited for.
func cpuUse(t testing.TB) (all, ours time.Duration) {
	t.Helper()
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(raw, lineFeed)
	for i, field := range bytes.Fields(line) {
		// The name, then user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all += time.Duration(ticks) * clockTick
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var use syscall.Rusage
		if err := syscall.Getrusage(who, &use); err != nil {
			t.Fatal(err)
		}
		ours += time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	return all, ours
}

// startTimes are the stages of one start, in milliseconds.
type startTimes struct {
	accept float64 // until every door accepts a connection
	ack    float64 // until a line that was sent is on disk and answered
}

// timeStart starts a hub where like was and measures until it serves.
func timeStart(t testing.TB, like *process, dir string, env []string) (*process, startTimes) {
	t.Helper()
	begin := time.Now()
	p := launch(t, options{dir: dir, like: like, env: env})
	var at startTimes
	for _, addr := range []string{like.TCP, like.HTTP, like.Feed} {
		knock(t, p, addr).Close()
	}
	at.accept = milliseconds(time.Since(begin))
	conn := knock(t, p, like.TCP)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	answers := answerCounter{conn: conn}
	if _, err := conn.Write(preformatted(1)[0]); err != nil {
		t.Fatal(err)
	}
	for answers.answered == 0 {
		if err := answers.read(); err != nil {
			t.Fatal(err)
		}
	}
	at.ack = milliseconds(time.Since(begin))
	if answers.ok != 1 {
		t.Fatalf("the first line was answered %s", answers.refusal)
	}
	p.waitReady(20 * time.Second)
	return p, at
}

// knock connects as soon as somebody listens.
func knock(t testing.TB, p *process, addr string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn
		}
		select {
		case <-p.exit:
			t.Fatalf("the hub ended while starting: %v\n%s", p.err, p.log.Tail(20))
		case <-time.After(500 * time.Microsecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s after 20 s: %v", addr, err)
		}
	}
}

// bareStart is the floor of a start: the program loaded, its packages
// initialized, a word said, the end.
func bareStart(t testing.TB) float64 {
	t.Helper()
	start := time.Now()
	if out, err := exec.Command(binary, "version").CombinedOutput(); err != nil {
		t.Fatalf("alerthub version: %v\n%s", err, out)
	}
	return milliseconds(time.Since(start))
}
