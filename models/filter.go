package models

import "time"

// Limits of a page of events or email alerts, in rows.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// EventFilter selects events. Its zero value selects the newest DefaultLimit.
type EventFilter struct {
	Before     int64     // only ids below; 0 for no bound
	After      int64     // only ids above; 0 for no bound
	From       time.Time // received at or after; zero for no bound
	To         time.Time // received before; zero for no bound
	Severities []Severity
	Channels   []Channel
	Source     string // exact
	Text       string // what a person typed to search; package query reads it
	Unacked    bool   // only errors and criticals that nobody has acknowledged
	Limit      int    // 1 to MaxLimit; 0 means DefaultLimit
}

// Narrow reports whether f asks for anything besides ids.
func (f *EventFilter) Narrow() bool {
	return !f.From.IsZero() || !f.To.IsZero() || len(f.Severities) > 0 || len(f.Channels) > 0 ||
		f.Source != "" || f.Text != "" || f.Unacked
}

// EventPage is an answer to an EventFilter, newest first.
type EventPage struct {
	Events []Event

	// NextBefore continues the search as Before; 0 when nothing older can
	// match. A page may be short of its limit and still have one: the search
	// looks at a bounded number of rows.
	NextBefore int64

	// SearchedTo is how far back a search looked that ended at its bound: the
	// receive time of the last row that it saw. Zero when it was not cut short.
	SearchedTo time.Time
}

// Match counts the events that a filter selects, whatever its ids and limit.
type Match struct {
	Total    int64
	Exact    bool     // false: there are at least Total
	Severity [4]int64 // by Severity.Rank, as if the filter named no severity; valid when Exact
}

// SourceCount is how much one source reported in a window of time.
type SourceCount struct {
	Source   string
	Severity [4]int64 // by Severity.Rank
}

// Total is the number of its events.
func (c *SourceCount) Total() int64 {
	return c.Severity[0] + c.Severity[1] + c.Severity[2] + c.Severity[3]
}

// IndexState is how far the search index has come.
type IndexState struct {
	Behind int64  // stored events that are not in it yet
	Fault  string // why it makes no progress; "" when it does
}

// EmailFilter selects email alerts, newest first.
type EmailFilter struct {
	Before   int64 // only alert ids below; 0 for no bound
	EventIDs []int64
	Status   EmailStatus // "" for all
	Channel  string      // "" for all
	Contact  string      // "" for all
	MailID   int64       // only those that the message of this one tells of; 0 for all
	Limit    int         // 1 to MaxLimit; 0 means DefaultLimit
}
