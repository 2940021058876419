package wire

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
)

// Event is a stored event as the API shows it.
type Event struct {
	ID            int64   `json:"id"`
	CreatedAt     string  `json:"created_at"` // models.TimeLayout
	Source        string  `json:"source"`
	Severity      string  `json:"severity"`
	Message       string  `json:"message"`
	Channel       string  `json:"channel"`
	RawPayload    *string `json:"raw_payload"` // null when there was none
	AckedAt       *string `json:"acked_at"`    // models.TimeLayout; null until somebody acknowledges it
	AckedBy       *string `json:"acked_by"`
	AckedVerified bool    `json:"acked_verified"` // acked_by is who was signed in, or a key
}

// FeedEvent is an event as the feed shows it: an Event whose acknowledgement
// is told only when there is one, so that a new event has the members that it
// always had. An Event converts to it.
type FeedEvent struct {
	ID            int64   `json:"id"`
	CreatedAt     string  `json:"created_at"`
	Source        string  `json:"source"`
	Severity      string  `json:"severity"`
	Message       string  `json:"message"`
	Channel       string  `json:"channel"`
	RawPayload    *string `json:"raw_payload"`
	AckedAt       *string `json:"acked_at,omitzero"`
	AckedBy       *string `json:"acked_by,omitzero"`
	AckedVerified bool    `json:"acked_verified,omitzero"`
}

// EmailAlert is one row of the outbox as the API shows it.
type EmailAlert struct {
	ID            int64   `json:"id"`
	EventID       int64   `json:"event_id"`
	CreatedAt     string  `json:"created_at"` // models.TimeLayout
	Recipient     *string `json:"recipient"`  // null when none is configured
	Status        string  `json:"status"`
	Detail        *string `json:"detail"`
	Attempts      int     `json:"attempts"`
	NextAttemptAt *string `json:"next_attempt_at"` // null unless pending
	Contact       *string `json:"contact"`         // whom the routes named; null when none did
	Channel       string  `json:"channel"`         // how it goes out
	MailID        *int64  `json:"mail_id"`         // the alert whose message tells of this one; null before one does
}

// Attempt is one try to deliver the message that tells of an alert.
type Attempt struct {
	At            string  `json:"at"`     // models.TimeLayout
	Status        string  `json:"status"` // what the alert became by it
	Detail        *string `json:"detail"` // the other side's words
	NextAttemptAt *string `json:"next_attempt_at"`
}

// FromAttempts makes the shown form of attempts; never nil.
func FromAttempts(attempts []models.Attempt) []Attempt {
	out := make([]Attempt, len(attempts))
	for i, a := range attempts {
		out[i] = Attempt{
			At: models.FormatTime(a.At), Status: string(a.Status), Detail: orNull(a.Detail), NextAttemptAt: timeOrNull(a.NextAttemptAt),
		}
	}
	return out
}

// FromEvent makes the shown form of e.
func FromEvent(e models.Event) Event {
	return Event{
		ID: e.ID, CreatedAt: models.FormatTime(e.CreatedAt), Source: e.Source,
		Severity: string(e.Severity), Message: e.Message, Channel: string(e.Channel),
		RawPayload: orNull(e.RawPayload), AckedAt: timeOrNull(e.AckedAt), AckedBy: orNull(e.AckedBy),
		AckedVerified: e.AckedVerified,
	}
}

// FromEvents is FromEvent for a page; never nil, so that it encodes as [].
func FromEvents(events []models.Event) []Event {
	out := make([]Event, len(events))
	for i, e := range events {
		out[i] = FromEvent(e)
	}
	return out
}

// FromEmailAlerts makes the shown form of alerts; never nil.
func FromEmailAlerts(alerts []models.EmailAlert) []EmailAlert {
	out := make([]EmailAlert, len(alerts))
	for i, a := range alerts {
		out[i] = EmailAlert{
			ID: a.ID, EventID: a.EventID, CreatedAt: models.FormatTime(a.CreatedAt),
			Recipient: orNull(a.Recipient), Status: string(a.Status), Detail: orNull(a.Detail),
			Attempts: a.Attempts, NextAttemptAt: timeOrNull(a.NextAttemptAt),
			Contact: orNull(a.Contact), Channel: a.Channel, MailID: idOrNull(a.MailID),
		}
	}
	return out
}

// Marshal encodes v as compact JSON, replacing what is not UTF-8.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, jsontext.AllowInvalidUTF8(true))
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return orNull(models.FormatTime(t))
}

func idOrNull(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}
