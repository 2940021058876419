package handlers

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"alerthub/models"
)

// eventFilter reads the parameters of a list of events. An empty value is as
// good as an absent parameter, because forms send them; unknown parameters are
// ignored. The error is a *problem that names every wrong one.
func eventFilter(rawQuery string) (models.EventFilter, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return models.EventFilter{}, refuse(invalidParameter, fieldError{"query", "must be well-formed (escape % as %25 and ; as %3B)"})
	}
	q := parameters{values: values}
	f := models.EventFilter{
		Limit:      int(q.integer("limit", models.DefaultLimit, 1, models.MaxLimit)),
		Before:     q.integer("before", 0, 1, maxID),
		After:      q.integer("after", 0, 0, maxID),
		From:       q.time("from"),
		To:         q.time("to"),
		Severities: words(&q, "severity", models.Severities()),
		Channels:   words(&q, "channel", models.Channels()),
		Source:     q.text("source"),
		Text:       q.text("q"),
		Unacked:    q.unacked("ack"),
	}
	if len(q.wrong) > 0 {
		return models.EventFilter{}, refuse(invalidParameter, q.wrong...)
	}
	return f, nil
}

// maxID is the largest id that every reader of JSON holds exactly.
const maxID = 1<<53 - 1

// parameters reads them and collects what is wrong with them.
type parameters struct {
	values url.Values
	wrong  []fieldError
}

func (q *parameters) fail(name, detail string) { q.wrong = append(q.wrong, fieldError{name, detail}) }

func (q *parameters) integer(name string, absent, least, most int64) int64 {
	text := q.values.Get(name)
	if text == "" {
		return absent
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		q.fail(name, "must be a whole number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10))
		return absent
	}
	return n
}

// time reads RFC 3339 with any offset. Years are bounded to those whose stored
// text has the fixed width that comparisons rely on.
func (q *parameters) time(name string) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9999 {
		q.fail(name, "must be a time as in 2026-01-31T18:00:00Z (escape + as %2B)")
		return time.Time{}
	}
	return t
}

func (q *parameters) text(name string) string {
	text := q.values.Get(name)
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > models.MaxMessage {
		q.fail(name, "must be UTF-8 text of at most "+strconv.Itoa(models.MaxMessage)+" characters")
		return ""
	}
	return text
}

func (q *parameters) unacked(name string) bool {
	switch q.values.Get(name) {
	case "":
		return false
	case "no":
		return true
	}
	q.fail(name, `must be "no", for events that nobody has acknowledged`)
	return false
}

// word reads a parameter that is one of the known words.
func word[W ~string](q *parameters, name string, known []W) W {
	w := W(q.values.Get(name))
	if w == "" || slices.Contains(known, w) {
		return w
	}
	q.fail(name, "must be one of "+list(known))
	return ""
}

// list joins words.
func list[W ~string](words []W) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

// words reads a parameter that may be repeated and may hold several of the
// known words with commas between them.
func words[W interface {
	~string
	Valid() bool
}](q *parameters, name string, known []W) []W {
	var out []W
	for _, word := range strings.Split(strings.Join(q.values[name], ","), ",") {
		switch w := W(strings.TrimSpace(word)); {
		case w == "":
		case w.Valid():
			out = append(out, w)
		default:
			q.fail(name, "must be of "+list(known))
			return nil
		}
	}
	return out
}
