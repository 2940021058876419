package models

import "time"

// Record is what the store writes for one draft: the event, and the emails
// that it causes, in one transaction.
type Record struct {
	Draft
	ReceivedAt time.Time // UTC
	Alerts     []NewAlert
}

// Receipt is what became of one draft, in the order of the drafts.
type Receipt struct {
	Event     Event        // as stored; of a duplicate only ID is set
	Duplicate bool         // the key was seen before: Event.ID is the first one's
	Truncated []string     // as in the draft
	Alerts    []EmailAlert // the outbox rows born with the event
	Err       error        // ErrKeyConflict, or nil
}

// Recorded reports whether this draft became a new event.
func (r *Receipt) Recorded() bool { return r.Err == nil && !r.Duplicate }
