package watch

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// send has a canary sent and waits until there is nothing to do but to wait.
func (b *world) send() models.Canary {
	b.t.Helper()
	c, err := b.w.SendCanary()
	if err != nil || !c.Running() || c.Stage != models.CanaryDoor {
		b.t.Fatalf("SendCanary: %+v, %v", c, err)
	}
	synctest.Wait()
	return b.last()
}

func (b *world) last() models.Canary { return b.w.CanaryState().Last }

// stored checks that the store has what is told.
func (b *world) stored() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.canaries); n == 0 || b.canaries[n-1] != b.last() {
		b.t.Errorf("told %+v, stored %+v", b.last(), b.canaries)
	}
}

func TestCanary_ComesThrough(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		begun := time.Now().UTC()
		c := b.send()
		if !c.Running() || c.Stage != models.CanaryDelivered || c.EventID != 1 {
			t.Fatalf("before it is delivered: %+v", c)
		}
		b.stored()
		if len(b.allAlerts()) != 1 || b.allAlerts()[0].Recipient != "noc@example.net" {
			t.Errorf("it has the alerts %+v, want its contact's", b.allAlerts())
		}
		pass(5 * time.Second)
		if !b.last().Running() || b.allEvents()[0].AckedBy != "" {
			t.Errorf("while it waits: %+v, acknowledged by %q", b.last(), b.allEvents()[0].AckedBy)
		}
		b.finish(models.EmailDigested, "")
		pass(look)
		want := models.Canary{ID: 1, BegunAt: begun, EndedAt: begun.Add(6 * time.Second), EventID: 1, Stage: models.CanaryThrough}
		if diff := cmp.Diff(models.CanaryState{Contact: "noc", Last: want, LastThrough: want.EndedAt}, b.w.CanaryState()); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		b.stored()
		if b.allEvents()[0].AckedBy != "canary" || b.allEvents()[0].Source != models.SourceCanary {
			t.Errorf("the event is %+v, want it acknowledged", b.allEvents()[0])
		}
		pass(24 * time.Hour)
		if len(b.allEvents()) != 1 {
			t.Errorf("%d events without a schedule", len(b.allEvents()))
		}
	})
}

// Each stage that fails is told with its reason, in words for people.
func TestCanary_FailsAtItsStage(t *testing.T) {
	tests := map[string]struct {
		world  func(b *world)
		after  func(b *world) // once it is to be delivered
		wait   time.Duration
		stage  models.CanaryStage
		detail string
	}{
		"nothing listens":         {world: func(b *world) { b.dialFails = errors.New("connection refused") }, stage: models.CanaryDoor, detail: "no connection: connection refused"},
		"the door says no":        {world: func(b *world) { b.answer = func(string) string { return `{"ok":false,"error":"busy"}` } }, stage: models.CanaryDoor, detail: "refused: busy"},
		"the door hangs up":       {world: func(b *world) { b.answer = func(string) string { return "" } }, stage: models.CanaryDoor, detail: "not acknowledged: the connection was closed"},
		"another protocol":        {world: func(b *world) { b.answer = func(string) string { return "220 mail" } }, stage: models.CanaryDoor, detail: `answered "220 mail"`},
		"an answer without an id": {world: func(b *world) { b.answer = func(string) string { return `{"ok":true}` } }, stage: models.CanaryDoor, detail: "answered without an event"},
		"the door knows nobody":   {world: func(b *world) { b.unknown = true }, stage: models.CanaryDoor, detail: "refused: unauthorized"},
		"an answer without an end": {
			world: func(b *world) { b.answer = func(string) string { return strings.Repeat("x", 2*maxAnswer) } },
			stage: models.CanaryDoor, detail: "not acknowledged: the connection was closed",
		},
		"it begins and cannot be stored": {world: func(b *world) { b.saveFails = errBroken }, stage: models.CanaryStored, detail: "that it begins cannot be stored"},
		"it is not there": {
			world: func(b *world) { b.answer = func(string) string { return `{"ok":true,"event_id":9}` } },
			stage: models.CanaryStored, detail: "the event was acknowledged and cannot be read",
		},
		"it is another one": {
			world: func(b *world) {
				b.answer = func(string) string {
					b.insert(models.Draft{Source: models.SourceCanary, Message: "other"}, nil)
					return `{"ok":true,"event_id":1}`
				}
			},
			stage: models.CanaryStored, detail: "event 1 is another one",
		},
		"nobody is told": {world: func(b *world) { b.cfg.Canary.Alerts = nil }, stage: models.CanaryRouted, detail: "it has 0 of 1 alerts"},
		"email is not configured": {
			world: func(b *world) { b.born, b.detail = models.EmailSkipped, "email is not configured: SMTP_HOST not set" },
			stage: models.CanaryRouted, detail: "email to noc@example.net: email is not configured: SMTP_HOST not set",
		},
		"the server refuses": {
			after: func(b *world) { b.finish(models.EmailFailed, "550 no such user") }, wait: look,
			stage: models.CanaryDelivered, detail: "email to noc@example.net: 550 no such user",
		},
		"a person cancels it": {
			after: func(b *world) { b.finish(models.EmailCancelled, "cancelled by Ana") }, wait: look,
			stage: models.CanaryDelivered, detail: "email to noc@example.net: cancelled by Ana",
		},
		"it waits for too long": {
			after: func(b *world) { b.set(func() { b.alerts[0].Detail = "AUTH: 535 wrong" }) }, wait: 10 * time.Minute,
			stage: models.CanaryDelivered, detail: "not within 10m0s: email to noc@example.net: AUTH: 535 wrong",
		},
		"it cannot be read for too long": {
			after: func(b *world) { b.set(func() { b.readFails = errBroken }) }, wait: 10 * time.Minute,
			stage: models.CanaryDelivered, detail: "not within 10m0s: its alerts cannot be read",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *world) {
				if tt.world != nil {
					tt.world(b)
				}
				b.start()
				c := b.send()
				if tt.after != nil {
					if !c.Running() {
						t.Fatalf("it did not come to its delivery: %+v", c)
					}
					tt.after(b)
					pass(tt.wait - time.Nanosecond)
					if tt.wait > look && !b.last().Running() {
						t.Errorf("before its time: %+v", b.last())
					}
					pass(time.Nanosecond)
				}
				c = b.last()
				if !c.Failed() || c.Stage != tt.stage || c.Detail != tt.detail {
					t.Errorf("%+v, want %s: %s", c, tt.stage, tt.detail)
				}
				b.set(func() { b.saveFails = nil })
				pass(tick) // what could not be stored is
				b.stored()
				for _, e := range b.allEvents() {
					if e.AckedBy != "" {
						t.Errorf("acknowledged: %+v", e)
					}
				}
				if !b.w.CanaryState().LastThrough.IsZero() {
					t.Error("told as come through")
				}
			})
		})
	}
}

func TestCanary_DoorThatDoesNotAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.hold = make(chan struct{})
		b.start()
		if c := b.send(); !c.Running() {
			t.Errorf("at once: %+v", c)
		}
		pass(doorTimeout - time.Nanosecond)
		if c := b.last(); !c.Running() {
			t.Errorf("too early: %+v", c)
		}
		pass(time.Nanosecond)
		if c := b.last(); c.Detail != "not acknowledged: no answer within 10s" || c.Stage != models.CanaryDoor || !c.Failed() {
			t.Errorf("%+v", c)
		}
		close(b.hold)
		synctest.Wait()
	})
}

func TestCanary_OneAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		first := b.send()
		if c, err := b.w.SendCanary(); !errors.Is(err, models.ErrCanaryRunning) || c != first {
			t.Errorf("the second: %+v, %v, want the first", c, err)
		}
		b.finish(models.EmailSent, "250 ok")
		pass(look)
		if c := b.send(); c.ID != 2 || c.EventID != 2 {
			t.Errorf("after the first: %+v", c)
		}
	})
	bubble(t, func(t *testing.T, b *world) {
		b.cfg.Canary = Canary{}
		b.start()
		if _, err := b.w.SendCanary(); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("without a contact: %v", err)
		}
		pass(time.Hour)
		if len(b.allEvents()) > 0 {
			t.Errorf("events %+v", b.allEvents())
		}
	})
}

// Only whoever knows the key is a canary, and only while it is at the door.
func TestEscalate(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		var key string
		rule := func(models.Draft) []models.NewAlert { return []models.NewAlert{{Recipient: "rule"}} }
		told := func(source, key string) string {
			return b.w.Escalate(models.Draft{Source: source, Key: key}, rule)[0].Recipient
		}
		b.answer = func(line string) string {
			_, rest, _ := strings.Cut(line, `"key":"`)
			key, _, _ = strings.Cut(rest, `"`)
			if key == "" || told(models.SourceCanary, key) != "noc@example.net" {
				t.Errorf("the canary with the key %q is told to %s", key, told(models.SourceCanary, key))
			}
			for _, d := range [][2]string{{models.SourceCanary, ""}, {models.SourceCanary, key + "x"}, {"sw-1", key}} {
				if to := told(d[0], d[1]); to != "rule" {
					t.Errorf("%q is told to %s", d, to)
				}
			}
			return ""
		}
		b.start()
		b.send()
		if to := told(models.SourceCanary, key); to != "rule" {
			t.Errorf("after the canary its key still tells %s", to)
		}
		was := key
		b.send()
		if was == key {
			t.Error("two canaries have one key")
		}
	})
}

func TestCanary_Schedule(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.cfg.Canary.Every = time.Hour
		b.start()
		pass(settle - time.Second)
		if len(b.allEvents()) != 0 {
			t.Fatal("sent right after the start")
		}
		pass(time.Second)
		if len(b.allEvents()) != 1 {
			t.Fatalf("%d canaries a minute after the start", len(b.allEvents()))
		}
		b.finish(models.EmailSent, "250 ok")
		pass(time.Hour - time.Second)
		if len(b.allEvents()) != 1 {
			t.Errorf("%d canaries before the hour is over", len(b.allEvents()))
		}
		pass(time.Second)
		if len(b.allEvents()) != 2 {
			t.Errorf("%d canaries after an hour", len(b.allEvents()))
		}
		b.finish(models.EmailSent, "250 ok")
		pass(30 * time.Minute)
		b.restart()
		if s := b.w.CanaryState(); !s.Last.Through() || s.LastThrough != s.Last.EndedAt || s.Last.ID != 2 || s.Every != time.Hour {
			t.Errorf("after a restart: %+v", s)
		}
		pass(30*time.Minute - time.Second)
		if len(b.allEvents()) != 2 {
			t.Errorf("%d canaries: a restart must not send one", len(b.allEvents()))
		}
		pass(time.Second)
		if len(b.allEvents()) != 3 {
			t.Errorf("%d canaries, want one as was due before the restart", len(b.allEvents()))
		}
		// The hub stops in the middle of it.
		b.restart()
		if s := b.w.CanaryState(); !s.Last.Failed() || s.Last.Stage != models.CanaryDelivered || s.Last.Detail != stopped || s.LastThrough.IsZero() {
			t.Errorf("after a stop in the middle: %+v", s)
		}
		b.stored()
		pass(settle)
		if len(b.allEvents()) != 4 {
			t.Errorf("%d canaries, want another one soon", len(b.allEvents()))
		}
	})
}

func TestCanary_SetClock(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.cfg.Canary.Every = time.Hour
		b.canaries = []models.Canary{{ID: 1, BegunAt: time.Now().UTC().Add(240 * time.Hour), EndedAt: time.Now().UTC().Add(241 * time.Hour), Stage: models.CanaryThrough}}
		b.start()
		pass(settle)
		if len(b.allEvents()) != 1 {
			t.Errorf("%d canaries after the clock was set back", len(b.allEvents()))
		}
	})
}

func TestRun_WaitsForItsStore(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.readFails = errBroken
		b.start()
		if _, err := b.w.SendCanary(); !errors.Is(err, models.ErrUnavailable) {
			t.Errorf("a canary before the old ones are known: %v", err)
		}
		pass(time.Minute)
		b.set(func() { b.readFails = nil })
		pass(tick)
		if c := b.send(); c.EventID != 1 {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, func(t *testing.T, b *world) {
		b.canaries = []models.Canary{{ID: 1, BegunAt: time.Now().UTC(), Stage: models.CanaryDoor}}
		w := New(b, b, b.cfg)
		if err := w.Restore(t.Context()); err != nil || w.CanaryState().Last.Detail != stopped || b.canaries[0].Detail != stopped {
			t.Errorf("before Run: %+v, %v", w.CanaryState(), err)
		}
		if _, err := w.SendCanary(); err != nil {
			t.Error(err)
		}
	})
	bubble(t, func(t *testing.T, b *world) {
		b.readFails = errBroken
		b.start()
		b.stop() // it ends all the same
	})
}

func TestShort(t *testing.T) {
	long := strings.Repeat("ñ", models.MaxMessage)
	if short(long) != long || short(long+"x") != strings.Repeat("ñ", models.MaxMessage-1)+"…" || short("") != "" {
		t.Errorf("%q", short(long+"x"))
	}
}
