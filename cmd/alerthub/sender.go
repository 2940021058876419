package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	pipeWindow = 256 // lines sent and not answered; the hub's own default

	dialTimeout = 5 * time.Second
	// answerTimeout is longer than the 10 s after which a hub says busy.
	answerTimeout = 30 * time.Second

	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second

	// limitedRetry is the shortest wait of those that report too much: what
	// one event waits for is less than what a window of them does.
	limitedRetry = 20 * time.Millisecond
)

// sender delivers messages in order, over one connection after another if the
// messages have keys.
type sender struct {
	addr     string
	dial     func(ctx context.Context, addr string) (net.Conn, error)
	token    string // shown first on every connection; "" for none
	window   int    // messages sent and not answered, at most
	keyed    bool   // sending a message again is safe
	retryFor time.Duration
	log      io.Writer
	answered func(m message, answer string, ok bool) // called in the order of the messages

	stored, refused int
	pending         []message     // sent and not answered, or to be sent first
	limited         []message     // refused as too many for now, to be sent once all answers are there
	wait            time.Duration // before that
}

// notStored are the refusals that may be over a moment later.
var notStored = []string{"busy", "storage_unavailable", "shutting_down", "too_many_connections"}

// deliver sends everything from input and waits for the answers. The error
// says how many messages may or may not be stored; they are in s.pending.
func (s *sender) deliver(ctx context.Context, input <-chan message) error {
	var (
		failing time.Time // the first failure since the last answer
		seen    int       // answers until then
		pause   time.Duration
	)
	for {
		err := s.exchange(ctx, input)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted: %s", s.unknown())
		case len(s.pending)+len(s.limited) == 0:
			// A hub closes connections that are silent for long; the next
			// message opens another.
			continue
		case !s.keyed || errors.Is(err, errToken):
			return fmt.Errorf("%w: %s", err, s.unknown())
		}
		if now := s.stored + s.refused; now > seen || failing.IsZero() {
			failing, seen, pause = time.Now(), now, firstRetry
		}
		if time.Since(failing) >= s.retryFor {
			return fmt.Errorf("no acknowledgement for %s: %w: %s", s.retryFor, err, s.unknown())
		}
		_, _ = fmt.Fprintf(s.log, "%v; trying again\n", err)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastRetry)
	}
}

func (s *sender) unknown() string {
	return fmt.Sprintf("%d events sent and not acknowledged", len(s.pending)+len(s.limited))
}

// exchange sends over one connection, what is pending first. It returns nil
// when input has ended and everything is answered.
func (s *sender) exchange(ctx context.Context, input <-chan message) error {
	s.pending, s.limited = append(s.pending, s.limited...), nil
	if len(s.pending) == 0 {
		select {
		case m, open := <-input:
			if !open {
				return nil
			}
			s.pending = append(s.pending, m)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	conn, err := s.dial(ctx, s.addr)
	if err != nil {
		return err
	}
	answers := make(chan string, s.window+1) // one more: a refusal of the connection itself
	go func() {
		defer close(answers)
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			answers <- lines.Text()
		}
	}()
	interrupt := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		interrupt()
		_ = conn.Close()
		for range answers { // until its goroutine has ended
		}
	}()
	if err := s.greet(conn, answers); err != nil {
		return err
	}
	if err := s.send(conn, s.pending...); err != nil {
		return s.drain(conn, answers, err)
	}
	return s.converse(ctx, conn, input, answers)
}

// errToken: the hub does not take the token, and never will.
var errToken = errors.New("the hub does not take the token: it is wrong, expired, revoked, or not for events")

// greet shows the token and waits until it is taken.
func (s *sender) greet(conn net.Conn, answers <-chan string) error {
	if s.token == "" {
		return nil
	}
	line, err := json.Marshal(map[string]string{"token": s.token})
	if err != nil {
		return err
	}
	// Fail only on a closed connection, which the reads and writes tell.
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	defer func() { _ = conn.SetDeadline(time.Time{}) }()
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return s.drain(conn, answers, err)
	}
	answer, open := <-answers
	switch {
	case !open:
		return errors.New("the hub closed the connection")
	case answer == `{"ok":true}`:
		return nil
	case strings.Contains(answer, `"unauthorized"`):
		return errToken
	}
	return s.take(answer)
}

// converse goes on with an exchange after its first write.
func (s *sender) converse(ctx context.Context, conn net.Conn, input <-chan message, answers <-chan string) error {
	silence := time.NewTimer(answerTimeout)
	defer silence.Stop()
	for input != nil || len(s.pending)+len(s.limited) > 0 {
		if len(s.pending) == 0 && len(s.limited) > 0 {
			if err := s.again(ctx, conn); err != nil {
				return s.drain(conn, answers, err)
			}
			silence.Reset(answerTimeout)
		}
		next := input
		if len(s.pending) >= s.window || len(s.limited) > 0 {
			next = nil
		}
		select {
		case m, open := <-next:
			if !open {
				input = nil
				continue
			}
			if len(s.pending) == 0 {
				silence.Reset(answerTimeout)
			}
			burst := s.gather(m, next)
			s.pending = append(s.pending, burst...)
			if err := s.send(conn, burst...); err != nil {
				return s.drain(conn, answers, err)
			}
		case answer, open := <-answers:
			if !open {
				return errors.New("the hub closed the connection")
			}
			if err := s.take(answer); err != nil {
				return err
			}
			silence.Reset(answerTimeout)
		case <-silence.C:
			if len(s.pending) > 0 {
				return fmt.Errorf("no answer for %s", answerTimeout)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// again sends what was refused as too many, after a wait that the hub named.
func (s *sender) again(ctx context.Context, conn net.Conn) error {
	select {
	case <-time.After(max(s.wait, limitedRetry)):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.pending, s.limited, s.wait = s.limited, nil, 0
	return s.send(conn, s.pending...)
}

// gather takes what waits in input beside m, as much as the window allows.
func (s *sender) gather(m message, input <-chan message) []message {
	burst := []message{m}
	for len(s.pending)+len(burst) < s.window {
		select {
		case m, open := <-input:
			if !open {
				return burst // the caller sees the end next
			}
			burst = append(burst, m)
		default:
			return burst
		}
	}
	return burst
}

// send writes messages at once.
func (s *sender) send(conn net.Conn, messages ...message) error {
	var lines net.Buffers
	for _, m := range messages {
		lines = append(lines, m.line)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	_, err := lines.WriteTo(conn)
	return err
}

// drain takes the answers that came before writing failed with err: one may
// tell why.
func (s *sender) drain(conn net.Conn, answers <-chan string, err error) error {
	// On a closed connection the answers end by themselves.
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	for answer := range answers {
		if reason := s.take(answer); reason != nil {
			return reason
		}
	}
	return err
}

// take handles one answer. An error ends the connection, and leaves the
// message to be sent again.
func (s *sender) take(answer string) error {
	var a struct {
		OK      *bool  `json:"ok"`
		Error   string `json:"error"`
		RetryMS int64  `json:"retry_ms"`
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.OK == nil {
		return fmt.Errorf("%s is no TCP port of a hub, it answered %q", s.addr, strings.TrimSpace(answer))
	}
	if a.Error == "tls_required" {
		return fmt.Errorf("the hub answered %s: it wants --tls", answer)
	}
	temporary := slices.Contains(notStored, a.Error)
	if a.Error == "too_many_connections" || temporary && s.keyed || len(s.pending) == 0 {
		return fmt.Errorf("the hub answered %s", answer)
	}
	m := s.pending[0]
	s.pending = s.pending[1:]
	if a.Error == "rate_limited" {
		s.limited, s.wait = append(s.limited, m), max(s.wait, time.Duration(a.RetryMS)*time.Millisecond)
		return nil
	}
	if *a.OK {
		s.stored++
	} else {
		s.refused++
	}
	s.answered(m, answer, *a.OK)
	return nil
}
