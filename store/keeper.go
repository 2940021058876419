package store

import (
	"context"
	"os"
	"sync/atomic"
	"time"
)

// The write-ahead log is copied into the database by the commit that makes it
// longer than wal_autocheckpoint pages, in the writer's own turn: a
// checkpoint beside the writer costs the same disk its syncs and gained
// nothing (docs/adr/0003-sqlite-durability.md). That leaves two cases to the
// keeper, and the folding of old rollups.
const (
	keeperTick = time.Second
	// idleTicks without a write: the log is copied and emptied, so that a hub
	// at rest has all its data in one file.
	idleTicks = 5
	// maxLog bounds the log when readers overlap all the time: then a commit
	// can copy it but never start it anew. The keeper holds the writers off
	// until the readers under way have ended, for maxLogWait at most.
	maxLog     = 64 << 20
	maxLogWait = 200 * time.Millisecond
	// maxLogPause separates two such attempts, so that a reader that never
	// ends (a person's SQL shell) costs the writers little.
	maxLogPause = 10 * time.Second
	// foldPause is how often old rollups are folded, at the next tick without
	// a write; when there is none for as long again, all the same.
	foldPause = 5 * time.Minute
)

// keeper is the goroutine that keeps the log short and folds old rollups.
type keeper struct {
	writes atomic.Int64 // committed transactions
	cancel context.CancelFunc
	done   chan struct{}
}

func (k *keeper) start(s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel, k.done = cancel, make(chan struct{})
	go func() {
		defer close(k.done)
		k.run(ctx, s)
	}()
}

// stop ends the goroutine and waits for it.
func (k *keeper) stop() {
	if k.cancel != nil {
		k.cancel()
		<-k.done
	}
}

func (k *keeper) run(ctx context.Context, s *Store) {
	ticker := time.NewTicker(keeperTick)
	defer ticker.Stop()
	var seen int64      // writes at the last tick
	var idle int        // ticks since they last moved
	var tried time.Time // the last attempt at a log too long
	var folded time.Time
	var foldFrom int64 // all minutes before are folded
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		if writes := k.writes.Load(); writes != seen {
			seen, idle = writes, 0
		} else {
			idle++
		}
		tooLong := s.logSize() > maxLog && now.Sub(tried) >= maxLogPause
		if tooLong {
			tried = now
		}
		if tooLong || idle == idleTicks && s.logSize() > 0 {
			if err := s.emptyLog(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn("write-ahead log not emptied", "file", s.path, "error", err)
			}
		}
		if due := now.Sub(folded); due >= 2*foldPause || due >= foldPause && idle > 0 {
			folded = now
			var err error
			if foldFrom, err = s.fold(ctx, foldFrom, now); err != nil && ctx.Err() == nil {
				s.logger.Warn("old rollups not folded", "file", s.path, "error", err)
			}
		}
	}
}

// logSize is the length of the write-ahead log in bytes.
func (s *Store) logSize() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// emptyLog copies the log into the database and cuts it to nothing, unless
// readers use it for longer than maxLogWait.
func (s *Store) emptyLog(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	return s.ingest.emptyLog()
}
