package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"alerthub/models"
)

const (
	// pauseTold is how long a lane may be paused before another contact is told.
	pauseTold = 5 * time.Minute
	// failedTold is how long nobody is told again of messages to a contact
	// that failed.
	failedTold = time.Hour
	// sameOutage is how long after the start a pause may begin to be that of
	// the Run before: a lane tries at least every 15 minutes, and counts as
	// paused 5 minutes after that at the latest.
	sameOutage = 21 * time.Minute
	// maxFailed bounds the failed messages of a contact that wait to be looked
	// at; more are not looked at, since one an hour is told anyway.
	maxFailed = 64
)

// outage is a lane that delivers nothing, and who of its contacts has one that
// was told.
type outage struct {
	since time.Time // as this Run has seen it; zero for one of the Run before
	told  map[string]bool
}

// note is the payload of the events that tell another contact.
type note struct {
	Failing   string `json:"failing"` // the contact
	Channel   string `json:"channel"`
	Recipient string `json:"recipient,omitempty"`
	Told      string `json:"told"`
	Since     string `json:"since"`
	Reason    string `json:"reason"`
	Alert     int64  `json:"alert_id,omitempty"` // that failed; none of a pause
}

func (n *note) lane() models.Lane { return laneOf(n.Failing, n.Channel, n.Recipient) }

// laneOf is by which lane the alerts of an address go.
func laneOf(contact, channel, recipient string) models.Lane {
	if channel != models.DeliveryWebhook {
		return models.Lane{Channel: models.DeliveryEmail}
	}
	return models.Lane{Channel: channel, Contact: contact, Recipient: recipient}
}

// Failed says that the message of a row has ended as failed. It never blocks.
func (w *Watch) Failed(a models.EmailAlert) {
	if c, ok := w.contact(a.Contact); !ok || c.IfFailing == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := 0
	for i := range w.failed {
		if w.failed[i].Contact == a.Contact {
			waiting++
		}
	}
	if waiting < maxFailed {
		w.failed = append(w.failed, a)
		w.rouse()
	}
}

func (w *Watch) contact(name string) (models.Contact, bool) {
	i := slices.IndexFunc(w.cfg.Contacts, func(c models.Contact) bool { return c.Name == name && name != "" })
	if i < 0 {
		return models.Contact{}, false
	}
	return w.cfg.Contacts[i], true
}

// naming reports whether a contact names another one.
func (w *Watch) naming() bool {
	return slices.ContainsFunc(w.cfg.Contacts, func(c models.Contact) bool { return c.IfFailing != "" })
}

func (w *Watch) outage(lane models.Lane) *outage {
	o := w.outages[lane]
	if o == nil {
		o = &outage{told: map[string]bool{}}
		w.outages[lane] = o
	}
	return o
}

// stepFailing tells others of contacts that cannot be reached.
func (w *Watch) stepFailing(ctx context.Context) {
	if !w.naming() {
		return
	}
	pauses := w.hub.Health().Pauses
	w.forget(pauses)
	for _, p := range pauses {
		w.stepPause(ctx, p)
	}
	for {
		w.mu.Lock()
		if len(w.failed) == 0 {
			w.mu.Unlock()
			return
		}
		first := w.failed[0]
		w.mu.Unlock()
		if !w.stepFailed(ctx, first, pauses) {
			return // until the next tick
		}
		w.mu.Lock()
		w.failed = w.failed[1:]
		w.mu.Unlock()
	}
}

// forget drops outages that are over.
func (w *Watch) forget(pauses []models.Pause) {
	for lane, o := range w.outages {
		paused := slices.ContainsFunc(pauses, func(p models.Pause) bool { return p.Lane == lane })
		if !paused && (!o.since.IsZero() || w.cfg.Now().Sub(w.started) > sameOutage) {
			delete(w.outages, lane)
		}
	}
}

// stepPause has others told of a pause that lasts.
func (w *Watch) stepPause(ctx context.Context, p models.Pause) {
	o := w.outage(p.Lane)
	switch {
	case o.since.Equal(p.Since):
	case o.since.IsZero(): // new, or still that of the Run before
		o.since = p.Since
	default:
		o.since = p.Since
		clear(o.told)
	}
	if w.cfg.Now().Sub(p.Since) < pauseTold {
		return
	}
	for _, c := range w.cfg.Contacts {
		if c.IfFailing == "" || o.told[c.Name] || !slices.ContainsFunc(c.Addresses(), goesBy(p.Lane)) {
			continue
		}
		if !w.holds(ctx, p.Lane) {
			return
		}
		n := note{
			Failing: c.Name, Channel: p.Channel, Recipient: p.Recipient, Told: c.IfFailing,
			Since: models.FormatTime(p.Since), Reason: p.Reason,
		}
		what := "Email to " + c.Name
		if p.Channel != models.DeliveryEmail {
			what = "Webhook " + p.Recipient + " of " + c.Name
		}
		text := fmt.Sprintf("%s is failing since %s: %s", what, w.clock(p.Since), p.Reason)
		if w.tell(ctx, &n, text, goesBy(p.Lane)) {
			o.told[c.Name] = true
		}
	}
}

func goesBy(lane models.Lane) func(models.Address) bool {
	return func(a models.Address) bool { return laneOf(a.Contact, a.Channel, a.Recipient) == lane }
}

// stepFailed has another told of a message that failed, unless that is known.
// It returns false if it has to be tried again.
func (w *Watch) stepFailed(ctx context.Context, a models.EmailAlert, pauses []models.Pause) bool {
	c, _ := w.contact(a.Contact)
	lane := laneOf(a.Contact, a.Channel, a.Recipient)
	if o := w.outages[lane]; w.cfg.Now().Sub(w.told[c.Name]) < failedTold || o != nil && o.told[c.Name] {
		return true
	}
	reading, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	switch event, err := w.hub.Event(reading, a.EventID); {
	case errors.Is(err, models.ErrNotFound):
		return true
	case err != nil:
		w.log.Warn("event of a failed message not read", "event", a.EventID, "error", err)
		return false
	case event.Source == models.SourceHub:
		return true // or two contacts that name each other would be told for ever
	}
	n := note{
		Failing: c.Name, Channel: a.Channel, Recipient: a.Recipient, Told: c.IfFailing,
		Since: models.FormatTime(a.UpdatedAt), Reason: a.Detail, Alert: a.ID,
	}
	what := "Email to " + c.Name + " (" + a.Recipient + ")"
	if a.Channel != models.DeliveryEmail {
		what = "Message to webhook " + a.Recipient + " of " + c.Name
	}
	text := fmt.Sprintf("%s failed at %s: %s", what, w.clock(a.UpdatedAt), a.Detail)
	// What one address refuses says nothing of others of its lane.
	return w.tell(ctx, &n, text, func(a models.Address) bool {
		return goesBy(lane)(a) && slices.ContainsFunc(pauses, func(p models.Pause) bool { return p.Lane == lane })
	})
}

// tell stores the event that tells n, with alerts for the addresses of the
// other contact but those that fail too. It returns false if it has to be
// tried again; that is recognised as a repeat.
func (w *Watch) tell(ctx context.Context, n *note, text string, fails func(models.Address) bool) bool {
	other, _ := w.contact(n.Told) // the routes file has it
	alerts := slices.DeleteFunc(slices.Clone(w.cfg.Alerts(other)), func(a models.NewAlert) bool {
		return fails(models.Address{Contact: a.Contact, Channel: a.Channel, Recipient: a.Recipient})
	})
	payload, err := json.Marshal(n)
	if err != nil {
		w.log.Error("nobody is told of failing delivery", "contact", n.Failing, "error", err)
		return true
	}
	sum := sha256.Sum256(fmt.Append(nil, n.Failing, "\x00", n.Channel, "\x00", n.Recipient, "\x00", n.Since, "\x00", n.Alert))
	d, err := models.NewDraft(models.Input{
		Source: models.SourceHub, Severity: string(models.SeverityCritical), Message: short(strings.Join(strings.Fields(text), " ")),
		Key: "failing-" + hex.EncodeToString(sum[:16]), Channel: models.ChannelHTTP, RawPayload: string(payload),
	})
	if err != nil {
		w.log.Error("nobody is told of failing delivery", "contact", n.Failing, "error", err)
		return true
	}
	ctx, done := context.WithTimeout(ctx, storeTimeout)
	defer done()
	receipt, err := w.hub.RegisterFor(ctx, d, alerts)
	if err != nil {
		w.log.Warn("nobody is told yet of failing delivery", "contact", n.Failing, "error", err)
		return false
	}
	w.told[n.Failing] = w.cfg.Now()
	// A repeat, also with other words, was told before.
	if receipt.Recorded() {
		w.log.Warn("delivery is failing", "contact", n.Failing, "channel", n.Channel, "recipient", n.Recipient,
			"told", n.Told, "addresses", len(alerts), "event", receipt.Event.ID)
	}
	return true
}

// clock is a moment in a message: the time of day, and the day if it is another.
func (w *Watch) clock(t time.Time) string {
	t = t.UTC()
	if t.Format(time.DateOnly) != w.cfg.Now().UTC().Format(time.DateOnly) {
		return t.Format("2006-01-02 15:04 UTC")
	}
	return t.Format("15:04 UTC")
}
