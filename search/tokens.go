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

func sourceToken(source, facet int64) string {
	key := source*facets + facet
	return string([]rune{privateA + rune(key>>24&0xfff), privateA + rune(key>>12&0xfff), privateA + rune(key&0xfff)})
}

// document is the text of an event as it is indexed. The line feeds keep
// fields apart, mostly: the Matcher does so strictly.
func document(e *models.Event) string {
	return query.Fold(e.Source) + "\n" + query.Fold(e.Message) + "\n" + query.Fold(e.Peer)
}

// maxTrigrams bounds a question to FTS5; the rest of long words is left to
// the Matcher.
const maxTrigrams = 32

// expression is a filter as FTS5 reads it, "" when no part of it is indexed.
// It finds at least what the filter selects. source is the id of f.Source.
func expression(terms query.Terms, f *models.EventFilter, source int64) string {
	var all []string
	for _, word := range terms.Words {
		all = appendTrigrams(all, word, len(all)+maxTrigrams/len(terms.Words))
	}
	wanted := facetsOf(f.Severities, f.Channels)
	var keys []string
	switch {
	case f.Source != "" && wanted == nil:
		for facet := range int64(facets) {
			keys = append(keys, quote(sourceToken(source, facet)))
		}
	case f.Source != "":
		for _, facet := range wanted {
			keys = append(keys, quote(sourceToken(source, facet)))
		}
	default:
		for _, facet := range wanted {
			keys = append(keys, quote(facetToken(facet)))
		}
	}
	if len(keys) > 0 {
		all = append(all, "("+strings.Join(keys, " OR ")+")")
	}
	return strings.Join(all, " AND ")
}

// appendTrigrams adds the trigrams of word, quoted, each once, until list has
// as many as most.
func appendTrigrams(list []string, word string, most int) []string {
	runes := []rune(word)
	for i := 0; i+3 <= len(runes) && len(list) < most; i++ {
		if trigram := quote(string(runes[i : i+3])); !slices.Contains(list, trigram) {
			list = append(list, trigram)
		}
	}
	return list
}

// quote makes a string of FTS5's query language (sqlite.org/fts5.html, 3.1).
// Folded text holds no NUL, the only character that could end it early.
func quote(token string) string { return `"` + strings.ReplaceAll(token, `"`, `""`) + `"` }
