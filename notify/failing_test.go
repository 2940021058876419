package notify_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// A lane from which nothing was taken for 5 minutes counts as paused, while
// each message is tried as before, until one is taken.
func TestFailing_AfterConnecting(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		full := &models.Fault{Words: "MAIL: 452 4.3.1 insufficient storage"}
		b.server.says(full)
		b.start()
		begin := time.Now().UTC()
		b.add("sw-1", models.SeverityError)
		pass(2 * time.Minute)
		b.server.says(later)
		pass(3*time.Minute - time.Second)
		if p := b.service.Pauses(); len(p) != 0 || b.service.Paused() != "" {
			t.Errorf("before 5 minutes: %+v", p)
		}
		pass(time.Second)
		want := []models.Pause{{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: later.Words, Since: begin}}
		if diff := cmp.Diff(want, b.service.Pauses()); diff != "" || b.service.Paused() != later.Words {
			t.Errorf("after 5 minutes (-want +got):\n%s", diff)
		}
		tries := len(b.server.tried())
		b.add("sw-2", models.SeverityError)
		pass(0)
		if n := len(b.server.tried()) - tries; n != 1 {
			t.Errorf("%d tries of what comes meanwhile", n)
		}
		// Neither a refusal for good nor a fault of the whole begins it anew.
		b.server.says(never)
		b.add("sw-3", models.SeverityError)
		pass(0)
		if diff := cmp.Diff(want, b.service.Pauses()); diff != "" {
			t.Errorf("after a refusal (-want +got):\n%s", diff)
		}
		b.server.says(refused)
		pass(10 * time.Minute)
		want[0].Reason = refused.Words
		if diff := cmp.Diff(want, b.service.Pauses()); diff != "" {
			t.Errorf("in a pause (-want +got):\n%s", diff)
		}
		b.server.says(nil)
		pass(15 * time.Minute)
		if got := b.counts(); got != "sent 2, failed 1" || len(b.service.Pauses()) != 0 {
			t.Errorf("in the end %s, %+v", got, b.service.Pauses())
		}
	})
}

// One message that is put off among others that are taken is no failing lane,
// and a refusal for good shows that a pause is over.
func TestFailing_OneMessage(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.server.does(func(_ context.Context, n models.Notice) (string, error) {
			if n.Alert.Recipient == "grey@example.net" {
				return "", later
			}
			return "250 queued", nil
		})
		b.start()
		b.add("sw-1", models.SeverityError, to("grey@example.net"))
		for range 20 {
			pass(4 * time.Minute)
			b.add("sw-1", models.SeverityError)
			if p := b.service.Pauses(); len(p) != 0 {
				t.Fatalf("failing: %+v", p)
			}
		}
	})
	bubble(t, func(t *testing.T, b *bench) {
		b.server.says(refused)
		b.start()
		b.add("sw-1", models.SeverityError)
		pass(time.Hour)
		b.server.says(never)
		pass(5 * time.Minute)
		if p := b.service.Pauses(); len(p) != 0 || b.row(1).Status != models.EmailFailed {
			t.Errorf("%+v, row %+v", p, b.row(1))
		}
	})
}
