package models

import (
	"slices"
	"time"
)

// EmailStatus is what became of one email of one event.
type EmailStatus string

// The states of an alert. Pending is the only one that changes by itself; a
// person may have a failed one tried again.
const (
	EmailPending   EmailStatus = "pending"   // waits for its first or next attempt, or for a digest
	EmailSent      EmailStatus = "sent"      // the server took it
	EmailFailed    EmailStatus = "failed"    // refused for good, or given up; Detail says why
	EmailSkipped   EmailStatus = "skipped"   // never tried; Detail says why
	EmailDigested  EmailStatus = "digested"  // the message of another row tells of it: that of MailID
	EmailCancelled EmailStatus = "cancelled" // a person did not want it any more; Detail says who
)

// EmailStatuses lists all states, in the order in which they are shown.
func EmailStatuses() []EmailStatus {
	return []EmailStatus{EmailSent, EmailFailed, EmailSkipped, EmailPending, EmailDigested, EmailCancelled}
}

// Index is the position of s in EmailStatuses, -1 of an unknown one.
func (s EmailStatus) Index() int { return slices.Index(EmailStatuses(), s) }

// Valid reports whether s is a known state.
func (s EmailStatus) Valid() bool { return s.Index() >= 0 }

// EmailAlert is one row of the outbox: one event, one recipient, one outcome.
type EmailAlert struct {
	ID            int64
	EventID       int64
	CreatedAt     time.Time // UTC, microseconds
	Contact       string    // whom the routes named; "" when none did
	Channel       string    // DeliveryEmail or DeliveryWebhook
	Recipient     string    // an address, or the name of a webhook; "" when none is configured
	MailID        int64     // the row whose message tells of this one, its own ID if it carries one; 0 before
	Status        EmailStatus
	Detail        string    // the server's words, or the reason
	ClaimedAt     time.Time // when it was decided that the row carries a message; zero if it does not
	Attempts      int       // deliveries tried so far
	NextAttemptAt time.Time // zero unless pending
	UpdatedAt     time.Time // the last change of status, attempts or detail
}

// NewAlert is an email alert that is born with its event, in its transaction.
type NewAlert struct {
	Contact   string
	Channel   string      // DeliveryEmail or DeliveryWebhook; "" means DeliveryEmail
	Recipient string      // as in EmailAlert
	Status    EmailStatus // EmailPending or EmailSkipped
	Detail    string
}

// AlertUpdate is the outcome of one delivery attempt.
type AlertUpdate struct {
	ID            int64
	Status        EmailStatus
	Detail        string
	Attempts      int
	NextAttemptAt time.Time // required while Status is EmailPending, else ignored
	At            time.Time // when the attempt ended
}
