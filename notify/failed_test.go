package notify_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// Who watches delivery is told of messages that failed, once they are recorded
// as such, and of no others.
func TestRun_TellsOfFailedMessages(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		gone := &models.Fault{Words: "550 no such user", Permanent: true}
		b.server.does(func(_ context.Context, n models.Notice) (string, error) {
			switch n.Alert.Recipient {
			case "gone@example.net":
				return "", gone
			case "grey@example.net":
				return "", later
			}
			return "250 queued", nil
		})
		var told []models.EmailAlert
		b.cfg.Failed = func(a models.EmailAlert) {
			if stored := b.row(a.ID); stored.Status != models.EmailFailed {
				t.Errorf("told of %+v while it is stored as %+v", a, stored)
			}
			told = append(told, a)
		}
		b.start()
		rows := b.add("sw-1", models.SeverityError, to("ops@example.net"), to("gone@example.net"), to("grey@example.net"))
		pass(0)
		if len(told) != 1 {
			t.Fatalf("told of %+v, want the one that failed", told)
		}
		want := b.row(rows[1].ID)
		if diff := cmp.Diff(want, told[0]); diff != "" {
			t.Errorf("told (-stored +told):\n%s", diff)
		}
	})
}

func TestFinished_ByChannel(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.hook.does(func(_ context.Context, n models.Notice) (string, error) {
			if n.Event.Source == "sw-2" {
				return "", never
			}
			return "200 OK", nil
		})
		b.start()
		for _, source := range []string{"sw-1", "sw-2", "sw-3"} {
			b.add(source, models.SeverityError, chat(), to("ops@example.net"))
		}
		pass(0)
		sent, failed := b.service.Finished(models.DeliveryWebhook)
		mails, mailsFailed := b.service.Finished(models.DeliveryEmail)
		if sent != 2 || failed != 1 || mails != 3 || mailsFailed != 0 {
			t.Errorf("%d webhooks were sent, %d failed; %d mails, %d", sent, failed, mails, mailsFailed)
		}
	})
}

// So it is of messages that were never tried, since they got too old: in a
// pause, or while the hub did not run.
func TestRun_TellsOfMessagesThatGotTooOld(t *testing.T) {
	for name, test := range map[string]func(b *bench){
		"in a pause": func(b *bench) {
			b.server.says(refused)
			b.start()
			b.add("sw-1", models.SeverityError)
			b.add("sw-2", models.SeverityError)
			pass(25 * time.Hour)
		},
		"while the hub did not run": func(b *bench) {
			b.add("sw-1", models.SeverityError)
			b.add("sw-2", models.SeverityError)
			pass(25 * time.Hour)
			b.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				told := map[int64]models.EmailAlert{}
				b.cfg.Failed = func(a models.EmailAlert) { told[a.ID] = a }
				test(b)
				want := map[int64]models.EmailAlert{1: b.row(1), 2: b.row(2)}
				if diff := cmp.Diff(want, told); diff != "" || b.counts() != "failed 2" || b.failed() != 2 {
					t.Errorf("%s; told (-stored +told):\n%s", b.counts(), diff)
				}
			})
		})
	}
}
