package models

import "time"

// The channels by which alerts go out.
const (
	DeliveryEmail   = "email"
	DeliveryWebhook = "webhook"
)

// MaxContact bounds the name of a contact, in characters.
const MaxContact = 40

// Contact is a person or a team that is told of events.
type Contact struct {
	Name      string // "" for all of SMTP_TO, without a routes file
	Language  string // "en" or "es"
	Emails    []string
	Webhooks  []Webhook
	Limits    Limits
	Quiet     *QuietHours // nil for none
	IfFailing string      // the contact that is told when this one's delivery fails; "" for nobody
}

// Addresses are all addresses of the contact: emails, then webhooks.
func (c *Contact) Addresses() []Address {
	var list []Address
	for _, a := range c.Emails {
		list = append(list, Address{c.Name, DeliveryEmail, a})
	}
	for _, w := range c.Webhooks {
		list = append(list, Address{c.Name, DeliveryWebhook, w.Name})
	}
	return list
}

// Webhook is an HTTP address that is told of events. Its URL may hold a
// secret: what people see is Name.
type Webhook struct {
	Name   string // of an alert's recipient: the kind and the host, unless the file names it
	Kind   string // what the other side understands: see package webhook
	URL    string
	Secret string // signs what is sent; "" for no signature
	Token  string // what the other side wants to know who calls by; "" for nothing
}

// Limits keep a storm small, for each address of a contact by itself.
type Limits struct {
	// PerHour bounds the messages of any 60 minutes; 0 means no bound. Past it
	// there is one digest every Interval.
	PerHour int
	// Reserve is the part of PerHour that is kept for criticals of sources that
	// the address was not told of for an hour.
	Reserve int
	// Gather is how long after a message about a source further events of it
	// wait, to be told in one digest; 0 means that they do not wait.
	Gather time.Duration
	// Interval is between the digests past PerHour.
	Interval time.Duration
}

// DefaultLimits are those of a contact that names none.
func DefaultLimits() Limits {
	return Limits{PerHour: 30, Reserve: 10, Gather: 5 * time.Minute, Interval: 10 * time.Minute}
}
