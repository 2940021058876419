package views

import (
	"context"
	"slices"
	"strings"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

// filterWords is what a query selects, in words: Critical · “spanning-tree” ·
// Last 24 hours.
func filterWords(ctx context.Context, q query.Query) string {
	var parts []string
	for _, s := range q.Severities {
		parts = append(parts, i18n.Severity(ctx, s))
	}
	if len(parts) > 1 {
		parts = []string{strings.Join(parts, ", ")}
	}
	if q.Text != "" {
		parts = append(parts, "\u201c"+q.Text+"\u201d")
	}
	if q.Source != "" {
		parts = append(parts, q.Source)
	}
	for _, c := range q.Channels {
		parts = append(parts, channelWord(c))
	}
	if q.Unacked {
		parts = append(parts, i18n.T(ctx, "filter.unacked"))
	}
	return listed(append(parts, timeWords(ctx, q))...)
}

// wider is a query that selects more.
type wider struct{ words, url string }

// widerQueries are the ways out of a filter that selects nothing.
func widerQueries(ctx context.Context, d EventsData) []wider {
	q := d.Query
	var ways []wider
	add := func(words string, q query.Query) { ways = append(ways, wider{words, q.URL("/events")}) }
	if len(q.Severities) > 0 {
		words := i18n.T(ctx, "filter.all.severities")
		if d.Match.Exact {
			all := d.Match.Severity
			words += " (" + i18n.Number(ctx, all[0]+all[1]+all[2]+all[3]) + ")"
		}
		add(words, q.WithSeverities())
	}
	if q.Text != "" {
		add(i18n.T(ctx, "filter.all.texts"), q.WithText(""))
	}
	if q.Source != "" {
		add(i18n.T(ctx, "filter.all.sources"), q.WithSource(""))
	}
	if q.Range != "" && q.Range != models.Range7d {
		add(rangeWords(ctx, models.Range7d), q.WithRange(models.Range7d))
	}
	if q.Range != "" || !q.From.IsZero() || !q.To.IsZero() {
		add(rangeWords(ctx, ""), q.WithRange(""))
	}
	return ways
}

// sourceChoices are the sources to choose from; the chosen one is among them.
func sourceChoices(d EventsData) []string {
	if d.Query.Source == "" || slices.Contains(d.Sources, d.Query.Source) {
		return d.Sources
	}
	return append([]string{d.Query.Source}, d.Sources...)
}

// foundWords is how many events a filter selects, and of what time.
func foundWords(ctx context.Context, d EventsData) string {
	count := i18n.T(ctx, "events.found", "Count", d.Match.Total)
	if !d.Match.Exact {
		count = i18n.T(ctx, "events.found.least", "Number", i18n.Number(ctx, d.Match.Total))
	}
	return listed(count, timeWords(ctx, d.Query))
}

// shownWords is how much of that the page holds.
func shownWords(ctx context.Context, d EventsData) string {
	if d.Before > 0 {
		return i18n.T(ctx, "events.before", "ID", itoa(d.Before))
	}
	if d.Match.Total <= EventsCap {
		return ""
	}
	return i18n.T(ctx, "events.shown", "Max", EventsCap)
}

// chipCount is the number of matching events of a severity; "" when it is not
// known.
func chipCount(ctx context.Context, m models.Match, s models.Severity) string {
	if !m.Exact {
		return ""
	}
	return i18n.Number(ctx, m.Severity[s.Rank()])
}

// olderURL is the list of rows below before.
func olderURL(q query.Query, before int64) string {
	return withParam(q.URL("/events"), "before", itoa(before))
}

// toAck is how many events of the filter wait for a person; 0 when that is not
// known. Beside a match, the kept counters tell it, by severity alone.
func toAck(d EventsData) int64 {
	if d.Query.Unacked {
		if d.Match.Exact {
			return d.Match.Total
		}
		return 0
	}
	if !d.Query.WithSeverities().Empty() {
		return 0
	}
	n := int64(0)
	if d.Query.Shows(models.SeverityCritical) {
		n += d.Waiting.Critical
	}
	if d.Query.Shows(models.SeverityError) {
		n += d.Waiting.Errors
	}
	return n
}

// ackAllURL asks before all that a list selects is acknowledged: up to where it
// stands still, or, since the count of a live one moves, up to the question.
func ackAllURL(d EventsData) string {
	url := d.Query.URL("/events/ack-all")
	if d.Before == 0 {
		return url
	}
	return withParam(url, "upto", itoa(d.LastID+1))
}

// aroundURL lists what happened close to an event.
func aroundURL(e *models.Event) string {
	return windowURL(e.CreatedAt.Add(-30*time.Second), e.CreatedAt.Add(30*time.Second))
}
