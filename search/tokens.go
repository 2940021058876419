package search

import (
	"slices"
	"strings"

	"alerthub/models"
	"alerthub/query"
)

// A facet is a severity and a channel: what nearly all filters ask for. The
// index knows 8 of them, and 8 keys a source.
const facets = 8

// facetOf is the facet of an event, 0 to 7; an unknown word counts as the
// first, which costs a needless look at the event and no more.
func facetOf(s models.Severity, c models.Channel) int64 {
	return int64(max(s.Rank(), 0)*2 + max(c.Index(), 0))
}

// facetsOf lists the facets that a filter selects; nil for all.
func facetsOf(severities []models.Severity, channels []models.Channel) []int64 {
	if len(severities) == 0 && len(channels) == 0 {
		return nil
	}
	if len(severities) == 0 {
		severities = models.Severities()
	}
	if len(channels) == 0 {
		channels = models.Channels()
	}
	var list []int64
	for _, s := range severities {
		for _, c := range channels {
			if facet := facetOf(s, c); !slices.Contains(list, facet) {
				list = append(list, facet)
			}
		}
	}
	if len(list) == facets {
		return nil
	}
	return list
}

// Facets and sources are indexed beside the words, as tokens of the same kind:
// three characters, here from the private use planes, which no text that means
// anything holds (one that does only costs a look at the event). One list of
// ids a token, merged and skipped by FTS5 as for words: a filter by source,
// severity and word is one question.
const (
	privateA = 0xF0000  // plane 15: 12 bits of a source's key each
	privateB = 0x100000 // plane 16: facets alone
)

func facetToken(facet int64) string {
	return string([]rune{privateB, privateB, privateB + rune(facet)})
}

// stopToken is on one event of each stopSpan ids. A question of several terms
// that are never found together would go down to the first event before it
// gave an answer, whatever ids it was asked about. "(a OR stop) AND (b OR stop)"
// comes up for air.
var stopToken = string([]rune{privateB, privateB + 1, privateB})

const stopSpan = 16384

func sourceToken(source, facet int64) string {
	key := source*facets + facet
	return string([]rune{privateA + rune(key>>24&0xfff), privateA + rune(key>>12&0xfff), privateA + rune(key&0xfff)})
}

// document is the text of an event as it is indexed. The line feeds keep
// fields apart, mostly: the Matcher does so strictly.
func document(e *models.Event) string {
	return query.Fold(e.Source) + "\n" + query.Fold(e.Message) + "\n" + query.Fold(e.Peer)
}

// maxTrigrams bounds what is asked of FTS5; the rest of long words is left to
// the Matcher.
const maxTrigrams = 24

// term is a condition that FTS5 can answer; a filter selects only what all its
// terms find.
type term struct {
	expr    string  // in FTS5's query language
	word    int     // the word that it is a trigram of; -1 for facets
	density float64 // which part of the ids it finds, see walk.plan
}

// termsOf lists the terms of a filter; none when no part of it is indexed.
// source is the id of f.Source.
func termsOf(words []string, f *models.EventFilter, source int64) []term {
	var list []term
	for i, word := range words {
		runes := []rune(word)
		for at := 0; at+3 <= len(runes) && at < maxTrigrams/len(words); at++ {
			one := term{expr: quote(string(runes[at : at+3])), word: i}
			if !slices.ContainsFunc(list, func(t term) bool { return t.expr == one.expr }) {
				list = append(list, one)
			}
		}
	}
	if keys := keysOf(f, source); len(keys) > 0 {
		list = append(list, term{expr: "(" + strings.Join(keys, " OR ") + ")", word: -1})
	}
	return list
}

// keysOf lists the tokens of the facets that f selects, of its source if it
// names one.
func keysOf(f *models.EventFilter, source int64) []string {
	wanted := facetsOf(f.Severities, f.Channels)
	if f.Source != "" && wanted == nil {
		wanted = []int64{0, 1, 2, 3, 4, 5, 6, 7}
	}
	keys := make([]string, len(wanted))
	for i, facet := range wanted {
		if keys[i] = quote(facetToken(facet)); f.Source != "" {
			keys[i] = quote(sourceToken(source, facet))
		}
	}
	return keys
}

// allOf asks for all terms.
func allOf(terms []term) string {
	exprs := make([]string, len(terms))
	for i := range terms {
		exprs[i] = terms[i].expr
	}
	return strings.Join(exprs, " AND ")
}

// stopping makes a term also find the events with a stopToken.
func (t term) stopping() term {
	t.expr = "(" + t.expr + " OR " + quote(stopToken) + ")"
	return t
}

// quote makes a string of FTS5's query language (sqlite.org/fts5.html, 3.1).
// Folded text holds no NUL, the only character that could end it early.
func quote(token string) string { return `"` + strings.ReplaceAll(token, `"`, `""`) + `"` }
