package models

import (
	"slices"
	"sort"
	"time"
)

// QuietHours are the part of every day in which a contact is not told of
// events, but for some severities. They may go past midnight.
type QuietHours struct {
	From, To time.Duration // wall clock, since midnight; a different time of day each
	Zone     *time.Location
	Exempt   []Severity // told all the same
}

// Until is the end of the quiet hours that t is in, in UTC, for an event of a
// severity; false when it is told at once.
//
// The clock on the wall of the zone decides, and it alone: t is in quiet hours
// when that clock shows From or later, but not To yet (for hours past midnight:
// From or later, or not To yet). They end at the first instant after t at which
// the clock shows anything else. So when clocks change:
//
//   - If To is skipped (02:30, where 03:00 follows 01:59), they end at the
//     first instant that exists after it, 03:00. If both From and To are
//     skipped, there are none that day; if all that is not quiet is skipped,
//     they go on to To of the next day.
//   - If To comes twice, they end the first time; when the clock is set back
//     into them, they begin again, and end the second time. If From comes
//     twice, they begin the first time, and are interrupted while the clock
//     that was set back shows less than From.
func (q *QuietHours) Until(t time.Time, s Severity) (time.Time, bool) {
	if q == nil || slices.Contains(q.Exempt, s) || !q.shownAt(t) {
		return time.Time{}, false
	}
	t = t.Round(0) // what the wall shows, not what the process counted
	for {
		end := t.Add(q.left(t))
		change, changed := q.change(t, end)
		if !changed {
			return end.UTC(), true
		}
		if !q.shownAt(change) {
			return change.UTC(), true
		}
		t = change
	}
}

// change is the first instant after t, and not after end, at which the clock is
// changed. Time.ZoneBounds would say it, but for 31 December of leap years it
// names an end that has passed (Go 1.26). No zone changes twice in an hour.
func (q *QuietHours) change(t, end time.Time) (time.Time, bool) {
	offset := func(t time.Time) int {
		_, seconds := t.In(q.Zone).Zone()
		return seconds
	}
	was := offset(t)
	for from := t; from.Before(end); from = from.Add(time.Hour) {
		to := from.Add(time.Hour)
		if to.After(end) {
			to = end
		}
		if offset(to) == was {
			continue
		}
		first := from.Truncate(time.Second)
		n := sort.Search(int(to.Sub(first)/time.Second), func(n int) bool {
			return offset(first.Add(time.Duration(n)*time.Second)) != was
		})
		return first.Add(time.Duration(n) * time.Second), true
	}
	return time.Time{}, false
}

// shownAt reports whether the clock shows quiet hours at t.
func (q *QuietHours) shownAt(t time.Time) bool {
	c := clock(t.In(q.Zone))
	if q.From <= q.To {
		return q.From <= c && c < q.To
	}
	return q.From <= c || c < q.To
}

// left is how long it takes a clock that is not changed to get from t to To.
func (q *QuietHours) left(t time.Time) time.Duration {
	d := q.To - clock(t.In(q.Zone))
	if d <= 0 {
		d += 24 * time.Hour
	}
	return d
}

// clock is what a clock shows at t, since midnight.
func clock(t time.Time) time.Duration {
	hour, minute, second := t.Clock()
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(t.Nanosecond())
}
