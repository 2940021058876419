package views

import (
	"context"
	"strconv"

	"alerthub/models"
)

// part is one share of a whole: a wire value, its word and its count.
type part struct {
	fill  string // the wire value, which also names the colour
	label string
	n     int64
}

// severityParts lists the severities with their counts, the gravest first.
func severityParts(ctx context.Context, s models.Stats) []part {
	all := models.Severities()
	parts := make([]part, 0, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		parts = append(parts, part{string(all[i]), severityWord(ctx, all[i]), s.Severity[all[i]]})
	}
	return parts
}

func channelParts(s models.Stats) []part {
	var parts []part
	for _, c := range models.Channels() {
		parts = append(parts, part{string(c), channelWord(c), s.Channel[c]})
	}
	return parts
}

func emailParts(ctx context.Context, s models.Stats) []part {
	var parts []part
	for _, st := range models.EmailStatuses() {
		parts = append(parts, part{string(st), statusWord(ctx, st), s.Email[st]})
	}
	return parts
}

func total(parts []part) int64 {
	var sum int64
	for _, p := range parts {
		sum += p.n
	}
	return sum
}

// rect is one drawn part of a bar, in units of a thousandth of its width.
type rect struct{ fill, x, width string }

const (
	barWidth = 1000
	barGap   = 3 // between parts
	barLeast = 6 // a part that exists is seen, however small
)

// layOut places the parts that are not zero side by side. What the gaps and
// the least widths take is shared out, so that the bar ends at its edge.
func layOut(parts []part) []rect {
	sum, shown := total(parts), 0
	for _, p := range parts {
		if p.n > 0 {
			shown++
		}
	}
	room := float64(barWidth - (shown-1)*barGap - shown*barLeast)
	rects := make([]rect, 0, shown)
	x := 0.0
	for _, p := range parts {
		if p.n <= 0 {
			continue
		}
		width := barLeast + room*float64(p.n)/float64(sum)
		rects = append(rects, rect{p.fill, decimal(x), decimal(width)})
		x += width + barGap
	}
	return rects
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
