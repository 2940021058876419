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
	Text       string // part of source or message, ASCII case folded
	Limit      int    // 1 to MaxLimit; 0 means DefaultLimit
}

// EventPage is an answer to an EventFilter, newest first.
type EventPage struct {
	Events []Event

	// NextBefore continues the search as Before; 0 when nothing older can
	// match. A page may be short of its limit and still have one: the search
	// looks at a bounded number of rows.
	NextBefore int64
}

// EmailFilter selects email alerts, newest first.
type EmailFilter struct {
	Before   int64 // only alert ids below; 0 for no bound
	EventIDs []int64
	Status   EmailStatus // "" for all
	Limit    int         // 1 to MaxLimit; 0 means DefaultLimit
}
