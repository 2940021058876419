package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// pingTimeout bounds one ping, answer included.
	pingTimeout = 10 * time.Second
	// maxPong and maxHeader bound what is read of an answer, in bytes.
	maxPong, maxHeader = 4 << 10, 16 << 10
)

// The outcomes of a heartbeat.
const (
	BeatSent     = "sent"     // all was well, and the other side took it
	BeatWithheld = "withheld" // something is wrong with the hub
	BeatFailed   = "failed"   // all was well, and the other side did not take it
)

// Beat is how the heartbeat fares; its zero value is that of none.
type Beat struct {
	Outcome string // of the last one; "" before the first
	LastAt  time.Time
	Counts  map[string]int64 // by outcome, since the start
}

// Beat tells how the heartbeat fares.
func (w *Watch) Beat() Beat {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.beat
	b.Counts = map[string]int64{}
	for outcome, n := range w.beat.Counts {
		b.Counts[outcome] = n
	}
	return b
}

// stepBeat pings if it is time and all is well, and returns how long there is
// nothing to do.
func (w *Watch) stepBeat(ctx context.Context) time.Duration {
	if w.pinger == nil {
		return tick
	}
	now := w.cfg.Now()
	if wait := w.nextBeat.Sub(now); wait > 0 {
		return wait
	}
	w.nextBeat = now.Add(w.cfg.Heartbeat.Every)
	outcome, reason := BeatSent, w.wrong(ctx)
	if reason != "" {
		outcome = BeatWithheld
	} else if err := w.pinger.ping(ctx); err != nil {
		outcome, reason = BeatFailed, short(err.Error())
	}
	if ctx.Err() != nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.beat.Outcome
	w.beat.Outcome = outcome
	if w.beat.Counts == nil {
		w.beat.Counts = map[string]int64{}
	}
	w.beat.Counts[outcome]++
	if outcome == BeatSent {
		w.beat.LastAt = w.cfg.Now()
	}
	switch {
	case was == outcome:
	case outcome == BeatSent:
		w.log.Info("heartbeat is sent", "to", w.pinger.host)
	default:
		w.log.Warn("heartbeat is not sent", "to", w.pinger.host, "outcome", outcome, "reason", reason)
	}
	return w.nextBeat.Sub(w.cfg.Now())
}

// wrong is what is wrong with the hub; "" when all is well.
func (w *Watch) wrong(ctx context.Context) string {
	health := w.hub.Health()
	switch {
	case health.Storage != "":
		return "storage: " + health.Storage
	case len(health.Pauses) > 0:
		return "delivery is paused: " + health.Pauses[0].Reason
	case w.cfg.Canary.Every > 0 && w.verdict != "":
		return w.verdict
	}
	// While nothing is reported, nobody else finds out that the disk is full.
	ctx, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	if w.store.Probe(ctx) != nil {
		return "storage: nothing can be written"
	}
	return ""
}

// pinger asks one address.
type pinger struct {
	url, host string
	client    *http.Client
}

// newPinger makes one; transport nil is the network.
func newPinger(address string, transport http.RoundTripper) *pinger {
	p := &pinger{url: address}
	if u, err := url.Parse(address); err == nil {
		p.host = u.Host
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			// Each ping shows that the other side can be reached.
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		}
	}
	p.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// ping asks once. The error does not hold the address, but for its host.
func (p *pinger) ping(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, pingTimeout)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return errors.New("not an address")
	}
	r.Header.Set("User-Agent", "alerthub")
	answer, err := p.client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxPong) // the status says it all
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	return nil
}
