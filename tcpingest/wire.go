package tcpingest

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"alerthub/models"
)

// What this door refuses on its own.
var (
	errLineTooLong        = errors.New("line too long")
	errTooManyConnections = errors.New("too many connections")
	errTLS                = errors.New("TLS on the plain port")
	errHTTP               = errors.New("HTTP on the ingest port")
	errTLSRequired        = errors.New("plain text on the TLS port")
	errHandshake          = errors.New("TLS handshake failed")
)

// errWelcome stands for a line that showed a good token: no refusal, and no
// event either.
var errWelcome = errors.New("welcome")

const welcome = `{"ok":true}` + "\n"

// refusals is the one table from errors to the words of an answer. What is not
// in it has no answer: the outcome is unknown and the connection is closed.
// The words of errTLS and errHTTP are counted but answered in their own way,
// that of errHandshake by TLS itself.
var refusals = [...]struct {
	err  error
	word string
}{
	{models.ErrInvalidJSON, "invalid_json"},
	{models.ErrInvalid, "invalid_event"},
	{models.ErrUnauthorized, "unauthorized"},
	{errLineTooLong, "line_too_long"},
	{models.ErrKeyConflict, "key_conflict"},
	{models.ErrRateLimited, "rate_limited"},
	{models.ErrBusy, "busy"},
	{models.ErrUnavailable, "storage_unavailable"},
	{models.ErrClosed, "shutting_down"},
	{errTooManyConnections, "too_many_connections"},
	{errTLS, "tls"},
	{errHTTP, "http"},
	{errTLSRequired, "tls_required"},
	{errHandshake, "tls_handshake"},
}

// refusalOf returns the place of err in refusals, -1 when it has none.
func refusalOf(err error) int {
	for i := range refusals {
		if errors.Is(err, refusals[i].err) {
			return i
		}
	}
	return -1
}

// appendReceipt appends the answer to a line that is stored.
func appendReceipt(dst []byte, r *models.Receipt) []byte {
	dst = append(dst, `{"ok":true,"event_id":`...)
	dst = strconv.AppendInt(dst, r.Event.ID, 10)
	if r.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	for i, field := range r.Truncated {
		if i == 0 {
			dst = append(dst, `,"truncated":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, field)
		if i == len(r.Truncated)-1 {
			dst = append(dst, ']')
		}
	}
	return append(dst, "}\n"...)
}

// appendRefusal appends the answer to a line that is not stored; refusal is a
// place in refusals, and err names the field or tells how long to wait, if any.
func appendRefusal(dst []byte, refusal int, err error) []byte {
	dst = append(dst, `{"ok":false,"error":"`...)
	dst = append(dst, refusals[refusal].word...)
	dst = append(dst, '"')
	var field *models.FieldError
	if errors.As(err, &field) {
		dst = append(dst, `,"field":`...)
		dst = appendString(dst, field.Field)
	}
	var limited *models.RateLimited
	if errors.As(err, &limited) {
		dst = append(dst, `,"retry_ms":`...)
		dst = strconv.AppendInt(dst, limited.Milliseconds(), 10)
	}
	return append(dst, "}\n"...)
}

// appendString appends s as a JSON string (RFC 8259 section 7); bytes that are
// not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
