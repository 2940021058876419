package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/hub"
	"alerthub/models"
)

// ackStore keeps acknowledgements in memory, and answers for the unacknowledged.
type ackStore struct {
	fakeStore
	asked  []models.EventFilter
	failAt int // the call of Acknowledge or Unacknowledge that fails; 0 for none
	calls  int
}

// holding has n events, by turns of each severity.
func holding(n int) *ackStore {
	s := &ackStore{}
	for i := range n {
		s.events = append(s.events, models.Event{
			ID: int64(i + 1), CreatedAt: time.Unix(int64(i), 0).UTC(),
			Severity: models.Severities()[i%4], Message: fmt.Sprintf("message %d", i+1), Channel: models.ChannelTCP,
		})
	}
	return s
}

func (s *ackStore) Events(_ context.Context, f models.EventFilter) (page models.EventPage, err error) {
	s.asked = append(s.asked, f)
	for _, e := range slices.Backward(s.events) {
		if f.Before > 0 && e.ID >= f.Before || f.Unacked && !e.NeedsAck() ||
			len(f.Severities) > 0 && !slices.Contains(f.Severities, e.Severity) || !strings.Contains(e.Message, f.Text) {
			continue
		}
		if len(page.Events) == f.Limit {
			page.NextBefore = page.Events[f.Limit-1].ID
			break
		}
		page.Events = append(page.Events, e)
	}
	return page, nil
}

func (s *ackStore) Acknowledge(_ context.Context, ids []int64, ack models.Ack) ([]models.Event, error) {
	return s.mark(ids, ack)
}

func (s *ackStore) AcknowledgeGroup(_ context.Context, id int64, ack models.Ack) ([]models.Event, error) {
	return s.mark([]int64{id, id - 4}, ack)
}

func (s *ackStore) Unacknowledge(_ context.Context, ids []int64) ([]models.Event, error) {
	return s.mark(ids, models.Ack{})
}

func (s *ackStore) mark(ids []int64, ack models.Ack) (changed []models.Event, err error) {
	if s.calls++; s.calls == s.failAt {
		return nil, models.ErrUnavailable
	}
	for _, id := range ids {
		if e := &s.events[id-1]; e.Acked() == ack.At.IsZero() {
			e.AckedAt, e.AckedBy, e.AckedPeer = ack.At, ack.By, ack.Peer
			changed = append(changed, *e)
		}
	}
	return changed, nil
}

func (s *ackStore) Attention(context.Context, int) (a models.Attention, err error) {
	for i := range s.events {
		switch e := &s.events[i]; {
		case e.NeedsAck() && e.Severity == models.SeverityError:
			a.Errors++
		case e.NeedsAck():
			a.Critical++
		}
	}
	return a, nil
}

func (s *ackStore) Stats(context.Context) (models.Stats, error) {
	stats := models.Stats{Severity: map[models.Severity]int64{}}
	for i := range s.events {
		stats.Severity[s.events[i].Severity]++
	}
	return stats, nil
}

// ackHub is a hub over s that nothing needs to run.
func ackHub(s *ackStore, cfg hub.Config) (*hub.Hub, *fakeLive) {
	live := &fakeLive{}
	return hub.New(s, live, &fakeMail{}, cfg), live
}

var zoe = models.Ack{By: "  Zoë ", Peer: "192.0.2.9"}

func TestHub_Acknowledge(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("east", 7200))
	h, live := ackHub(holding(8), hub.Config{Now: func() time.Time { return at }})
	events, err := h.Acknowledge(t.Context(), []int64{3, 4}, zoe)
	if err != nil || len(events) != 2 {
		t.Fatalf("%v, %v", events, err)
	}
	if e := events[0]; e.AckedBy != "Zoë" || e.AckedPeer != zoe.Peer || !e.AckedAt.Equal(at.Truncate(time.Microsecond)) || e.AckedAt.Location() != time.UTC {
		t.Errorf("acknowledged as %+v", e)
	}
	if events, err := h.Acknowledge(t.Context(), []int64{3, 4}, zoe); err != nil || len(events) != 0 {
		t.Errorf("again: %v, %v", events, err)
	}
	if _, err := h.AcknowledgeGroup(t.Context(), 8, zoe); err != nil {
		t.Error(err)
	}
	if _, err := h.Unacknowledge(t.Context(), []int64{4}); err != nil {
		t.Error(err)
	}
	var field *models.FieldError
	for _, acknowledge := range []func() error{
		func() error { _, err := h.Acknowledge(t.Context(), []int64{7}, models.Ack{By: " "}); return err },
		func() error { _, err := h.AcknowledgeGroup(t.Context(), 7, models.Ack{By: " "}); return err },
		func() error {
			_, _, err := h.AcknowledgeAll(t.Context(), models.EventFilter{}, models.Ack{By: " "})
			return err
		},
	} {
		if err := acknowledge(); !errors.As(err, &field) || field.Field != "by" {
			t.Errorf("without a name: %v", err)
		}
	}
	if diff := cmp.Diff([]int64{3, 4, 8, 4}, live.changed); diff != "" {
		t.Errorf("told live (-want +got):\n%s", diff)
	}
}

func TestHub_AcknowledgeAll(t *testing.T) {
	t.Run("by filter, below an id, in short transactions, with undo", func(t *testing.T) {
		store := holding(4000) // 1,000 of each severity
		h, live := ackHub(store, hub.Config{})
		f := models.EventFilter{Severities: []models.Severity{models.SeverityCritical}, Before: 3600}
		token, n, err := h.AcknowledgeAll(t.Context(), f, zoe)
		if err != nil || n != 899 || token == "" {
			t.Fatalf("%d, %q, %v", n, token, err)
		}
		if store.calls != 2 || live.changed[0] != 3596 || len(live.changed) != 899 {
			t.Errorf("%d transactions; live was told of %d, first %d", store.calls, len(live.changed), live.changed[0])
		}
		if n, err := h.UndoAll(t.Context(), token); err != nil || n != 899 {
			t.Errorf("undo: %d, %v", n, err)
		}
		if a, _ := h.Attention(t.Context(), 0); a.Critical != 1000 || a.Errors != 1000 || len(live.changed) != 2*899 {
			t.Errorf("after the undo: %+v, live was told of %d", a, len(live.changed))
		}
		if _, err := h.UndoAll(t.Context(), token); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("undo again: %v", err)
		}
	})
	t.Run("nothing to do", func(t *testing.T) {
		h, _ := ackHub(holding(2), hub.Config{})
		if token, n, err := h.AcknowledgeAll(t.Context(), models.EventFilter{}, zoe); err != nil || n != 0 || token != "" {
			t.Errorf("%d, %q, %v", n, token, err)
		}
	})
	t.Run("a fault half way can be undone and tried again", func(t *testing.T) {
		store := holding(4000)
		store.failAt = 3
		h, _ := ackHub(store, hub.Config{})
		token, n, err := h.AcknowledgeAll(t.Context(), models.EventFilter{}, zoe)
		if !errors.Is(err, models.ErrUnavailable) || n != 1000 {
			t.Fatalf("%d, %v", n, err)
		}
		store.failAt = 5
		if n, err := h.UndoAll(t.Context(), token); !errors.Is(err, models.ErrUnavailable) || n != 500 {
			t.Errorf("undo: %d, %v", n, err)
		}
		if n, err := h.UndoAll(t.Context(), token); err != nil || n != 500 {
			t.Errorf("undo again: %d, %v", n, err)
		}
	})
	t.Run("at most 100,000 a call", func(t *testing.T) {
		h, _ := ackHub(holding(202_000), hub.Config{})
		for _, want := range []int{100_000, 1000} {
			if _, n, err := h.AcknowledgeAll(t.Context(), models.EventFilter{}, zoe); err != nil || n != want {
				t.Errorf("%d, want %d, %v", n, want, err)
			}
		}
	})
	t.Run("tokens are forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := ackHub(holding(80), hub.Config{})
			var tokens []string
			for i := range 17 {
				token, n, err := h.AcknowledgeAll(t.Context(), models.EventFilter{Severities: []models.Severity{models.SeverityError}}, zoe)
				if err != nil || n == 0 {
					t.Fatalf("%d: %d, %v", i, n, err)
				}
				if tokens = append(tokens, token); i < 16 {
					if _, err := h.Unacknowledge(t.Context(), []int64{3}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := h.UndoAll(t.Context(), tokens[0]); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("the seventeenth last: %v", err)
			}
			if _, err := h.UndoAll(t.Context(), tokens[1]); err != nil {
				t.Errorf("the sixteenth last: %v", err)
			}
			time.Sleep(10 * time.Minute) // of the bubble's clock
			if _, err := h.UndoAll(t.Context(), tokens[16]); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("after ten minutes: %v", err)
			}
		})
	})
}

// fakeIndex answers what tells it from the store.
type fakeIndex struct{ hub.Index }

func (fakeIndex) Events(context.Context, models.EventFilter) (models.EventPage, error) {
	return models.EventPage{NextBefore: 4711}, nil
}
func (fakeIndex) Match(context.Context, models.EventFilter) (models.Match, error) {
	return models.Match{Total: 4711}, nil
}
func (fakeIndex) TopSources(context.Context, models.Window, int) ([]models.SourceCount, error) {
	return []models.SourceCount{{Source: "a"}}, nil
}
func (fakeIndex) Sources(context.Context, int) ([]string, error) { return []string{"a"}, nil }
func (fakeIndex) State() models.IndexState                       { return models.IndexState{Behind: 7} }

// wordMatcher gives texts another meaning than the store does.
func wordMatcher(f models.EventFilter) func(*models.Event) bool {
	return func(e *models.Event) bool { return strings.HasSuffix(e.Message, f.Text) }
}

func TestHub_searches(t *testing.T) {
	critical := []models.Severity{models.SeverityCritical, models.SeverityInfo}
	with := hub.Config{Index: fakeIndex{}, Matcher: wordMatcher}
	for _, test := range []struct {
		name   string
		cfg    hub.Config
		filter models.EventFilter
		next   int64 // EventPage.NextBefore
		events int
		match  models.Match
	}{
		{"everything, from the store and its counters", with, models.EventFilter{Limit: 10, Before: 100}, 90, 10,
			models.Match{Total: 4000, Exact: true, Severity: [4]int64{1000, 1000, 1000, 1000}}},
		{"narrow, from the index", with, models.EventFilter{Text: "a"}, 4711, 0, models.Match{Total: 4711}},
		{"severities, counted by the counters", with, models.EventFilter{Severities: critical}, 4711, 0,
			models.Match{Total: 2000, Exact: true, Severity: [4]int64{1000, 1000, 1000, 1000}}},
		{"unacknowledged, from the store and its counters", with, models.EventFilter{Unacked: true, Limit: 5}, 3992, 5,
			models.Match{Total: 2000, Exact: true, Severity: [4]int64{2: 1000, 3: 1000}}},
		{"unacknowledged and severities", with, models.EventFilter{Unacked: true, Severities: critical, Limit: 1}, 4000, 1,
			models.Match{Total: 1000, Exact: true, Severity: [4]int64{2: 1000, 3: 1000}}},
		{"unacknowledged words, as the matcher reads them", with, models.EventFilter{Unacked: true, Text: "00", Limit: 3}, 3800, 3,
			models.Match{Total: 40, Exact: true, Severity: [4]int64{3: 40}}},
		{"a page ends with the last match", with, models.EventFilter{Unacked: true, Text: "00", Limit: 40}, 0, 40,
			models.Match{Total: 40, Exact: true, Severity: [4]int64{3: 40}}},
		{"unacknowledged words that nothing has", with, models.EventFilter{Unacked: true, Text: "e 1", Limit: 1}, 0, 0,
			models.Match{Exact: true}},
		{"without an index, from the store", hub.Config{}, models.EventFilter{Text: "message 4000", Limit: 1}, 0, 1, models.Match{}},
		{"without a matcher, words from the store", hub.Config{}, models.EventFilter{Unacked: true, Text: "message", Limit: 1}, 4000, 1,
			models.Match{Total: 1000, Severity: [4]int64{2: 500, 3: 500}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := ackHub(holding(4000), test.cfg)
			page, err := h.Events(t.Context(), test.filter)
			if err != nil || page.NextBefore != test.next || len(page.Events) != test.events {
				t.Errorf("%d events, next %d, want %d and %d, %v", len(page.Events), page.NextBefore, test.events, test.next, err)
			}
			match, err := h.Match(t.Context(), test.filter)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.match, match); diff != "" {
				t.Errorf("match (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a search for unacknowledged words is bounded", func(t *testing.T) {
		h, _ := ackHub(holding(60_000), with)
		f := models.EventFilter{Unacked: true, Text: "message 3"}
		page, err := h.Events(t.Context(), f)
		if err != nil || len(page.Events) != 0 || page.NextBefore == 0 || !page.SearchedTo.Equal(time.Unix(page.NextBefore-1, 0)) {
			t.Fatalf("%+v, %v", page, err)
		}
		f.Before = page.NextBefore
		if page, err = h.Events(t.Context(), f); err != nil || len(page.Events) != 1 || page.Events[0].ID != 3 || page.NextBefore != 0 {
			t.Errorf("the rest: %+v, %v", page, err)
		}
	})
	t.Run("sources", func(t *testing.T) {
		for cfg, want := range map[*hub.Config]int{&with: 1, {}: 0} {
			h, _ := ackHub(holding(1), *cfg)
			top, err1 := h.TopSources(t.Context(), models.Window{}, 6)
			names, err2 := h.Sources(t.Context(), 6)
			if len(top) != want || len(names) != want || h.Index().Behind != int64(7*want) || err1 != nil || err2 != nil {
				t.Errorf("%v, %v, %+v, %v, %v", top, names, h.Index(), err1, err2)
			}
		}
	})
}
