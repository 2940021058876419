package routes

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"alerthub/models"
)

// The bounds of what limits may say.
const (
	maxPerHour  = 10_000
	minInterval = time.Minute
	maxGather   = time.Hour // what an address was told is remembered that long
	maxInterval = 24 * time.Hour
)

// limits are the defaults with what the file says in their place. A reserve
// that is not given is the default one, but a third of per_hour at most, so
// that a small per_hour leaves room for the rest.
func (p *parser) limits(n *yaml.Node, of string) models.Limits {
	of += ": limits"
	l := models.DefaultLimits()
	if isText(n) && n.Value == "none" {
		l.PerHour, l.Reserve, l.Gather = 0, 0, 0
		return l
	}
	if n.Kind != yaml.MappingNode {
		p.bad(n.Line, "%s: must be none, or keys with values", of)
		return l
	}
	members, _ := p.members(n, of, "per_hour", "reserve", "gather", "interval")
	perHour := p.number(members["per_hour"], of, "per_hour", &l.PerHour)
	l.Reserve = min(l.Reserve, l.PerHour/3)
	reserve := p.number(members["reserve"], of, "reserve", &l.Reserve)
	switch {
	case !perHour || !reserve || l.Reserve <= l.PerHour:
	case l.PerHour == 0:
		p.bad(members["reserve"].Line, "%s: reserve is a part of per_hour, which is 0: no bound", of)
	default:
		p.bad(members["reserve"].Line, "%s: reserve %d is more than per_hour %d", of, l.Reserve, l.PerHour)
	}
	p.wait(members["gather"], of, "gather", 0, maxGather, &l.Gather)
	p.wait(members["interval"], of, "interval", minInterval, maxInterval, &l.Interval)
	return l
}

// number reads a whole number into to; what is absent leaves it. It is false
// for a mistake.
func (p *parser) number(n *yaml.Node, of, name string, to *int) bool {
	if n == nil {
		return true
	}
	if isText(n) {
		if i, err := strconv.Atoi(n.Value); err == nil && i >= 0 && i <= maxPerHour {
			*to = i
			return true
		}
	}
	p.bad(n.Line, "%s: %s must be a whole number from 0 to %d", of, name, maxPerHour)
	return false
}

// wait reads a duration into to; what is absent leaves it.
func (p *parser) wait(n *yaml.Node, of, name string, lowest, highest time.Duration, to *time.Duration) {
	if n == nil {
		return
	}
	if isText(n) {
		if d, err := time.ParseDuration(n.Value); err == nil && d >= lowest && d <= highest {
			*to = d
			return
		}
	}
	p.bad(n.Line, "%s: %s must be a duration such as 90s or 5m, from %.0fm to %.0fm", of, name, lowest.Minutes(), highest.Minutes())
}

func (p *parser) quietHours(n *yaml.Node, of string) *models.QuietHours {
	of += ": quiet_hours"
	members, ok := p.members(n, of, "zone", "from", "to", "exempt")
	if !ok {
		return nil
	}
	q := &models.QuietHours{Exempt: []models.Severity{models.SeverityCritical}}
	q.Zone = p.zone(members["zone"], of, n.Line)
	var from, to bool
	q.From, from = p.timeOfDay(members["from"], of, "from", n.Line)
	q.To, to = p.timeOfDay(members["to"], of, "to", n.Line)
	if from && to && q.From == q.To {
		p.bad(members["to"].Line, "%s: from and to are the same", of)
	}
	if n := members["exempt"]; n != nil {
		q.Exempt = p.exempt(n, of)
	}
	if !slices.Contains(q.Exempt, models.SeverityCritical) {
		p.doubt(n.Line, "%s: they hold critical events, too", of)
	}
	return q
}

func (p *parser) zone(n *yaml.Node, of string, line int) *time.Location {
	switch {
	case n == nil:
		p.bad(line, "%s: zone is missing", of)
	case p.one(n, of, "zone") == nil:
	default:
		// The library's names for no zone, and for that of the machine, are none.
		if zone, err := time.LoadLocation(n.Value); err == nil && n.Value != "" && n.Value != "Local" {
			return zone
		}
		p.bad(n.Line, "%s: %q is not a time zone such as Europe/Madrid", of, n.Value)
	}
	return nil
}

// timeOfDay reads a time since midnight. In YAML 1.1 a plain 22:00 would be
// the number 1320; here it is the text that it looks like.
func (p *parser) timeOfDay(n *yaml.Node, of, name string, line int) (time.Duration, bool) {
	switch {
	case n == nil:
		p.bad(line, "%s: %s is missing", of, name)
	case p.one(n, of, name) == nil:
	default:
		if t, err := time.Parse("15:04", n.Value); err == nil {
			return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
		}
		p.bad(n.Line, "%s: %s %q is not a time of day such as 22:00", of, name, n.Value)
	}
	return 0, false
}

// exempt are severities: one, a list, or an empty list.
func (p *parser) exempt(n *yaml.Node, of string) []models.Severity {
	exempt := []models.Severity{}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return exempt
	}
	for _, text := range p.several(n, of, "exempt", n.Line) {
		s := models.Severity(text.Value)
		switch {
		case !s.Valid():
			p.bad(text.Line, "%s: severity %q is not one of %s", of, text.Value, list(models.Severities()))
		case slices.Contains(exempt, s):
			p.bad(text.Line, "%s: %s is there twice", of, s)
		default:
			exempt = append(exempt, s)
		}
	}
	return exempt
}
