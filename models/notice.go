package models

import (
	"cmp"
	"slices"
	"time"
)

// Notice is one message to one address of one contact: about one event, or a
// digest of several.
type Notice struct {
	Alert   EmailAlert // the row that carries it; its event is the newest of a digest
	Event   Event      // of that row
	Digest  *Digest    // nil when it is about Event alone
	Contact Contact
}

// The bounds of what a digest names; beyond them it counts.
const (
	// NamedSources is how many sources every digest names, whatever carries it.
	NamedSources     = 10
	MaxDigestSources = 50
	MaxDigestNewest  = 20
)

// Digest is what a message tells of several events.
type Digest struct {
	Reason   DigestReason
	From, To time.Time // when the first and the last were received
	Severity [4]int64  // events by Severity.Rank

	// Sources are at most MaxDigestSources, gravest first, then those with most
	// events; OtherSources counts the rest.
	Sources      []SourceCount
	OtherSources int

	// Newest are at most MaxDigestNewest, the newest first.
	Newest []Event
}

// Total is the number of its events.
func (d *Digest) Total() int64 { return d.Severity[0] + d.Severity[1] + d.Severity[2] + d.Severity[3] }

// Worst is the gravest severity of its events.
func (d *Digest) Worst() Severity { return worst(d.Severity) }

// Worst is the gravest severity of its events.
func (c *SourceCount) Worst() Severity { return worst(c.Severity) }

func worst(counts [4]int64) Severity {
	for _, s := range slices.Backward(Severities()) {
		if counts[s.Rank()] > 0 {
			return s
		}
	}
	return SeverityInfo
}

// ByGravity orders sources for a digest: by their worst severity, then by how
// many events they have of it, then by name.
func ByGravity(a, b SourceCount) int {
	rank := a.Worst().Rank()
	return cmp.Or(
		cmp.Compare(b.Worst().Rank(), rank),
		cmp.Compare(b.Severity[rank], a.Severity[rank]),
		cmp.Compare(a.Source, b.Source),
	)
}

// DigestReason is why events were gathered.
type DigestReason string

// The reasons.
const (
	DigestGathered DigestReason = "gathered" // further events of sources that were told of just before
	DigestLimit    DigestReason = "limit"    // the contact's messages of the hour were used up
	DigestQuiet    DigestReason = "quiet"    // they came in the contact's quiet hours
)

// Fault is why a message was not delivered, and whom it concerns. It is the
// error of every sender, but for a context that was cancelled.
type Fault struct {
	Server     bool          // the other side as a whole, and so every message to it; otherwise this message alone
	Permanent  bool          // of a message: trying again cannot help; with Server it is one of the two, which other messages show
	RetryAfter time.Duration // what the other side asks for; 0 when it does not
	Words      string        // for people: the stage, and the other side's code and words, without secrets
}

// Error returns the words.
func (f *Fault) Error() string { return f.Words }
