//go:build bench

package e2e

import (
	"testing"
	"time"
)

// limits measures what a flooding device costs a quiet one: one connection,
// one line at a time, alone and beside four that send all they can, from an
// address of their own and with one source.
func (b *bench) limits(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	quiet := oneByOne(1, 4*time.Second)
	var alone50, alone99, beside50, beside99, stored, refused sample
	for range moreRounds {
		alone := quiet.run(t, p.TCP)
		f := startFlood(t, p.TCP, 4)
		time.Sleep(time.Second) // until the burst that it may have is over
		f.stored.Store(0)
		f.refused.Store(0)
		start := time.Now()
		beside := quiet.run(t, p.TCP)
		elapsed := time.Since(start).Seconds()
		stored.add(float64(f.stored.Load()) / elapsed)
		refused.add(float64(f.refused.Load()) / elapsed)
		f.stop()
		if alone.stored != alone.sent || beside.stored != beside.sent {
			t.Errorf("the quiet device was refused: %s%s", alone.refusal, beside.refusal)
		}
		alone50.add(alone.took.percentile(0.50))
		alone99.add(alone.took.percentile(0.99))
		beside50.add(beside.took.percentile(0.50))
		beside99.add(beside.took.percentile(0.99))
	}
	const group, against = "a quiet device beside a flooding one", "alone"
	b.against(group, "ack p50", "ms", beside50, against, alone50)
	b.against(group, "ack p99", "ms", beside99, against, alone99)
	b.figure(group, "the flood: stored", "events/s", stored)
	b.figure(group, "the flood: refused", "events/s", refused)
	b.atMost("limits", "quiet device beside a flood: ack p99 / alone", beside99.per(alone99).median(), 2, "x")
	p.Stop(10 * time.Second)
}
