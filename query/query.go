// Package query owns what a filter means: how it is written in a URL, how the
// words of a search are read, and which events it selects. Pages, sockets,
// exports and the search index all ask here, so that they agree. It reads no
// database and runs no goroutine.
package query

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"alerthub/models"
)

// MaxText bounds the text of a search, in characters.
const MaxText = 300

// Query is what a person asked to see. The zero value asks for everything.
// It is a value: change a copy of it, or use its With methods, which keep it
// canonical.
type Query struct {
	Text       string            // as typed, without blanks around it; see ParseText
	Severities []models.Severity // by rank; nil for all
	Channels   []models.Channel  // by index; nil for all
	Source     string            // exact; "" for all
	Unacked    bool              // only errors and criticals that nobody has acknowledged

	// A range ends now; From and To are fixed, and zero when they are open. A
	// query has a range or bounds, never both.
	Range    models.Range
	From, To time.Time // UTC, microseconds; To is not part of it
}

// Problem says why a part of a query was not taken as it was written.
type Problem struct {
	Field  string // the parameter's name
	Reason string // a sentence fragment in English, safe to show
}

// Empty reports whether q asks for everything.
func (q Query) Empty() bool {
	f := q.Filter(time.Time{})
	return !f.Narrow()
}

// Filter is what q selects at the moment now, without ids and limit.
func (q Query) Filter(now time.Time) models.EventFilter {
	f := models.EventFilter{
		From:       q.From,
		To:         q.To,
		Severities: q.Severities,
		Channels:   q.Channels,
		Source:     q.Source,
		Text:       q.Text,
		Unacked:    q.Unacked,
	}
	if q.Range.Valid() {
		f.From = q.Range.Window(now).From
	}
	return f
}

// Shows reports whether q selects events of severity s.
func (q Query) Shows(s models.Severity) bool {
	return len(q.Severities) == 0 || slices.Contains(q.Severities, s)
}

// WithSeverities is q for these severities; none, or all, for any.
func (q Query) WithSeverities(severities ...models.Severity) Query {
	q.Severities = subset(models.Severities(), severities)
	return q
}

// WithChannels is q for these channels; none, or all, for any.
func (q Query) WithChannels(channels ...models.Channel) Query {
	q.Channels = subset(models.Channels(), channels)
	return q
}

// WithSource is q for one source; "" for any.
func (q Query) WithSource(source string) Query {
	q.Source = source
	return q
}

// WithText is q with another text; "" for none. A text over MaxText is cut.
func (q Query) WithText(text string) Query {
	q.Text, _ = cleanText(text)
	return q
}

// WithRange is q for a range that ends now; "" for all time.
func (q Query) WithRange(r models.Range) Query {
	q.Range, q.From, q.To = "", time.Time{}, time.Time{}
	if r.Valid() {
		q.Range = r
	}
	return q
}

// WithWindow is q for a fixed span of time; a zero time leaves its end open.
func (q Query) WithWindow(from, to time.Time) Query {
	q.Range, q.From, q.To = "", cleanTime(from), cleanTime(to)
	return q
}

// subset is those of all that are chosen, in the order of all; nil when that
// is each of them, or none.
func subset[T comparable](all, chosen []T) []T {
	var kept []T
	for _, one := range all {
		if slices.Contains(chosen, one) {
			kept = append(kept, one)
		}
	}
	if len(kept) == len(all) {
		return nil
	}
	return kept
}

// cleanText is text as a Query keeps it, and whether it had to be cut.
func cleanText(text string) (string, bool) {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if utf8.RuneCountInString(text) <= MaxText {
		return text, false
	}
	return strings.TrimSpace(string([]rune(text)[:MaxText])), true
}

func cleanTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// URL is the address of path for this query.
func (q Query) URL(path string) string {
	if encoded := q.String(); encoded != "" {
		return path + "?" + encoded
	}
	return path
}

// String is q as the query of a URL. Equal queries give equal strings.
func (q Query) String() string { return q.Values().Encode() }

// Values is q as parameters; Parse reads them back. What a query leaves open
// is not there.
func (q Query) Values() url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("q", q.Text)
	set("src", q.Source)
	set("range", string(q.Range))
	for _, s := range q.Severities {
		values.Add("sev", string(s))
	}
	for _, c := range q.Channels {
		values.Add("ch", channelWords[c.Index()])
	}
	if q.Unacked {
		values.Set("ack", "no")
	}
	if !q.From.IsZero() {
		values.Set("from", q.From.Format(time.RFC3339Nano))
	}
	if !q.To.IsZero() {
		values.Set("to", q.To.Format(time.RFC3339Nano))
	}
	return values
}
