package query

import (
	"net/url"
	"strings"
	"time"

	"alerthub/models"
)

// channelWords are the short names of channels in a URL, by Channel.Index.
var channelWords = [...]string{"tcp", "http"}

// Parse reads the parameters q, sev, ch, src, ack, range, from and to. What
// cannot be read is left out of the query and told as a problem; a parameter
// without a value is as good as absent, since forms send those. It never
// fails: a page shows what it understood.
func Parse(values url.Values, now time.Time) (Query, []Problem) {
	p := parser{values: values}
	var q Query
	q.Text = p.text()
	q.Severities = subset(models.Severities(), parseWords(&p, "sev", func(word string) (models.Severity, bool) {
		s := models.Severity(word)
		return s, s.Valid()
	}))
	q.Channels = subset(models.Channels(), parseWords(&p, "ch", parseChannel))
	q.Source = values.Get("src")
	switch values.Get("ack") {
	case "no":
		q.Unacked = true
	case "":
	default:
		p.problem("ack", `is not "no"`)
	}
	q.From, q.To = p.time("from"), p.time("to")
	if !q.From.IsZero() && q.From.After(now) {
		p.problem("from", "lies in the future")
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		p.problem("to", "is not after from")
		q.To = time.Time{}
	}
	if q.From.IsZero() && q.To.IsZero() {
		q.Range = p.span()
	}
	return q, p.problems
}

// parser collects the problems of one set of parameters.
type parser struct {
	values   url.Values
	problems []Problem
}

func (p *parser) problem(field, reason string) {
	p.problems = append(p.problems, Problem{Field: field, Reason: reason})
}

func (p *parser) text() string {
	text, cut := cleanText(p.values.Get("q"))
	if cut {
		p.problem("q", "longer than 300 characters")
	}
	if ParseText(text).More {
		p.problem("q", "has more than 8 words")
	}
	return text
}

// parseWords reads a parameter that may be repeated or hold a comma list.
func parseWords[T any](p *parser, field string, parse func(string) (T, bool)) []T {
	var parsed []T
	for _, value := range p.values[field] {
		for word := range strings.SplitSeq(value, ",") {
			word = strings.ToLower(strings.TrimSpace(word))
			if word == "" {
				continue
			}
			one, ok := parse(word)
			if !ok {
				p.problem(field, "holds an unknown word")
				continue
			}
			parsed = append(parsed, one)
		}
	}
	return parsed
}

func parseChannel(word string) (models.Channel, bool) {
	for i, c := range models.Channels() {
		if word == channelWords[i] || word == string(c) {
			return c, true
		}
	}
	return "", false
}

func (p *parser) time(field string) time.Time {
	value := p.values.Get(field)
	if value == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	t = cleanTime(t)
	// Stored times have four digits of year: others cannot be compared as text.
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		p.problem(field, "is not a time like 2026-02-24T09:41:46Z")
		return time.Time{}
	}
	return t
}

// span reads the range. "all" is what an absent one means.
func (p *parser) span() models.Range {
	value := models.Range(p.values.Get("range"))
	if value == "" || value == "all" {
		return ""
	}
	if !value.Valid() {
		p.problem("range", "is not one of 15m, 1h, 6h, 24h, 7d")
		return ""
	}
	return value
}
