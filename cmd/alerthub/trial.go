package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"alerthub/models"
	"alerthub/notify"
)

// trialTimeout bounds the test message to one address.
const trialTimeout = 30 * time.Second

// notifyCmd is about how people are told.
type notifyCmd struct {
	Test notifyTestCmd `cmd:"" help:"Send a test message to every address of a contact, with the settings of serve, and print what the other sides say."`
}

type notifyTestCmd struct {
	Contact  string `arg:"" optional:"" help:"A contact of the routes file; without a file leave it out: SMTP_TO."`
	serveCmd `embed:""`
}

// run sends one message to each address at once. What it sends is no event:
// nothing is stored, and no limit counts it. The error says that one was not
// delivered.
func (c *notifyTestCmd) run(ctx context.Context, stdout io.Writer) error {
	settings, err := c.resolve(os.Getenv)
	if err != nil {
		return err
	}
	contact, err := settings.trialContact(c.Contact)
	if err != nil {
		return err
	}
	out := printer{w: stdout}
	failed := 0
	for _, to := range contact.Addresses() {
		words, err := settings.try(ctx, contact, to)
		outcome := "accepted"
		if err != nil {
			failed++
			outcome, words = "not delivered", err.Error()
		}
		out.line("%s to %s: %s: %s", to.Channel, to.Recipient, outcome, words)
	}
	if failed > 0 {
		return errors.Join(out.err, fmt.Errorf("%s not delivered", count(failed, "test message")))
	}
	return out.err
}

// trialContact is the contact of a name, with all its addresses.
func (s Settings) trialContact(name string) (models.Contact, error) {
	contact, known := s.contact(name)
	if s.SMTP.Routes == nil && name == "" {
		if missing := s.SMTP.Missing(); len(missing) > 0 {
			return contact, &settingsError{[]string{"email is not configured: " + strings.Join(missing, ", ") + " not set"}}
		}
		contact.Emails = s.SMTP.To
		return contact, nil
	}
	if !known || name == "" {
		return contact, &settingsError{[]string{fmt.Sprintf("CONTACT: there is no contact %q; %s", name, s.contactNames())}}
	}
	return contact, nil
}

// contactNames says which contacts there are.
func (s Settings) contactNames() string {
	if s.SMTP.Routes == nil {
		return "there is no routes file: leave it out to test SMTP_TO"
	}
	var names []string
	for _, c := range s.SMTP.Routes.Contacts {
		names = append(names, c.Name)
	}
	return "the file has " + strings.Join(names, ", ")
}

// try sends a test message to an address.
func (s Settings) try(ctx context.Context, contact models.Contact, to models.Address) (string, error) {
	way := s.way(to)
	if way == nil {
		return "", &models.Fault{Words: "email is not configured: " + strings.Join(s.SMTP.Missing(), ", ") + " not set"}
	}
	defer way.Close()
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	return way.Send(ctx, models.Notice{
		Alert:   models.EmailAlert{CreatedAt: now, Contact: to.Contact, Channel: to.Channel, Recipient: to.Recipient},
		Event:   models.Event{CreatedAt: now, Source: "alerthub", Severity: models.SeverityInfo, Message: "This is a test message of Network Alert Hub.", Channel: models.ChannelHTTP},
		Contact: contact,
	})
}

// way is by which an address is reached; nil without a mail server.
func (s Settings) way(to models.Address) notify.Sender {
	for _, w := range s.ways() {
		if w.Channel == to.Channel && (to.Channel == models.DeliveryEmail || w.Lane == to.Lane()) {
			return w.Sender
		}
	}
	return nil
}
