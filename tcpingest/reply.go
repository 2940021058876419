package tcpingest

import (
	"context"
	"errors"
	"time"

	"alerthub/models"
)

// reply answers the groups in order. False means that it gave up: the client
// does not take its answers, or an outcome is unknown. A false answer is worse
// than none.
func (c *conn) reply(ctx context.Context) bool {
	for g := range c.groups {
		if err := c.answer(ctx, g); err != nil {
			if ctx.Err() == nil {
				c.srv.cfg.Logger.Error("tcp: outcome unknown, closing without an answer",
					"peer", c.origin.Peer, "lines", len(g.lines), "error", err)
			}
			return false
		}
		c.armWrite()
		if _, err := c.net.Write(g.out); err != nil {
			c.srv.cfg.Logger.Debug("tcp: client does not take its answers",
				"peer", c.origin.Peer, "lines", len(g.lines), "error", err)
			return false
		}
		c.inFlight.Add(-g.cost)
		c.srv.recycle(g)
		select {
		case c.freed <- struct{}{}:
		default:
		}
	}
	return true
}

// answer waits for the outcome of g and encodes the answers to all its lines.
func (c *conn) answer(ctx context.Context, g *group) error {
	var receipts []models.Receipt
	failed := -1 // the place in refusals of what happened to all drafts
	if len(g.drafts) > 0 {
		err := g.err
		if err == nil {
			receipts, err = g.wait(ctx)
		}
		switch {
		case err != nil:
			if failed = refusalOf(err); failed < 0 {
				return err
			}
		case len(receipts) != len(g.drafts):
			return errors.New("not one receipt for each draft")
		}
	}
	for _, err := range g.lines {
		refusal := failed
		if err == nil && failed < 0 {
			receipt := &receipts[0]
			receipts = receipts[1:]
			if receipt.Err == nil {
				g.out = appendReceipt(g.out, receipt)
				continue
			}
			err = receipt.Err
		}
		if errors.Is(err, errWelcome) {
			g.out = append(g.out, welcome...)
			continue
		}
		if err != nil {
			if refusal = refusalOf(err); refusal < 0 {
				return err
			}
		}
		g.out = appendRefusal(g.out, refusal, err)
		c.srv.refused[refusal].Add(1)
	}
	return nil
}

// armWrite sets the deadline of the next write.
func (c *conn) armWrite() {
	// Fails only on a closed connection, which the write will tell.
	_ = c.net.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
	if c.srv.closing.Load() {
		c.hasten()
	}
}

// hasten gives a client that is slow to take its answers little more time.
func (c *conn) hasten() {
	_ = c.net.SetWriteDeadline(time.Now().Add(min(hasteTime, c.srv.cfg.WriteTimeout)))
}
