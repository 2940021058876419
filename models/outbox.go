package models

import "time"

// Address is who gets messages: a contact by one of its addresses.
type Address struct {
	Contact   string // "" for SMTP_TO
	Channel   string
	Recipient string
}

// Lane is the lane of a webhook.
func (a Address) Lane() Lane {
	return Lane{Channel: a.Channel, Contact: a.Contact, Recipient: a.Recipient}
}

// Lane is the part of the outbox that one worker delivers: all mails, or what
// goes to one webhook.
type Lane struct {
	Channel            string
	Contact, Recipient string // of a webhook
}

// Claim is on which account a row carries a message.
type Claim string

// The claims. ClaimAlone and ClaimReserve are about one event; a digest is
// named by its reason, and may still turn out to be about one.
const (
	ClaimAlone    Claim = "alone"   // a source of which nothing was told just before
	ClaimReserve  Claim = "reserve" // a critical that the reserve of Limits is for
	ClaimGathered       = Claim(DigestGathered)
	ClaimLimit          = Claim(DigestLimit)
	ClaimQuiet          = Claim(DigestQuiet)
)

// WaitingAlert is a pending row that no message tells of yet.
type WaitingAlert struct {
	ID        int64
	EventID   int64
	CreatedAt time.Time
	Address
	Attempts int
	Source   string
	Severity Severity
}

// Decision is what becomes of a waiting row: exactly one of Claim, Until and
// Status is set.
type Decision struct {
	ID     int64
	Claim  Claim       // it carries a message of its own from now on
	Until  time.Time   // it waits, as far as is known until then, because of Detail
	Status EmailStatus // it ends, because of Detail
	Detail string
}

// Gathering asks for a digest of the waiting rows of an address.
type Gathering struct {
	Address
	From, To   int64      // ids, both included
	Severities []Severity // of the events that may be told now
	Claim      Claim
}

// Told is a message that an address got, or was to get, about a source.
type Told struct {
	Address
	At     time.Time // when it was claimed
	Claim  Claim
	Source string
	Mail   bool // the row that carries the message; otherwise one of its digest
	Named  bool // the message is sure to name the source, or told of a critical of it
}

// Attempt is one try to deliver a message.
type Attempt struct {
	At            time.Time
	Status        EmailStatus // what the row became by it
	Detail        string      // the other side's words
	NextAttemptAt time.Time   // zero unless Status is EmailPending
}

// Cancellation selects pending rows: of a contact, of a source, or both; ""
// for any.
type Cancellation struct{ Contact, Source string }
