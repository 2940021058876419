package query

import (
	"time"

	"alerthub/models"
)

// Strip is the window whose counts by time belong above a list of q; without a
// range and bounds, the last day. False when the kept counts cannot tell what
// q selects, because it asks for more than severities and channels.
func (q Query) Strip(now time.Time) (models.Window, bool) {
	switch {
	case q.Text != "" || q.Source != "" || q.Unacked:
		return models.Window{}, false
	case q.Range.Valid():
		return q.Range.Window(now), true
	case q.From.IsZero() && q.To.IsZero():
		return models.Range24h.Window(now), true
	}
	from, to := q.From, q.To
	if to.IsZero() || to.After(now) {
		to = now.UTC()
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return models.Window{}, false
	}
	step := barStep(from, to, now)
	w := models.Window{From: from.Truncate(step), To: to.Truncate(step), Step: step}
	if w.To.Before(to) {
		w.To = w.To.Add(step)
	}
	return w, true
}

// Searched reports whether what q selects is counted by looking at events: kept
// counts do not tell it.
func (q Query) Searched() bool {
	rest := q.WithSeverities()
	rest.Unacked = false
	return q.Text != "" || q.Unacked && !rest.Empty()
}

// barSteps are the widths of bars between fixed bounds, beyond which they are
// whole weeks.
var barSteps = []time.Duration{
	time.Minute, 5 * time.Minute, 10 * time.Minute, models.RollupCoarse,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

const (
	maxBars = 60
	week    = 7 * 24 * time.Hour
)

// barStep is the narrowest width that makes at most maxBars bars and that the
// counts kept of that time can fill.
func barStep(from, to, now time.Time) time.Duration {
	for _, step := range barSteps {
		folded := step < models.RollupCoarse && from.Before(now.Add(-models.RollupFold))
		if !folded && to.Sub(from) <= maxBars*step {
			return step
		}
	}
	return (to.Sub(from)/maxBars + week).Truncate(week)
}

// Only is s with what q does not select counted as nothing, as far as
// severities and channels say so.
func (q Query) Only(s models.Series) models.Series {
	if len(q.Severities) == 0 && len(q.Channels) == 0 {
		return s
	}
	m := Compile(models.EventFilter{Severities: q.Severities, Channels: q.Channels})
	kept := make([]models.Counts, len(s.Counts))
	copy(kept, s.Counts)
	for _, severity := range models.Severities() {
		for _, channel := range models.Channels() {
			if m.Match(&models.Event{Severity: severity, Channel: channel}) {
				continue
			}
			for i := range kept {
				kept[i].Event[severity.Rank()][channel.Index()] = 0
			}
		}
	}
	s.Counts = kept
	return s
}
