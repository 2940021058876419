package models

import "time"

// EmailStatus is what became of one email of one event.
type EmailStatus string

// The states of an email alert. Pending is the only one that changes.
const (
	EmailPending EmailStatus = "pending" // waits for its first or next attempt
	EmailSent    EmailStatus = "sent"    // the server took it
	EmailFailed  EmailStatus = "failed"  // refused for good, or given up; Detail says why
	EmailSkipped EmailStatus = "skipped" // never tried; Detail says why
)

// EmailStatuses lists all states, in the order in which they are shown.
func EmailStatuses() []EmailStatus {
	return []EmailStatus{EmailSent, EmailFailed, EmailSkipped, EmailPending}
}

// Valid reports whether s is a known state.
func (s EmailStatus) Valid() bool {
	return s == EmailPending || s == EmailSent || s == EmailFailed || s == EmailSkipped
}

// EmailAlert is one row of the outbox: one event, one recipient, one outcome.
type EmailAlert struct {
	ID            int64
	EventID       int64
	CreatedAt     time.Time // UTC, microseconds
	Contact       string    // whom the routes named; "" when none did
	Channel       string    // DeliveryEmail
	Recipient     string    // an address; "" when none is configured
	Status        EmailStatus
	Detail        string    // the server's words, or the reason
	Attempts      int       // deliveries tried so far
	NextAttemptAt time.Time // zero unless pending
	UpdatedAt     time.Time // the last change of status, attempts or detail
}

// NewAlert is an email alert that is born with its event, in its transaction.
type NewAlert struct {
	Contact   string
	Recipient string
	Status    EmailStatus // EmailPending or EmailSkipped
	Detail    string
}

// DueAlert is a pending alert whose time has come, with what it is about.
type DueAlert struct {
	Alert EmailAlert
	Event Event
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
