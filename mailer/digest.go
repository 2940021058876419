package mailer

import (
	"context"
	"slices"
	"strconv"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

// digest is what a letter tells of several events.
type digest struct {
	Count  string // how many events of how many sources
	Reason string
	Totals string // by severity

	SourcesTitle string
	SourceLabel  string
	Columns      []tone // the severities that there are, the gravest first
	Rows         []sourceRow
	MoreSources  string // how many are not named; "" when all are

	NewestTitle string
	Newest      []newest
	MoreEvents  string // how many are not shown; "" when all are
}

// sourceRow is one source's line of the table.
type sourceRow struct {
	Source string
	Cells  []cell // by column
}

// cell is a number of events; "–" for none.
type cell struct {
	tone
	Count string
}

// newest is one of the events that are shown.
type newest struct {
	tone
	Time, ID, Link  string
	Source, Message string
}

// tellDigest makes l a letter about several events.
func (l *letter) tellDigest(ctx context.Context, panel string, d *models.Digest) {
	l.Severity = toneOf(ctx, d.Worst())
	sources := len(d.Sources) + d.OtherSources
	l.Subject = i18n.T(ctx, "letter.of",
		"Events", i18n.T(ctx, "letter.events", "Count", d.Total()),
		"Sources", i18n.T(ctx, "letter.sources", "Count", sources))
	l.Intro = i18n.T(ctx, "letter.intro.digest")
	l.Facts = []fact{
		{i18n.T(ctx, "letter.from"), d.From.UTC().Format(utcTime)},
		{i18n.T(ctx, "letter.to"), d.To.UTC().Format(utcTime)},
	}
	l.Link, l.LinkText = periodURL(panel, d), i18n.T(ctx, "letter.open.digest")
	shown := d.Sources[:min(len(d.Sources), maxDigestRows)]
	latest := d.Newest[:min(len(d.Newest), models.MaxDigestNewest)]
	l.Digest = &digest{
		Count:        l.Subject,
		Reason:       reason(ctx, d.Reason),
		Totals:       i18n.SeverityCounts(ctx, d.Severity),
		SourcesTitle: i18n.T(ctx, "letter.sources.title"),
		SourceLabel:  l.Labels.Source,
		Columns:      columns(ctx, d.Severity),
		NewestTitle:  i18n.T(ctx, "letter.newest.title"),
	}
	if more := sources - len(shown); more > 0 {
		l.Digest.MoreSources = i18n.T(ctx, "letter.sources.more", "Count", more)
	}
	if more := d.Total() - int64(len(latest)); more > 0 {
		l.Digest.MoreEvents = i18n.T(ctx, "letter.newest.more", "Count", more)
	}
	for _, s := range shown {
		l.Digest.Rows = append(l.Digest.Rows, rowOf(ctx, s, l.Digest.Columns))
	}
	layout := dayTime
	if d.From.UTC().Format(time.DateOnly) == d.To.UTC().Format(time.DateOnly) {
		layout = time.TimeOnly
	}
	for _, e := range latest {
		l.Digest.Newest = append(l.Digest.Newest, newest{
			tone:    toneOf(ctx, e.Severity),
			Time:    e.CreatedAt.UTC().Format(layout),
			ID:      "#" + strconv.FormatInt(e.ID, 10),
			Link:    eventURL(panel, e.ID),
			Source:  cut(oneLine(e.Source), maxDigestSource),
			Message: cut(flat(e.Message), maxDigestLine),
		})
	}
}

// columns are the severities that occur, the gravest first.
func columns(ctx context.Context, counts [4]int64) []tone {
	var found []tone
	for _, s := range slices.Backward(models.Severities()) {
		if counts[s.Rank()] > 0 {
			found = append(found, toneOf(ctx, s))
		}
	}
	return found
}

func rowOf(ctx context.Context, s models.SourceCount, columns []tone) sourceRow {
	r := sourceRow{Source: cut(oneLine(s.Source), maxDigestSource)}
	for _, c := range columns {
		count := "–"
		if n := s.Severity[c.Rank()]; n > 0 {
			count = i18n.Number(ctx, n)
		}
		r.Cells = append(r.Cells, cell{c, count})
	}
	return r
}

func reason(ctx context.Context, r models.DigestReason) string {
	switch r {
	case models.DigestGathered:
		return i18n.T(ctx, "letter.reason.gathered")
	case models.DigestLimit:
		return i18n.T(ctx, "letter.reason.limit")
	case models.DigestQuiet:
		return i18n.T(ctx, "letter.reason.quiet")
	}
	return ""
}
