package live

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/olahol/melody"

	"alerthub/models"
	"alerthub/wire"
)

// Bounds of what was handed to melody for one client and is not yet written
// to its connection. melody's own buffer is larger, so that a full one means
// a client that floods us with pings.
const (
	feedWindow      = 64
	feedWindowBytes = 256 << 10
	feedBuffer      = feedWindow + 32
)

// subscriber is one client of the feed. From connects on its goroutine owns
// cursor; the counters are shared with melody's write pump.
type subscriber struct {
	feed    *feed
	batch   bool  // many events a frame
	replays bool  // asked for everything after since
	since   int64 // as asked, not yet believed

	session  *melody.Session // set, and cursor with it, before connects is closed
	connects chan struct{}

	cursor int64 // the last id handed to melody

	inFlight      atomic.Int64 // frames
	inFlightBytes atomic.Int64
	roomAgain     chan struct{} // capacity 1: half of the window is free
}

// connected joins before it greets: what is stored after the greeting arrives.
func (s *subscriber) connected(session *melody.Session) {
	s.session = session
	s.cursor = s.feed.join()
	hello, err := wire.Marshal(struct {
		Type      string `json:"type"`
		Message   string `json:"message"`
		Timestamp string `json:"timestamp"`
	}{"hello", "Network Alert Hub event feed", models.FormatTime(s.feed.now())})
	if err != nil {
		panic(err) // three strings
	}
	s.write(hello)
	close(s.connects)
}

func (s *subscriber) message(text []byte) {
	if string(text) == "ping" {
		s.write(fmt.Appendf(nil, `{"type":"pong","ts":%d}`, s.feed.now().Unix()))
	}
}

func (s *subscriber) sent(size int) {
	s.inFlightBytes.Add(-int64(size))
	if s.inFlight.Add(-1) <= feedWindow/2 {
		select {
		case s.roomAgain <- struct{}{}:
		default:
		}
	}
}

func (s *subscriber) disconnected() {}

// run streams events from the connect until ctx ends.
func (s *subscriber) run(ctx context.Context, source Source) {
	select {
	case <-ctx.Done():
		return
	case <-s.connects:
	}
	if err := s.stream(ctx, source); err != nil && ctx.Err() == nil {
		s.feed.logger.Warn("feed client is told to come back", "after", s.cursor, "error", err)
		_ = s.session.CloseWithMsg(melody.FormatCloseMessage(melody.CloseTryAgainLater, "events cannot be read now"))
	}
}

func (s *subscriber) stream(ctx context.Context, source Source) error {
	if s.replays {
		if err := s.rewind(ctx, source); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		frames, changed := s.fromRing()
		if changed == nil {
			var err error
			if frames, err = s.fromSource(ctx, source); err != nil {
				return err
			}
		} else if len(frames) == 0 {
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
		for _, f := range frames {
			if !s.room(ctx) {
				return nil
			}
			s.write(f.frame)
			s.cursor = f.last
			s.feed.frames.Add(1)
			s.feed.deliveries.Add(int64(f.events))
		}
	}
	return nil
}

// rewind moves the cursor to since. An id that no event has reached belongs to
// another database, and then what is stored from now on is all there is to tell.
func (s *subscriber) rewind(ctx context.Context, source Source) error {
	if s.since > s.cursor {
		// The commit may be known to the client a moment before it is to us.
		events, err := s.read(ctx, source, s.since-1, 1)
		if err != nil || len(events) == 0 {
			return err
		}
	}
	s.cursor = s.since
	return nil
}

// fromRing is what the ring holds after the cursor; changed is nil when the
// ring does not reach back so far.
func (s *subscriber) fromRing() (frames []batch, changed <-chan struct{}) {
	if s.batch {
		b, changed := s.feed.ring.batchAfter(s.cursor)
		if b.events == 0 {
			return nil, changed
		}
		return []batch{b}, changed
	}
	entries, changed := s.feed.ring.after(s.cursor, feedWindow)
	for _, e := range entries {
		frames = append(frames, batch{frame: e.frame, events: 1, last: e.id})
	}
	return frames, changed
}

// fromSource is a page of the database after the cursor.
func (s *subscriber) fromSource(ctx context.Context, source Source) (frames []batch, err error) {
	behind := s.feed.ring.begin()
	events, err := s.read(ctx, source, s.cursor, pageEvents)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		s.cursor = max(s.cursor, behind) // rows that were there once; the ring holds what follows
		return nil, nil
	}
	entries := s.feed.encode(nil, events...)
	for len(entries) > 0 {
		b := batch{frame: entries[0].frame, events: 1, last: entries[0].id}
		if s.batch {
			b = joinBatch(entries)
		}
		frames = append(frames, b)
		entries = entries[b.events:]
	}
	return frames, nil
}

// read is a bounded database read; few run at one time, so that many clients
// that catch up do not take the pages' readers.
func (s *subscriber) read(ctx context.Context, source Source, after int64, limit int) ([]models.Event, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case s.feed.reads <- struct{}{}:
	}
	defer func() { <-s.feed.reads }()
	return source.EventsAfter(ctx, after, limit)
}

// room waits until the window has room. It reports false when ctx has ended.
func (s *subscriber) room(ctx context.Context) bool {
	for s.inFlight.Load() >= feedWindow || s.inFlightBytes.Load() >= feedWindowBytes {
		select {
		case <-ctx.Done():
			return false
		case <-s.roomAgain:
		}
	}
	return true
}

// write hands one frame to melody. What it cannot take ends the session, so
// that no frame is ever lost in silence.
func (s *subscriber) write(frame []byte) {
	s.inFlight.Add(1)
	s.inFlightBytes.Add(int64(len(frame)))
	_ = s.session.Write(frame) // fails on a closed session only, whose end is on its way
}
