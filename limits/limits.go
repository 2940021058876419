// Package limits bounds what one sender may take of the hub, so that nobody's
// flood becomes everybody's: events a second for each source, address and
// credential, and connections for each address. Every door asks it; none has a
// rule of its own. It knows no transport and runs no goroutine.
package limits

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"alerthub/models"
)

// logEvery bounds how often a refusal is logged.
const logEvery = 10 * time.Second

// Config says how much is allowed. The zero value allows everything.
type Config struct {
	Source, Peer, Key models.Rate
	// Shared are addresses behind which many senders are, such as a proxy, a
	// tunnel or a relay: Peer does not hold for them.
	Shared []netip.Prefix

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
}

// Limits counts events. All methods may be called concurrently.
type Limits struct {
	shared networks
	logger *slog.Logger
	now    func() time.Time
	start  time.Time

	mu      sync.Mutex
	sources *buckets[string]     // guarded by mu, as those below
	peers   *buckets[netip.Addr] // by what host makes of the address
	keys    *buckets[string]
	logNext time.Duration // since start; guarded by mu

	refused [kinds]atomic.Int64
}

// The kinds of limits, as places in Limits.refused and in what Refused tells.
const (
	bySource = iota
	byPeer
	byKey
	kinds
)

var kindNames = [kinds]string{"source", "peer", "key"}

// New makes limits.
func New(cfg Config) *Limits {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Limits{
		shared: cfg.Shared, logger: cfg.Logger, now: cfg.Now, start: cfg.Now(),
		sources: newBuckets(cfg.Source, strings.Clone), keys: newBuckets(cfg.Key, strings.Clone),
		peers: newBuckets(cfg.Peer, func(a netip.Addr) netip.Addr { return a }),
	}
}

// Take takes one event from what its source, its address and its credential
// may report, or from none of them: what one limit refuses does not count for
// the others, so that a source that floods does not use up what its relay has
// for all. What a draft does not name is not limited by it.
//
// The only error is a *models.RateLimited with the longest of the waits.
func (l *Limits) Take(d models.Draft) error {
	now := l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	var due [kinds]*bucket
	if d.Source != "" {
		due[bySource] = l.sources.of(d.Source, now)
	}
	if addr, ok := addressOf(d.Peer); ok && !l.shared.contain(addr) {
		due[byPeer] = l.peers.of(hostOf(addr), now)
	}
	if d.Credential != "" {
		due[byKey] = l.keys.of(d.Credential, now)
	}
	kind, wait := -1, time.Duration(0)
	for i, b := range due {
		if b == nil {
			continue
		}
		if w := b.events.wait(now); w > wait {
			kind, wait = i, w
		}
	}
	if kind >= 0 {
		l.refuse(kind, &d, wait, now)
		return &models.RateLimited{Wait: wait, Pause: due[kind].refuse(now)}
	}
	for _, b := range due {
		if b != nil {
			b.events.use(now)
		}
	}
	return nil
}

// refuse counts and logs a refusal. It must be called with mu held.
func (l *Limits) refuse(kind int, d *models.Draft, wait, now time.Duration) {
	l.refused[kind].Add(1)
	if now < l.logNext {
		return
	}
	l.logNext = now + logEvery
	l.logger.Warn("events refused: a sender reports too much",
		"limit", kindNames[kind], "source", d.Source, "peer", d.Peer, "wait", wait)
}

// Refused counts the events refused since the start, by "source", "peer" and
// "key": the limit that was furthest exceeded.
func (l *Limits) Refused() map[string]int64 {
	counts := make(map[string]int64, kinds)
	for i, name := range kindNames {
		counts[name] = l.refused[i].Load()
	}
	return counts
}
