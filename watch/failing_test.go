package watch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

var (
	mails = models.Lane{Channel: models.DeliveryEmail}
	slack = models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}
	ntfy  = models.Lane{Channel: models.DeliveryWebhook, Contact: "on-call", Recipient: "ntfy"}

	nocMail = models.Address{Contact: "noc", Channel: models.DeliveryEmail, Recipient: "noc@example.net"}
	nocHook = models.Address{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "slack"}
	// nocTeams is a webhook that only alerts of an older file have.
	nocTeams = models.Address{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "teams"}
)

// pause pauses a lane from now on, and works has all lanes work again.
func (b *world) pause(lane models.Lane, reason string) {
	b.set(func() {
		b.health.Pauses = append(b.health.Pauses, models.Pause{Lane: lane, Reason: reason, Since: time.Now().UTC()})
	})
}

func (b *world) works() { b.set(func() { b.health.Pauses = nil }) }

// expectTold compares what was told so far.
func (b *world) expectTold(when string, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.told()); diff != "" {
		b.t.Errorf("%s: told (-want +got):\n%s", when, diff)
	}
}

// The fake clock begins at midnight.
const (
	mailsFail = "Email to %s is failing since 00:00 UTC: AUTH: 535 wrong -> %s"
	slackFail = "Webhook slack of noc is failing since 00:00 UTC: 503 -> on-call/oncall@example.net on-call/ntfy"
)

func TestFailing_PausedMails(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocMail, models.EmailPending, "")
		b.pause(mails, "AUTH:\n535 wrong")
		pass(pauseTold - time.Second)
		b.expectTold("before 5 minutes")
		pass(tick + time.Second)
		// Each contact with mails, by what does not go by mail; nobody for facilities.
		want := []string{fmt.Sprintf(mailsFail, "noc", "on-call/ntfy"), fmt.Sprintf(mailsFail, "on-call", "noc/slack")}
		b.expectTold("after 5 minutes", want...)
		pass(48 * time.Hour)
		b.expectTold("it is told once", want...)
		b.works()
		pass(time.Minute)
		b.expectTold("it works", want...)
		b.pause(mails, "AUTH: 535 wrong")
		pass(pauseTold + tick)
		for _, text := range want[:2] {
			want = append(want, strings.Replace(text, "00:00", "00:06", 1))
		}
		b.expectTold("a new outage", want...)
		for _, e := range b.allEvents()[1:] {
			if e.Source != "alerthub" || e.Severity != models.SeverityCritical || e.Channel != models.ChannelHTTP || e.Peer != "" || !strings.Contains(e.RawPayload, `"failing":"`) {
				t.Errorf("the event %+v", e)
			}
		}
	})
}

// An outage that ended between two looks is another one all the same.
func TestFailing_ShortRecovery(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		b.pause(slack, "503")
		pass(pauseTold + tick)
		b.expectTold("the first", slackFail)
		b.works()
		b.pause(slack, "503")
		pass(pauseTold + tick)
		b.expectTold("the second", slackFail, strings.Replace(slackFail, "00:00", "00:05", 1))
	})
}

func TestFailing_PausedWebhook(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		b.set(func() { b.registerErr = models.ErrUnavailable })
		b.pause(slack, "503")
		pass(pauseTold + time.Minute)
		b.expectTold("while nothing can be stored")
		b.set(func() { b.registerErr = nil })
		pass(tick)
		// All of the other contact's addresses: none goes by this lane.
		b.expectTold("once it can", slackFail)
	})
	bubble(t, func(t *testing.T, b *world) {
		b.cfg.Contacts[0].IfFailing = ""
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		b.pause(slack, "503")
		pass(time.Hour)
		b.expectTold("a contact that names nobody")
	})
}

// What a restart forgets is read from the events: the same outage is told
// once, another one again.
func TestFailing_Restart(t *testing.T) {
	outage := func(t *testing.T, test func(b *world)) {
		bubble(t, func(t *testing.T, b *world) {
			b.start()
			b.report("sw-1", nocHook, models.EmailPending, "")
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("before the restart", slackFail)
			test(b)
		})
	}
	again := func(since string) []string {
		return []string{slackFail, strings.Replace(slackFail, "00:00", since, 1)}
	}
	t.Run("the same outage", func(t *testing.T) {
		outage(t, func(b *world) {
			b.works()
			b.restart()
			pass(2 * time.Minute) // no try yet
			b.pause(slack, "503")
			pass(time.Hour)
			b.expectTold("after it", slackFail)
			b.works()
			pass(tick)
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("the next one", again("01:07")...)
		})
	})
	t.Run("one that begins later", func(t *testing.T) {
		outage(t, func(b *world) {
			b.works()
			b.restart()
			pass(sameOutage + tick)
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", again("00:26")...)
		})
	})
	t.Run("it worked in between", func(t *testing.T) {
		outage(t, func(b *world) {
			b.finish(models.EmailSent, "200")
			b.report("sw-1", nocHook, models.EmailPending, "")
			b.works()
			b.restart()
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", again("00:05")...)
		})
	})
	t.Run("another lane worked in between", func(t *testing.T) {
		outage(t, func(b *world) {
			pass(time.Second)
			b.report("sw-1", nocMail, models.EmailSent, "250")
			b.works()
			b.restart()
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", slackFail)
		})
	})
	t.Run("it worked before", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *world) {
			b.start()
			b.report("sw-0", nocHook, models.EmailSent, "200")
			b.report("sw-1", nocHook, models.EmailPending, "")
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.works()
			b.restart()
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", slackFail)
		})
	})
	t.Run("another webhook worked in between", func(t *testing.T) {
		outage(t, func(b *world) {
			pass(time.Second)
			b.report("sw-1", nocTeams, models.EmailSent, "200")
			b.works()
			b.restart()
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", slackFail)
		})
	})
	t.Run("a device claims that it was told", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *world) {
			b.insert(models.Draft{Source: models.SourceHub, Message: "x", Peer: "192.0.2.1", RawPayload: `{"failing":"noc","channel":"webhook","recipient":"slack"}`}, nil)
			b.report("sw-1", nocHook, models.EmailPending, "")
			b.start()
			b.pause(slack, "503")
			pass(pauseTold + tick)
			b.expectTold("after it", slackFail)
		})
	})
}

const mailFailed = "Email to noc (noc@example.net) failed at %s UTC: 550 no such user -> on-call/oncall@example.net on-call/ntfy"

func TestFailing_FailedMessage(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		fail := func(source string) {
			b.w.Failed(b.report(source, nocMail, models.EmailFailed, "550 no such user"))
			synctest.Wait()
		}
		fail("sw-1")
		first := fmt.Sprintf(mailFailed, "00:00")
		b.expectTold("at once", first)
		for range 200 {
			fail("sw-2")
		}
		pass(failedTold - time.Second)
		fail("sw-3")
		b.expectTold("within the hour", first)
		b.restart()
		fail("sw-3")
		b.expectTold("within the hour, after a restart", first)
		pass(2 * time.Second)
		b.set(func() { b.registerErr = errors.New("busy") })
		fail("sw-4")
		b.expectTold("while nothing can be stored", first)
		b.set(func() { b.registerErr, b.readFails = nil, errBroken })
		pass(tick)
		b.expectTold("while nothing can be read", first)
		b.set(func() { b.readFails = nil })
		pass(tick)
		b.expectTold("after the hour", first, fmt.Sprintf(mailFailed, "01:00"))
	})
}

// Two contacts that name each other are not told for ever, by messages that
// fail or by lanes that pause because of them.
func TestFailing_NoCascade(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.w.Failed(b.report("sw-1", nocMail, models.EmailFailed, "550 no such user"))
		synctest.Wait()
		first := fmt.Sprintf(mailFailed, "00:00")
		b.expectTold("the first", first)
		b.finish(models.EmailFailed, "410 gone")
		for _, a := range b.allAlerts()[1:] {
			b.w.Failed(a)
		}
		pass(2 * time.Hour)
		b.expectTold("after that failed, too", first)
		b.w.Failed(b.report(models.SourceCanary, nocMail, models.EmailFailed, "550 no such user"))
		synctest.Wait()
		b.expectTold("a canary that fails", first, fmt.Sprintf(mailFailed, "02:00"))
	})
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		b.pause(slack, "503")
		pass(pauseTold + tick)
		b.expectTold("the first", slackFail)
		b.pause(ntfy, "503") // which has nothing but what tells of slack
		pass(time.Hour)
		b.expectTold("the other one, too", slackFail)
		b.report("sw-2", models.Address{Contact: "on-call", Channel: models.DeliveryWebhook, Recipient: "ntfy"}, models.EmailPending, "")
		pass(tick)
		b.expectTold("once it holds back something else", slackFail,
			"Webhook ntfy of on-call is failing since 00:05 UTC: 503 -> noc/noc@example.net noc/slack")
	})
}

// What a lane holds back is looked for among all that waits, and by lane.
func TestFailing_HoldsBack(t *testing.T) {
	own := func(b *world, n int) {
		for range n {
			b.report(models.SourceHub, nocHook, models.EmailPending, "")
		}
	}
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		own(b, 2*heldPage)
		b.pause(slack, "503")
		pass(pauseTold + tick)
		b.expectTold("behind much of the hub's own", slackFail)
	})
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocTeams, models.EmailPending, "")
		own(b, heldPage)
		b.pause(slack, "503")
		pass(time.Hour)
		b.expectTold("what another webhook holds back")
	})
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.report("sw-1", nocHook, models.EmailPending, "")
		own(b, heldPage*(heldPages+1))
		b.pause(slack, "503")
		pass(pauseTold + tick)
		b.expectTold("beyond what is looked at", slackFail)
	})
}

func TestFailing_Bounds(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.cfg.Contacts[0].Name = strings.Repeat("n", models.MaxContact)
		to := nocMail
		to.Contact = b.cfg.Contacts[0].Name
		b.start()
		b.w.Failed(models.EmailAlert{Contact: "nobody"})
		b.w.Failed(models.EmailAlert{})
		b.w.Failed(b.report("sw-1", models.Address{Contact: "facilities", Channel: models.DeliveryEmail, Recipient: "f@example.net"}, models.EmailFailed, "550"))
		b.w.Failed(models.EmailAlert{Contact: to.Contact, EventID: 99}) // of an event that is gone
		b.w.Failed(b.report("sw-1", to, models.EmailFailed, strings.Repeat("ñ ", 1000)))
		synctest.Wait()
		if list := b.told(); len(list) != 1 {
			t.Fatalf("told %q", list)
		}
		if text := b.allEvents()[2].Message; len([]rune(text)) != models.MaxMessage || !strings.HasSuffix(text, "…") {
			t.Errorf("message %q", text)
		}
	})
}

// Many messages to one contact that fail together hide no other contact's.
func TestFailing_Many(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		for range 2 * maxFailed {
			b.w.Failed(b.report("sw-1", nocMail, models.EmailFailed, "550 no such user"))
		}
		b.w.Failed(b.report("sw-1", models.Address{Contact: "on-call", Channel: models.DeliveryWebhook, Recipient: "ntfy"}, models.EmailFailed, "410 gone"))
		synctest.Wait()
		b.expectTold("at once", fmt.Sprintf(mailFailed, "00:00"),
			"Message to webhook ntfy of on-call failed at 00:00 UTC: 410 gone -> noc/noc@example.net noc/slack")
	})
}

// Who was told that a lane is paused is not told of messages that fail of age.
func TestFailing_AgeInAPause(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		a := b.report("sw-1", nocHook, models.EmailPending, "")
		b.report("sw-2", nocHook, models.EmailPending, "")
		b.pause(slack, "503")
		pass(24 * time.Hour)
		a.Status, a.Detail = models.EmailFailed, "gave up after 24h"
		b.w.Failed(a)
		synctest.Wait()
		b.expectTold("after a day", slackFail)
	})
	// A lane that is paused is not used to tell that its message failed.
	bubble(t, func(t *testing.T, b *world) {
		b.start()
		b.pause(mails, "AUTH: 535 wrong")
		b.w.Failed(b.report("sw-1", nocMail, models.EmailFailed, "550 no such user"))
		synctest.Wait()
		b.expectTold("at once", strings.Replace(fmt.Sprintf(mailFailed, "00:00"), "on-call/oncall@example.net ", "", 1))
	})
}
