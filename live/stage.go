package live

import (
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// component is a piece of HTML, as package views makes them.
type component interface {
	Render(ctx context.Context, w io.Writer) error
}

// stage is the state of the frame loop, which alone touches it.
type stage struct {
	panel  *panel
	source Source

	viewers map[audience]map[*viewer]struct{}
	late    []*viewer // show more than the others were told; they wait for the next frame
	told    int64     // newest event that every viewer was told of

	waiting   bool // there may be news
	lastFrame time.Time
	nextFrame time.Time

	statsDue  bool // the counters moved since they were last drawn
	nextStats time.Time

	health models.Health // as last drawn

	// caughtUp holds what was sent to pages that joined since the last frame:
	// after a restart a thousand pages come back with the same question.
	caughtUp map[catchUp][][]byte
}

// next is when something is to be drawn.
func (s *stage) next() (at time.Time, ok bool) {
	switch {
	case s.waiting:
		return s.nextFrame, true
	case s.statsDue:
		return s.nextStats, true
	}
	return time.Time{}, false
}

func (s *stage) due(now time.Time) bool {
	at, ok := s.next()
	return ok && !now.Before(at)
}

// draw sends one frame with the news to everybody, rendered once for each
// audience.
func (s *stage) draw(ctx context.Context, now time.Time) {
	s.waiting = false
	news := s.panel.news.take()
	s.told = news.last
	if !news.quiet() {
		s.statsDue = true
		s.nextFrame = now.Add(frameGap(news.count, now.Sub(s.lastFrame)))
		s.lastFrame = now
	}
	var stats *models.Stats
	if s.statsDue && !now.Before(s.nextStats) {
		s.statsDue = false
		s.nextStats = now.Add(statsGap)
		if read, err := s.source.Stats(ctx); err == nil {
			stats = &read
		} else if ctx.Err() == nil {
			s.statsDue = true
			s.panel.logger.Warn("live cannot read the counters", "error", err)
		}
	}
	clear(s.caughtUp)
	for a, viewers := range s.viewers {
		messages := s.newsFor(a, news, stats)
		for v := range viewers {
			v.write(messages)
		}
	}
	late := s.late
	s.late = nil
	for _, v := range late {
		s.join(ctx, v)
	}
}

// beat tells everybody that the connection lives, and what is wrong when that
// has changed.
func (s *stage) beat() {
	health := s.source.Health()
	changed := health != s.health
	s.health = health
	clear(s.caughtUp)
	for a, viewers := range s.viewers {
		parts := []component{views.Beat(s.told, s.panel.now())}
		if changed {
			parts = append(parts, views.Notices(health, true))
		}
		message := s.render(a.lang, parts...)
		for v := range viewers {
			v.write([][]byte{message})
		}
	}
}

// newsFor is the messages of one frame. Each has at most one table body, and
// that first.
func (s *stage) newsFor(a audience, news bulletin, stats *models.Stats) [][]byte {
	var messages [][]byte
	var first []component
	if limit := eventsCap(a.section); limit > 0 && news.count > 0 {
		rows := slices.Clone(news.events[max(0, len(news.events)-limit):])
		slices.Reverse(rows)
		first = append(first, views.NewEvents(rows, news.count-int64(len(rows))))
	}
	if stats != nil {
		first = append(first, figures(a.section, *stats)...)
	}
	if len(first) > 0 {
		messages = append(messages, s.render(a.lang, append(first, views.Beat(s.told, s.panel.now()))...))
	}
	if alertsCap(a.section) > 0 && len(news.born)+len(news.changed) > 0 {
		var left, before int64
		if n := len(news.born); n > 0 {
			left, before = news.bornCount-int64(n), news.born[n-1].ID
		}
		alerts := slices.Concat(news.born, news.changed)
		messages = append(messages, s.render(a.lang, views.NewAlerts(alerts, left, before)))
	}
	return messages
}

// figures are the counters that a page of section shows.
func figures(section views.Section, stats models.Stats) []component {
	switch section {
	case views.SectionDashboard:
		return []component{views.Counters(stats, true)}
	case views.SectionAlerts:
		return []component{views.AlertFigures(stats, true)}
	case views.SectionAudit:
		return []component{views.AuditTables(stats, true)}
	}
	return nil
}

// eventsCap is how many events a page of section shows, 0 for none.
func eventsCap(section views.Section) int {
	switch section {
	case views.SectionDashboard:
		return views.DashboardCap
	case views.SectionEvents:
		return views.EventsCap
	}
	return 0
}

// alertsCap is how many emails a page of section shows, 0 for none.
func alertsCap(section views.Section) int {
	switch section {
	case views.SectionDashboard:
		return views.DashboardCap
	case views.SectionAlerts:
		return views.AlertsCap
	}
	return 0
}

// render makes one message. Rendering has a context of its own: one that is
// cancelled would cut the message in the middle.
func (s *stage) render(lang i18n.Lang, parts ...component) []byte {
	ctx := i18n.WithLang(context.Background(), lang)
	var out bytes.Buffer
	for _, part := range parts {
		if err := part.Render(ctx, &out); err != nil {
			// A buffer takes everything, so this is a component that refuses its
			// values. What is missing is there after the next catch-up.
			s.panel.logger.Error("live cannot render a frame", "error", err)
		}
	}
	return out.Bytes()
}
