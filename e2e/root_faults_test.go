//go:build root

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fault is a running injection of errors into the system calls of a hub.
type fault struct {
	cmd  *exec.Cmd
	log  *logBuffer
	exit chan struct{}
}

// inject attaches strace, which makes these calls of the hub fail until Lift.
// when counts each thread's calls from here on: "3" is the third alone, "3+"
// all from there.
func inject(t *testing.T, p *process, calls, errno, when string) *fault {
	t.Helper()
	f := &fault{log: newLogBuffer(), exit: make(chan struct{})}
	// The hub opens no file but its database; its log and its sockets use write.
	f.cmd = exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "signal=none",
		"-e", fmt.Sprintf("inject=%s:error=%s:when=%s", calls, errno, when), "-p", strconv.Itoa(p.Pid()))
	f.cmd.Stderr = f.log
	if err := f.cmd.Start(); err != nil {
		t.Fatalf("strace: %v", err)
	}
	go func() {
		_ = f.cmd.Wait() // ended by Lift's signal
		close(f.exit)
	}()
	t.Cleanup(f.Lift)
	if !f.log.WaitFor(10*time.Second, f.exit, func(line []byte) bool { return strings.Contains(string(line), "attached") }) {
		t.Fatalf("strace does not attach:\n%s", f.log)
	}
	return f
}

// Lift ends the fault. It may be called again.
func (f *fault) Lift() {
	_ = f.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case <-f.exit:
	case <-time.After(10 * time.Second):
		_ = f.cmd.Process.Kill()
		<-f.exit
	}
}

// prober is a device that stays connected through a fault and measures.
type prober struct {
	*device
	load    *load
	serial  int
	slowest time.Duration
	stored  int
	refused int
}

func newProber(t *testing.T, p *process, l *load) *prober {
	return &prober{device: dialDevice(t, p), load: l}
}

// Probe sends one line and notes its answer, which must come within 2 s.
func (p *prober) Probe() answer {
	p.t.Helper()
	e := p.next("tcp_socket")
	start := time.Now()
	a := p.Ask(e.line)
	p.note(e, a, time.Since(start))
	return a
}

// Post does the same by HTTP and returns the status.
func (p *prober) Post(hub *process) int {
	p.t.Helper()
	e := p.next("http_api")
	start := time.Now()
	var a answer
	status := hub.postJSON("/api/events", e.line, &a)
	a.OK = status == 201
	p.note(e, a, time.Since(start))
	return status
}

// next makes an event and enters it into the ledger.
func (p *prober) next(channel string) *sentEvent {
	p.serial++
	e := &sentEvent{Source: "prober", Severity: "critical", Message: fmt.Sprint(p.serial), Key: fmt.Sprintf("prober/%d", p.serial), channel: channel}
	e.line = fmt.Sprintf(`{"source":"prober","severity":"critical","message":"%s","key":"%s"}`, e.Message, e.Key)
	p.load.ledger.mu.Lock()
	defer p.load.ledger.mu.Unlock()
	p.load.ledger.events[e.Key] = e
	return e
}

func (p *prober) note(e *sentEvent, a answer, took time.Duration) {
	p.t.Helper()
	p.slowest = max(p.slowest, took)
	switch {
	case took > 2*time.Second:
		p.t.Errorf("%s was answered after %v", e.Key, took)
	case a.OK:
		p.stored++
		p.load.ledger.mu.Lock()
		e.id = a.EventID
		p.load.ledger.mu.Unlock()
	case a.Error == "storage_unavailable":
		p.refused++
	default:
		p.t.Errorf("%s was answered %+v", e.Key, a)
	}
}

// sickness checks everything that must hold while nothing can be stored, or
// at most what fits into room that the database has already. reason is what
// people must be told.
func sickness(t *testing.T, p *process, probe *prober, reason string, total bool) {
	t.Helper()
	sick := func(what string, check func() error) {
		t.Helper()
		patience := 5 * time.Second
		if total && probe.refused > 0 {
			patience = 0 // it was refused once: there is no way back
		}
		eventually(t, patience, func() error {
			if err := check(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		})
	}
	for range 10 {
		sick("a line", func() error {
			if a := probe.Probe(); a.OK {
				return fmt.Errorf("stored: %+v", a)
			}
			return nil
		})
		time.Sleep(20 * time.Millisecond)
	}
	sick("POST", func() error {
		if status := probe.Post(p); status != 503 {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	sick("/readyz", func() error {
		if r := p.ready(); r.Status != 503 || r.Ready || !strings.Contains(r.Storage, reason) {
			return fmt.Errorf("%+v, want %q", r, reason)
		}
		return nil
	})
	if status := p.getJSON("/healthz", nil); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	for _, path := range []string{"/", "/events", "/alerts", "/audit", "/create"} {
		sick("GET "+path, func() error {
			status, page := p.get(path)
			if status != 200 {
				t.Errorf("GET %s: %d", path, status)
			}
			if !strings.Contains(page, "New events cannot be stored.") {
				return fmt.Errorf("it does not say that nothing can be stored")
			}
			return nil
		})
	}
	if events := p.list("").Events; len(events) == 0 {
		t.Error("what is stored cannot be read")
	}
}

// recovery checks that everything works within 5 s again.
func recovery(t *testing.T, p *process, probe *prober) {
	t.Helper()
	start := time.Now()
	eventually(t, 5*time.Second, func() error {
		if r := p.ready(); r.Status != 200 || !r.Ready || r.Storage != "" {
			return fmt.Errorf("/readyz: %+v", r)
		}
		if a := probe.Probe(); !a.OK {
			return fmt.Errorf("answered %+v", a)
		}
		return nil
	})
	t.Logf("recovered within %v; the device that stayed connected was told %d times stored, %d times not, at the latest after %v",
		time.Since(start), probe.stored, probe.refused, probe.slowest)
	if _, page := p.get("/"); strings.Contains(page, "New events cannot be stored.") {
		t.Error("the panel still says that nothing can be stored")
	}
}

// TestRootFailingWrites: an error at any write or sync of the database is
// never acknowledged, breaks no connection, and is over when it is over.
func TestRootFailingWrites(t *testing.T) {
	const all = "pwrite64,fdatasync,fsync"
	rnd := newRand(t)
	nth := func(most int) int { return 1 + rnd.IntN(most) }
	for _, tt := range []struct {
		name, calls, errno, when string
		lasting                  bool
	}{
		{"every sync", "fdatasync,fsync", "EIO", "1+", true},
		{"every write", "pwrite64", "EIO", "1+", true},
		{"every write from the Nth on, disk full", "pwrite64", "ENOSPC", fmt.Sprintf("%d+", nth(40)), true},
		{"everything", all, "EIO", "1+", true},
		{"one sync", "fdatasync,fsync", "EIO", strconv.Itoa(nth(4)), false},
		{"one write", "pwrite64", "EIO", strconv.Itoa(nth(40)), false},
		{"some writes", "pwrite64", "ENOSPC", fmt.Sprintf("%d+%d", nth(10), 3+nth(20)), false},
		{"some syncs", "fdatasync,fsync", "EIO", fmt.Sprintf("%d+%d", nth(3), 1+nth(3)), false},
	} {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			t.Logf("strace injects %s into %s, when=%s", tt.errno, tt.calls, tt.when)
			dir := t.TempDir()
			p := startHub(t, options{dir: dir})
			load := startLoad(t, p, rnd, 2, 1)
			load.WaitAcks(200, 20*time.Second)
			probe := newProber(t, p, load)
			probe.Probe()
			fault := inject(t, p, tt.calls, tt.errno, tt.when)
			if tt.lasting {
				// strace counts the calls of each thread: one that has written little goes on for a while.
				sickness(t, p, probe, map[string]string{"EIO": "I/O error", "ENOSPC": "full"}[tt.errno], tt.when == "1+")
			} else {
				before := load.ledger.refused.Load()
				eventually(t, 20*time.Second, func() error {
					probe.Probe()
					if probe.refused == 0 && load.ledger.refused.Load() == before {
						return fmt.Errorf("nothing failed yet")
					}
					return nil
				})
			}
			fault.Lift()
			recovery(t, p, probe)
			load.Finish(20 * time.Second)
			if v := load.Judge(dir); v.Untold > 0 {
				t.Errorf("%d events are stored whose senders were told otherwise", v.Untold)
			}
			p.Stop(10 * time.Second)
			checkIntegrity(t, openDatabase(t, dir))
		})
	}
}

// TestRootKilledWhileWritesFail: a crash in the middle of a fault loses
// nothing that was acknowledged before it.
func TestRootKilledWhileWritesFail(t *testing.T) {
	t.Parallel()
	rnd, dir := newRand(t), t.TempDir()
	addrs := fixedAddrs(t)
	p := startHub(t, options{dir: dir, like: addrs})
	load := startLoad(t, p, rnd, 2, 1)
	for _, calls := range []string{"fdatasync,fsync", "pwrite64", "pwrite64,fdatasync,fsync"} {
		load.WaitAcks(1+rnd.Int64N(500), 20*time.Second)
		refused := load.ledger.refused.Load()
		fault := inject(t, p, calls, "EIO", "1+")
		eventually(t, 20*time.Second, func() error {
			if load.ledger.refused.Load() < refused+10 {
				return fmt.Errorf("%d refused answers", load.ledger.refused.Load()-refused)
			}
			return nil
		})
		p.Kill()
		fault.Lift()
		p = startHub(t, options{dir: dir, like: addrs})
	}
	load.Finish(20 * time.Second)
	if v := load.Judge(dir); v.Sent != v.Stored {
		t.Errorf("all were sent again until acknowledged, but %+v", v)
	}
}
