package models

import "time"

// Range is a span of time that people choose by its name; it ends now.
type Range string

// The ranges, from the shortest to the longest.
const (
	Range15m Range = "15m"
	Range1h  Range = "1h"
	Range6h  Range = "6h"
	Range24h Range = "24h"
	Range7d  Range = "7d"
)

// ranges gives each range its length and the width of a bar of its histogram:
// whole minutes, about 48 bars, and for 7 days whole half-hours, since counts
// older than RollupFold are kept by half-hours.
var ranges = []struct {
	name         Range
	length, step time.Duration
}{
	{Range15m, 15 * time.Minute, time.Minute},
	{Range1h, time.Hour, time.Minute},
	{Range6h, 6 * time.Hour, 8 * time.Minute},
	{Range24h, 24 * time.Hour, 30 * time.Minute},
	{Range7d, 7 * 24 * time.Hour, 210 * time.Minute},
}

// Counts by time are kept by RollupStep, and by RollupCoarse once they are
// older than RollupFold.
const (
	RollupStep   = time.Minute
	RollupCoarse = 30 * time.Minute
	RollupFold   = 48 * time.Hour
)

// Ranges lists all ranges, the shortest first.
func Ranges() []Range {
	all := make([]Range, len(ranges))
	for i, r := range ranges {
		all[i] = r.name
	}
	return all
}

// Valid reports whether r is a known range.
func (r Range) Valid() bool { return r.Window(time.Time{}).Step > 0 }

// Window is the range that ends with the bar now is in. An unknown range is
// the zero Window.
func (r Range) Window(now time.Time) Window {
	for _, known := range ranges {
		if known.name != r {
			continue
		}
		to := now.UTC().Truncate(known.step).Add(known.step)
		bars := (known.length + known.step - 1) / known.step
		return Window{From: to.Add(-bars * known.step), To: to, Step: known.step}
	}
	return Window{}
}

// Window is a span of time cut into bars of equal width.
type Window struct {
	From, To time.Time // To is not part of it
	Step     time.Duration
}

// Bars is the number of bars.
func (w Window) Bars() int {
	if w.Step <= 0 {
		return 0
	}
	return int((w.To.Sub(w.From) + w.Step - 1) / w.Step)
}

// Before is the window of the same length that ends where w begins.
func (w Window) Before() Window {
	return Window{From: w.From.Add(-w.To.Sub(w.From)), To: w.From, Step: w.Step}
}

// Counts is what a span of time held. Email is by the time at which the email
// was born, and says what has become of it since.
type Counts struct {
	Event [4][2]int64 // by Severity.Rank and Channel.Index
	Email [6]int64    // in the order of EmailStatuses; webhooks are not in it
}

// Events is the number of events.
func (c *Counts) Events() int64 { return c.Channel(ChannelTCP) + c.Channel(ChannelHTTP) }

// Severity is the number of events of a valid severity.
func (c *Counts) Severity(s Severity) int64 { return c.Event[s.Rank()][0] + c.Event[s.Rank()][1] }

// Channel is the number of events that came by a valid channel.
func (c *Counts) Channel(ch Channel) int64 {
	var n int64
	for rank := range c.Event {
		n += c.Event[rank][ch.Index()]
	}
	return n
}

// Add adds other to c.
func (c *Counts) Add(other *Counts) {
	for rank := range c.Event {
		c.Event[rank][0] += other.Event[rank][0]
		c.Event[rank][1] += other.Event[rank][1]
	}
	for i := range c.Email {
		c.Email[i] += other.Email[i]
	}
}

// Series is a window with the counts of each of its bars, the oldest first.
type Series struct {
	Window
	Counts []Counts // one a bar
}

// Total is the sum of all bars.
func (s *Series) Total() Counts {
	var sum Counts
	for i := range s.Counts {
		sum.Add(&s.Counts[i])
	}
	return sum
}
