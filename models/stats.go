package models

// Stats counts everything stored. It is kept with each write, never counted
// by a request.
type Stats struct {
	Events   int64
	Severity map[Severity]int64
	Channel  map[Channel]int64
	Email    map[EmailStatus]int64

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

// Health is what is wrong now; the zero value is healthy.
type Health struct {
	Storage string // why events cannot be stored; "" when they can
	Email   string // why delivery is paused; "" when it is not
}
