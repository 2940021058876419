package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"alerthub/models"
)

var mails = models.Lane{Channel: models.DeliveryEmail}

// waitingIn are the ids of the rows of a lane that wait.
func waitingIn(t *testing.T, s Store, lane models.Lane) []int64 {
	t.Helper()
	var list []int64
	for after := int64(0); ; {
		rows, upTo, err := s.Waiting(t.Context(), lane, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			list = append(list, r.ID)
		}
		if len(rows) < 3 {
			return list
		}
		after = upTo
	}
}

func decide(t *testing.T, s Store, now time.Time, list ...models.Decision) []models.EmailAlert {
	t.Helper()
	rows, err := s.Decide(t.Context(), now, list)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// mustDue is the message that is due at a time.
func mustDue(t *testing.T, s Store, lane models.Lane, now time.Time) models.Notice {
	t.Helper()
	n, ok, _, err := s.Due(t.Context(), lane, now)
	if err != nil || !ok {
		t.Fatalf("due at %v: %v, %v", now, ok, err)
	}
	return n
}

func outboxOrder(t *testing.T, s Store) {
	if n, ok, wait, err := s.Due(t.Context(), mails, start); ok || wait != 0 || err != nil {
		t.Fatalf("an empty outbox: %v, %v, %v, %v", n, ok, wait, err)
	}
	if oldest, err := s.OldestWaiting(t.Context(), mails); oldest != 0 || err != nil {
		t.Fatalf("nothing waits: %d, %v", oldest, err)
	}
	receipts := withAlerts(t, s, []string{"a@example.net", "b@example.net"}, nil, []string{"c@example.net"})
	hook := record(3)
	hook.Alerts = []models.NewAlert{
		{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "slack", Status: models.EmailPending},
		{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "ntfy", Status: models.EmailPending},
	}
	hooks := insert(t, s, hook)[0].Alerts
	slack := models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}
	same(t, "mails", []int64{1, 2, 3}, waitingIn(t, s, mails))
	same(t, "of a webhook", []int64{hooks[0].ID}, waitingIn(t, s, slack))
	for lane, want := range map[models.Lane]int64{mails: 1, slack: hooks[0].ID, {Channel: "webhook", Contact: "noc", Recipient: "x"}: 0} {
		if got, err := s.OldestWaiting(t.Context(), lane); got != want || err != nil {
			t.Errorf("oldest of %v: %d, %v", lane, got, err)
		}
	}
	addresses, err := s.PendingAddresses(t.Context(), models.DeliveryWebhook)
	slices.SortFunc(addresses, func(a, b models.Address) int { return len(b.Recipient) - len(a.Recipient) })
	same(t, "addresses", []models.Address{{Contact: "noc", Channel: "webhook", Recipient: "slack"}, {Contact: "noc", Channel: "webhook", Recipient: "ntfy"}}, addresses)
	same(t, "error", nil, err)
	rows, upTo, err := s.Waiting(t.Context(), mails, 1, 9)
	same(t, "error", nil, err)
	e := receipts[0].Event
	same(t, "a row", models.WaitingAlert{
		ID: 2, EventID: e.ID, CreatedAt: e.CreatedAt, Source: e.Source, Severity: e.Severity,
		Address: models.Address{Channel: models.DeliveryEmail, Recipient: "b@example.net"},
	}, rows[0])
	if upTo != hooks[1].ID {
		t.Errorf("it looked up to %d", upTo)
	}

	// Nothing is due before it is decided. Then the earliest is.
	now := start.Add(time.Minute)
	if _, ok, _, err := s.Due(t.Context(), mails, now); ok || err != nil {
		t.Errorf("due before it was decided: %v, %v", ok, err)
	}
	decide(t, s, now, models.Decision{ID: 2, Claim: models.ClaimAlone}, models.Decision{ID: hooks[0].ID, Claim: models.ClaimAlone})
	decide(t, s, now.Add(time.Second), models.Decision{ID: 1, Claim: models.ClaimReserve})
	if _, ok, wait, err := s.Due(t.Context(), mails, now.Add(-time.Minute)); ok || wait != time.Minute || err != nil {
		t.Errorf("before the first is due: %v, %v, %v", ok, wait, err)
	}
	due := mustDue(t, s, mails, now.Add(time.Hour))
	want := receipts[0].Alerts[1]
	want.MailID, want.ClaimedAt, want.NextAttemptAt, want.UpdatedAt = 2, now, now, now
	same(t, "alert", want, due.Alert)
	same(t, "event", e, due.Event)
	if due.Digest != nil || due.Contact.Name != "" {
		t.Errorf("one event is told with %+v", due)
	}
	if got := mustDue(t, s, slack, now).Alert.ID; got != hooks[0].ID {
		t.Errorf("the webhook's is %d", got)
	}
	finish(t, s, models.AlertUpdate{ID: 2, Status: models.EmailPending, Detail: "451 later", Attempts: 1, NextAttemptAt: now.Add(time.Hour), At: now})
	if got := mustDue(t, s, mails, now.Add(2*time.Hour)).Alert.ID; got != 1 {
		t.Errorf("next is %d", got)
	}
	told, err := s.Told(t.Context(), mails, now)
	same(t, "error", nil, err)
	a, b := models.Address{Channel: models.DeliveryEmail, Recipient: "a@example.net"}, models.Address{Channel: models.DeliveryEmail, Recipient: "b@example.net"}
	same(t, "told", []models.Told{
		{Address: b, At: now, Claim: models.ClaimAlone, Source: e.Source, Mail: true, Named: true},
		{Address: a, At: now.Add(time.Second), Claim: models.ClaimReserve, Source: e.Source, Mail: true, Named: true},
	}, told)
	if told, err = s.Told(t.Context(), mails, now.Add(time.Minute)); len(told) > 0 || err != nil {
		t.Errorf("told since: %v, %v", told, err)
	}
}

func decisions(t *testing.T, s Store) {
	withAlerts(t, s, []string{"a@example.net", "b@example.net", "c@example.net", "d@example.net"})
	later := start.Add(time.Hour)
	changed := decide(t, s, start, models.Decision{ID: 1, Until: later, Detail: "gathered"}, models.Decision{ID: 2, Status: models.EmailSkipped, Detail: "gone"},
		models.Decision{ID: 3, Claim: models.ClaimAlone}, models.Decision{ID: 4711, Status: models.EmailFailed})
	slices.SortFunc(changed, func(a, b models.EmailAlert) int { return int(a.ID - b.ID) })
	if len(changed) != 3 || !changed[0].NextAttemptAt.Equal(later) || changed[0].Detail != "gathered" || changed[0].MailID != 0 ||
		changed[1].Status != models.EmailSkipped || changed[1].Detail != "gone" || !changed[1].NextAttemptAt.IsZero() ||
		changed[2].MailID != 3 || !changed[2].ClaimedAt.Equal(start) {
		t.Errorf("changed %+v", changed)
	}
	same(t, "waiting", []int64{1, 4}, waitingIn(t, s, mails))
	if again := decide(t, s, later, models.Decision{ID: 2, Claim: models.ClaimAlone}, models.Decision{ID: 3, Until: later}); len(again) > 0 {
		t.Errorf("rows that do not wait: %+v", again)
	}
	counts := noAlerts()
	counts[models.EmailPending], counts[models.EmailSkipped] = 3, 1
	stats, err := s.Stats(t.Context())
	same(t, "counters", counts, stats.Email)
	same(t, "error", nil, err)
}

func retry(t *testing.T, s Store) {
	withAlerts(t, s, []string{"a@example.net"}, []string{"a@example.net"}, []string{"b@example.net"})
	if _, err := s.Gather(t.Context(), gathering("a@example.net"), start); err != nil {
		t.Fatal(err)
	}
	by := models.Ack{By: "ana", At: start.Add(2 * time.Hour)}
	for id, want := range map[int64]error{1: models.ErrNotFailed, 3: models.ErrNotFailed, 4711: models.ErrNotFound} {
		if _, err := s.Retry(t.Context(), id, by); !errors.Is(err, want) {
			t.Errorf("retry %d: %v, want %v", id, err, want)
		}
	}
	failed := finish(t, s, models.AlertUpdate{ID: 2, Status: models.EmailFailed, Detail: "550 no", Attempts: 1, At: start})
	if _, _, err := s.Settle(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	again, err := s.Retry(t.Context(), 1, by)
	if err != nil || again.ID != 2 || again.Status != models.EmailPending || again.Attempts != 1 || !again.NextAttemptAt.Equal(by.At) || !again.ClaimedAt.Equal(by.At) {
		t.Errorf("again %+v, %v", again, err)
	}
	if late, _, err := s.Settle(t.Context(), failed); len(late) > 0 || err != nil {
		t.Errorf("an outcome that holds no more settles %+v, %v", late, err)
	}
	if n := mustDue(t, s, mails, by.At); n.Alert.ID != 2 || n.Digest == nil || n.Digest.Total() != 2 {
		t.Errorf("due %+v", n)
	}
	attempts, err := s.Attempts(t.Context(), 2)
	same(t, "error", nil, err)
	same(t, "attempts", []models.Attempt{
		{At: start, Status: models.EmailFailed, Detail: "550 no"},
		{At: by.At, Status: models.EmailPending, Detail: "to be tried again: ana", NextAttemptAt: by.At},
	}, attempts)
	stats, err := s.Stats(t.Context())
	if stats.Email[models.EmailPending] != 3 || stats.Email[models.EmailFailed] != 0 || err != nil {
		t.Errorf("counters %v, %v", stats.Email, err)
	}
	// One that was never claimed carries its own message then.
	decide(t, s, start, models.Decision{ID: 3, Status: models.EmailFailed, Detail: "gave up"})
	if again, err = s.Retry(t.Context(), 3, by); err != nil || again.MailID != 3 {
		t.Errorf("again %+v, %v", again, err)
	}
}

func cancel(t *testing.T, s Store) {
	var records []models.Record
	for i, source := range []string{"sw-1", "sw-2", "sw-1", "sw-2", "sw-1"} {
		r := record(i)
		r.Source = source
		for _, contact := range []string{"noc", "duty"} {
			r.Alerts = append(r.Alerts, models.NewAlert{Contact: contact, Recipient: contact + "@example.net", Status: models.EmailPending})
		}
		records = append(records, r)
	}
	insert(t, s, records...)
	g := gathering("noc@example.net")
	g.Contact, g.To = "noc", 5 // carried by 5, of sw-1, for 1 and 3
	if carrier, err := s.Gather(t.Context(), g, start); carrier != 5 || err != nil {
		t.Fatalf("carried by %d, %v", carrier, err)
	}
	decide(t, s, start, models.Decision{ID: 2, Claim: models.ClaimAlone})
	by := models.Ack{By: "ana", At: start.Add(time.Minute)}
	for sel, want := range map[models.Cancellation]int64{
		{}: 7, {Contact: "noc"}: 5, {Source: "sw-2"}: 4, {Contact: "noc", Source: "sw-1"}: 3, {Contact: "nobody"}: 0,
	} {
		if n, err := s.CountPending(t.Context(), sel, 7); n != want || err != nil {
			t.Errorf("pending for %+v: %d, %v, want %d", sel, n, err, want)
		}
	}
	told, err := s.EmailAlerts(t.Context(), models.EmailFilter{MailID: 5})
	if len(told) != 3 || told[0].ID != 5 || told[1].ID != 3 || told[2].ID != 1 || err != nil {
		t.Errorf("told by the message of 5: %+v, %v", told, err)
	}
	if n, err := s.Cancel(t.Context(), models.Cancellation{Contact: "noc", Source: "sw-1"}, by); n != 3 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	same(t, "waiting: what the digest told too, of another source", []int64{3, 4, 6, 7, 8, 10}, waitingIn(t, s, mails))
	if n, err := s.Cancel(t.Context(), models.Cancellation{Contact: "duty"}, by); n != 5 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	if n, err := s.Cancel(t.Context(), models.Cancellation{Source: "sw-2"}, by); n != 2 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	// A message that was on its way then stays cancelled, unless it arrived.
	for _, u := range []models.AlertUpdate{
		{ID: 5, Status: models.EmailPending, Detail: "451 later", Attempts: 1, NextAttemptAt: start.Add(time.Hour), At: start.Add(2 * time.Minute)},
		{ID: 5, Status: models.EmailFailed, Detail: "550 no", Attempts: 2, At: start.Add(3 * time.Minute)},
	} {
		if a := finish(t, s, u); a.Status != models.EmailCancelled || a.Detail != "cancelled by ana" || !a.NextAttemptAt.IsZero() || a.Attempts != u.Attempts {
			t.Errorf("after %+v it is %+v", u, a)
		}
	}
	attempts, err := s.Attempts(t.Context(), 5)
	same(t, "error", nil, err)
	same(t, "attempts", []models.Attempt{
		{At: start.Add(2 * time.Minute), Status: models.EmailCancelled, Detail: "451 later"},
		{At: start.Add(3 * time.Minute), Status: models.EmailCancelled, Detail: "550 no"},
	}, attempts)
	rows, err := s.EmailAlerts(t.Context(), models.EmailFilter{Status: models.EmailCancelled, Contact: "noc"})
	same(t, "error", nil, err)
	if len(rows) != 5 || rows[0].Detail != "cancelled by ana" || !rows[0].UpdatedAt.Equal(by.At) || !rows[0].NextAttemptAt.IsZero() {
		t.Errorf("cancelled %+v", rows)
	}
	stats, err := s.Stats(t.Context())
	if stats.Email[models.EmailCancelled] != 10 || stats.Email[models.EmailPending] != 0 || err != nil {
		t.Errorf("counters %v, %v", stats.Email, err)
	}
}
