package models

import (
	"slices"
	"time"
)

// Stats counts everything stored. It is kept with each write, never counted
// by a request.
type Stats struct {
	Events   int64
	Severity map[Severity]int64
	Channel  map[Channel]int64
	Email    map[EmailStatus]int64 // of mails alone
	Webhook  map[EmailStatus]int64

	LastEventID int64
	Process     ProcessCounters
}

// ProcessCounters count since this process started.
type ProcessCounters struct {
	TCPMessages   int64 // events stored that came by TCP
	HTTPMessages  int64 // events stored that came by HTTP
	EmailSentOK   int64 // emails that a server took
	EmailSentFail int64 // emails that ended as failed
}

// Pause is a channel that delivers nothing for now: it waits for the other
// side, or tries and nothing was taken for minutes.
type Pause struct {
	Lane
	Reason string    // the other side's words
	Since  time.Time // of the first fault after which nothing was taken
}

// Health is what is wrong now; the zero value is healthy.
type Health struct {
	Storage string // why events cannot be stored; "" when they can
	Email   string // why delivery is paused; "" when it is not

	Pauses []Pause // of all channels, email too
}

// Equal reports whether nothing has changed.
func (h Health) Equal(other Health) bool {
	return h.Storage == other.Storage && h.Email == other.Email && slices.Equal(h.Pauses, other.Pauses)
}
