// Package wire is the one reading and the one writing of events as JSON, for
// every door: TCP lines, HTTP bodies, the feed; and of records as CSV. It owns
// the member names and the strictness (exact case, no duplicate members, one
// encoding rule), and knows no transport. It runs no goroutine.
package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
)

// Origin is what a transport knows of a sender besides its words.
type Origin struct {
	Channel models.Channel
	Peer    string // IP address without port
	Key     string // key given outside the object (HTTP's Idempotency-Key); a "key" member wins

	// Sender binds the sources that may be named, and is the source of events
	// that name none, as models.Actor says.
	Sender models.Actor
}

// line is an event as senders write it. Severity is a word or a syslog number.
type line struct {
	Source   string         `json:"source"`
	Severity jsontext.Value `json:"severity"`
	Message  string         `json:"message"`
	Key      string         `json:"key"`
	Token    jsontext.Value `json:"token"` // no member of an event: see DecodeToken
}

var (
	byteOrderMark = []byte("\uFEFF")

	// Text is made valid before it is decoded, and an escaped lone surrogate
	// gets the same treatment: it becomes U+FFFD.
	lenientText = jsontext.AllowInvalidUTF8(true)
)

// Decode reads one JSON object into a draft. Members are matched exactly,
// unknown ones are ignored (they stay in the draft's RawPayload), null means
// absent. Bytes that are not UTF-8 are replaced by U+FFFD first, in the raw
// payload too.
//
// Errors: models.ErrInvalidJSON for anything but one well-formed object
// without duplicate members; a *models.FieldError for a member of the wrong
// type, an unusable key, or a key or a signed token, which must not be stored;
// models.ErrForeignSource for a source of others. The draft then says only who
// sent it. Decode keeps no reference to raw.
func Decode(raw []byte, from Origin) (models.Draft, error) {
	d, err := decode(raw, from)
	if err != nil {
		return models.Draft{Channel: from.Channel, Peer: from.Peer, Credential: from.Sender.Credential()}, err
	}
	return d, nil
}

func decode(raw []byte, from Origin) (models.Draft, error) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, byteOrderMark))
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	if len(raw) == 0 || raw[0] != '{' {
		return models.Draft{}, models.ErrInvalidJSON
	}
	var l line
	if err := json.Unmarshal(raw, &l, lenientText); err != nil {
		return models.Draft{}, decodeError(raw, err)
	}
	if isSecret(l.Token) {
		return models.Draft{}, &models.FieldError{Field: "token", Reason: "is a secret and no part of an event: it is shown once, before the events"}
	}
	severity, err := severityWord(l.Severity)
	if err != nil {
		return models.Draft{}, err
	}
	if l.Key == "" {
		l.Key = from.Key
	}
	draft, err := models.NewDraft(models.Input{
		Source: l.Source, Severity: severity, Message: l.Message, Key: l.Key,
		Channel: from.Channel, Peer: from.Peer, Unnamed: from.Sender.Source(from.Peer), Credential: from.Sender.Credential(), RawPayload: string(raw),
	})
	if err == nil && !from.Sender.SpeaksAs(draft.Source) {
		return models.Draft{}, models.ErrForeignSource
	}
	return draft, err
}

// isSecret reports whether the token member of an event is a key of a hub, or
// begins as signed tokens do (JWS, RFC 7515): with `{"` in base64url.
func isSecret(token jsontext.Value) bool {
	if token.Kind() != '"' {
		return false
	}
	text, _ := jsontext.AppendUnquote(nil, token) // all of it, whatever is wrong with its letters
	return bytes.HasPrefix(text, []byte(models.KeyPrefix)) || bytes.HasPrefix(text, []byte("eyJ"))
}

// DecodeToken reads {"token":"..."}, by which a sender shows who it is; ok is
// false for anything else. An object with a message is an event, whatever else
// it has.
func DecodeToken(raw []byte) (token string, ok bool) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, byteOrderMark))
	if !bytes.Contains(raw, []byte(`"token"`)) {
		return "", false
	}
	var shown struct {
		Token   jsontext.Value  `json:"token"`
		Message *jsontext.Value `json:"message"`
	}
	if json.Unmarshal(raw, &shown) != nil || shown.Message != nil || shown.Token.Kind() != '"' {
		return "", false
	}
	unquoted, err := jsontext.AppendUnquote(nil, shown.Token)
	return string(unquoted), err == nil
}

// DecodeAck reads who acknowledges an event, {"by":"name"}, by the same rules
// as Decode. The name is as it was sent, "" when there is none.
func DecodeAck(raw []byte) (by string, err error) {
	raw = bytes.ToValidUTF8(bytes.TrimSpace(raw), []byte("\uFFFD"))
	if len(raw) == 0 || raw[0] != '{' {
		return "", models.ErrInvalidJSON
	}
	var ack struct {
		By string `json:"by"`
	}
	if err := json.Unmarshal(raw, &ack, lenientText); err != nil {
		return "", decodeError(raw, err)
	}
	return ack.By, nil
}

// DecodeCancellation reads which pending alerts are to be cancelled and who
// wants that, {"contact":"name","source":"name","by":"name"}, by the same rules
// as Decode. What is not there is "".
func DecodeCancellation(raw []byte) (sel models.Cancellation, by string, err error) {
	raw = bytes.ToValidUTF8(bytes.TrimSpace(raw), []byte("\uFFFD"))
	if len(raw) == 0 || raw[0] != '{' {
		return sel, "", models.ErrInvalidJSON
	}
	var asked struct {
		Contact string `json:"contact"`
		Source  string `json:"source"`
		By      string `json:"by"`
	}
	if err := json.Unmarshal(raw, &asked, lenientText); err != nil {
		return sel, "", decodeError(raw, err)
	}
	return models.Cancellation{Contact: asked.Contact, Source: asked.Source}, asked.By, nil
}

// decodeError tells a member of the wrong type in a well-formed object from
// bytes that are no object at all.
func decodeError(raw []byte, err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) || !jsontext.Value(raw).IsValid(lenientText) {
		return models.ErrInvalidJSON
	}
	field := strings.TrimPrefix(string(semantic.JSONPointer), "/")
	if field == "" {
		return models.ErrInvalidJSON
	}
	return &models.FieldError{Field: field, Reason: "must be a string"}
}

func severityWord(v jsontext.Value) (string, error) {
	if len(v) == 0 {
		return "", nil
	}
	switch v.Kind() {
	case 'n':
		return "", nil
	case '0':
		return string(v), nil
	case '"':
		word, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return "", models.ErrInvalidJSON
		}
		return string(word), nil
	}
	return "", &models.FieldError{Field: "severity", Reason: "must be a string or a number"}
}

// SplitArray cuts a JSON array into the raw texts of its items, so that each
// is decoded, and refused, by itself. It stops at the item after the limit and
// then says nothing of the rest: the caller, who sees more than limit items,
// refuses them all. The error is models.ErrInvalidJSON.
func SplitArray(raw []byte, limit int) ([][]byte, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), lenientText, jsontext.AllowDuplicateNames(true))
	if bracket, err := d.ReadToken(); err != nil || bracket.Kind() != '[' {
		return nil, models.ErrInvalidJSON
	}
	var items [][]byte
	for d.PeekKind() != ']' {
		item, err := d.ReadValue()
		if err != nil {
			return nil, models.ErrInvalidJSON
		}
		if items = append(items, bytes.Clone(item)); len(items) > limit {
			return items, nil
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, models.ErrInvalidJSON
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, models.ErrInvalidJSON
	}
	return items, nil
}
