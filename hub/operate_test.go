package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"alerthub/hub"
	"alerthub/models"
)

// outboxStore is an outbox of three rows: 1 is told by the message of 2.
type outboxStore struct {
	fakeStore
	acks     []models.Ack
	sel      models.Cancellation
	count    int64
	failRead error // of EmailAlerts
}

func (s *outboxStore) EmailAlerts(_ context.Context, f models.EmailFilter) ([]models.EmailAlert, error) {
	mails := map[int64]int64{1: 2, 2: 2, 3: 3}
	var list []models.EmailAlert
	for id := int64(3); id > 0 && len(list) < f.Limit; id-- {
		if (f.Before == 0 || id < f.Before) && (f.MailID == 0 || mails[id] == f.MailID) {
			list = append(list, models.EmailAlert{ID: id, MailID: mails[id]})
		}
	}
	return list, s.failRead
}

func (s *outboxStore) Attempts(_ context.Context, id int64) ([]models.Attempt, error) {
	return []models.Attempt{{Detail: fmt.Sprint("of ", id)}}, s.fail
}

func (s *outboxStore) Retry(_ context.Context, id int64, by models.Ack) (models.EmailAlert, error) {
	s.acks = append(s.acks, by)
	return models.EmailAlert{ID: max(id, 2), Status: models.EmailPending}, s.fail
}

func (s *outboxStore) CountPending(_ context.Context, sel models.Cancellation, limit int) (int64, error) {
	s.sel = sel
	return min(s.count, int64(limit)), s.fail
}

func (s *outboxStore) Cancel(_ context.Context, sel models.Cancellation, by models.Ack) (int64, error) {
	s.sel, s.acks = sel, append(s.acks, by)
	return s.count, s.fail
}

var clock = time.Date(2026, 11, 23, 18, 30, 0, 123456789, time.FixedZone("", 3600))

func operated(store *outboxStore) (*hub.Hub, *fakeLive, *fakeMail) {
	live, mail := &fakeLive{}, &fakeMail{}
	return hub.New(store, live, mail, hub.Config{Now: func() time.Time { return clock }}), live, mail
}

func TestEmailAlert(t *testing.T) {
	h, _, _ := operated(&outboxStore{})
	if a, err := h.EmailAlert(t.Context(), 2); a.ID != 2 || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
	for _, id := range []int64{-1, 0, 4, 1<<63 - 1} {
		if _, err := h.EmailAlert(t.Context(), id); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("alert %d: %v", id, err)
		}
	}
	if list, err := h.AlertAttempts(t.Context(), 2); len(list) != 1 || list[0].Detail != "of 2" || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	h, _, _ = operated(&outboxStore{failRead: models.ErrUnavailable})
	if _, err := h.EmailAlert(t.Context(), 2); !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("when it cannot be read: %v", err)
	}
}

func TestRetryAlert(t *testing.T) {
	ana := models.Ack{By: " Ana ", Peer: "192.0.2.1"}
	store := &outboxStore{}
	h, live, mail := operated(store)
	if a, err := h.RetryAlert(t.Context(), 3, ana); a.ID != 3 || err != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	if want := (models.Ack{By: "Ana", Peer: "192.0.2.1", At: clock.UTC().Truncate(time.Microsecond)}); store.acks[0] != want {
		t.Errorf("by %+v, want %+v", store.acks[0], want)
	}
	if len(live.alerts) != 1 || live.alerts[0] != 3 || live.redrawn != 0 || mail.replanned != 1 {
		t.Errorf("pages were told of %v and redrawn %d times, the lanes look anew %d times", live.alerts, live.redrawn, mail.replanned)
	}
	// A digest brings its other rows back too.
	if a, err := h.RetryAlert(t.Context(), 1, ana); a.ID != 2 || err != nil || live.redrawn != 1 || len(live.alerts) != 1 || mail.replanned != 2 {
		t.Errorf("%+v, %v: redrawn %d times", a, err, live.redrawn)
	}
	store.failRead = models.ErrUnavailable
	if _, err := h.RetryAlert(t.Context(), 3, ana); err != nil || live.redrawn != 2 || mail.replanned != 3 {
		t.Errorf("when its digest is not known: %v, redrawn %d times", err, live.redrawn)
	}
	store.fail = models.ErrNotFailed
	if _, err := h.RetryAlert(t.Context(), 3, ana); !errors.Is(err, models.ErrNotFailed) || !errors.Is(err, models.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := h.RetryAlert(t.Context(), 3, models.Ack{}); !errors.As(err, new(*models.FieldError)) {
		t.Errorf("by nobody: %v", err)
	}
	if len(live.alerts) != 1 || live.redrawn != 2 || mail.replanned != 3 || len(store.acks) != 4 {
		t.Errorf("what failed was told: %v, %d, %d", live.alerts, live.redrawn, mail.replanned)
	}
}

func TestCancelAlerts(t *testing.T) {
	ana := models.Ack{By: "Ana", Peer: "192.0.2.1"}
	sel := models.Cancellation{Contact: "noc", Source: "sw-1"}
	store := &outboxStore{count: 7}
	h, live, mail := operated(store)
	if n, err := h.CountPending(t.Context(), sel, 5); n != 5 || err != nil || store.sel != sel {
		t.Errorf("%d, %v of %+v", n, err, store.sel)
	}
	for _, wrong := range []struct {
		sel models.Cancellation
		ack models.Ack
	}{{models.Cancellation{}, ana}, {sel, models.Ack{}}} {
		if n, err := h.CancelAlerts(t.Context(), wrong.sel, wrong.ack); n != 0 || !errors.As(err, new(*models.FieldError)) {
			t.Errorf("%+v: %d, %v", wrong, n, err)
		}
	}
	if len(store.acks) > 0 {
		t.Fatalf("asked by %v", store.acks)
	}
	if n, err := h.CancelAlerts(t.Context(), sel, ana); n != 7 || err != nil || store.sel != sel || store.acks[0].By != "Ana" || store.acks[0].At.IsZero() {
		t.Errorf("%d, %v of %+v by %+v", n, err, store.sel, store.acks)
	}
	if live.redrawn != 1 || mail.replanned != 1 {
		t.Errorf("redrawn %d times, the lanes look anew %d times", live.redrawn, mail.replanned)
	}
	store.fail = models.ErrUnavailable
	if n, err := h.CancelAlerts(t.Context(), sel, ana); n != 7 || !errors.Is(err, models.ErrUnavailable) || live.redrawn != 2 || mail.replanned != 2 {
		t.Errorf("half way: %d, %v, redrawn %d times", n, err, live.redrawn)
	}
	store.count, store.fail = 0, nil
	if n, err := h.CancelAlerts(t.Context(), sel, ana); n != 0 || err != nil || live.redrawn != 2 || mail.replanned != 2 {
		t.Errorf("nothing pending: %d, %v, redrawn %d times", n, err, live.redrawn)
	}
}
