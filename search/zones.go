package search

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// blockSize is how many ids share one entry of the zone map.
const blockSize = 1024

// zones says for each block of ids between which times its events were
// received. Ids ascend with time, but imported history does not, so that a
// span of time is a list of id ranges. It is kept in memory, 24 bytes for
// 1,024 events, and in table zones.
type zones struct {
	mu     sync.RWMutex
	blocks map[int64]zone
	last   int64 // the highest block
}

type zone struct{ low, high int64 } // Unix microseconds, both seen

func (z *zones) load(ctx context.Context, db *sql.DB) error {
	z.blocks = map[int64]zone{}
	rows, err := db.QueryContext(ctx, "SELECT block, low, high FROM zones")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var block int64
		var one zone
		if err := rows.Scan(&block, &one.low, &one.high); err != nil {
			return err
		}
		z.blocks[block] = one
		z.last = max(z.last, block)
	}
	return rows.Err()
}

// widened is the zone of a block once it holds an event of time at.
func (z zone) widened(at int64) zone {
	return zone{low: min(z.low, at), high: max(z.high, at)}
}

// get is the zone of a block as it is known.
func (z *zones) get(block int64) (zone, bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	one, ok := z.blocks[block]
	return one, ok
}

// put takes over what was committed.
func (z *zones) put(changed map[int64]zone) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for block, one := range changed {
		z.blocks[block] = one
		z.last = max(z.last, block)
	}
}

// idRange is the ids from low to high, both among them.
type idRange struct{ low, high int64 }

// ranges lists where events of a span of time can be, the newest ids first,
// within the given range. Blocks close together make one range: asking for a
// few wrong ids is cheaper than asking once more.
func (z *zones) ranges(within idRange, from, to time.Time) []idRange {
	if within.low > within.high {
		return nil
	}
	if from.IsZero() && to.IsZero() {
		return []idRange{within}
	}
	const near = 4
	z.mu.RLock()
	defer z.mu.RUnlock()
	var list []idRange
	lowest := within.low / blockSize
	for block := min(within.high/blockSize, z.last); block >= lowest; block-- {
		one, ok := z.blocks[block]
		if !ok || !from.IsZero() && one.high < from.UnixMicro() || !to.IsZero() && one.low >= ceilMicro(to) {
			continue
		}
		ids := idRange{low: max(block*blockSize, within.low), high: min(block*blockSize+blockSize-1, within.high)}
		if n := len(list); n > 0 && list[n-1].low-ids.high <= near*blockSize {
			list[n-1].low = ids.low
		} else {
			list = append(list, ids)
		}
	}
	return list
}

// ceilMicro is t in Unix microseconds, rounded up: stored times are whole
// ones, so that "before t" means the same for t and for its ceiling.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }
