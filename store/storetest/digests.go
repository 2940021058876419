package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"alerthub/models"
)

// gathering is of all mails to an address.
func gathering(to string) models.Gathering {
	return models.Gathering{
		Address: models.Address{Channel: models.DeliveryEmail, Recipient: to}, To: 1 << 40,
		Severities: models.Severities(), Claim: models.ClaimGathered,
	}
}

func digests(t *testing.T, s Store) {
	receipts := withAlerts(t, s, []string{"a@example.net"}, []string{"a@example.net"}, []string{"a@example.net", "b@example.net"}, []string{"a@example.net"}, []string{"a@example.net"})
	now := start.Add(time.Hour)
	g := gathering("a@example.net")
	g.From, g.To = 2, 5 // not the first event, nor the last
	g.Severities = []models.Severity{receipts[1].Event.Severity, receipts[2].Event.Severity}
	carrier, err := s.Gather(t.Context(), g, now)
	if carrier != 3 || err != nil {
		t.Fatalf("carried by %d, %v", carrier, err)
	}
	same(t, "waiting", []int64{1, 4, 5, 6}, waitingIn(t, s, mails))
	n := mustDue(t, s, mails, now)
	d := n.Digest
	if n.Alert.ID != 3 || n.Event.ID != receipts[2].Event.ID || d == nil || d.Total() != 2 || d.Reason != models.DigestGathered ||
		!d.From.Equal(receipts[1].Event.CreatedAt) || !d.To.Equal(receipts[2].Event.CreatedAt) || len(d.Sources) != 2 {
		t.Fatalf("due %+v, digest %+v", n, d)
	}
	same(t, "newest", []models.Event{receipts[2].Event, receipts[1].Event}, d.Newest)
	told, err := s.Told(t.Context(), mails, now)
	same(t, "error", nil, err)
	same(t, "told", []models.Told{
		{Address: g.Address, At: now, Claim: models.ClaimGathered, Source: receipts[2].Event.Source, Mail: true, Named: true},
		{Address: g.Address, At: now, Claim: models.ClaimGathered, Source: receipts[1].Event.Source, Named: true},
	}, told)
	sent := finish(t, s, models.AlertUpdate{ID: 3, Status: models.EmailSent, Detail: "250 ok", Attempts: 1, At: now})
	changed, more, err := s.Settle(t.Context(), sent)
	if err != nil || more || len(changed) != 1 || changed[0].ID != 2 || changed[0].Status != models.EmailDigested || changed[0].MailID != 3 {
		t.Errorf("settled %+v, %v, %v", changed, more, err)
	}
	if again, _, err := s.Settle(t.Context(), sent); len(again) > 0 || err != nil {
		t.Errorf("settled again %+v, %v", again, err)
	}
	counts := noAlerts()
	counts[models.EmailPending], counts[models.EmailSent], counts[models.EmailDigested] = 4, 1, 1
	stats, err := s.Stats(t.Context())
	same(t, "counters", counts, stats.Email)
	same(t, "error", nil, err)

	// One row that waited alone is told alone, and nothing is told of none.
	carrier, err = s.Gather(t.Context(), gathering("b@example.net"), now)
	if n := mustDue(t, s, mails, now); err != nil || carrier != 4 || n.Alert.ID != 4 || n.Digest != nil {
		t.Errorf("of one row: %d, %+v, %v", carrier, n, err)
	}
	if carrier, err = s.Gather(t.Context(), gathering("nobody@example.net"), now); carrier != 0 || err != nil {
		t.Errorf("of nothing: %d, %v", carrier, err)
	}
	attempts, err := s.Attempts(t.Context(), 3)
	same(t, "attempts", []models.Attempt{{At: now, Status: models.EmailSent, Detail: "250 ok"}}, attempts)
	same(t, "error", nil, err)
}

func bigDigest(t *testing.T, s Store) {
	const rows = 1000
	records := batch(0, rows)
	for i := range records {
		records[i].Source = fmt.Sprint("ups-", i%(models.MaxDigestSources+7))
		records[i].Alerts = []models.NewAlert{{Recipient: "a@example.net", Status: models.EmailPending}}
	}
	insert(t, s, records...)
	carrier, err := s.Gather(t.Context(), gathering("a@example.net"), start)
	if carrier != rows || err != nil {
		t.Fatalf("carried by %d, %v", carrier, err)
	}
	d := mustDue(t, s, mails, start).Digest
	if d.Total() != rows || len(d.Sources) != models.MaxDigestSources || d.OtherSources != 7 || len(d.Newest) != models.MaxDigestNewest || d.Newest[0].ID != rows ||
		!slices.IsSortedFunc(d.Sources, models.ByGravity) || d.Worst() != models.SeverityCritical {
		t.Errorf("digest %+v", d)
	}
	failed := finish(t, s, models.AlertUpdate{ID: carrier, Status: models.EmailFailed, Detail: "550 no", Attempts: 1, At: start})
	settled := 0
	for more := true; more; {
		var changed []models.EmailAlert
		if changed, more, err = s.Settle(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
		for _, a := range changed {
			if settled++; a.Status != models.EmailFailed || a.Detail != "550 no" {
				t.Fatalf("settled %+v", a)
			}
		}
	}
	stats, err := s.Stats(t.Context())
	if settled != rows-1 || stats.Email[models.EmailFailed] != rows || err != nil {
		t.Errorf("%d settled, %v, %v", settled, stats.Email, err)
	}
}

func cutDigests(t *testing.T, s Store) {
	receipts := withAlerts(t, s, []string{"a@example.net"}, []string{"a@example.net"}, []string{"b@example.net"}, []string{"b@example.net"})
	if list, err := s.Unsettled(t.Context(), mails); len(list) > 0 || err != nil {
		t.Fatalf("unsettled %+v, %v", list, err)
	}
	for to, want := range map[string]int64{"a@example.net": 2, "b@example.net": 4} {
		if carrier, err := s.Gather(t.Context(), gathering(to), start); carrier != want || err != nil {
			t.Fatalf("carried by %d, %v", carrier, err)
		}
	}
	sent := finish(t, s, models.AlertUpdate{ID: 2, Status: models.EmailSent, Attempts: 1, At: start})
	if list, err := s.Unsettled(t.Context(), models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}); len(list) > 0 || err != nil {
		t.Errorf("unsettled in another lane: %+v, %v", list, err)
	}
	list, err := s.Unsettled(t.Context(), mails)
	same(t, "error", nil, err)
	if len(list) != 2 || list[0].ID != 2 || list[0].Status != models.EmailSent || list[1].ID != 4 || list[1].Status != models.EmailPending {
		t.Errorf("unsettled %+v", list)
	}
	if _, _, err := s.Settle(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	// The message of 4 is on its way: its rows stay until it is cancelled, also by
	// a client that leaves at once.
	if err := s.Release(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	same(t, "waiting", []int64(nil), waitingIn(t, s, mails))
	leaves := leaver{t.Context(), func() bool {
		rows, err := s.EmailAlerts(t.Context(), models.EmailFilter{Before: 5, Limit: 1})
		return err == nil && rows[0].Status == models.EmailCancelled
	}}
	if n, err := s.Cancel(leaves, models.Cancellation{Source: receipts[3].Event.Source}, models.Ack{By: "ana", At: start}); n != 1 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	same(t, "waiting", []int64{3}, waitingIn(t, s, mails))
	if list, err = s.Unsettled(t.Context(), mails); len(list) > 0 || err != nil {
		t.Errorf("unsettled %+v, %v", list, err)
	}
}

// leaver is a context that has ended once gone says so.
type leaver struct {
	context.Context
	gone func() bool
}

func (l leaver) Err() error {
	if l.gone() {
		return context.Canceled
	}
	return l.Context.Err()
}
