package routes

import (
	"slices"

	"alerthub/models"
)

// warn finds what may stand in a file but was hardly meant.
func (p *parser) warn() {
	r := p.rules
	named := make([]bool, len(r.Contacts))
	all := 0 // the line of the route that lets nothing through
	caught := false
	for i := range r.Routes {
		route := &r.Routes[i]
		if all > 0 {
			p.doubt(route.Line, "route %d is never looked at: the one in line %d catches everything", i+1, all)
			continue
		}
		for _, c := range route.Contacts {
			named[c] = true
		}
		if len(route.conditions) == 0 && !route.Continue {
			all = route.Line
		}
		caught = caught || route.catchesSerious()
	}
	for _, c := range r.Contacts {
		if c.IfFailing != "" {
			named[r.byName[c.IfFailing]] = true
		}
	}
	for i, c := range r.Contacts {
		if !named[i] {
			p.doubt(c.Line, "contact %q: no route tells it anything", c.Name)
		}
	}
	slices.SortStableFunc(r.Warnings, byLine)
	if !caught {
		last := r.Routes[len(r.Routes)-1].Line
		p.doubt(last, "no route catches every error and critical event; those that none catches are recorded as skipped")
	}
}

// catchesSerious reports whether the route matches every event that must reach
// a person.
func (r *Route) catchesSerious() bool {
	return !slices.ContainsFunc(r.conditions, func(c condition) bool {
		return c != bySeverity || r.Severity.Rank() > models.SeverityError.Rank()
	})
}
