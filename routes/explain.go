package routes

import (
	"iter"
	"time"

	"alerthub/models"
)

// Explanation is what becomes of an event, and why. It holds no words but
// those of the file: whoever shows it finds them, in a language.
type Explanation struct {
	Steps []Step // the routes that were looked at
	Plans []Plan // of the contacts that were named
}

// Step is what a route said to an event.
type Step struct {
	Number  int // of the route in its file, from 1
	Route   *Route
	Matched bool
	Checks  []Check // all its conditions
}

// Check is one condition of a route, and what an event has to meet it.
type Check struct {
	Name  string   // its key in the file
	Wants []string // severity: at least this; sources: one of these
	Has   string
	Holds bool
}

// Plan is what a contact is told of an event, and when.
type Plan struct {
	Contact   Contact
	Stages    []Stage // in the order in which they are come to, by each address for itself
	Addresses []Address
}

// Address is one of a contact: each has a message of its own.
type Address struct {
	Channel   string // models.DeliveryEmail or models.DeliveryWebhook
	Recipient string // as in models.NewAlert
	Kind      string // of a webhook
}

// Stage is one thing that the message to an address comes to. Its numbers are
// those of the contact: Quiet and Limits.
type Stage struct {
	Kind  StageKind
	Until time.Time // StageHeld: the end of the quiet hours, in UTC
}

// StageKind is what a Stage is about.
type StageKind string

// The stages.
const (
	StageHeld    StageKind = "held"     // quiet hours hold it, then it is told with all that waits
	StageExempt  StageKind = "exempt"   // it is quiet, but not for its severity
	StageAwake   StageKind = "awake"    // it is not quiet now
	StageGather  StageKind = "gather"   // at once, unless the source was told of within Limits.Gather
	StageAtOnce  StageKind = "at_once"  // nothing is gathered
	StagePerHour StageKind = "per_hour" // Limits.PerHour and Reserve, and Interval past them
	StageUrgent  StageKind = "urgent"   // a critical of a silent source, past the limits: in a digest within UrgentWithin
)

// UrgentWithin is how long a critical of a source that an address was not told
// of for an hour waits at most when its own message is not possible any more.
const UrgentWithin = 60 * time.Second

// Explain decides about d as Escalation does, and tells how, and what the
// contacts that were named are told if it is received at a time.
func (r *Rules) Explain(d models.Draft, at time.Time) Explanation {
	var e Explanation
	for _, c := range r.decide(&d, func(s Step) { e.Steps = append(e.Steps, s) }) {
		e.Plans = append(e.Plans, r.Contacts[c].plan(d.Severity, at))
	}
	return e
}

func (c Contact) plan(s models.Severity, at time.Time) Plan {
	p := Plan{Contact: c}
	for a := range c.addresses() {
		p.Addresses = append(p.Addresses, a)
	}
	add := func(kind StageKind) { p.Stages = append(p.Stages, Stage{Kind: kind}) }
	held := false
	if c.Quiet != nil {
		// Not exempt from anything, to tell the hours from the severity.
		hours := *c.Quiet
		hours.Exempt = nil
		_, quiet := hours.Until(at, s)
		var until time.Time
		until, held = c.Quiet.Until(at, s)
		switch {
		case held:
			p.Stages = append(p.Stages, Stage{Kind: StageHeld, Until: until})
		case quiet:
			add(StageExempt)
		default:
			add(StageAwake)
		}
	}
	switch {
	case held: // told in the digest of what waited
	case c.Limits.Gather > 0:
		add(StageGather)
	default:
		add(StageAtOnce)
	}
	if c.Limits.PerHour > 0 {
		add(StagePerHour)
		if s == models.SeverityCritical {
			add(StageUrgent)
		}
	}
	return p
}

// addresses are those of a contact, in the order in which they are told.
func (c Contact) addresses() iter.Seq[Address] {
	return func(yield func(Address) bool) {
		for _, email := range c.Emails {
			if !yield(Address{Channel: models.DeliveryEmail, Recipient: email}) {
				return
			}
		}
		for _, w := range c.Webhooks {
			if !yield(Address{Channel: models.DeliveryWebhook, Recipient: w.Name, Kind: w.Kind}) {
				return
			}
		}
	}
}

// Conditions are what events must have for the route; none for one that
// catches all.
func (r *Route) Conditions() []Check {
	var checks []Check
	for _, c := range r.conditions {
		checks = append(checks, r.check(c, &models.Draft{}, false))
	}
	return checks
}

func (r *Route) check(c condition, d *models.Draft, holds bool) Check {
	switch c {
	case bySeverity:
		return Check{"severity", []string{string(r.Severity)}, string(d.Severity), holds}
	case byChannel:
		return Check{"channel", []string{string(r.Channel)}, string(d.Channel), holds}
	case bySource:
		return Check{"sources", r.Sources, d.Source, holds}
	default:
		return Check{"text", []string{r.Text}, d.Message, holds}
	}
}

// Names are the contacts that the route tells.
func (r *Rules) Names(route *Route) []string {
	names := make([]string, len(route.Contacts))
	for i, c := range route.Contacts {
		names[i] = r.Contacts[c].Name
	}
	return names
}
