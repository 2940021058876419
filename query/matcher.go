package query

import (
	"slices"
	"strings"

	"alerthub/models"
)

// Matcher says which events a filter selects. It is safe for concurrent use.
type Matcher struct {
	filter models.EventFilter
	terms  Terms
}

// Compile makes the matcher of everything in f but its ids and limit.
func Compile(f models.EventFilter) *Matcher {
	return &Matcher{filter: f, terms: ParseText(f.Text)}
}

// Terms is what the filter's text asks for.
func (m *Matcher) Terms() Terms { return m.terms }

// Match reports whether the filter selects e.
func (m *Matcher) Match(e *models.Event) bool {
	f := &m.filter
	switch {
	case len(f.Severities) > 0 && !slices.Contains(f.Severities, e.Severity),
		len(f.Channels) > 0 && !slices.Contains(f.Channels, e.Channel),
		f.Source != "" && f.Source != e.Source,
		!f.From.IsZero() && e.CreatedAt.Before(f.From),
		!f.To.IsZero() && !e.CreatedAt.Before(f.To),
		f.Unacked && !e.NeedsAck(),
		m.terms.ID != 0 && m.terms.ID != e.ID:
		return false
	}
	return m.matchText(e)
}

// matchText looks for each word in the message, the source and the peer, one
// by one: a phrase never spans two of them.
func (m *Matcher) matchText(e *models.Event) bool {
	if len(m.terms.Words) == 0 && len(m.terms.Not) == 0 {
		return true
	}
	message, source, peer := Fold(e.Message), Fold(e.Source), Fold(e.Peer)
	holds := func(word string) bool {
		return strings.Contains(message, word) || strings.Contains(source, word) || strings.Contains(peer, word)
	}
	for _, word := range m.terms.Words {
		if !holds(word) {
			return false
		}
	}
	return !slices.ContainsFunc(m.terms.Not, holds)
}
