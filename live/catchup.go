package live

import (
	"context"
	"slices"

	"alerthub/models"
	"alerthub/views"
)

// catchUp is what a page that joins is told, apart from the moment.
type catchUp struct {
	audience audience
	since    int64
}

// join tells v what it has not seen of everything that the others were told,
// so that from then on the same frames fit them all.
func (s *stage) join(ctx context.Context, v *viewer) {
	if len(s.viewers) == 0 && len(s.late) == 0 {
		s.told = s.panel.news.listen(true)
		s.health = s.source.Health()
	}
	if v.since > s.told {
		// The page was rendered after the last frame; the next one brings the
		// others there. Or its number belongs to another database.
		events, err := s.source.EventsAfter(ctx, v.since-1, 1)
		switch {
		case err != nil:
			s.refuse(ctx, v, err)
			return
		case len(events) > 0:
			s.late = append(s.late, v)
			return
		}
		v.since = -1
	}
	key := catchUp{v.audience, v.since}
	messages, ok := s.caughtUp[key]
	if !ok {
		var err error
		if messages, err = s.catchUp(ctx, key); err != nil {
			s.refuse(ctx, v, err)
			return
		}
		if s.caughtUp == nil || len(s.caughtUp) >= keptCatchUps {
			s.caughtUp = make(map[catchUp][][]byte)
		}
		s.caughtUp[key] = messages
	}
	if s.viewers[v.audience] == nil {
		s.viewers[v.audience] = make(map[*viewer]struct{})
	}
	s.viewers[v.audience][v] = struct{}{}
	v.write(messages)
}

// keptCatchUps bounds the different answers kept for pages that come back at
// the same time.
const keptCatchUps = 16

// refuse ends a page that cannot be told what it missed: it asks again.
func (s *stage) refuse(ctx context.Context, v *viewer, err error) {
	if ctx.Err() == nil {
		s.panel.logger.Warn("live cannot catch a page up", "since", v.since, "error", err)
	}
	v.retryLater()
	s.rest()
}

func (s *stage) leave(v *viewer) {
	s.late = slices.DeleteFunc(s.late, func(l *viewer) bool { return l == v })
	if viewers, ok := s.viewers[v.audience]; ok {
		delete(viewers, v)
		if len(viewers) == 0 {
			delete(s.viewers, v.audience)
		}
	}
	s.rest()
}

// rest lets go of everything while no page is open.
func (s *stage) rest() {
	if len(s.viewers) == 0 && len(s.late) == 0 {
		s.panel.news.listen(false)
		s.waiting, s.statsDue = false, false
		clear(s.caughtUp)
	}
}

// catchUp reads and renders what a page needs: the events between since and
// told when its table has room for them, else the newest; the newest emails;
// the counters; what is wrong.
func (s *stage) catchUp(ctx context.Context, key catchUp) ([][]byte, error) {
	var parts []component
	if limit := eventsCap(key.audience.section); limit > 0 {
		rows, err := s.missed(ctx, key.since, limit)
		if err != nil {
			return nil, err
		}
		if rows != nil {
			parts = append(parts, rows)
		}
	}
	stats, err := s.source.Stats(ctx)
	if err != nil {
		return nil, err
	}
	parts = append(parts, figures(key.audience.section, stats)...)
	parts = append(parts, views.Notices(s.health, true), views.Beat(s.told, s.panel.now()))
	messages := [][]byte{s.render(key.audience.lang, parts...)}

	if limit := alertsCap(key.audience.section); limit > 0 {
		alerts, err := s.source.EmailAlerts(ctx, models.EmailFilter{Limit: limit})
		if err != nil {
			return nil, err
		}
		messages = append(messages, s.render(key.audience.lang, views.AllAlerts(alerts)))
	}
	return messages, nil
}

// missed is the table body for a page that shows events up to since; nil when
// it misses none.
func (s *stage) missed(ctx context.Context, since int64, limit int) (component, error) {
	if since == s.told {
		return nil, nil
	}
	if since >= 0 {
		events, err := s.source.EventsAfter(ctx, since, limit+1)
		if err != nil {
			return nil, err
		}
		events = slices.DeleteFunc(events, func(e models.Event) bool { return e.ID > s.told })
		if len(events) <= limit {
			slices.Reverse(events)
			return views.NewEvents(events, 0), nil
		}
	}
	page, err := s.source.Events(ctx, models.EventFilter{Before: s.told + 1, Limit: limit})
	if err != nil {
		return nil, err
	}
	var left int64
	if since >= 0 {
		left = max(0, s.told-since-int64(len(page.Events))) // ids have no holes
	}
	return views.AllEvents(page.Events, left), nil
}
