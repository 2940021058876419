package limits

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func newLimits(cfg Config) (*Limits, *clock) {
	c := &clock{time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)}
	cfg.Now = func() time.Time { return c.now }
	return New(cfg), c
}

// taken is how many of n events like d pass.
func taken(l *Limits, n int, d models.Draft) (passed int) {
	for range n {
		if l.Take(d) == nil {
			passed++
		}
	}
	return passed
}

func TestTake_BurstThenRate(t *testing.T) {
	l, c := newLimits(Config{Source: models.Rate{PerSecond: 4, Burst: 10}})
	flood := models.Draft{Source: "flood"}
	if n := taken(l, 25, flood); n != 10 {
		t.Errorf("%d of a burst passed, want 10", n)
	}
	err := l.Take(flood)
	var limited *models.RateLimited
	if !errors.As(err, &limited) || !errors.Is(err, models.ErrRateLimited) || limited.Milliseconds() != 250 {
		t.Errorf("refused with %v, want a wait of 250 ms", err)
	}
	if n := taken(l, 1, models.Draft{Source: "quiet"}); n != 1 {
		t.Error("another source is refused")
	}
	c.now = c.now.Add(limited.Wait - time.Millisecond)
	if n := taken(l, 1, flood); n != 0 {
		t.Error("it passes before the wait is over")
	}
	c.now = c.now.Add(time.Millisecond)
	if n := taken(l, 2, flood); n != 1 {
		t.Errorf("%d passed after the wait, want 1", n)
	}
	c.now = c.now.Add(time.Hour)
	if n := taken(l, 25, flood); n != 10 {
		t.Errorf("%d passed after an hour, want 10", n)
	}
	if got := l.Refused()["source"]; got != 15+1+1+1+15 {
		t.Errorf("%d refusals counted", got)
	}
}

func TestTake_EachKindByItself(t *testing.T) {
	few := models.Rate{PerSecond: 1, Burst: 2}
	for name, test := range map[string]struct {
		cfg   Config
		draft func(i int) models.Draft
		want  int
	}{
		"no limits":             {Config{}, func(int) models.Draft { return models.Draft{Source: "s", Peer: "192.0.2.1", Credential: "k"} }, 20},
		"source":                {Config{Source: few}, func(i int) models.Draft { return models.Draft{Source: "s", Peer: fmt.Sprintf("192.0.2.%d", i)} }, 2},
		"peer":                  {Config{Peer: few}, func(i int) models.Draft { return models.Draft{Source: fmt.Sprint(i), Peer: "192.0.2.1"} }, 2},
		"peer, no event":        {Config{Peer: few}, func(int) models.Draft { return models.Draft{Peer: "192.0.2.1"} }, 2},
		"peer, IPv4 in IPv6":    {Config{Peer: few}, func(i int) models.Draft { return models.Draft{Peer: []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2]} }, 2},
		"peer, network of IPv6": {Config{Peer: few}, func(i int) models.Draft { return models.Draft{Peer: fmt.Sprintf("2001:db8:0:1::%x", i+1)} }, 2},
		"peer, other networks":  {Config{Peer: few}, func(i int) models.Draft { return models.Draft{Peer: fmt.Sprintf("2001:db8:0:%x::1", i+1)} }, 20},
		"key":                   {Config{Key: few}, func(i int) models.Draft { return models.Draft{Source: fmt.Sprint(i), Credential: "k"} }, 2},
		"no key":                {Config{Key: few}, func(int) models.Draft { return models.Draft{Source: "s"} }, 20},
		"shared":                {Config{Peer: few, Shared: []netip.Prefix{netip.MustParsePrefix("2001:db8::7/128")}}, func(int) models.Draft { return models.Draft{Peer: "2001:db8::7"} }, 20},
		"beside shared":         {Config{Peer: few, Shared: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/31")}}, func(int) models.Draft { return models.Draft{Peer: "192.0.2.2"} }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := newLimits(test.cfg)
			passed := 0
			for i := range 20 {
				passed += taken(l, 1, test.draft(i))
			}
			if passed != test.want {
				t.Errorf("%d of 20 passed, want %d", passed, test.want)
			}
		})
	}
}

// TestTake_RefusedCountsForNobody: a source that floods does not use up what
// the relay has that it comes by.
func TestTake_RefusedCountsForNobody(t *testing.T) {
	l, _ := newLimits(Config{Source: models.Rate{PerSecond: 1, Burst: 5}, Peer: models.Rate{PerSecond: 1, Burst: 10}, Key: models.Rate{PerSecond: 1, Burst: 10}})
	if n := taken(l, 100, models.Draft{Source: "flood", Peer: "192.0.2.1", Credential: "relay"}); n != 5 {
		t.Errorf("%d of the flood passed, want 5", n)
	}
	if n := taken(l, 4, models.Draft{Source: "quiet", Peer: "192.0.2.1", Credential: "relay"}); n != 4 {
		t.Errorf("%d of 4 others behind the relay passed", n)
	}
	if n := taken(l, 4, models.Draft{Source: "third", Peer: "192.0.2.1", Credential: "relay"}); n != 1 {
		t.Errorf("%d passed, want the one that the relay has left", n)
	}
	if diff := cmp.Diff(map[string]int64{"source": 95, "peer": 3, "key": 0}, l.Refused()); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

// TestTake_Pause: few refusals cost nothing, a flood of them is slowed to as
// many a second as events, and what it owes ends with it.
func TestTake_Pause(t *testing.T) {
	l, c := newLimits(Config{Source: models.Rate{PerSecond: 100, Burst: 1}})
	flood := models.Draft{Source: "flood"}
	pause := func() time.Duration {
		t.Helper()
		var limited *models.RateLimited
		if !errors.As(l.Take(flood), &limited) {
			t.Fatal("not refused")
		}
		return limited.Pause
	}
	taken(l, 1, flood)
	for range leastRefusals {
		if p := pause(); p != 0 {
			t.Fatalf("a pause of %v", p)
		}
	}
	if p := pause(); p != time.Millisecond {
		t.Errorf("the first of a flood pauses %v", p)
	}
	for range 2000 {
		pause()
	}
	if p := pause(); p != time.Second {
		t.Errorf("a flood pauses %v", p)
	}
	c.now = c.now.Add(2 * time.Second)
	taken(l, 1, flood)
	if p := pause(); p != 0 {
		t.Errorf("two seconds later it still pauses %v", p)
	}
}

// TestTake_Forgets: inventing names neither takes memory without end nor
// gives the one that floods a new burst.
func TestTake_Forgets(t *testing.T) {
	l, c := newLimits(Config{Source: models.Rate{PerSecond: 1, Burst: 3}})
	flood := models.Draft{Source: "flood"}
	taken(l, 3, flood)
	long := strings.Repeat("x", 1<<10)
	for i := range 3 * maxBuckets {
		taken(l, 1, models.Draft{Source: fmt.Sprint(i, long)[:10]})
	}
	if n := len(l.sources.names); n > maxBuckets {
		t.Errorf("%d senders are remembered", n)
	}
	if n := taken(l, 3, flood); n != 0 {
		t.Errorf("%d of the flood passed", n)
	}
	c.now = c.now.Add(time.Hour) // all buckets are full: there is room
	taken(l, 1, models.Draft{Source: "new"})
	if n := len(l.sources.names); n > maxBuckets-looks/2 {
		t.Errorf("%d senders are remembered, those of an hour ago among them", n)
	}
}

// BenchmarkTake is what the limits cost one event, with few senders and with as
// many as are remembered.
func BenchmarkTake(b *testing.B) {
	most := models.Rate{PerSecond: 1e9, Burst: 1e9}
	for _, senders := range []int{64, maxBuckets} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) {
			l := New(Config{Source: most, Peer: most, Key: most, Shared: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
			drafts := make([]models.Draft, senders)
			for i := range drafts {
				drafts[i] = models.Draft{Source: fmt.Sprintf("access-switch-%d", i), Peer: fmt.Sprintf("10.0.%d.%d", i/256, i%256), Credential: fmt.Sprint(i % 100)}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_ = l.Take(drafts[i%len(drafts)])
			}
		})
	}
}
