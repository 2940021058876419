package e2e

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// killing is a life with many ends: load, SIGKILL at a random moment, restart
// on the same ports, as often as told. It returns the last hub and the load,
// which still runs.
func killing(t *testing.T, rnd *rand.Rand, dir string, kills int) (*process, *load) {
	t.Helper()
	addrs := fixedAddrs(t)
	p := startHub(t, options{dir: dir, like: addrs})
	load := startLoad(t, p, rnd, 4, 2)
	var slowest time.Duration
	for range kills {
		// Somewhere in the work: after some acknowledgements, and at any moment
		// of a commit (about a millisecond) from there.
		load.WaitAcks(1+rnd.Int64N(1500), 30*time.Second)
		time.Sleep(time.Duration(rnd.Int64N(int64(10 * time.Millisecond))))
		p.Kill()
		start := time.Now()
		p = startHub(t, options{dir: dir, like: addrs})
		slowest = max(slowest, time.Since(start))
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills, the slowest restart took %v", kills, slowest)
	if slowest > 10*time.Second {
		t.Errorf("a restart took %v", slowest)
	}
	return p, load
}

// TestDurability_KillUnderLoad: kill -9 at any moment loses no acknowledged
// event and doubles none that carried a key.
func TestDurability_KillUnderLoad(t *testing.T) {
	t.Parallel()
	rnd, dir := newRand(t), t.TempDir()
	p, load := killing(t, rnd, dir, 10)
	load.Finish(30 * time.Second)
	v := load.Judge(dir)
	if v.Sent == 0 || v.Sent != v.Acked || v.Acked != v.Stored {
		t.Errorf("all were sent again until acknowledged, but %+v", v)
	}
	if stats := p.stats(); stats.TotalEvents != int64(v.Stored) {
		t.Errorf("/api/stats says %d events, the database %d", stats.TotalEvents, v.Stored)
	}
	p.Stop(10 * time.Second)
	checkIntegrity(t, openDatabase(t, dir))
}

// TestDurability_StoredWithoutAnAnswerIsStoredOnce: a sender that was cut off
// between the commit and its answer sends again and learns the first id.
func TestDurability_StoredWithoutAnAnswerIsStoredOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, like: fixedAddrs(t)})
	feed := follow(t, "ws://"+p.Feed+"/")
	if m := feed.Next(); m.Type != "hello" {
		t.Fatalf("the feed begins with %q", m.Type)
	}
	line := `{"source":"a","message":"once","key":"k1"}`
	dialDevice(t, p).Send(line) // its answer is never read
	stored := feed.Events(1)[0]
	p.Signal(syscall.SIGKILL)
	<-p.exit
	p = startHub(t, options{dir: dir, like: p})
	again := dialDevice(t, p).Ask(line)
	if want := (answer{OK: true, EventID: stored.ID, Duplicate: true}); again.EventID != want.EventID || !again.OK || !again.Duplicate {
		t.Errorf("sent again: %+v, want %+v", again, want)
	}
	if n := p.stats().TotalEvents; n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}
