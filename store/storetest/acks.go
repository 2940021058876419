package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

var ack = models.Ack{By: "Zoë", Verified: true, Peer: "192.0.2.9", At: start.Add(time.Hour)}

// acked is events as they are once ack was given.
func acked(events ...models.Event) []models.Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].AckedAt, events[i].AckedBy, events[i].AckedPeer, events[i].AckedVerified = ack.At, ack.By, ack.Peer, ack.Verified
	}
	return events
}

// stored inserts records and returns their events, oldest first.
func stored(t *testing.T, s Store, records ...models.Record) []models.Event {
	t.Helper()
	var events []models.Event
	for _, r := range insert(t, s, records...) {
		events = append(events, r.Event)
	}
	return events
}

// as is record i with another severity.
func as(i int, severity models.Severity) models.Record {
	r := record(i)
	r.Severity = severity
	return r
}

func waiting(t *testing.T, s Store) (critical, errors int64) {
	t.Helper()
	a, err := s.Attention(t.Context(), 0)
	if err != nil || len(a.Events) > 0 {
		t.Fatalf("Attention: %+v, %v", a, err)
	}
	return a.Critical, a.Errors
}

func acknowledge(t *testing.T, s Store) {
	e := stored(t, s, as(0, models.SeverityInfo), as(1, models.SeverityError), as(2, models.SeverityCritical), as(3, models.SeverityError))
	steps := []struct {
		what             string
		ids              []int64
		undo             bool
		want             []models.Event
		critical, errors int64
	}{
		{"nothing", nil, false, nil, 1, 2},
		{"all severities, unknown and repeated ids", []int64{e[0].ID, 4711, e[2].ID, e[1].ID, e[2].ID}, false, acked(e[2], e[1], e[0]), 0, 1},
		{"again", []int64{e[0].ID, e[1].ID, e[2].ID}, false, nil, 0, 1},
		{"one more", []int64{e[1].ID, e[3].ID}, false, acked(e[3]), 0, 0},
		{"taken back", []int64{e[0].ID, e[1].ID, e[2].ID, 4711}, true, []models.Event{e[2], e[1], e[0]}, 1, 1},
		{"taken back again", []int64{e[0].ID, e[1].ID}, true, nil, 1, 1},
		{"given again", []int64{e[1].ID}, false, acked(e[1]), 1, 0},
	}
	for _, step := range steps {
		change := func() ([]models.Event, error) { return s.Acknowledge(t.Context(), step.ids, ack) }
		if step.undo {
			change = func() ([]models.Event, error) { return s.Unacknowledge(t.Context(), step.ids) }
		}
		changed, err := change()
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		same(t, step.what, step.want, changed)
		for _, want := range step.want {
			row, err := s.Event(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, step.what+", stored", want, row)
		}
		critical, errors := waiting(t, s)
		same(t, step.what+", waiting", []int64{step.critical, step.errors}, []int64{critical, errors})
	}
	page, _ := all(t, s, models.EventFilter{})
	same(t, "page", append(acked(e[3]), e[2], acked(e[1])[0], e[0]), page)
	after, err := s.EventsAfter(t.Context(), e[0].ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "replayed", acked(e[1]), after)

	many := stored(t, s, batch(10, 1300)...)
	changed, err := s.Acknowledge(t.Context(), ids(many), ack)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(many)
	same(t, "many", acked(many...), changed)
}

func nobodysAck(t *testing.T, s Store) {
	e := stored(t, s, as(0, models.SeverityError))
	for _, bad := range []models.Ack{{At: start}, {By: "Zoë"}} {
		if _, err := s.Acknowledge(t.Context(), ids(e), bad); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, err := s.AcknowledgeGroup(t.Context(), e[0].ID, bad); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("group, %+v: %v", bad, err)
		}
	}
}

func acknowledgeGroup(t *testing.T, s Store) {
	minute := start.Truncate(time.Minute)
	repeat := func(change func(*models.Record)) models.Record {
		r := as(0, models.SeverityError)
		r.ReceivedAt = minute
		if change != nil {
			change(&r)
		}
		return r
	}
	e := stored(t, s,
		repeat(func(r *models.Record) { r.ReceivedAt = minute.Add(-time.Microsecond) }),
		repeat(nil),
		repeat(func(r *models.Record) { r.Channel = models.ChannelHTTP }), // the door says nothing
		repeat(func(r *models.Record) { r.Source = "another" }),
		repeat(func(r *models.Record) { r.Severity = models.SeverityCritical }),
		repeat(func(r *models.Record) { r.Message += "." }),
		repeat(nil),
		repeat(func(r *models.Record) { r.ReceivedAt = minute.Add(time.Minute - time.Microsecond) }),
		repeat(nil),
		repeat(func(r *models.Record) { r.Severity = models.SeverityInfo }),
		repeat(func(r *models.Record) { r.Severity = models.SeverityInfo }),
	)
	if _, err := s.Acknowledge(t.Context(), []int64{e[6].ID}, ack); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]models.Event{acked(e[7], e[2], e[1]), nil, acked(e[10], e[9])} {
		id := e[7].ID
		if len(want) == 2 {
			id = e[10].ID
		}
		changed, err := s.AcknowledgeGroup(t.Context(), id, ack)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("group of %d", id), want, changed)
	}
	if _, err := s.AcknowledgeGroup(t.Context(), 4711, ack); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("of an unknown event: %v", err)
	}
}

func attention(t *testing.T, s Store) {
	e := stored(t, s, batch(0, 16)...) // error: 2, 6, 10, 14; critical: 3, 7, 11, 15
	if _, err := s.Acknowledge(t.Context(), []int64{e[15].ID, e[14].ID}, ack); err != nil {
		t.Fatal(err)
	}
	waiting := []models.Event{e[11], e[7], e[3], e[10], e[6], e[2]}
	for _, limit := range []int{0, 1, 3, 5, 6, 100} {
		got, err := s.Attention(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("limit ", limit), models.Attention{Critical: 3, Errors: 3, Events: waiting[:min(limit, 6)]}, got)
	}
}

func unackedFilters(t *testing.T, s Store) {
	const n = 280
	e := stored(t, s, batch(0, n)...)
	var some []int64
	for i := 0; i < n; i += 3 {
		some = append(some, e[i].ID)
	}
	if _, err := s.Acknowledge(t.Context(), some, ack); err != nil {
		t.Fatal(err)
	}
	at := func(i int) time.Time { return e[i].CreatedAt }
	for _, test := range []struct {
		filter models.EventFilter
		ok     func(i int) bool
	}{
		{models.EventFilter{}, func(int) bool { return true }},
		{models.EventFilter{Limit: 7}, func(int) bool { return true }},
		{models.EventFilter{Severities: []models.Severity{models.SeverityCritical, models.SeverityInfo}}, func(i int) bool { return i%4 == 3 }},
		{models.EventFilter{Severities: []models.Severity{models.SeverityInfo}}, func(int) bool { return false }},
		{models.EventFilter{Channels: []models.Channel{models.ChannelHTTP}, Limit: 3}, func(i int) bool { return i%2 == 1 }},
		{models.EventFilter{Source: "device-3", From: at(20), To: at(200)}, func(i int) bool { return i%7 == 3 && i >= 20 && i < 200 }},
		{models.EventFilter{Text: "message 1"}, func(i int) bool { return strings.HasPrefix(fmt.Sprint(i), "1") }},
		{models.EventFilter{After: e[50].ID, Before: e[100].ID, Limit: 4}, func(i int) bool { return i > 50 && i < 100 }},
	} {
		test.filter.Unacked = true
		var want []models.Event
		for i := n - 1; i >= 0; i-- {
			if i%4 >= 2 && i%3 != 0 && test.ok(i) {
				want = append(want, e[i])
			}
		}
		got, _ := all(t, s, test.filter)
		same(t, fmt.Sprintf("%+v", test.filter), want, got)
	}
}

func unackedRareMatch(t *testing.T, s Store) {
	rare := as(0, models.SeverityError)
	rare.Message = "needle"
	want := stored(t, s, rare, as(1, models.SeverityCritical))
	for range 4 {
		noise := batch(0, 8000)
		for i := range noise {
			noise[i].Severity = models.SeverityError
		}
		insert(t, s, noise...)
	}
	page, err := s.Events(t.Context(), models.EventFilter{Unacked: true, Text: "needle"})
	if err != nil || len(page.Events) != 0 || page.NextBefore == 0 || !page.SearchedTo.After(start) {
		t.Errorf("the first call looked at everything: %+v, %v", page, err)
	}
	got, calls := all(t, s, models.EventFilter{Unacked: true, Text: "needle"})
	same(t, "found", want[:1], got)
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

func eventsByID(t *testing.T, s Store) {
	e := stored(t, s, batch(0, 20)...)
	for _, test := range []struct {
		ids  []int64
		want []models.Event
	}{
		{nil, nil}, {[]int64{4711}, nil}, {[]int64{e[3].ID, e[19].ID, 4711, e[3].ID}, []models.Event{e[19], e[3]}},
	} {
		got, err := s.EventsByID(t.Context(), test.ids)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(test.ids), test.want, got)
	}
}
