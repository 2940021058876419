package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"alerthub/models"
)

// recount does random operations and compares all that is kept with what is
// counted anew.
func recount(t *testing.T, s Store) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	now := time.Now().UTC().Truncate(time.Microsecond)
	var known, emails []int64
	some := func(of []int64) []int64 {
		var list []int64
		for range random.IntN(20) {
			list = append(list, of[random.IntN(len(of))])
		}
		return list
	}
	for range 60 {
		records := batch(len(known), 1+random.IntN(70))
		for i := range records {
			records[i].ReceivedAt = now.Add(-time.Duration(random.Int64N(int64(5 * time.Minute)))).Truncate(time.Microsecond)
			if records[i].Severity.Escalates() {
				records[i].Alerts = []models.NewAlert{{Recipient: "a@example.net", Status: models.EmailPending}, {Status: models.EmailSkipped}}
			}
		}
		for _, r := range insert(t, s, records...) {
			known = append(known, r.Event.ID)
			for _, a := range r.Alerts {
				emails = append(emails, a.ID)
			}
		}
		_, err1 := s.Acknowledge(t.Context(), some(known), ack)
		_, err2 := s.Unacknowledge(t.Context(), some(known))
		_, err3 := s.AcknowledgeGroup(t.Context(), known[random.IntN(len(known))], ack)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if len(emails) > 0 {
			status := models.EmailStatuses()[random.IntN(6)]
			finish(t, s, models.AlertUpdate{ID: emails[random.IntN(len(emails))], Status: status, NextAttemptAt: now, At: now})
		}
	}
	events, _ := all(t, s, models.EventFilter{Limit: models.MaxLimit})
	var alerts []models.EmailAlert
	for before := int64(0); ; before = alerts[len(alerts)-1].ID {
		page, err := s.EmailAlerts(t.Context(), models.EmailFilter{Limit: models.MaxLimit, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		alerts = append(alerts, page...)
	}
	var want [2]int64
	for i := range events {
		if events[i].NeedsAck() {
			want[events[i].Severity.Rank()-2]++
		}
	}
	critical, waits := waiting(t, s)
	same(t, "waiting", want, [2]int64{waits, critical})
	for _, w := range []models.Window{
		models.Range15m.Window(now), models.Range24h.Window(now), models.Range7d.Window(now),
		{From: now.Add(-10 * time.Minute), To: now.Add(-time.Minute), Step: 2 * time.Minute},
	} {
		got, err := s.Series(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("series %+v", w), counted(w, events, alerts), got)
	}
}

// counted is a series counted one by one.
func counted(w models.Window, events []models.Event, alerts []models.EmailAlert) models.Series {
	series := models.Series{Window: w, Counts: make([]models.Counts, w.Bars())}
	bar := func(at time.Time) *models.Counts {
		if at = at.Truncate(time.Minute); at.Before(w.From) || !at.Before(w.To) {
			return &models.Counts{}
		}
		return &series.Counts[at.Sub(w.From)/w.Step]
	}
	for i := range events {
		bar(events[i].CreatedAt).Event[events[i].Severity.Rank()][events[i].Channel.Index()]++
	}
	for i := range alerts {
		bar(alerts[i].CreatedAt).Email[alerts[i].Status.Index()]++
	}
	return series
}

func seriesBars(t *testing.T, s Store) {
	for _, end := range []time.Time{time.Now().UTC().Truncate(30 * time.Minute), start.Truncate(30 * time.Minute)} {
		var records []models.Record
		for i := range 400 {
			r := record(i)
			r.ReceivedAt = end.Add(-time.Duration(i) * 7 * time.Minute)
			if i%4 == 0 {
				r.Alerts = []models.NewAlert{{Status: models.EmailSkipped}}
			}
			records = append(records, r)
		}
		var alerts []models.EmailAlert
		receipts := insert(t, s, records...)
		for _, r := range receipts {
			alerts = append(alerts, r.Alerts...)
		}
		// An outcome moves the count of the minute in which the email was born.
		alerts[9] = finish(t, s, models.AlertUpdate{ID: alerts[9].ID, Status: models.EmailSent, At: end.Add(time.Hour)})
		events, _ := all(t, s, models.EventFilter{Limit: models.MaxLimit})
		for _, w := range []models.Window{
			{From: end.Add(-24 * time.Hour), To: end.Add(30 * time.Minute), Step: 30 * time.Minute},
			{From: end.Add(-48 * time.Hour), To: end, Step: 7 * time.Hour}, // the last bar is cut short
		} {
			got, err := s.Series(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			want := counted(w, events, alerts)
			same(t, fmt.Sprintf("series %+v", w), want, got)
			if total := want.Total(); total.Events() < 150 || total.Email[0] != 1 {
				t.Errorf("too little was counted: %+v", total)
			}
		}
	}
	if got, err := s.Series(t.Context(), models.Window{}); err != nil || len(got.Counts) != 0 {
		t.Errorf("no window: %+v, %v", got, err)
	}
	if _, err := s.Series(t.Context(), models.Window{From: start, To: start.Add(time.Hour), Step: time.Second}); !errors.Is(err, models.ErrInvalid) {
		t.Errorf("too many bars: %v", err)
	}
}
