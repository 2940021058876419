package search

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"
)

// question is what is asked of FTS5.
type question struct {
	expr   string // "" to look at every event
	window int64  // about how many ids at once
}

// What a term costs and saves, in the time that FTS5 needs for one step in a
// term's list of ids. It steps through all lists of a question: newest first,
// it skips nothing.
const (
	candidateCost = 16     // to read an event and check it
	windowSteps   = 8000   // of the first window
	fewSteps      = 50_000 // in all: then there is no need of windows
	probeLimit    = 256    // ids that tell a term's density
	wordTerms     = 3      // trigrams of one word: more of them find the same events
)

// plan chooses which terms of the filter to ask for. The rarest one leads.
// Others join it while stepping through their lists is cheaper than looking at
// the events that they would rule out; the Matcher does that in any case. found
// is false when nothing in the index can be selected.
func (w *walk) plan(ctx context.Context, ids idRange) (q question, found bool, err error) {
	var source int64
	if w.filter.Source != "" {
		source, err = sourceID(ctx, w.file.reader, w.filter.Source)
		if errors.Is(err, sql.ErrNoRows) {
			return q, false, nil
		}
		if err != nil {
			return q, false, err
		}
	}
	terms := termsOf(w.matcher.Terms().Words, &w.filter, source)
	if len(terms) < 2 {
		// Whatever it finds is a candidate: the limit ends the question, not the window.
		return question{allOf(terms), math.MaxInt64}, true, nil
	}
	for i := range terms {
		if terms[i].density, err = w.density(ctx, terms[i].expr, ids); err != nil {
			return q, false, err
		}
		if terms[i].density == 0 {
			return q, false, nil
		}
	}
	return choose(terms, float64(ids.high-ids.low+1)), true, nil
}

// density is which part of the ids a term finds, judged by the newest of them.
func (w *walk) density(ctx context.Context, expr string, ids idRange) (float64, error) {
	found, err := queryInts(ctx, w.file.reader,
		"SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?", expr, ids.low, ids.high, probeLimit)
	if err != nil {
		return 0, &indexError{err}
	}
	if len(found) == probeLimit {
		ids.low = found[probeLimit-1]
	}
	return float64(len(found)) / float64(ids.high-ids.low+1), nil
}

// choose makes the question about so many ids of terms whose densities are known.
func choose(terms []term, ids float64) question {
	slices.SortStableFunc(terms, func(a, b term) int { return cmp.Compare(a.density, b.density) })
	steps, most := 0.0, terms[0].density*candidateCost
	ofWord := map[int]int{}
	var chosen []term
	for _, t := range terms {
		if t.density > most || t.word >= 0 && ofWord[t.word] == wordTerms {
			continue
		}
		ofWord[t.word]++
		chosen = append(chosen, t)
		steps += t.density
	}
	if len(chosen) == 1 || steps*ids < fewSteps {
		return question{allOf(chosen), math.MaxInt64}
	}
	for i := range chosen {
		chosen[i] = chosen[i].stopping()
	}
	return question{allOf(chosen), max(stopSpan, int64(min(windowSteps/steps, math.MaxInt32)))}
}

// adjust sizes the next window by how long one took.
func (q *question) adjust(took time.Duration) {
	switch {
	case q.window == math.MaxInt64:
	case took < 8*time.Millisecond:
		q.window *= 4
	case took > 20*time.Millisecond:
		q.window = max(stopSpan, q.window/2)
	}
}
