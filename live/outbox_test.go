package live

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// A page of alerts is pushed those that its filter selects, and no others; in
// the end it shows what a fresh one would.
func TestPanel_AlertsAreFiltered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(3, critical)
		pages := map[string]*reader{}
		for _, params := range []string{
			"view=alerts", "view=alerts&contact=duty", "view=alerts&contact=noc&ch=email", "view=alerts&ch=webhook",
			"view=alerts&contact=nobody", "view=alerts&contact=duty&st=sent", "view=alerts&mail=6",
		} {
			pages[params] = r.connect(t, &page{params: params})
		}
		alike := func(when string) {
			t.Helper()
			for params, p := range pages {
				p.take(t)
				if diff := cmp.Diff(r.fresh(params, 1), p.alerts, cmp.AllowUnexported(row{})); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", when, params, diff)
				}
			}
		}
		time.Sleep(time.Second)
		alike("at first")
		r.commitEach(3, critical) // 4 and 5 for noc, 6 for duty
		time.Sleep(time.Second)
		alike("with new ones")
		if got := ids(pages["view=alerts&contact=duty"].alerts); !cmp.Equal(got, []int64{6, 3}) {
			t.Errorf("for duty: %v", got)
		}
		r.deliver(3, models.EmailSent)
		time.Sleep(time.Second)
		alike("when one was sent")
		if got := ids(pages["view=alerts&contact=duty&st=sent"].alerts); !cmp.Equal(got, []int64{3}) {
			t.Errorf("sent for duty: %v", got)
		}
		r.truth.set(func(s *truth) { s.alerts[4].MailID, s.alerts[5].MailID = 6, 6 })
		r.deliver(6, models.EmailSent)
		time.Sleep(time.Second)
		alike("when a digest was sent")
		// Very many at once: they are drawn anew when it is calm.
		r.commitEach(70, critical)
		r.deliver(3, models.EmailFailed)
		time.Sleep(5 * time.Second)
		alike("after a burst")
	})
}

// What many changes mean, pages read anew.
func TestPanel_ManyAlertsHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(30, critical)
		all, pending := r.connect(t, &page{params: "view=alerts&contact=noc"}), r.connect(t, &page{params: "view=alerts&st=pending"})
		time.Sleep(time.Second)
		r.truth.set(func(s *truth) {
			for i := range s.alerts {
				s.alerts[i].Status, s.alerts[i].Detail = models.EmailCancelled, "cancelled by Ana"
			}
		})
		r.AlertsChanged()
		time.Sleep(5 * time.Second)
		all.take(t)
		pending.take(t)
		if len(pending.alerts) != 0 || len(all.alerts) != 20 {
			t.Fatalf("%d pending, %d for noc", len(pending.alerts), len(all.alerts))
		}
		for _, a := range all.alerts {
			if !strings.Contains(a.text, "cancelled by Ana") {
				t.Errorf("alert %d says %q", a.id, a.text)
			}
		}
		if figures := strings.Join(strings.Fields(text(all.parts["alert-figures"])), " "); !strings.HasSuffix(figures, "In queue0") && !strings.HasSuffix(figures, "In queue 0") {
			t.Errorf("the figures say %q", figures)
		}
	})
}

// In a pause pages are told how many wait: at once, then now and then.
func TestPanel_PausesTellHowManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(2, critical)
		p := r.connect(t, &page{params: "view=dashboard"})
		notices := func() string {
			p.take(t)
			return strings.Join(strings.Fields(text(p.parts["notices"])), " ")
		}
		time.Sleep(beatEvery + time.Second)
		if got := notices(); got != "" {
			t.Errorf("while it works: %q", got)
		}
		r.truth.set(func(s *truth) {
			s.health.Email = "535 refused"
			s.health.Pauses = []models.Pause{{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: "535 refused", Since: received}}
		})
		time.Sleep(beatEvery)
		if got := notices(); !strings.Contains(got, "535 refused · 2 alerts wait.") {
			t.Errorf("at first: %q", got)
		}
		came := p.came["notices"]
		r.commitEach(3, critical)
		time.Sleep(beatEvery)
		if notices(); p.came["notices"] != came {
			t.Error("it is told again at once")
		}
		late := r.connect(t, &page{params: "view=audit"})
		time.Sleep(sayGap)
		if got := notices(); !strings.Contains(got, "5 alerts wait.") {
			t.Errorf("after a while: %q", got)
		}
		came = p.came["notices"]
		time.Sleep(3 * sayGap)
		if notices(); p.came["notices"] != came {
			t.Error("it is told again without news")
		}
		late.take(t)
		if got := text(late.parts["notices"]); !strings.Contains(got, "5 alerts wait.") {
			t.Errorf("a late page: %q", got)
		}
		r.truth.set(func(s *truth) { s.health = models.Health{} })
		time.Sleep(beatEvery)
		if got := notices(); got != "" {
			t.Errorf("in the end: %q", got)
		}
	})
}
