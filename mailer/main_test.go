package mailer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alerthub/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// born is when the tests' events happened.
var born = time.Date(2026, 11, 23, 18, 26, 0, 123456000, time.UTC)

// memory is an outbox that follows the store's contract, with fault switches.
type memory struct {
	mu      sync.Mutex
	rows    []models.DueAlert
	history map[int64][]models.AlertUpdate
	asked   int // calls of NextDue

	failNext, failFinish error
	finished             chan models.AlertUpdate // told of each recorded outcome, when not nil
}

func newMemory() *memory { return &memory{history: map[int64][]models.AlertUpdate{}} }

// add appends a pending row, due now.
func (o *memory) add(id int64, to string, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows = append(o.rows, models.DueAlert{
		Alert: models.EmailAlert{
			ID: id, EventID: id + 1000, CreatedAt: at, Recipient: to,
			Status: models.EmailPending, NextAttemptAt: at,
		},
		Event: models.Event{
			ID: id + 1000, CreatedAt: at, Source: "core-sw-1", Severity: models.SeverityCritical,
			Message: "uplink down", Channel: models.ChannelTCP,
		},
	})
}

func (o *memory) NextDue(ctx context.Context, now time.Time) (models.DueAlert, bool, time.Duration, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.failNext != nil {
		return models.DueAlert{}, false, 0, o.failNext
	}
	var first *models.DueAlert
	for i := range o.rows {
		r := &o.rows[i]
		if r.Alert.Status == models.EmailPending && (first == nil || r.Alert.NextAttemptAt.Before(first.Alert.NextAttemptAt)) {
			first = r
		}
	}
	switch {
	case first == nil:
		return models.DueAlert{}, false, 0, ctx.Err()
	case first.Alert.NextAttemptAt.After(now):
		return models.DueAlert{}, false, first.Alert.NextAttemptAt.Sub(now), ctx.Err()
	}
	return *first, true, 0, ctx.Err()
}

func (o *memory) FinishAlert(ctx context.Context, u models.AlertUpdate) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failFinish != nil {
		return o.failFinish
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	i := slices.IndexFunc(o.rows, func(r models.DueAlert) bool { return r.Alert.ID == u.ID })
	if i < 0 {
		return models.ErrNotFound
	}
	a := &o.rows[i].Alert
	if a.Status != models.EmailPending {
		return fmt.Errorf("alert %d is %s already", u.ID, a.Status)
	}
	a.Status, a.Detail, a.Attempts, a.UpdatedAt = u.Status, u.Detail, u.Attempts, u.At
	a.NextAttemptAt = time.Time{}
	if u.Status == models.EmailPending {
		if u.NextAttemptAt.IsZero() {
			return fmt.Errorf("alert %d is pending without a next attempt", u.ID)
		}
		a.NextAttemptAt = u.NextAttemptAt.Truncate(time.Microsecond) // as stored
	}
	o.history[u.ID] = append(o.history[u.ID], u)
	if o.finished != nil {
		o.finished <- u
	}
	return nil
}

// row returns the alert id as stored.
func (o *memory) row(t *testing.T, id int64) models.EmailAlert {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.rows {
		if r.Alert.ID == id {
			return r.Alert
		}
	}
	t.Fatalf("no alert %d", id)
	return models.EmailAlert{}
}

func (o *memory) set(change func(o *memory)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// logger routes the log to the test's.
func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// start runs w; the returned function ends it and waits.
func start(t *testing.T, w *Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}
