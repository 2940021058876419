// Package routes owns the routes file: who is told of which event, by which
// addresses, when, how much, and in which language. It reads the file as a whole
// or refuses it with every mistake, and decides about each event.
//
// It never sends anything, knows no kind of webhook, stores nothing and runs no goroutine. Rules are
// read-only once they are made, and safe for concurrent use.
package routes

import (
	"slices"
	"strings"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

// NoRoute is why an event that must reach a person has an email that is
// skipped: its outcome can be proved, too.
const NoRoute = "no route matches"

// Rules is a routes file that was found right. Make one with Parse.
type Rules struct {
	Contacts []Contact // in the order of the file
	Routes   []Route
	Warnings []Mistake // what may stand in a file but was hardly meant

	byName map[string]int // of Contacts
}

// Contact is one of the file: it has at least one address, by email or by
// webhook, and a name that is not empty.
type Contact struct {
	models.Contact
	Line int // of the file
}

// Route says who is told of the events that meet all its conditions. A
// condition that is zero is none.
type Route struct {
	Severity models.Severity // at least this
	Sources  []string        // globs, one of which matches
	Channel  models.Channel
	Text     string // the message holds it, whatever its case and accents

	Contacts []int // of Rules.Contacts; at least one
	Continue bool  // the routes that follow are looked at, too
	Line     int   // of the file

	conditions []condition
	folded     string // Text
}

// Contact is the contact of a name; false when there is no such one. No rules
// at all have none.
func (r *Rules) Contact(name string) (models.Contact, bool) {
	if r == nil {
		return models.Contact{}, false
	}
	i, ok := r.byName[name]
	if !ok {
		return models.Contact{}, false
	}
	return r.Contacts[i].Contact, true
}

// Language is the language of a contact, as Contact.
func (r *Rules) Language(contact string) (i18n.Lang, bool) {
	c, ok := r.Contact(contact)
	if !ok {
		return i18n.English, false
	}
	language, _ := i18n.Parse(c.Language) // written by Parse
	return language, true
}

// Escalation makes the rule by which events cause alerts: one for each address
// of each contact that a route named, its emails before its webhooks, born as
// birth says for the channel. An event that must reach a person, and that no
// route catches, causes one that is skipped.
func (r *Rules) Escalation(birth func(channel string) (models.EmailStatus, string)) func(models.Draft) []models.NewAlert {
	born := make([][]models.NewAlert, len(r.Contacts))
	for i, c := range r.Contacts {
		for a := range c.addresses() {
			status, detail := birth(a.Channel)
			born[i] = append(born[i], models.NewAlert{Contact: c.Name, Channel: a.Channel, Recipient: a.Recipient, Status: status, Detail: detail})
		}
	}
	lost := []models.NewAlert{{Status: models.EmailSkipped, Detail: NoRoute}}
	return func(d models.Draft) []models.NewAlert {
		switch named := r.decide(&d, nil); {
		case len(named) == 1:
			return born[named[0]] // shared by all events: nobody changes it
		case len(named) > 1:
			alerts := make([]models.NewAlert, 0, 2*len(named))
			for _, c := range named {
				alerts = append(alerts, born[c]...)
			}
			return alerts
		case d.Severity.Escalates():
			return lost
		}
		return nil
	}
}

// decide returns the contacts that are told of d, each once, in the order in
// which routes name them. The first route that matches decides, unless it says
// continue. Each route that was looked at is told to record, if that is set;
// without it nothing is looked at that cannot change the decision.
func (r *Rules) decide(d *models.Draft, record func(Step)) []int {
	var named []int
	event := subject{draft: d}
	for i := range r.Routes {
		route := &r.Routes[i]
		step := Step{Number: i + 1, Route: route, Matched: true}
		for _, c := range route.conditions {
			holds := route.holds(c, &event)
			step.Matched = step.Matched && holds
			if record != nil {
				step.Checks = append(step.Checks, route.check(c, d, holds))
			} else if !holds {
				break
			}
		}
		if step.Matched {
			named = union(named, route.Contacts)
		}
		if record != nil {
			record(step)
		}
		if step.Matched && !route.Continue {
			break
		}
	}
	return named
}

// union adds to a list what it lacks. The lists of routes stay as they are.
func union(list, more []int) []int {
	if len(list) == 0 {
		return slices.Clip(more)
	}
	for _, c := range more {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// condition is one of those that a route can have.
type condition int

// The conditions, the cheapest first: routes look at them in this order.
const (
	bySeverity condition = iota
	byChannel
	bySource
	byText
)

// subject is an event that routes are looked at for. Its message is folded
// once, and only if a route asks for text.
type subject struct {
	draft  *models.Draft
	folded string
}

func (s *subject) message() string {
	if s.folded == "" {
		s.folded = query.Fold(s.draft.Message)
	}
	return s.folded
}

// holds reports whether an event meets a condition that the route has.
func (r *Route) holds(c condition, event *subject) bool {
	switch c {
	case bySeverity:
		return event.draft.Severity.Rank() >= r.Severity.Rank()
	case byChannel:
		return event.draft.Channel == r.Channel
	case bySource:
		return slices.ContainsFunc(r.Sources, func(pattern string) bool { return models.Glob(pattern, event.draft.Source) })
	default:
		return strings.Contains(event.message(), r.folded)
	}
}
