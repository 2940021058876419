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

// chart is a histogram in numbers: pure geometry, in units of a tenth of a
// bar's width and of the drawing's height.
type chart struct {
	width, height int
	paths         [4]string // by place in gravest
	bars          []chartBar
	top           int64 // the value at the upper edge
}

// chartBar is what one bar stands for.
type chartBar struct {
	x     int
	title string
	url   string
}

const chartBarWidth = 10

// Severities are seen however few they are: least is the height of a mark in
// pixels, by place in gravest.
var least = [4]float64{2.4, 1.5, 1, 0}

// drawChart lays out the bars of a series, stacked, the gravest at the foot.
// Each leads to its own time of what q selects.
// pixels is how tall it is shown; separate leaves a pixel between severities.
func drawChart(ctx context.Context, q query.Query, s models.Series, height int, pixels float64, separate bool) chart {
	peak := int64(0)
	for i := range s.Counts {
		peak = max(peak, s.Counts[i].Events())
	}
	c := chart{width: len(s.Counts) * chartBarWidth, height: height, top: niceTop(peak)}
	if !separate {
		c.top = max(1, peak)
	}
	unit := float64(height) / pixels // a pixel
	var paths [4]strings.Builder
	for i := range s.Counts {
		from := s.From.Add(time.Duration(i) * s.Step)
		c.bars = append(c.bars, chartBar{i * chartBarWidth, barTitle(ctx, &s.Counts[i], from, s.Step), q.WithWindow(from, from.Add(s.Step)).URL("/events")})
		foot := float64(height)
		for place, severity := range gravest() {
			n := s.Counts[i].Severity(severity)
			if n == 0 || foot <= 0 {
				continue
			}
			tall := min(foot, max(float64(n)/float64(c.top)*float64(height), least[place]*unit))
			foot -= tall
			p := &paths[place]
			p.WriteByte('M')
			p.WriteString(itoa(i*chartBarWidth + 1))
			p.WriteByte(' ')
			p.WriteString(decimal(foot))
			p.WriteString("h8v")
			p.WriteString(decimal(tall))
			p.WriteString("h-8Z")
			if separate {
				foot -= unit
			}
		}
	}
	for place := range paths {
		c.paths[place] = paths[place].String()
	}
	return c
}

// niceTop is the least number not below n that divides well by four.
func niceTop(n int64) int64 {
	for scale := int64(1); ; scale *= 10 {
		for _, step := range []int64{1, 2, 3, 5} {
			if top := 4 * step * scale; top >= n {
				return top
			}
		}
	}
}

// barTitle says what a bar stands for: 09:00–09:30: 2 critical, 40 info.
func barTitle(ctx context.Context, c *models.Counts, from time.Time, step time.Duration) string {
	var b strings.Builder
	if step > 30*time.Minute {
		b.WriteString(i18n.ShortDay(ctx, from) + " ")
	}
	b.WriteString(i18n.Minute(ctx, from) + "\u2013" + i18n.Minute(ctx, from.Add(step)) + ":")
	separator := " "
	for _, s := range gravest() {
		if n := c.Severity(s); n > 0 {
			b.WriteString(separator + i18n.SeverityCount(ctx, s, n))
			separator = ", "
		}
	}
	if separator == " " {
		b.WriteString(" 0")
	}
	return b.String()
}

// chartLabels are the times under a chart, evenly spaced from its beginning to
// its end.
func chartLabels(ctx context.Context, w models.Window) []string {
	length := w.To.Sub(w.From)
	intervals := 6
	switch {
	case length >= 7*24*time.Hour:
		intervals = 7
	case length >= 24*time.Hour:
		intervals = 8
	case length <= 15*time.Minute:
		intervals = 3
	}
	labels := make([]string, intervals+1)
	for i := range labels {
		at := w.From.Add(length * time.Duration(i) / time.Duration(intervals))
		if length > 24*time.Hour {
			labels[i] = i18n.ShortDay(ctx, at)
		} else {
			labels[i] = i18n.Minute(ctx, at)
		}
	}
	return labels
}

// chartSummary is what a chart shows, in words.
func chartSummary(ctx context.Context, s models.Series) string {
	all := s.Total()
	if all.Events() == 0 {
		return i18n.T(ctx, "histo.none")
	}
	peak := 0
	for i := range s.Counts {
		if s.Counts[i].Events() > s.Counts[peak].Events() {
			peak = i
		}
	}
	return i18n.T(ctx, "histo.summary",
		"Bars", len(s.Counts), "Time", i18n.Minute(ctx, s.From.Add(time.Duration(peak)*s.Step)), "Peak", s.Counts[peak].Events(),
		"Info", all.Severity(models.SeverityInfo), "Warning", all.Severity(models.SeverityWarning),
		"Error", all.Severity(models.SeverityError), "Critical", all.Severity(models.SeverityCritical))
}

// tableBars are the rows of a chart's table: two bars each where there are
// many, the newest first.
func tableBars(s models.Series) []models.Series {
	width := 1
	if len(s.Counts) > 30 {
		width = 2
	}
	var rows []models.Series
	for end := len(s.Counts); end > 0; end -= width {
		begin := max(0, end-width)
		from := s.From.Add(time.Duration(begin) * s.Step)
		to := s.From.Add(time.Duration(end) * s.Step)
		rows = append(rows, models.Series{Window: models.Window{From: from, To: to, Step: s.Step}, Counts: s.Counts[begin:end]})
	}
	return rows
}

// spark is a small curve of values: the line, and the area under it.
func spark(values []int64) (line, area string) {
	const width, height = 88.0, 28.0
	if len(values) < 2 {
		return "", ""
	}
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte('L')
		}
		x := float64(i) / float64(len(values)-1) * width
		y := height - 2 - float64(v-low)/float64(max(1, high-low))*(height-5)
		b.WriteString(decimal(x) + " " + decimal(y))
	}
	return "M" + b.String(), "M0 28L" + b.String() + "L88 28Z"
}

// pairs halves the points of a curve by adding neighbours, oldest first.
func pairs(s models.Series, value func(*models.Counts) int64) []int64 {
	var sums []int64
	for end := len(s.Counts); end > 0; end -= 2 {
		sum := value(&s.Counts[end-1])
		if end > 1 {
			sum += value(&s.Counts[end-2])
		}
		sums = append(sums, sum)
	}
	slices.Reverse(sums)
	return sums
}
