package views

import (
	"context"
	"strconv"
	"strings"

	"alerthub/i18n"
	"alerthub/models"
)

// part is one share of a whole: a wire value, its word and its count, now and
// in the window before.
type part struct {
	fill      string // the wire value, which also names the colour
	label     string
	n, before int64
}

// severityParts lists the severities with their counts, the gravest first.
func severityParts(ctx context.Context, now, before *models.Counts) []part {
	var parts []part
	for _, s := range gravest() {
		parts = append(parts, part{string(s), i18n.Severity(ctx, s), now.Severity(s), before.Severity(s)})
	}
	return parts
}

func channelParts(now, before *models.Counts) []part {
	var parts []part
	for _, c := range models.Channels() {
		parts = append(parts, part{string(c), channelWord(c), now.Channel(c), before.Channel(c)})
	}
	return parts
}

func emailParts(ctx context.Context, now, before *models.Counts) []part {
	var parts []part
	for i, st := range models.EmailStatuses() {
		parts = append(parts, part{string(st), statusWord(ctx, st), now.Email[i], before.Email[i]})
	}
	return parts
}

// sourceParts are one source's severities, the gravest first, and what it
// lacks of the largest source.
func sourceParts(c *models.SourceCount, largest int64) []part {
	parts := make([]part, 0, 5)
	for _, s := range gravest() {
		parts = append(parts, part{fill: string(s), n: c.Severity[s.Rank()]})
	}
	return append(parts, part{fill: "none", n: largest - c.Total()})
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

// decimal writes a coordinate in few bytes.
func decimal(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}
