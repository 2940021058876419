package store

import (
	"context"

	"alerthub/models"
)

// turn orders everything that writes. SQLite's own lock is not fair: a
// connection that finds it taken sleeps and tries again, so that a full
// ingest starves whoever writes now and then. A channel of one slot serves
// its senders first come, first served, and hands the slot over directly, so
// that an everyday write waits for at most the batch that is under way and
// those that asked before.
type turn struct {
	slot   chan struct{}
	closed chan struct{} // closed by Close, before it takes the last turn
}

func newTurn() turn {
	return turn{slot: make(chan struct{}, 1), closed: make(chan struct{})}
}

// take waits for the turn. The error is the context's, or models.ErrClosed;
// either wins over a turn that is free.
func (t turn) take(ctx context.Context) error {
	select {
	case t.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.closed:
		return models.ErrClosed
	}
	err := ctx.Err()
	select {
	case <-t.closed:
		err = models.ErrClosed
	default:
	}
	if err != nil {
		t.give()
	}
	return err
}

func (t turn) give() { <-t.slot }
