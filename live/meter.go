package live

import "time"

// meterSpan is what the rate of events is taken over.
const meterSpan = 5 * time.Second

// meter tells how many events a second come, from how many have come.
type meter struct {
	samples []sample // the oldest first
}

type sample struct {
	at time.Time
	n  int64
}

// add notes that n had come at a time. Samples closer than half a
// second to the one before are left out.
func (m *meter) add(at time.Time, n int64) {
	if last := len(m.samples) - 1; last >= 0 && at.Sub(m.samples[last].at) < time.Second/2 {
		return
	}
	m.samples = append(m.samples, sample{at, n})
	for len(m.samples) > 1 && at.Sub(m.samples[1].at) >= meterSpan {
		m.samples = m.samples[1:]
	}
}

// rate is the events a second up to now, when n have come; 0 while nothing is
// known yet.
func (m *meter) rate(now time.Time, n int64) float64 {
	if len(m.samples) == 0 {
		return 0
	}
	// Over a short time one event would look like many.
	seconds := max(now.Sub(m.samples[0].at), time.Second).Seconds()
	return float64(n-m.samples[0].n) / seconds
}
