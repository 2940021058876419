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

// withAlerts stores one event per recipient list, each a second after the other.
func withAlerts(t *testing.T, s Store, recipients ...[]string) []models.Receipt {
	t.Helper()
	var records []models.Record
	for i, list := range recipients {
		r := record(i)
		r.ReceivedAt = start.Add(time.Duration(i) * time.Second)
		for _, to := range list {
			r.Alerts = append(r.Alerts, models.NewAlert{Recipient: to, Status: models.EmailPending})
		}
		records = append(records, r)
	}
	return insert(t, s, records...)
}

// manyAlerts stores more emails in one batch than any statement takes, of
// events that have none, one or several, with a repeat in between: what the
// receipts say is what is stored.
func manyAlerts(t *testing.T, s Store) {
	records := batch(0, 60)
	for i := range records {
		for j := range i % 4 {
			status := models.EmailPending
			if j == 1 {
				status = models.EmailSkipped
			}
			records[i].Alerts = append(records[i].Alerts, models.NewAlert{
				Contact: strings.Repeat("ñ", i%3*j), Recipient: fmt.Sprintf("r%d-%d@example.net", i, j), Status: status, Detail: strings.Repeat("d", i*j),
			})
		}
	}
	first, again := keyed(61, "k", 1), keyed(62, "k", 1)
	first.Alerts = []models.NewAlert{{Recipient: "once@example.net", Status: models.EmailPending}}
	again.Alerts = first.Alerts
	receipts := insert(t, s, append(records, first, again)...)
	var newest []models.EmailAlert
	for _, r := range receipts {
		newest = append(newest, r.Alerts...)
	}
	slices.Reverse(newest)
	if len(newest) != 91 {
		t.Errorf("the receipts hold %d emails, want 91", len(newest))
	}
	contacts := map[string]int{}
	for _, a := range newest {
		if contacts[a.Contact]++; a.Channel != models.DeliveryEmail {
			t.Errorf("the channel of %+v", a)
		}
	}
	same(t, "contacts", map[string]int{"": 61, "ñ": 10, "ññ": 15, "ññññ": 5}, contacts)
	got, err := s.EmailAlerts(t.Context(), models.EmailFilter{Limit: models.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "emails", newest, got)
}

func finish(t *testing.T, s Store, u models.AlertUpdate) models.EmailAlert {
	t.Helper()
	alert, err := s.FinishAlert(t.Context(), u)
	if err != nil {
		t.Fatalf("FinishAlert(%+v): %v", u, err)
	}
	return alert
}

func noAlerts() map[models.EmailStatus]int64 {
	counts := map[models.EmailStatus]int64{}
	for _, status := range models.EmailStatuses() {
		counts[status] = 0
	}
	return counts
}

func finishAlert(t *testing.T, s Store) {
	born := withAlerts(t, s, []string{"a@example.net"})[0].Alerts[0]
	at, next := start.Add(time.Minute), start.Add(time.Hour)
	want := born
	for _, u := range []models.AlertUpdate{
		{ID: born.ID, Status: models.EmailPending, Detail: "421 busy", Attempts: 1, NextAttemptAt: next, At: at},
		{ID: born.ID, Status: models.EmailFailed, Detail: "550 no such user ñ", Attempts: 2, NextAttemptAt: next, At: at},
		{ID: born.ID, Status: models.EmailSent, Attempts: 3, At: at.Add(time.Second)},
	} {
		want.Status, want.Detail, want.Attempts, want.UpdatedAt, want.NextAttemptAt = u.Status, u.Detail, u.Attempts, u.At, time.Time{}
		if u.Status == models.EmailPending {
			want.NextAttemptAt = u.NextAttemptAt
		}
		same(t, "returned", want, finish(t, s, u))
		rows, err := s.EmailAlerts(t.Context(), models.EmailFilter{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stored", []models.EmailAlert{want}, rows)
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts := noAlerts()
		counts[u.Status] = 1
		same(t, "counters", counts, stats.Email)
	}
	for _, u := range []models.AlertUpdate{
		{ID: born.ID, Status: "lost", At: at},
		{ID: born.ID, Status: models.EmailPending, At: at}, // without a next attempt it would wait for ever
	} {
		if _, err := s.FinishAlert(t.Context(), u); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("%+v: %v", u, err)
		}
	}
}

func emailFilters(t *testing.T, s Store) {
	to := []string{"a@example.net", "b@example.net"}
	receipts := withAlerts(t, s, to, to, to, to)
	var newest []models.EmailAlert
	for i := len(receipts) - 1; i >= 0; i-- {
		newest = append(newest, receipts[i].Alerts[1], receipts[i].Alerts[0])
	}
	sent := newest[2]
	sent = finish(t, s, models.AlertUpdate{ID: sent.ID, Status: models.EmailSent, Attempts: 1, At: start})
	newest[2] = sent
	for name, test := range map[string]struct {
		filter models.EmailFilter
		want   []models.EmailAlert
	}{
		"all":            {models.EmailFilter{}, newest},
		"limit":          {models.EmailFilter{Limit: 3}, newest[:3]},
		"before":         {models.EmailFilter{Before: newest[4].ID}, newest[5:]},
		"by events":      {models.EmailFilter{EventIDs: []int64{receipts[0].Event.ID, receipts[3].Event.ID, 4711}}, append(append([]models.EmailAlert{}, newest[:2]...), newest[6:]...)},
		"by no event":    {models.EmailFilter{EventIDs: []int64{}}, nil},
		"sent":           {models.EmailFilter{Status: models.EmailSent}, []models.EmailAlert{sent}},
		"pending":        {models.EmailFilter{Status: models.EmailPending, Limit: 3}, []models.EmailAlert{newest[0], newest[1], newest[3]}},
		"failed":         {models.EmailFilter{Status: models.EmailFailed}, nil},
		"event and sent": {models.EmailFilter{Status: models.EmailSent, EventIDs: []int64{sent.EventID}}, []models.EmailAlert{sent}},
	} {
		got, err := s.EmailAlerts(t.Context(), test.filter)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, name, test.want, got)
	}
}

func probe(t *testing.T, s Store) {
	insert(t, s, batch(0, 5)...)
	before, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "stats", before, after)
}
