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

func pages(t *testing.T, s Store) {
	if events, calls := all(t, s, models.EventFilter{}); len(events) != 0 || calls != 1 {
		t.Errorf("an empty store gave %d events in %d calls", len(events), calls)
	}
	var want []int64
	for _, r := range insert(t, s, batch(0, 130)...) {
		want = append(want, r.Event.ID)
	}
	slices.Reverse(want)
	for _, test := range []struct {
		filter models.EventFilter
		want   []int64
		calls  int
	}{
		{models.EventFilter{}, want, 3},
		{models.EventFilter{Limit: 10}, want, 13}, // exact: the last page says that it is
		{models.EventFilter{Limit: 130}, want, 1},
		{models.EventFilter{Limit: models.MaxLimit + 1}, want, 1},
		{models.EventFilter{Before: want[9]}, want[10:], 3},
		{models.EventFilter{Before: want[0] + 1_000_000}, want, 3},
		{models.EventFilter{After: want[5]}, want[:5], 1},
		{models.EventFilter{After: want[0]}, nil, 1},
		{models.EventFilter{After: want[99], Before: want[49], Limit: 7}, want[50:99], 7},
		{models.EventFilter{Before: want[129]}, nil, 1},
		{models.EventFilter{Source: "device-3", Limit: 4}, selected(want, func(i int) bool { return i%7 == 3 }), 5},
	} {
		events, calls := all(t, s, test.filter)
		same(t, fmt.Sprintf("%+v", test.filter), test.want, ids(events))
		if calls != test.calls {
			t.Errorf("%+v took %d calls, want %d", test.filter, calls, test.calls)
		}
	}
}

// selected picks of ids, which are of records n-1 down to 0, those of records that ok says.
func selected(ids []int64, ok func(i int) bool) []int64 {
	var list []int64
	for at, id := range ids {
		if ok(len(ids) - 1 - at) {
			list = append(list, id)
		}
	}
	return list
}

func filters(t *testing.T, s Store) {
	const n = 140
	records := batch(0, n)
	receipts := insert(t, s, records...)
	at := func(i int) time.Time { return records[i].ReceivedAt }
	for _, test := range []struct {
		filter models.EventFilter
		ok     func(i int) bool
	}{
		{models.EventFilter{Severities: []models.Severity{models.SeverityError}}, func(i int) bool { return i%4 == 2 }},
		{models.EventFilter{Severities: []models.Severity{models.SeverityError, models.SeverityInfo}}, func(i int) bool { return i%2 == 0 }},
		{models.EventFilter{Channels: []models.Channel{models.ChannelHTTP}}, func(i int) bool { return i%2 == 1 }},
		{models.EventFilter{Source: "device-3"}, func(i int) bool { return i%7 == 3 }},
		{models.EventFilter{Source: "DEVICE-3"}, func(int) bool { return false }},
		{models.EventFilter{From: at(20), To: at(30)}, func(i int) bool { return i >= 20 && i < 30 }},
		{models.EventFilter{From: at(20).Add(1), To: at(30).Add(1)}, func(i int) bool { return i > 20 && i <= 30 }},
		{models.EventFilter{From: at(20).In(time.FixedZone("east", 7200))}, func(i int) bool { return i >= 20 }},
		{models.EventFilter{Text: "MESSAGE 1"}, func(i int) bool { return strings.HasPrefix(fmt.Sprint(i), "1") }},
		{models.EventFilter{Text: "Device-5"}, func(i int) bool { return i%7 == 5 }},
		{models.EventFilter{Source: "device-0", Severities: []models.Severity{models.SeverityCritical}, After: receipts[69].Event.ID},
			func(i int) bool { return i%7 == 0 && i%4 == 3 && i > 69 }},
	} {
		var want []int64
		for i := n - 1; i >= 0; i-- {
			if test.ok(i) {
				want = append(want, receipts[i].Event.ID)
			}
		}
		events, _ := all(t, s, test.filter)
		same(t, fmt.Sprintf("%+v", test.filter), want, ids(events))
	}
}

func literalText(t *testing.T, s Store) {
	messages := []string{"100% full", "100 full", "a_b", "axb", `c:\temp`, "c:temp", "it's", "[x]*?"}
	var records []models.Record
	for i, m := range messages {
		r := record(i)
		r.Message = m
		records = append(records, r)
	}
	receipts := insert(t, s, records...)
	for text, want := range map[string][]int{"0%": {0}, "_": {2}, `\`: {4}, "'": {6}, "[x]*": {7}, "AXB": {3}, "c:": {5, 4}, "nothing": nil} {
		events, _ := all(t, s, models.EventFilter{Text: text})
		var wantIDs []int64
		for _, i := range want {
			wantIDs = append(wantIDs, receipts[i].Event.ID)
		}
		same(t, text, wantIDs, ids(events))
	}
}

func rareMatch(t *testing.T, s Store) {
	rare := record(0)
	rare.Message = "needle"
	want := insert(t, s, rare)[0].Event.ID
	for n := 0; n < 30_000; n += 6000 {
		insert(t, s, batch(n, 6000)...)
	}
	events, _ := all(t, s, models.EventFilter{Text: "needle"})
	same(t, "found", []int64{want}, ids(events))
}

func eventsAfter(t *testing.T, s Store) {
	var want []int64
	for _, r := range insert(t, s, batch(0, 25)...) {
		want = append(want, r.Event.ID)
	}
	var got []int64
	for after := int64(0); ; {
		events, err := s.EventsAfter(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		got = append(got, ids(events)...)
		after = events[len(events)-1].ID
	}
	same(t, "replayed", want, got)
}

func notFound(t *testing.T, s Store) {
	insert(t, s, record(0))
	if _, err := s.Event(t.Context(), 4711); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("Event: %v", err)
	}
	if _, err := s.FinishAlert(t.Context(), models.AlertUpdate{ID: 4711, Status: models.EmailSent, At: start}); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("FinishAlert: %v", err)
	}
}

func countersEqualRecount(t *testing.T, s Store) {
	for b := range 5 {
		records := batch(b*100, 100)
		for i := range records {
			if records[i].Severity.Escalates() {
				records[i].Alerts = []models.NewAlert{{Recipient: "a@example.net", Status: models.EmailPending}, {Channel: models.DeliveryWebhook, Status: models.EmailSkipped, Detail: "why"}}
			}
		}
		records[3], records[4], records[5] = keyed(1, "same", 1), keyed(2, "same", 1), keyed(3, "same", 2)
		for i, r := range insert(t, s, records...) {
			if len(r.Alerts) == 0 || i%3 == 0 {
				continue
			}
			status := []models.EmailStatus{models.EmailSent, models.EmailFailed, models.EmailPending}[i%3]
			u := models.AlertUpdate{ID: r.Alerts[0].ID, Status: status, Attempts: 1, NextAttemptAt: start, At: start}
			if _, err := s.FinishAlert(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := models.Stats{Severity: map[models.Severity]int64{}, Channel: map[models.Channel]int64{}, Email: map[models.EmailStatus]int64{}, Webhook: map[models.EmailStatus]int64{}}
	for _, severity := range models.Severities() {
		want.Severity[severity] = 0
	}
	events, _ := all(t, s, models.EventFilter{Limit: models.MaxLimit})
	for _, e := range events {
		want.Events++
		want.Severity[e.Severity]++
		want.Channel[e.Channel]++
	}
	want.LastEventID = events[0].ID
	for _, status := range models.EmailStatuses() {
		for channel, counts := range map[string]map[models.EmailStatus]int64{models.DeliveryEmail: want.Email, models.DeliveryWebhook: want.Webhook} {
			alerts, err := s.EmailAlerts(t.Context(), models.EmailFilter{Status: status, Channel: channel, Limit: models.MaxLimit})
			if err != nil {
				t.Fatal(err)
			}
			counts[status] = int64(len(alerts))
		}
	}
	got, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "stats", want, got)
	if want.Events < 480 || want.Email[models.EmailSent] == 0 && want.Email[models.EmailFailed] == 0 {
		t.Errorf("too little was counted: %+v", want)
	}
}
