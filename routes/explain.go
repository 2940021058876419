package routes

import (
	"strconv"
	"strings"

	"alerthub/models"
)

// Step is what a route said to an event.
type Step struct {
	Number  int // of the route in its file, from 1
	Route   *Route
	Matched bool
	Checks  []Check // all its conditions
}

// Check is one condition of a route, and what an event has to meet it.
type Check struct {
	Name  string // its key in the file
	Wants string
	Has   string
	Holds bool
}

// Explain decides about d as Escalation does, and tells how: the routes that
// were looked at, and the contacts that were named.
func (r *Rules) Explain(d models.Draft) (steps []Step, named []Contact) {
	for _, c := range r.decide(&d, func(s Step) { steps = append(steps, s) }) {
		named = append(named, r.Contacts[c])
	}
	return steps, named
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
		return Check{"severity", "at least " + string(r.Severity), string(d.Severity), holds}
	case byChannel:
		return Check{"channel", string(r.Channel), string(d.Channel), holds}
	case bySource:
		return Check{"sources", strings.Join(r.Sources, " or "), d.Source, holds}
	default:
		return Check{"text", strconv.Quote(r.Text), d.Message, holds}
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
