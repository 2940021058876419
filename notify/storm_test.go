package notify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// limited is a contact with the default limits.
func limited() map[string]models.Contact {
	return map[string]models.Contact{"": {Limits: models.DefaultLimits()}}
}

// told are the messages so far, as lines: when, but for a look at the outbox
// that may wait for 25 ms, what, and of which sources.
func (s *server) told(since time.Time) []string {
	var lines []string
	for _, y := range s.tried() {
		what := "alone"
		if y.Digest != nil {
			what = fmt.Sprintf("%s of %d", y.Digest.Reason, y.Digest.Total())
		}
		sources := strings.Join(y.sources(), " ")
		if len(y.sources()) > 4 {
			sources = fmt.Sprintf("%d sources", len(y.sources())+y.Digest.OtherSources)
		}
		lines = append(lines, fmt.Sprintf("%v %s: %s", y.at.Sub(since).Round(time.Second), what, sources))
	}
	return lines
}

func (b *bench) toldSince(since time.Time, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.server.told(since)); diff != "" {
		b.t.Errorf("told (-want +got):\n%s", diff)
	}
}

// The first message about a source goes at once, what follows within five
// minutes in one digest, and then it begins anew.
func TestLimits_GatherPerSource(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityError)
		pass(time.Minute)
		b.add("sw-1", models.SeverityError)
		pass(time.Second)
		if a := b.row(2); a.Status != models.EmailPending || !strings.HasPrefix(a.Detail, "gathered") {
			pass(time.Second) // its reason is written within a second
			if a = b.row(2); a.Status != models.EmailPending || !strings.HasPrefix(a.Detail, "gathered") || !a.NextAttemptAt.Equal(begin.Add(5*time.Minute)) {
				t.Errorf("one that waits: %+v", a)
			}
		}
		pass(time.Minute)
		b.add("sw-1", models.SeverityCritical)
		b.add("sw-2", models.SeverityError)
		pass(time.Minute)
		b.add("sw-2", models.SeverityError) // goes along, before its own five minutes are over
		pass(2 * time.Minute)
		b.toldSince(begin, "0s alone: sw-1", "2m1s alone: sw-2", "5m0s gathered of 3: sw-1 sw-2")
		for id, want := range map[int64]models.EmailStatus{1: models.EmailSent, 2: models.EmailDigested, 3: models.EmailDigested, 4: models.EmailSent, 5: models.EmailSent} {
			if a := b.row(id); a.Status != want || want == models.EmailDigested && (a.MailID != 5 || a.Detail != "told in the digest of alert 5") {
				t.Errorf("row %+v, want %s", a, want)
			}
		}
		pass(6 * time.Minute)
		b.add("sw-1", models.SeverityError)
		pass(0)
		if tries := b.server.tried(); len(tries) != 4 || tries[3].Digest != nil {
			t.Errorf("after quiet minutes: %q", b.server.told(begin))
		}
	})
}

// One of a source that waited for a digest and stayed alone is a plain message.
func TestLimits_DigestOfOneIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityError)
		b.add("sw-1", models.SeverityError)
		pass(10 * time.Minute)
		b.toldSince(begin, "0s alone: sw-1", "5m0s alone: sw-1")
		if got := b.counts(); got != "sent 2" {
			t.Error(got)
		}
	})
}

// Without limits every event has a message of its own, also those that come
// together.
func TestLimits_None(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		for range 3 {
			b.many(models.SeverityError, "sw-1", "sw-2", "sw-1", "sw-1")
			pass(time.Second) // they are older than the first message
		}
		b.start()
		pass(time.Minute)
		if got := b.counts(); got != "sent 12" || len(b.server.tried()) != 12 {
			t.Errorf("%s: %q", got, b.server.told(time.Now()))
		}
	})
}

// A storm from many sources stays within the limit by the hour, then there is
// a digest every interval. A lone critical in its middle is told at once.
func TestLimits_Storm(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		begin := time.Now()
		for minute := range 120 {
			b.many(models.SeverityError, numbered(fmt.Sprint("sw-", minute, "-"), 50)...)
			pass(time.Minute - time.Second)
			if minute == 30 || minute == 31 {
				b.add(fmt.Sprint("ups-", minute), models.SeverityCritical)
			}
			pass(time.Second)
		}
		hours := map[time.Duration]int{}
		criticals, digests := 0, 0
		var last time.Time
		for _, y := range b.server.tried() {
			if strings.HasPrefix(y.Event.Source, "ups-") {
				if criticals++; y.Digest != nil || y.at.Sub(y.Event.CreatedAt) > 30*time.Second {
					t.Errorf("the lone critical was told %v after it came, in %+v", y.at.Sub(y.Event.CreatedAt), y.Digest)
				}
				continue
			}
			if y.Digest != nil && y.Digest.Reason == models.DigestLimit {
				if digests++; !last.IsZero() && y.at.Sub(last) < 10*time.Minute {
					t.Errorf("digests at %v and %v", last.Sub(begin), y.at.Sub(begin))
				}
				last = y.at
				continue
			}
			hours[y.at.Sub(begin)/time.Hour]++
		}
		if criticals != 2 || hours[0] > 20 || hours[1] > 20 || hours[0] < 20 || digests < 6 {
			t.Errorf("%d criticals, %v messages by the hour, %d digests past the limit: %q", criticals, hours, digests, b.server.told(begin))
		}
		pass(3 * time.Hour)
		stats, err := b.Stats(t.Context())
		if sent := stats.Email[models.EmailSent]; err != nil || stats.Email[models.EmailPending] != 0 || sent != int64(len(b.server.tried())) ||
			sent+stats.Email[models.EmailDigested] != 120*50+2 {
			t.Errorf("%d messages for %v, %v", len(b.server.tried()), stats.Email, err)
		}
	})
}

// A power cut is hundreds of lone criticals: ten have their own message, the
// others a digest within the minute, gravest first.
func TestLimits_PowerCut(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		b.many(models.SeverityError, numbered("sw-", 20)...) // the hour's messages are used up
		pass(time.Second)
		begin := time.Now()
		b.many(models.SeverityCritical, numbered("ups-", 500)...)
		pass(time.Minute)
		tries := b.server.tried()[20:]
		if len(tries) != 11 {
			t.Fatalf("%d messages: %q", len(tries), b.server.told(begin))
		}
		for _, y := range tries[:10] {
			if y.Digest != nil || y.at.Sub(begin) > time.Second {
				t.Errorf("one of the reserve came after %v as %+v", y.at.Sub(begin), y.Digest)
			}
		}
		d := tries[10].Digest
		if d == nil || d.Total() != 490 || d.Reason != models.DigestLimit || len(d.Sources) != models.MaxDigestSources || d.OtherSources != 440 || tries[10].at.Sub(begin) > time.Minute {
			t.Errorf("the digest %+v after %v", d, tries[10].at.Sub(begin))
		}
		// Another lone critical of the same hour is told within a minute, too.
		b.add("fw-1", models.SeverityCritical)
		pass(time.Minute)
		if tries = b.server.tried(); len(tries) != 32 || !slices.Equal(tries[31].sources(), []string{"fw-1"}) {
			t.Errorf("then %q", b.server.told(begin)[31:])
		}
	})
}

// What a digest only counts was not told: a critical of such a source still is
// told within a minute, also after a restart; its next one waits like any other.
func TestLimits_CriticalOfASourceThatWasOnlyCounted(t *testing.T) {
	for name, restart := range map[string]bool{"goes on": false, "restarts": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.contacts = limited()
				b.start()
				b.many(models.SeverityError, numbered("sw-", 80)...)
				pass(10*time.Minute + 5*time.Second)
				tries := b.server.tried()
				if d := tries[len(tries)-1].Digest; d == nil || d.OtherSources == 0 {
					t.Fatalf("no digest that only counts: %+v", d)
				}
				if restart {
					b.stop()
					b.start()
				}
				first := b.add("sw-50", models.SeverityCritical)[0]
				pass(time.Minute)
				if a := b.row(first.ID); a.Status != models.EmailSent {
					t.Errorf("after a minute the first critical is %s: %s", a.Status, a.Detail)
				}
				second := b.add("sw-50", models.SeverityCritical)[0]
				pass(time.Minute)
				if a := b.row(second.ID); a.Status != models.EmailPending {
					t.Errorf("after a minute the second is %s: %s", a.Status, a.Detail)
				}
			})
		})
	}
}

// A storm of criticals is told once: what a digest counts of them is not urgent
// again.
func TestLimits_CriticalsThatWereCountedAreNotUrgentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		for range 15 {
			b.many(models.SeverityCritical, numbered("ups-", 60)...)
			pass(time.Minute)
		}
		if n := len(b.server.tried()); n > 33 {
			t.Errorf("%d messages in a quarter of an hour", n)
		}
	})
}

// A backlog that is sent again with old times of its own is new when it comes:
// only receive time counts.
func TestLimits_ReplayedBacklog(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		begin := time.Now()
		for range 10 {
			b.many(models.SeverityError, numbered("sw-", 300)...)
		}
		pass(time.Hour - time.Minute)
		if n := len(b.server.tried()); n > 26 || n < 20 {
			t.Errorf("%d messages: %q", n, b.server.told(begin))
		}
	})
}

// A restart neither forgets what was told nor tells anything again.
func TestLimits_OutliveARestart(t *testing.T) {
	run := func(t *testing.T, restart time.Duration) (lines []string) {
		bubble(t, func(t *testing.T, b *bench) {
			b.contacts = limited()
			b.start()
			begin := time.Now()
			for minute := range 90 {
				b.many(models.SeverityError, numbered(fmt.Sprint("sw-", minute%7, "-"), 3)...)
				if minute%11 == 0 {
					b.add("ups-1", models.SeverityCritical)
				}
				for range 60 / 15 {
					if pass(15 * time.Second); restart > 0 && time.Since(begin)%restart == 0 {
						b.stop()
						b.start()
					}
				}
			}
			pass(3 * time.Hour)
			if got := b.counts(); strings.Contains(got, "pending") {
				t.Error(got)
			}
			lines = b.server.told(begin)
		})
		return lines
	}
	want := run(t, 0)
	if diff := cmp.Diff(want, run(t, 45*time.Second)); diff != "" {
		t.Errorf("with restarts (-without +with):\n%s", diff)
	}
	if len(want) < 20 || len(want) > 60 {
		t.Errorf("%d messages: %q", len(want), want)
	}
}

// A crash in the middle of a digest tells it as it was, or gathers it anew.
func TestLimits_DigestIsTheSameAfterACrash(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.start()
		b.add("sw-1", models.SeverityError)
		b.add("sw-1", models.SeverityError)
		b.add("sw-1", models.SeverityError)
		pass(time.Second)
		b.server.does(func(ctx context.Context, _ models.Notice) (string, error) {
			<-ctx.Done() // the server has it, the hub does not know
			return "", ctx.Err()
		})
		pass(5*time.Minute - time.Second)
		b.stop()
		b.add("sw-1", models.SeverityCritical) // not part of what may have arrived
		b.server.does(nil)
		b.start()
		tries := b.server.tried()
		if len(tries) != 3 {
			t.Fatalf("%d messages", len(tries))
		}
		if diff := cmp.Diff(tries[1].Notice, tries[2].Notice); diff != "" {
			t.Errorf("the digest's repeat (-first +repeat):\n%s", diff)
		}
		pass(10 * time.Minute)
		if got := b.counts(); got != "sent 3, digested 1" {
			t.Error(got)
		}
	})
}

// While the server is down nothing is spent: afterwards people get what they
// would have got now, not hours of mails at once.
func TestLimits_AfterAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.server.says(refused)
		b.start()
		for range 60 {
			b.many(models.SeverityError, numbered("sw-", 40)...)
			pass(time.Minute)
		}
		b.server.says(nil)
		before := len(b.server.tried())
		pass(6 * time.Minute)
		if n := len(b.server.tried()) - before; n < 20 || n > 41 { // those of the first hour and of this one
			t.Errorf("%d messages when it came back", n)
		}
		pass(time.Hour)
		stats, err := b.Stats(t.Context())
		if err != nil || stats.Email[models.EmailPending] != 0 || stats.Email[models.EmailFailed] != 0 {
			t.Errorf("in the end %v, %v", stats.Email, err)
		}
	})
}
