package models

import (
	"errors"
	"fmt"
	"time"
)

// The errors that cross package borders. Compare with errors.Is; each
// transport maps them to its own answers in one table.
var (
	// ErrInvalidJSON: the bytes are not one JSON object.
	ErrInvalidJSON = errors.New("not a JSON object")
	// ErrInvalid: a field does not hold what it must; a *FieldError names it.
	ErrInvalid = errors.New("invalid event")
	// ErrNotFailed: only what has failed can be tried again. It is ErrInvalid too.
	ErrNotFailed = fmt.Errorf("%w: it has not failed", ErrInvalid)
	// ErrKeyConflict: the idempotency key was used before with other content.
	ErrKeyConflict = errors.New("idempotency key reused with other content")
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: nothing was shown that allows it: no key, none that is
	// good, or not one for this.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForeignSource: the sender may not speak as that source. It is
	// ErrUnauthorized too.
	ErrForeignSource = fmt.Errorf("%w: bound to other sources", ErrUnauthorized)
	// ErrBusy: the queue is full and nothing moved for a while; not stored.
	ErrBusy = errors.New("busy")
	// ErrRateLimited: the sender reports too much for now; a *RateLimited says
	// how long. Not stored.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable: storage refused the write; not stored.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrUnknown: the caller gave up waiting for a commit; the event may or
	// may not be stored. Sending again with the same key is safe.
	ErrUnknown = errors.New("outcome unknown")
	// ErrCanaryRunning: another canary is under way.
	ErrCanaryRunning = errors.New("another canary is under way")
	// ErrForbidden: who asks is known, and may not.
	ErrForbidden = errors.New("forbidden")
	// ErrLastAdmin: nobody else could administer the hub.
	ErrLastAdmin = errors.New("the last admin stays one")
	// ErrExists: the name is taken.
	ErrExists = errors.New("the name is taken")
	// ErrClosed: the hub is shutting down; not stored.
	ErrClosed = errors.New("shutting down")
)

// FieldError is ErrInvalid for one field of an event.
type FieldError struct {
	Field  string // the JSON member's name
	Reason string // a sentence fragment in English, safe to show to the sender
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Is makes errors.Is(err, ErrInvalid) true.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// TooManyError refuses who tries too often.
type TooManyError struct{ Wait time.Duration }

// Error says how long to wait.
func (e *TooManyError) Error() string { return fmt.Sprintf("too many tries: wait %v", e.Wait) }
