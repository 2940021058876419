package main

import (
	"context"
	"os"
	"time"

	"alerthub/i18n"
	"alerthub/live"
	"alerthub/mailer"
	"alerthub/models"
	"alerthub/notify"
	"alerthub/store"
)

// ways are those by which alerts go out.
func (a *App) ways() []notify.Route {
	s := a.settings.SMTP
	if len(s.Missing()) > 0 {
		return nil
	}
	hostname, _ := os.Hostname() // without one the mailer says localhost
	return []notify.Route{{
		Lane: models.Lane{Channel: models.DeliveryEmail},
		Sender: mailer.New(mailer.Config{
			Host: s.Host, Port: s.Port, User: s.User, Password: s.Password,
			PublicURL: a.settings.PublicURL, From: s.From, TLS: mailer.Mode(s.TLS), RootCAs: s.RootCAs, Helo: hostname,
		}),
	}}
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
func (o outbox) Decide(ctx context.Context, now time.Time, decisions []models.Decision) error {
	changed, err := o.Store.Decide(ctx, now, decisions)
	o.tell(changed)
	return err
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
func (a *App) contact(name string) (models.Contact, bool) {
	if name == "" {
		return models.Contact{Language: string(i18n.English), Limits: models.DefaultLimits()}, true
	}
	return a.settings.SMTP.Routes.Contact(name)
}
