package models

import (
	"fmt"
	"time"
)

// Rate is how many events a second one sender may report, and how many at
// once after a silence. Its zero value is no limit.
type Rate struct{ PerSecond, Burst int }

// IntakeLimits are what one sender may take of the hub, and all of them together.
type IntakeLimits struct {
	Source, Peer, Key Rate // of events with one source, from one address, with one key

	TCPConnections, TCPPerAddress   int
	HTTPConnections, HTTPPerAddress int // of panel, API and feed together
}

// RateLimited is ErrRateLimited for one event.
type RateLimited struct {
	Wait time.Duration // until there is room for one event again
	// Pause is how long the door lets the sender wait before it hears it again,
	// so that refusing a flood does not become a flood of work; 0 as long as
	// the sender is refused little.
	Pause time.Duration
}

// Milliseconds is Wait in whole milliseconds, rounded up, at least 1.
func (e *RateLimited) Milliseconds() int64 {
	return max(1, int64((e.Wait+time.Millisecond-1)/time.Millisecond))
}

// Error says how long to wait.
func (e *RateLimited) Error() string { return fmt.Sprintf("%v, for %v", ErrRateLimited, e.Wait) }

// Is makes errors.Is(err, ErrRateLimited) true.
func (e *RateLimited) Is(target error) bool { return target == ErrRateLimited }
