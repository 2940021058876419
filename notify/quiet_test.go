package notify_test

import (
	"testing"
	"time"

	"alerthub/models"
)

func nights(t *testing.T, exempt ...models.Severity) map[string]models.Contact {
	t.Helper()
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]models.Contact{"": {
		Limits: models.DefaultLimits(),
		Quiet:  &models.QuietHours{From: 22 * time.Hour, To: 7 * time.Hour, Zone: madrid, Exempt: exempt},
	}}
}

// What comes in quiet hours is told at their end by the clock on the wall,
// also in the nights in which that clock is changed; criticals are told.
func TestQuiet_AcrossBothChangesOfTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		evening string // 23:00 on the wall
		ends    time.Duration
	}{
		"a night like others":        {"2026-03-20T22:00:00Z", 8 * time.Hour},
		"into summer, 02 becomes 03": {"2026-03-28T22:00:00Z", 7 * time.Hour},
		"into winter, 03 becomes 02": {"2026-10-24T21:00:00Z", 9 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.contacts = nights(t, models.SeverityCritical)
				b.at(c.evening)
				b.start()
				begin := time.Now()
				b.add("sw-1", models.SeverityError)
				pass(2 * time.Second)
				if a := b.row(1); a.Status != models.EmailPending || a.Detail != "held back in the quiet hours" || !a.NextAttemptAt.Equal(begin.Add(b.shift).Add(c.ends)) {
					t.Errorf("held: %+v", a)
				}
				pass(4*time.Hour - 2*time.Second)
				b.add("ups-1", models.SeverityCritical)
				pass(time.Hour)
				b.add("sw-1", models.SeverityWarning)
				b.add("sw-2", models.SeverityError)
				pass(c.ends - 5*time.Hour - time.Second)
				b.toldSince(begin, "4h0m0s alone: ups-1")
				pass(time.Second)
				b.toldSince(begin, "4h0m0s alone: ups-1", c.ends.String()+" quiet of 3: sw-1 sw-2")
				b.add("sw-3", models.SeverityError) // the day has begun
				pass(time.Second)
				if got := b.counts(); got != "sent 3, digested 2" {
					t.Error(got)
				}
			})
		})
	}
}

// A restart in the night forgets nothing, and holds back what it held back.
func TestQuiet_OutlivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = nights(t) // exempts nothing
		b.at("2026-06-01T21:00:00Z")
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityCritical)
		pass(time.Hour)
		b.stop()
		b.start()
		b.add("sw-2", models.SeverityError)
		pass(7*time.Hour - time.Second)
		b.toldSince(begin)
		pass(time.Second)
		b.toldSince(begin, "8h0m0s quiet of 2: sw-1 sw-2")
	})
}

// What was gathered before the quiet hours and is due in them waits for their
// end; what is exempt is told when it is due.
func TestQuiet_BeginsWhileSomethingIsGathered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = nights(t, models.SeverityCritical)
		b.at("2026-06-01T19:58:00Z") // 21:58
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityError)
		pass(time.Minute)
		b.add("sw-1", models.SeverityError)
		b.add("sw-1", models.SeverityCritical)
		pass(time.Hour)
		b.toldSince(begin, "0s alone: sw-1", "5m0s alone: sw-1")
		if a := b.row(3); a.Status != models.EmailSent {
			t.Errorf("the critical: %+v", a)
		}
		pass(8*time.Hour + time.Minute)
		b.toldSince(begin, "0s alone: sw-1", "5m0s alone: sw-1", "9h2m0s alone: sw-1")
		if got := b.counts(); got != "sent 3" {
			t.Error(got)
		}
	})
}
