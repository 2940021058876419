package live

import (
	"context"
	"time"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// board is what pages count, read once for all of them and kept until it is
// forgotten. Only the frame loop touches it.
type board struct {
	source Source
	ingest func() views.IngestData
	now    func() time.Time

	stats     memo[struct{}, models.Stats]
	attention memo[struct{}, waiting]
	series    memo[models.Window, models.Series]
	sources   memo[models.Window, []models.SourceCount]
	mails     memo[struct{}, []models.EmailAlert]
	matches   memo[string, models.Match] // by filter
}

// waiting is what waits for a person, and when the last critical came if
// nothing does.
type waiting struct {
	models.Attention
	last time.Time
}

// memo keeps answers by their question. The questions are few: the ranges.
type memo[K comparable, V any] map[K]V

func (m *memo[K, V]) get(key K, read func() (V, error)) (V, error) {
	if value, ok := (*m)[key]; ok {
		return value, nil
	}
	value, err := read()
	if err == nil {
		if *m == nil {
			*m = make(memo[K, V])
		}
		(*m)[key] = value
	}
	return value, err
}

// forget makes the next look a new one.
func (b *board) forget() {
	b.forgetWaiting()
	clear(b.series)
	clear(b.sources)
	clear(b.mails)
	clear(b.matches)
}

// forgetWaiting is forget for the header and what waits for a person.
func (b *board) forgetWaiting() {
	clear(b.stats)
	clear(b.attention)
}

func (b *board) readStats(ctx context.Context) (models.Stats, error) {
	return b.stats.get(struct{}{}, func() (models.Stats, error) { return b.source.Stats(ctx) })
}

func (b *board) readAttention(ctx context.Context) (waiting, error) {
	return b.attention.get(struct{}{}, func() (w waiting, err error) {
		if w.Attention, err = b.source.Attention(ctx, views.AttentionRead); err != nil || w.Critical+w.Errors > 0 {
			return w, err
		}
		page, err := b.source.Events(ctx, models.EventFilter{Severities: []models.Severity{models.SeverityCritical}, Limit: 1})
		if len(page.Events) > 0 {
			w.last = page.Events[0].CreatedAt
		}
		return w, err
	})
}

func (b *board) readSeries(ctx context.Context, w models.Window) (models.Series, error) {
	return b.series.get(w, func() (models.Series, error) { return b.source.Series(ctx, w) })
}

// both is the counts of a range and of the one before it.
func (b *board) both(ctx context.Context, span models.Range) (now models.Series, before models.Counts, err error) {
	w := span.Window(b.now())
	if now, err = b.readSeries(ctx, w); err != nil {
		return now, before, err
	}
	previous, err := b.readSeries(ctx, w.Before())
	return now, previous.Total(), err
}

// urgent is what every page says of what waits for a person: it is told at
// once, the rest of the figures once a second.
func (b *board) urgent(ctx context.Context, a *audience) (parts []component, err error) {
	if a.wall == 0 { // a page on the wall has no header
		header, err := b.header(ctx)
		if err != nil {
			return nil, err
		}
		parts = append(parts, views.HeaderCounts(header, true))
	}
	if a.section == views.SectionDashboard {
		w, err := b.readAttention(ctx)
		if err != nil {
			return nil, err
		}
		parts = append(parts, views.AttentionCard(w.Attention, b.now(), w.last, true))
	}
	return parts, nil
}

func (b *board) header(ctx context.Context) (views.HeaderData, error) {
	stats, err := b.readStats(ctx)
	if err != nil {
		return views.HeaderData{}, err
	}
	w, err := b.readAttention(ctx)
	return views.HeaderOf(stats, w.Critical), err
}

// figures is all that pages of c count.
func (b *board) figures(ctx context.Context, c *crowd) ([]component, error) {
	a := &c.audience
	parts, err := b.urgent(ctx, a)
	if err != nil {
		return nil, err
	}
	var more []component
	switch a.section {
	case views.SectionDashboard:
		more, err = b.dashboard(ctx, a)
	case views.SectionEvents:
		more, err = b.strip(ctx, c.query)
	case views.SectionAlerts:
		more, err = b.alerts(ctx, a)
	case views.SectionAudit:
		more, err = b.audit(ctx, a)
	}
	return append(parts, more...), err
}

func (b *board) dashboard(ctx context.Context, a *audience) ([]component, error) {
	header, err := b.header(ctx)
	if err != nil {
		return nil, err
	}
	now, before, err := b.both(ctx, a.span)
	if err != nil {
		return nil, err
	}
	kpi := views.KpiData{Series: now, Previous: before, Unacked: header, Range: a.span, TCPConnections: b.ingest().Connections}
	parts := []component{views.Kpis(kpi, true), views.Histogram(now, true)}
	if a.wall > 0 {
		return parts, nil
	}
	sources, err := b.sources.get(now.Window, func() ([]models.SourceCount, error) {
		return b.source.TopSources(ctx, now.Window, views.SourceCap)
	})
	if err != nil {
		return nil, err
	}
	mails, err := b.mails.get(struct{}{}, func() ([]models.EmailAlert, error) {
		return b.source.EmailAlerts(ctx, models.EmailFilter{Limit: views.MiniCap})
	})
	if err != nil {
		return nil, err
	}
	return append(parts, views.SourcesCard(sources, now, true), views.MiniAlertsFrame(mails), views.AsOf(a.span, b.now(), true)), nil
}

func (b *board) strip(ctx context.Context, q query.Query) ([]component, error) {
	w, ok := q.Strip(b.now())
	if !ok {
		return nil, nil
	}
	s, err := b.readSeries(ctx, w)
	return []component{views.Strip(q, q.Only(s), true)}, err
}

// tallies is how many events c's filter selects, and how many of them wait for a
// person.
func (b *board) tallies(ctx context.Context, c *crowd) ([]component, error) {
	match, err := b.matches.get(c.filter, func() (models.Match, error) { return b.source.Match(ctx, c.query.Filter(b.now())) })
	if err != nil {
		return nil, err
	}
	w, err := b.readAttention(ctx)
	if err != nil {
		return nil, err
	}
	return []component{views.EventTallies(views.EventsData{Query: c.query, Match: match, Waiting: w.Attention})}, nil
}

func (b *board) alerts(ctx context.Context, a *audience) ([]component, error) {
	stats, err := b.readStats(ctx)
	if err != nil {
		return nil, err
	}
	day, err := b.readSeries(ctx, models.Range24h.Window(b.now()))
	d := views.AlertsData{Query: a.outbox, Stats: stats, Counts: day.Total(), At: b.now()}
	return []component{views.AlertFigures(d, true), views.AlertTallies(d)}, err
}

func (b *board) audit(ctx context.Context, a *audience) ([]component, error) {
	stats, err := b.readStats(ctx)
	if err != nil {
		return nil, err
	}
	now, before, err := b.both(ctx, a.span)
	return []component{views.AuditTables(views.AuditData{
		Range: a.span, Now: now.Total(), Before: before, Stats: stats, Ingest: b.ingest(), At: b.now(),
	}, true)}, err
}
