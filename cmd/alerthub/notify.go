package main

import (
	"context"
	"os"
	"time"

	"alerthub/hub"
	"alerthub/i18n"
	"alerthub/live"
	"alerthub/mailer"
	"alerthub/models"
	"alerthub/notify"
	"alerthub/store"
	"alerthub/webhook"
)

// ways are those by which alerts go out: one for all mails, one for each
// webhook, since each is another side that may fail. That for mails has no
// sender while no mail server is configured.
func (s Settings) ways() []notify.Route {
	mails := notify.Route{Lane: models.Lane{Channel: models.DeliveryEmail}}
	if _, mails.Why = hub.Birth(s.SMTP.Missing()); mails.Why == "" {
		hostname, _ := os.Hostname() // without one the mailer says localhost
		mails.Sender = mailer.New(mailer.Config{
			Host: s.SMTP.Host, Port: s.SMTP.Port, User: s.SMTP.User, Password: s.SMTP.Password,
			PublicURL: s.PublicURL, From: s.SMTP.From, TLS: mailer.Mode(s.SMTP.TLS), RootCAs: s.SMTP.RootCAs, Helo: hostname,
		})
	}
	ways := []notify.Route{mails}
	if s.SMTP.Routes == nil {
		return ways
	}
	for _, c := range s.SMTP.Routes.Contacts {
		for _, w := range c.Webhooks {
			ways = append(ways, notify.Route{
				Lane:   models.Lane{Channel: models.DeliveryWebhook, Contact: c.Name, Recipient: w.Name},
				Sender: hook{webhook.New(webhook.Config{PublicURL: s.PublicURL, Allow: s.WebhookAllow, Version: build()}), w},
			})
		}
	}
	return ways
}

// hook is the way to one webhook.
type hook struct {
	*webhook.Sender
	to models.Webhook
}

// Send posts n.
func (h hook) Send(ctx context.Context, n models.Notice) (string, error) {
	return h.Sender.Send(ctx, h.to, n)
}

// outbox is the store as notify sees it: every change also shows live.
type outbox struct {
	*store.Store
	live *live.Live
}

// FinishAlert records the outcome and tells the open panels.
func (o outbox) FinishAlert(ctx context.Context, u models.AlertUpdate) (models.EmailAlert, error) {
	alert, err := o.Store.FinishAlert(ctx, u)
	if err == nil {
		o.live.AlertUpdated(alert)
	}
	return alert, err
}

// Decide records decisions and tells the open panels.
func (o outbox) Decide(ctx context.Context, now time.Time, decisions []models.Decision) (changed []models.EmailAlert, err error) {
	changed, err = o.Store.Decide(ctx, now, decisions)
	o.tell(changed)
	return changed, err
}

// Settle records what became of rows of a digest and tells the open panels.
func (o outbox) Settle(ctx context.Context, carrier models.EmailAlert) (more bool, err error) {
	changed, more, err := o.Store.Settle(ctx, carrier)
	o.tell(changed)
	return more, err
}

func (o outbox) tell(changed []models.EmailAlert) {
	for _, alert := range changed {
		o.live.AlertUpdated(alert)
	}
}

// contact is the contact of a row. Rows without a name are for SMTP_TO.
func (s Settings) contact(name string) (models.Contact, bool) {
	if name == "" {
		return models.Contact{Language: string(i18n.English), Limits: models.DefaultLimits()}, true
	}
	return s.SMTP.Routes.Contact(name)
}

// contacts are the names of all contacts.
func (a *App) contacts() (names []string) {
	if rules := a.settings.SMTP.Routes; rules != nil {
		for i := range rules.Contacts {
			names = append(names, rules.Contacts[i].Name)
		}
	}
	return names
}
