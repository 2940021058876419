package notify_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/notify"
)

func to(recipient string) models.NewAlert { return models.NewAlert{Recipient: recipient} }

func TestRun_SendsWhatComesInOrderAndSleeps(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		for i := range 3 {
			b.add("sw-1", models.SeverityError, to(fmt.Sprintf("r%d@example.net", i+1)))
		}
		b.start()
		for i, y := range b.server.tried() {
			a := b.row(int64(i + 1))
			if a.Status != models.EmailSent || a.Detail != "250 queued" || a.Attempts != 1 || a.MailID != a.ID || y.Alert.Recipient != a.Recipient || y.Digest != nil {
				t.Errorf("alert %+v was tried as %+v", a, y)
			}
		}
		if b.sent() != 3 || b.failed() != 0 || b.service.Paused() != "" || b.server.closed == 0 {
			t.Errorf("ok %d, fail %d, paused %q, closed %d", b.sent(), b.failed(), b.service.Paused(), b.server.closed)
		}
		begin := time.Now()
		b.add("sw-1", models.SeverityError)
		pass(0)
		if a := b.row(4); a.Status != models.EmailSent || time.Since(begin) != 0 {
			t.Errorf("after the wake: %+v", a)
		}
		looks := b.looks()
		pass(time.Hour)
		if n := b.looks() - looks; n > 130 { // two lanes
			t.Errorf("%d looks at the outbox in an idle hour", n)
		}
	})
}

func TestRun_RetriesOneMessageWithoutHoldingOthersBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(_ context.Context, n models.Notice) (string, error) {
			if n.Alert.Recipient == "grey@example.net" {
				return "", later
			}
			return "250 queued", nil
		})
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityError, to("grey@example.net"), to("ops@example.net"))
		pass(0)
		if a := b.row(1); a.Status != models.EmailPending || a.Detail != later.Words || a.Attempts != 1 || !a.NextAttemptAt.Equal(begin.Add(10*time.Second)) {
			t.Errorf("greylisted: %+v", a)
		}
		if a := b.row(2); a.Status != models.EmailSent {
			t.Errorf("other: %+v", a)
		}
		if b.service.Paused() != "" {
			t.Errorf("paused: %q", b.service.Paused())
		}
		pass(25 * time.Hour)
		a := b.row(1)
		if a.Status != models.EmailFailed || a.Detail != "gave up after 24h0m0s: "+later.Words || b.failed() != 1 {
			t.Errorf("in the end: %+v", a)
		}
		var waits []time.Duration
		last := begin
		for _, y := range b.server.tried() {
			if y.Alert.ID == 1 && y.at != last {
				waits = append(waits, y.at.Sub(last))
				last = y.at
			}
		}
		want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 640 * time.Second, 15 * time.Minute}
		if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		attempts, err := b.Attempts(t.Context(), 1)
		if last.Sub(begin) != 24*time.Hour || a.Attempts != len(waits)+1 || len(attempts) != a.Attempts || err != nil {
			t.Errorf("last try after %v, %d attempts, %d tries, %d kept, %v", last.Sub(begin), a.Attempts, len(waits)+1, len(attempts), err)
		}
		if first := attempts[0]; first.Detail != later.Words || !first.NextAttemptAt.Equal(begin.Add(10*time.Second)) {
			t.Errorf("kept of the first: %+v", first)
		}
	})
}

func TestRun_HeedsRetryAfter(t *testing.T) {
	for name, f := range map[string]models.Fault{"a message": {RetryAfter: 7 * time.Minute, Words: "429"}, "a server": {Server: true, RetryAfter: 7 * time.Minute, Words: "503"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.server.says(&f)
				b.start()
				b.add("sw-1", models.SeverityError)
				pass(7*time.Minute - time.Second)
				if n := len(b.server.tried()); n != 1 {
					t.Errorf("%d tries before the time", n)
				}
				b.server.says(nil)
				pass(2 * time.Second)
				if a := b.row(1); a.Status != models.EmailSent || a.Attempts != 2 {
					t.Errorf("after it: %+v", a)
				}
			})
		})
	}
}

func TestRun_FailsARefusedMessageAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.says(never)
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(time.Hour)
		if a := b.row(1); a.Status != models.EmailFailed || a.Detail != never.Words || a.Attempts != 1 || len(b.server.tried()) != 1 || b.failed() != 1 {
			t.Errorf("refused: %+v, %d tries", a, len(b.server.tried()))
		}
	})
}

func TestRun_PausesAllForTheServerAndResumes(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.says(refused)
		b.start()
		begin := time.Now()
		for id := range int64(5) {
			b.add(fmt.Sprint("sw-", id), models.SeverityError)
		}
		pass(0)
		for id := range int64(5) {
			a := b.row(id + 1)
			if a.Status != models.EmailPending || a.Detail != refused.Words || !a.NextAttemptAt.Equal(begin.Add(5*time.Second)) {
				t.Errorf("row of a paused server: %+v", a)
			}
		}
		p := b.service.Pauses()
		if b.service.Paused() != refused.Words || len(p) != 1 || !p[0].Since.Equal(begin) || p[0].Channel != models.DeliveryEmail {
			t.Errorf("paused: %q, %+v", b.service.Paused(), p)
		}
		// What is born during the pause is told too, and hastens nothing.
		pass(time.Second)
		b.add("sw-9", models.SeverityError)
		pass(0)
		if a := b.row(6); a.Detail != refused.Words || a.Attempts != 0 || len(b.server.tried()) != 1 {
			t.Errorf("born in the pause: %+v, %d tries", a, len(b.server.tried()))
		}
		// A webhook is another side.
		b.add("sw-1", models.SeverityError, models.NewAlert{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "slack"})
		pass(0)
		if a := b.row(7); a.Status != models.EmailSent || len(b.hook.tried()) != 1 {
			t.Errorf("by a webhook: %+v", a)
		}
		pass(time.Hour)
		var waits []time.Duration
		tries := b.server.tried()
		for i := range tries[1:] {
			waits = append(waits, tries[i+1].at.Sub(tries[i].at))
		}
		want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute}
		if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if len(tries) > 20 {
			t.Errorf("%d logins in an hour", len(tries))
		}
		b.server.says(nil)
		pass(5 * time.Minute)
		if got := b.counts(); got != "sent 6" || b.service.Paused() != "" || b.sent() != 6 || len(b.service.Pauses()) != 0 {
			t.Errorf("after the pause: %s, paused %q, sent %d", got, b.service.Paused(), b.sent())
		}
		// The next outage starts with a short pause again.
		b.server.says(refused)
		b.add("sw-1", models.SeverityError)
		pass(0)
		if a := b.row(8); time.Until(a.NextAttemptAt) != 5*time.Second {
			t.Errorf("next outage: %+v", a)
		}
	})
}

func TestRun_AMessagesFaultEndsAServersPause(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.says(refused)
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(0)
		b.server.says(later)
		pass(5 * time.Second)
		if b.service.Paused() != "" || b.row(1).Detail != later.Words {
			t.Errorf("paused %q, row %+v", b.service.Paused(), b.row(1))
		}
	})
}

func TestRun_GivesUpOnEachRowAtItsOwnAge(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.cfg.MaxAge = 3 * time.Hour
		b.server.says(refused)
		b.start()
		const rows = 300 // more than one pause tells
		for i := range rows {
			b.add(fmt.Sprint("sw-", i), models.SeverityError)
			pass(time.Second)
		}
		pass(150*time.Minute - rows*time.Second)
		for id := range int64(rows) {
			if a := b.row(id + 1); a.Status != models.EmailPending || a.Detail != refused.Words {
				t.Fatalf("after 150 min: %+v", a)
			}
		}
		pass(time.Hour)
		for id := range int64(rows) {
			a := b.row(id + 1)
			age := a.UpdatedAt.Sub(a.CreatedAt)
			if a.Status != models.EmailFailed || !strings.HasPrefix(a.Detail, "gave up after 3h") || !strings.HasSuffix(a.Detail, refused.Words) ||
				age < 3*time.Hour || age > 3*time.Hour+5*time.Minute {
				t.Fatalf("after 210 min: %+v at age %v", a, age)
			}
		}
		if b.failed() != rows || b.sent() != 0 {
			t.Errorf("ok %d, fail %d", b.sent(), b.failed())
		}
	})
}

func TestRun_SkipsWhoseContactIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.add("sw-1", models.SeverityError, to("ops@example.net"), models.NewAlert{Contact: "guardia ñ", Recipient: "left@example.net"},
			models.NewAlert{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "discord"})
		b.start()
		if a := b.row(2); a.Status != models.EmailSkipped || a.Detail != "the contact guardia ñ is not in the routes file any more" {
			t.Errorf("row %+v", a)
		}
		if a := b.row(3); a.Status != models.EmailSkipped || a.Detail != "the contact noc has no webhook discord any more" {
			t.Errorf("row %+v", a)
		}
		if tries := b.server.tried(); len(tries) != 1 || tries[0].Alert.Recipient != "ops@example.net" || b.failed() != 0 {
			t.Errorf("tries %+v, %d failed", tries, b.failed())
		}
	})
}

// Mails that still wait when no mail server is configured any more, or are
// tried again then, end as new ones begin.
func TestRun_SkipsWhatNothingIsSentBy(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = limited()
		b.server.does(func(_ context.Context, n models.Notice) (string, error) {
			if n.Alert.Recipient == "gone@example.net" {
				return "", never
			}
			return "", later
		})
		b.start()
		b.add("sw-1", models.SeverityError, to("gone@example.net"))
		b.many(models.SeverityError, "sw-1", "sw-1", "sw-1") // one alone, two in a digest
		pass(6 * time.Minute)
		b.many(models.SeverityError, "sw-1") // waits for the next
		b.stop()
		if got := b.counts(); got != "failed 1, pending 4" {
			t.Fatal(got)
		}
		tries := len(b.server.tried())
		b.cfg.Routes = []notify.Route{{Lane: models.Lane{Channel: models.DeliveryEmail}, Why: "email is not configured: SMTP_HOST not set"}}
		b.start()
		if _, err := b.Retry(t.Context(), 1, models.Ack{By: "ana", At: b.now()}); err != nil {
			t.Fatal(err)
		}
		b.service.Replan()
		pass(15 * time.Minute)
		for id := range int64(5) {
			if a := b.row(id + 1); a.Status != models.EmailSkipped || a.Detail != "email is not configured: SMTP_HOST not set" {
				t.Errorf("row %+v", a)
			}
		}
		if n := len(b.server.tried()); n != tries {
			t.Errorf("%d more tries", n-tries)
		}
	})
}

// What is tried again for a webhook that nobody knows any more is skipped, time
// and again, and with all of its digest.
func TestRun_SkipsARetryOfAWebhookThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.contacts = map[string]models.Contact{"noc": {Limits: models.DefaultLimits()}}
		b.hook.says(never)
		b.start()
		for range 3 { // one alone, and two in a digest
			b.add("sw-1", models.SeverityError, models.NewAlert{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "slack"})
		}
		pass(6 * time.Minute)
		if got := b.row(3); got.Status != models.EmailFailed || b.row(2).MailID != 3 {
			t.Fatalf("row %+v", got)
		}
		b.stop()
		b.cfg.Routes = b.cfg.Routes[:1]
		b.start()
		for _, id := range []int64{1, 2} {
			if _, err := b.Retry(t.Context(), id, models.Ack{By: "ana", At: b.now()}); err != nil {
				t.Fatal(err)
			}
			b.service.Replan()
			pass(time.Second)
		}
		for id := range int64(3) {
			if a := b.row(id + 1); a.Status != models.EmailSkipped || a.Detail != "the contact noc has no webhook slack any more" {
				t.Errorf("row %+v", a)
			}
		}
	})
}

// Who cancels a message that is on its way has cancelled it, whatever the
// server then says, unless it took it.
func TestRun_CancelledOnItsWay(t *testing.T) {
	for name, says := range map[string]error{"later": later, "never": never, "server gone": refused, "taken": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				told := 0
				b.cfg.Failed = func(models.EmailAlert) { told++ }
				b.server.does(func(ctx context.Context, _ models.Notice) (string, error) {
					n, err := b.Cancel(ctx, models.Cancellation{Source: "sw-1"}, models.Ack{By: "ana", At: b.now()})
					if n != 1 || err != nil {
						t.Errorf("cancelled %d, %v", n, err)
					}
					return "250 queued", says
				})
				b.add("sw-1", models.SeverityError)
				b.start()
				want := "cancelled: cancelled by ana"
				if says == nil {
					want = "sent: 250 queued"
				}
				pass(time.Hour)
				if a := b.row(1); string(a.Status)+": "+a.Detail != want || a.Attempts != 1 || len(b.server.tried()) != 1 || told != 0 {
					t.Errorf("%+v after %d tries, not %q; told %d times that it failed", a, len(b.server.tried()), want, told)
				}
			})
		})
	}
}

// A crash while a digest was gathered, or cancelled, leaves nothing behind
// that waits for a message which will not come.
func TestRun_ReleasesWhatACrashLeft(t *testing.T) {
	for name, test := range map[string]struct {
		left string // what a crash left of a digest of 1, carried by 2
		want string
	}{
		"half gathered":  {"UPDATE email_alerts SET mail_id = NULL, claim = NULL, claimed_at = NULL WHERE id = 2", "sent sent"},
		"half cancelled": {"UPDATE email_alerts SET status = 'cancelled', next_attempt_at = NULL WHERE id = 2", "sent cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.many(models.SeverityError, "sw-1", "sw-2")
				carrier, err := b.Gather(t.Context(), models.Gathering{
					Address: models.Address{Channel: models.DeliveryEmail, Recipient: "ops@example.net"}, To: 2,
					Severities: models.Severities(), Claim: models.ClaimGathered,
				}, b.now())
				if carrier != 2 || err != nil {
					t.Fatalf("carried by %d, %v", carrier, err)
				}
				db, err := sql.Open("sqlite", filepath.Join(b.dir, "alerthub.db"))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if _, err := db.Exec(test.left); err != nil {
					t.Fatal(err)
				}
				b.start()
				if one, two := b.row(1), b.row(2); string(one.Status+" "+two.Status) != test.want {
					t.Errorf("rows %+v, %+v", one, two)
				}
			})
		})
	}
}

// A disk that was full while a large digest was gathered, or one cancelled,
// leaves nothing behind either: the next digest tells of all.
func TestRun_ReleasesWhatAFaultLeft(t *testing.T) {
	full := func(b *bench, trigger string) (free func()) {
		db, err := sql.Open("sqlite", filepath.Join(b.dir, "alerthub.db"))
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { db.Close() })
		exec := func(statement string) {
			if _, err := db.Exec(statement); err != nil {
				b.t.Fatal(err)
			}
		}
		exec("CREATE TRIGGER full BEFORE UPDATE ON email_alerts WHEN " + trigger + " BEGIN SELECT RAISE(ABORT, 'disk full'); END")
		return func() { exec("DROP TRIGGER full") }
	}
	t.Run("half gathered", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *bench) {
			b.contacts = limited()
			b.start()
			begin := time.Now()
			b.many(models.SeverityError, slices.Repeat([]string{"sw-1"}, 601)...)
			free := full(b, "NEW.claim = 'gathered'")
			pass(4 * time.Minute)
			b.add("sw-2", models.SeverityError)
			pass(2 * time.Minute)
			b.add("sw-2", models.SeverityError) // newer than what was to carry the digest
			free()
			pass(12 * time.Minute)
			if got := b.counts(); got != "sent 4, digested 599" {
				t.Errorf("%s: %q", got, b.server.told(begin))
			}
		})
	})
	t.Run("half cancelled", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *bench) {
			b.contacts = limited()
			b.start()
			begin := time.Now()
			b.many(models.SeverityError, "sw-1", "sw-2")
			pass(time.Minute)
			b.server.says(later)
			b.many(models.SeverityError, "sw-1", "sw-1", "sw-2") // a digest, carried by that of sw-2
			pass(5 * time.Minute)
			free := full(b, "NEW.mail_id IS NULL")
			if n, err := b.Cancel(t.Context(), models.Cancellation{Source: "sw-2"}, models.Ack{By: "ana", At: b.now()}); n != 1 || !errors.Is(err, models.ErrUnavailable) {
				t.Fatalf("cancelled %d, %v", n, err)
			}
			free()
			b.server.says(nil)
			b.service.Replan()
			pass(10 * time.Minute)
			if got := b.counts(); got != "sent 3, digested 1, cancelled 1" {
				t.Errorf("%s: %q", got, b.server.told(begin))
			}
		})
	})
}

func TestRun_ShutdownLeavesTheCutRowAsItWas(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(ctx context.Context, _ models.Notice) (string, error) {
			<-ctx.Done()
			return "", fmt.Errorf("DATA: %w", ctx.Err())
		})
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(0)
		before := b.row(1)
		begin := time.Now()
		b.stop()
		if diff := cmp.Diff(before, b.row(1)); diff != "" || len(b.server.tried()) != 1 || before.Attempts != 0 || time.Since(begin) != 0 {
			t.Errorf("%d tries, row (-before +after):\n%s", len(b.server.tried()), diff)
		}
		b.server.does(nil)
		b.start()
		tries := b.server.tried()
		if a := b.row(1); a.Status != models.EmailSent || len(tries) != 2 {
			t.Errorf("after the restart: %+v, %d tries", a, len(tries))
		}
		if diff := cmp.Diff(tries[0].Notice, tries[1].Notice); diff != "" {
			t.Errorf("the repeat is another message (-first +repeat):\n%s", diff)
		}
	})
}

func TestRun_ShutdownRecordsWhatWasSent(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(ctx context.Context, _ models.Notice) (string, error) {
			<-ctx.Done() // and yet it was taken
			return "250 queued", nil
		})
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(0)
		b.stop()
		if a := b.row(1); a.Status != models.EmailSent {
			t.Errorf("row %+v", a)
		}
	})
}

func TestRun_ATryEndsAtItsLimit(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(ctx context.Context, _ models.Notice) (string, error) {
			<-ctx.Done()
			return "", &models.Fault{Words: "DATA: no answer within 30s"}
		})
		b.start()
		begin := time.Now()
		b.add("sw-1", models.SeverityError)
		pass(31 * time.Second)
		if a := b.row(1); a.Attempts != 1 || a.UpdatedAt.Sub(begin) != 30*time.Second {
			t.Errorf("row %+v", a)
		}
	})
}

func TestRun_OutlivesAFailingOutbox(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.fail(errors.New("/var/lib/alerthub.db: disk I/O error"))
		b.add("sw-1", models.SeverityError)
		pass(time.Minute)
		looks := b.looks()
		pass(time.Minute)
		if n := b.looks() - looks; n > 2*60 {
			t.Errorf("%d looks at a failing outbox in a minute", n)
		}
		if got := b.service.Paused(); got != "the outbox cannot be read or written" {
			t.Errorf("paused %q", got)
		}
		b.fail(nil)
		pass(5 * time.Second)
		if a := b.row(1); a.Status != models.EmailSent || b.service.Paused() != "" {
			t.Errorf("row %+v, paused %q", a, b.service.Paused())
		}
	})
}

func TestRun_DoesNotSendAgainWhatItCouldNotRecord(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(context.Context, models.Notice) (string, error) {
			b.fail(errors.New("disk full"))
			return "250 queued", nil
		})
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(time.Minute)
		if n := len(b.server.tried()); n != 1 {
			t.Errorf("%d tries", n)
		}
		b.fail(nil)
		pass(5 * time.Second)
		if a := b.row(1); a.Status != models.EmailSent || len(b.server.tried()) != 1 {
			t.Errorf("row %+v, %d tries", a, len(b.server.tried()))
		}
	})
}
