package store

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

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

// write runs an everyday write in one transaction, in its turn, and then the
// counters and rollups that f counted into sum. When it returns nil, all of it
// is on disk. The error wraps models.ErrNotFound when f met
// gorm.ErrRecordNotFound, else models.ErrUnavailable; or it is that of
// turn.take: the context counts only until the transaction begins.
func (s *Store) write(ctx context.Context, what string, f func(tx *gorm.DB, sum *tally) error) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	var sum tally
	// A context that ends inside a transaction makes SQLite roll it back under
	// the driver's feet.
	err := s.gormW.WithContext(context.WithoutCancel(ctx)).Transaction(func(tx *gorm.DB) error {
		if err := f(tx, &sum); err != nil {
			return err
		}
		return sum.save(tx)
	})
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return fmt.Errorf("%s: %w", what, models.ErrNotFound)
	}
	if err != nil {
		return unavailable(what, err)
	}
	s.recent.add(&sum)
	s.keeper.writes.Add(1)
	return nil
}
