package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// forbidden is an answer that may be about the message or about the webhook.
var forbidden = &models.Fault{Server: true, Permanent: true, Words: "403 Forbidden"}

// chat is an alert for the bench's webhook.
func chat() models.NewAlert {
	return models.NewAlert{Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "slack"}
}

// filter has the webhook refuse the messages about some sources.
func (b *bench) filter(sources ...string) {
	b.hook.does(func(_ context.Context, n models.Notice) (string, error) {
		for _, s := range sources {
			if n.Event.Source == s {
				return "", forbidden
			}
		}
		return "200 OK", nil
	})
}

// A message that its receiver refuses, whatever stands in front of it, holds
// others back no longer than until the next try, and fails.
func TestRefused_OneMessage(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.filter("ups")
		for _, source := range []string{"sw-1", "ups", "sw-2", "sw-3"} {
			b.add(source, models.SeverityCritical, chat())
		}
		b.start()
		if p := b.service.Pauses(); b.row(1).Status != models.EmailSent || len(p) != 1 || p[0].Reason != forbidden.Words {
			t.Fatalf("at once: %+v, pauses %+v", b.row(1), p)
		}
		pass(5 * time.Second)
		for id := range int64(2) {
			if a := b.row(id + 3); a.Status != models.EmailSent || a.Attempts != 1 {
				t.Errorf("after one pause: %+v", a)
			}
		}
		pass(time.Second)
		if a := b.row(2); a.Status != models.EmailFailed || a.Detail != forbidden.Words || a.Attempts != 2 || len(b.service.Pauses()) != 0 {
			t.Errorf("the refused one: %+v, pauses %+v", a, b.service.Pauses())
		}
	})
}

// What comes while nothing but refused messages waits is tried first.
func TestRefused_WhatComesLater(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.filter("ups")
		b.start()
		for range 3 {
			b.add("ups", models.SeverityCritical, chat())
			pass(15 * time.Minute)
		}
		for id := range int64(3) {
			if a := b.row(id + 1); a.Status != models.EmailPending || a.Attempts < 2 {
				t.Errorf("while nothing else is there: %+v", a)
			}
		}
		b.add("sw-1", models.SeverityCritical, chat())
		pass(5*time.Minute + 2*time.Second)
		if a := b.row(4); a.Status != models.EmailSent || a.Attempts != 1 {
			t.Errorf("what came later: %+v", a)
		}
		for id := range int64(3) {
			if a := b.row(id + 1); a.Status != models.EmailFailed {
				t.Errorf("once another one was taken: %+v", a)
			}
		}
	})
}

// While all are refused it is the webhook: none fails before its age, and all
// are sent once it works.
func TestRefused_All(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.cfg.MaxAge = 3 * time.Hour
		b.hook.says(forbidden)
		b.start()
		for i := range 10 {
			b.add(fmt.Sprint("sw-", i), models.SeverityCritical, chat())
		}
		pass(170 * time.Minute)
		tries := map[int64]int{} // in turn
		for _, y := range b.hook.tried() {
			tries[y.Alert.ID]++
		}
		for id := range int64(10) {
			if a := b.row(id + 1); a.Status != models.EmailPending || a.Detail != forbidden.Words || tries[a.ID] < len(b.hook.tried())/10 {
				t.Errorf("after 170 min: %+v", a)
			}
		}
		if p := b.service.Pauses(); len(p) != 1 || p[0].Reason != forbidden.Words || time.Since(p[0].Since) != 170*time.Minute {
			t.Errorf("pauses %+v", p)
		}
		b.hook.says(nil)
		pass(5*time.Minute + 2*time.Second)
		for id := range int64(10) {
			if a := b.row(id + 1); a.Status != models.EmailSent {
				t.Errorf("once it works: %+v", a)
			}
		}
		b.hook.says(forbidden)
		b.add("sw-1", models.SeverityCritical, chat())
		pass(3*time.Hour + time.Minute)
		if a := b.row(11); a.Status != models.EmailFailed || !strings.HasPrefix(a.Detail, "gave up after 3h0m") {
			t.Errorf("at its age: %+v", a)
		}
	})
}
