package tcpingest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

const (
	// maxTokens is how many wrong tokens a connection may show.
	maxTokens = 3
	// maxUnauthorized is how many lines a connection may say that may say
	// nothing: enough for a device whose answers somebody reads, and an end to
	// one that nobody reads.
	maxUnauthorized = 100
	// sweepEvery is how often it is looked whether what the connections have
	// shown still holds.
	sweepEvery = 2 * time.Second
)

// standing is who speaks on a connection, beside origin.Sender, and how that
// went. It belongs to the reader, but for what is atomic.
type standing struct {
	may      bool // the sender may hand in events
	greeting bool // nothing but wrong tokens was said yet
	tokens   int  // wrong ones
	turned   int  // lines that were answered unauthorized

	shown    atomic.Pointer[models.Actor] // what the sweep looks at; nil for nothing
	expelled atomic.Bool                  // what was shown holds no more: the connection ends
}

// admit makes a the sender of what follows.
func (c *conn) admit(a models.Actor) {
	c.origin.Sender, c.may = a, a.May(models.PermitIngest)
	if a.Kind == models.ActorNobody {
		c.shown.Store(nil)
		return
	}
	shown := a
	c.shown.Store(&shown)
}

// look takes note if what the sender has shown holds no more.
func (c *conn) look() {
	if c.shown.Load() != nil && !c.srv.cfg.Access.Valid(c.origin.Sender) {
		c.admit(models.Actor{Kind: models.ActorNobody})
		c.expelled.Store(true)
	}
}

// over reports whether nothing more is heard of the sender.
func (c *conn) over() bool {
	return c.tokens >= maxTokens || c.turned >= maxUnauthorized || c.expelled.Load() && c.turned > 0
}

// hear makes a draft of a line, or says why there is none: errWelcome when it
// showed a good token.
func (c *conn) hear(ctx context.Context, line []byte, tooLong bool) (models.Draft, error) {
	if c.greeting && !tooLong {
		if token, ok := wire.DecodeToken(line); ok {
			return models.Draft{}, c.show(ctx, token)
		}
	}
	c.greeting = false
	switch {
	case !c.may:
		c.turned++
		return models.Draft{}, models.ErrUnauthorized
	case tooLong:
		return models.Draft{}, errLineTooLong
	}
	draft, err := wire.Decode(line, c.origin)
	if refusal := c.srv.cfg.Limit(draft); refusal != nil {
		err = refusal
		if limited := (*models.RateLimited)(nil); errors.As(err, &limited) {
			c.pause = max(c.pause, limited.Pause)
		}
	}
	return draft, err
}

// show answers a token. After a wrong one nothing is taken without a good one:
// a device that has lost its key should not pass for one that has none.
func (c *conn) show(ctx context.Context, token string) error {
	a, err := c.srv.cfg.Access.Bearer(ctx, token, c.origin.Peer)
	if err != nil || !a.May(models.PermitIngest) {
		c.tokens++
		c.admit(models.Actor{Kind: models.ActorNobody})
		return models.ErrUnauthorized
	}
	c.greeting = false
	c.admit(a)
	return errWelcome
}

// sweep ends connections of which what they have shown holds no more, until
// ctx ends. Those that speak are told so before, by look.
func (s *Server) sweep(ctx context.Context) {
	ticks := time.NewTicker(sweepEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		for c := range s.conns {
			if a := c.shown.Load(); a != nil && !s.cfg.Access.Valid(*a) {
				c.expelled.Store(true)
				// In the past: ends the read that waits, as in Shutdown.
				_ = c.net.SetReadDeadline(time.Unix(1, 0))
			}
		}
		s.mu.Unlock()
	}
}
