package views

import "slices"

// Why is how it is decided who is told of an event.
type Why struct {
	Routed bool // by a routes file
	Steps  []RouteStep
}

// Tells reports whether anybody is told.
func (w Why) Tells() bool {
	return slices.ContainsFunc(w.Steps, func(s RouteStep) bool { return s.Matched })
}

// RouteStep is what a route of the file said to an event.
type RouteStep struct {
	Number, Line int
	Matched      bool
	Checks       []RouteCheck // none for one that catches all
	Tells        []string     // contacts, if it matched
	Onward       bool         // the routes that follow were looked at, too
}

// RouteCheck is one condition of a route, as the file has it, and what the
// event has.
type RouteCheck struct {
	Name, Wants, Has string
	Holds            bool
}
