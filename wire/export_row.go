package wire

import (
	"cmp"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
)

// importedEvent is an event of an export as it is read: null means absent.
type importedEvent struct {
	ID            int64  `json:"id"`
	CreatedAt     string `json:"created_at"`
	Source        string `json:"source"`
	Severity      string `json:"severity"`
	Message       string `json:"message"`
	Channel       string `json:"channel"`
	RawPayload    string `json:"raw_payload"`
	Peer          string `json:"peer"`
	AckedAt       string `json:"acked_at"`
	AckedBy       string `json:"acked_by"`
	AckedPeer     string `json:"acked_peer"`
	AckedVerified bool   `json:"acked_verified"`
}

// importedAlert is an email of an export as it is read. When it was due next
// is left out: emails of history are never sent.
type importedAlert struct {
	ID        int64  `json:"id"`
	EventID   int64  `json:"event_id"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	Contact   string `json:"contact"`
	Channel   string `json:"channel"`
	Recipient string `json:"recipient"`
	Status    string `json:"status"`
	Detail    string `json:"detail"`
	Attempts  int    `json:"attempts"`
}

// Limits on texts for which no door has one, in characters.
const (
	maxRecipient = 320
	maxDetail    = 10_000
	maxPeer      = 64
)

// decodeEvent reads an event by the rules that hold at every door, except
// that nothing is cut and nothing is made up: what does not fit is refused.
func decodeEvent(value jsontext.Value) (models.Event, error) {
	var in importedEvent
	if err := decodeRow(value, &in); err != nil {
		return models.Event{}, err
	}
	var c check
	e := models.Event{
		ID: c.id("id", in.ID), CreatedAt: c.time("created_at", in.CreatedAt, true), RawPayload: in.RawPayload,
		Channel: models.Channel(in.Channel), Peer: c.peer("peer", in.Peer),
		AckedAt: c.time("acked_at", in.AckedAt, false), AckedPeer: c.peer("acked_peer", in.AckedPeer),
	}
	var known bool
	if e.Severity, known = models.ParseSeverity(in.Severity); !known {
		c.fail("severity", "must be info, warning, error or critical")
	}
	if !e.Channel.Valid() {
		c.fail("channel", "must be tcp_socket or http_api")
	}
	d, err := models.NewDraft(models.Input{Source: in.Source, Message: in.Message})
	switch {
	case err != nil:
		return models.Event{}, err
	case d.Source == "":
		c.fail("source", "is missing")
	}
	e.Source, e.Message = d.Source, d.Message
	for _, field := range d.Truncated {
		c.fail(field, "is too long: at most 80 characters of a source, 300 of a message")
	}
	if e.Acked() {
		if e.AckedBy, err = models.CleanName(in.AckedBy); err != nil {
			c.fail("acked_by", "must be a name of at most 40 characters")
		}
		e.AckedVerified = in.AckedVerified
	} else if in.AckedBy != "" || in.AckedVerified {
		c.fail("acked_at", "is missing beside acked_by or acked_verified")
	}
	return e, c.err()
}

// decodeAlert reads an email. One that was still pending is skipped now.
func decodeAlert(value jsontext.Value) (models.EmailAlert, error) {
	var in importedAlert
	if err := decodeRow(value, &in); err != nil {
		return models.EmailAlert{}, err
	}
	var c check
	a := models.EmailAlert{
		ID: c.id("id", in.ID), EventID: c.id("event_id", in.EventID), CreatedAt: c.time("created_at", in.CreatedAt, true),
		UpdatedAt: c.time("updated_at", in.UpdatedAt, false), Recipient: c.text("recipient", in.Recipient, maxRecipient),
		Contact: c.text("contact", in.Contact, models.MaxContact), Channel: cmp.Or(in.Channel, models.DeliveryEmail),
		Status: models.EmailStatus(in.Status), Detail: c.text("detail", in.Detail, maxDetail), Attempts: in.Attempts,
	}
	if !a.Status.Valid() {
		c.fail("status", "must be sent, failed, skipped, pending, digested or cancelled")
	}
	if a.Channel != models.DeliveryEmail && a.Channel != models.DeliveryWebhook {
		c.fail("channel", "must be email or webhook")
	}
	if in.Attempts < 0 {
		c.fail("attempts", "must not be negative")
	}
	if a.Status == models.EmailPending {
		a.Status, a.Detail = models.EmailSkipped, "imported"
	}
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt
	}
	return a, c.err()
}

// decodeRow fills into from a value that is known to be well-formed.
func decodeRow(value jsontext.Value, into any) error {
	if value.Kind() != '{' {
		return &models.FieldError{Field: "row", Reason: "must be an object"}
	}
	err := json.Unmarshal(value, into, lenientText)
	if err == nil {
		return nil
	}
	field := "row"
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		field = strings.TrimPrefix(string(semantic.JSONPointer), "/")
	}
	reason := "must be a string"
	switch field {
	case "id", "event_id", "attempts":
		reason = "must be a whole number"
	case "acked_verified":
		reason = "must be true or false"
	}
	return &models.FieldError{Field: field, Reason: reason}
}

// check keeps the first thing that is wrong with a row.
type check struct{ first *models.FieldError }

func (c *check) fail(field, reason string) {
	if c.first == nil {
		c.first = &models.FieldError{Field: field, Reason: reason}
	}
}

func (c *check) err() error {
	if c.first == nil {
		return nil // not a nil pointer in an error
	}
	return c.first
}

func (c *check) id(field string, id int64) int64 {
	if id < 1 || id > models.MaxImportID {
		c.fail(field, "must be a whole number from 1 to 1099511627776")
	}
	return id
}

// timeLayouts are RFC 3339, and what the first program wrote: a blank for the
// "T", or no zone, which is UTC.
var timeLayouts = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// time reads a time with any offset. What is stored has microseconds and four
// digits of the year, so that is all that may be asked of it.
func (c *check) time(field, text string, required bool) time.Time {
	if text == "" && !required {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		switch t = t.UTC(); {
		case t.Nanosecond()%1000 != 0:
			c.fail(field, "is finer than a microsecond")
		case t.Year() < 1970 || t.Year() > 9999:
			c.fail(field, "must lie between 1970 and 9999")
		}
		return t
	}
	c.fail(field, "must be a time as in 2026-01-31T18:00:00Z")
	return time.Time{}
}

func (c *check) peer(field, text string) string {
	// A zone may be any text for ParseAddr.
	if _, err := netip.ParseAddr(text); text != "" && (err != nil || len(text) > maxPeer || strings.ContainsFunc(text, unicode.IsControl)) {
		c.fail(field, "must be an IP address")
	}
	return text
}

func (c *check) text(field, text string, limit int) string {
	if utf8.RuneCountInString(text) > limit {
		c.fail(field, "is too long")
	}
	return text
}
