//go:build bench

package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// rounds is how often the hub and its floor are measured in turn. The disk and
// the neighbours of a virtual machine change by the minute: only what was
// measured side by side can be compared.
const rounds = 3

// moreRounds is for what the neighbours disturb most: tails, and ratios near
// their bars.
const moreRounds = 5

// sample is one figure, once a round.
type sample []float64

// add appends a round.
func (s *sample) add(v float64) { *s = append(*s, v) }

// median is the middle round; 0 when there is none.
func (s sample) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// max is the worst round of a figure that should be small.
func (s sample) max() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// each makes a sample of two, round by round.
func each(a, b sample, f func(a, b float64) float64) sample {
	out := make(sample, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}

// per divides round by round, so that a slow minute concerns both.
func (s sample) per(floor sample) sample {
	return each(s, floor, func(a, b float64) float64 { return a / b })
}

// plus adds round by round.
func (s sample) plus(t sample) sample {
	return each(s, t, func(a, b float64) float64 { return a + b })
}

// durations are latencies of one round.
type durations []time.Duration

// percentile returns the q-th of 1, in milliseconds; 0 without any.
func (d durations) percentile(q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	i := min(int(q*float64(len(d))), len(d)-1)
	return milliseconds(d[i])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// figure is a line of the table. floor may be empty.
type figure struct {
	group, name, unit string
	hub               sample
	floorName         string
	floor             sample
}

// bar is a limit that the hub has to keep.
type bar struct {
	id, what string
	value    float64
	atLeast  bool // else at most
	limit    float64
	unit     string
}

func (b bar) met() bool {
	if b.atLeast {
		return b.value >= b.limit
	}
	return b.value <= b.limit
}

func (b bar) verdict() string {
	if b.met() {
		return "met"
	}
	return "NOT met"
}

func (b bar) relation() string {
	if b.atLeast {
		return "at least"
	}
	return "at most"
}

// report collects what a run measured.
type report struct {
	heading []string
	figures []figure
	bars    []bar
}

// figure adds a line without a floor.
func (r *report) figure(group, name, unit string, hub sample) {
	r.figures = append(r.figures, figure{group: group, name: name, unit: unit, hub: hub})
}

// against adds a line with the floor that it is measured against.
func (r *report) against(group, name, unit string, hub sample, floorName string, floor sample) {
	r.figures = append(r.figures, figure{group, name, unit, hub, floorName, floor})
}

// atLeast and atMost add a bar.
func (r *report) atLeast(id, what string, value, limit float64, unit string) {
	r.bars = append(r.bars, bar{id: id, what: what, value: value, atLeast: true, limit: limit, unit: unit})
}

func (r *report) atMost(id, what string, value, limit float64, unit string) {
	r.bars = append(r.bars, bar{id: id, what: what, value: value, limit: limit, unit: unit})
}

// print writes the table of figures and the table of bars.
func (r *report) print(w io.Writer) {
	fmt.Fprintln(w)
	for _, line := range r.heading {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "figures (median of the rounds; the floor was measured in the same rounds, in turn)\n\n")
	tab := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "what\thub\tfloor\thub/floor\tfloor is\trounds of the hub")
	group := ""
	for _, f := range r.figures {
		if f.group != group {
			group = f.group
			fmt.Fprintf(tab, "%s\t\t\t\t\t\n", group)
		}
		floor, ratio := "", ""
		if len(f.floor) > 0 {
			floor = number(f.floor.median()) + " " + f.unit
			ratio = fmt.Sprintf("%.2f", f.hub.per(f.floor).median())
		}
		all := make([]string, len(f.hub))
		for i, v := range f.hub {
			all[i] = number(v)
		}
		fmt.Fprintf(tab, "  %s\t%s %s\t%s\t%s\t%s\t%s\n", f.name, number(f.hub.median()), f.unit, floor, ratio, f.floorName, strings.Join(all, " "))
	}
	tab.Flush()
	fmt.Fprintf(w, "\nbars\n\n")
	tab = tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "bar\twhat\tmeasured\tlimit\t")
	for _, b := range r.bars {
		fmt.Fprintf(tab, "%s\t%s\t%s %s\t%s %s\t%s\n", b.id, b.what, number(b.value), b.unit, b.relation(), number(b.limit), b.verdict())
	}
	tab.Flush()
	fmt.Fprintln(w)
}

// number shows three digits, and thousands apart.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
