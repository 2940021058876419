package search

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"sync"
	"time"

	"alerthub/models"
)

type topKey struct {
	from, to time.Time
	n        int
}

// TopSources returns the n sources that reported most between w.From and
// w.To, whole minutes of them, as far as they are indexed. An answer may be
// five seconds old.
func (x *Index) TopSources(ctx context.Context, w models.Window, n int) ([]models.SourceCount, error) {
	return x.tops.get(topKey{w.From, w.To, n}, x.now, func() ([]models.SourceCount, error) {
		x.mu.RLock()
		defer x.mu.RUnlock()
		if x.file == nil {
			return nil, nil
		}
		var top []models.SourceCount
		err := x.file.view(ctx, func(tx *sql.Tx) (err error) {
			top, err = topSources(ctx, tx, minuteOf(w.From.UnixMicro()), minuteOf(ceilMicro(w.To)), n)
			return err
		})
		if x.blame(ctx, err) {
			return nil, nil
		}
		return top, err
	})
}

func topSources(ctx context.Context, tx *sql.Tx, a, b int64, n int) ([]models.SourceCount, error) {
	type total struct {
		models.SourceCount
		id int64
	}
	shards := map[int64]*[shardSize][4]int64{}
	err := sumCounts(ctx, tx, a, b, "shard>0", func(shard, key, n int64) {
		if shards[shard] == nil {
			shards[shard] = new([shardSize][4]int64)
		}
		shards[shard][key/facets][key%facets/2] += n
	})
	if err != nil {
		return nil, err
	}
	var all []total
	for shard, sources := range shards {
		for i := range sources {
			one := total{id: (shard-1)*shardSize + int64(i)}
			if one.Severity = sources[i]; one.Total() > 0 {
				all = append(all, one)
			}
		}
	}
	slices.SortFunc(all, func(a, b total) int { return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.id, b.id)) })
	var top []models.SourceCount
	for _, one := range all[:min(n, len(all))] {
		if err := tx.QueryRowContext(ctx, "SELECT name FROM sources WHERE id=?", one.id).Scan(&one.Source); err != nil {
			return nil, err
		}
		top = append(top, one.SourceCount)
	}
	return top, nil
}

// Sources returns the names of at most n sources, those first that reported
// last. An answer may be five seconds old.
func (x *Index) Sources(ctx context.Context, n int) ([]string, error) {
	return x.names.get(n, x.now, func() ([]string, error) {
		x.mu.RLock()
		defer x.mu.RUnlock()
		if x.file == nil {
			return nil, nil
		}
		names, err := sourceNames(ctx, x.file.reader, n)
		if x.blame(ctx, err) {
			return nil, nil
		}
		return names, err
	})
}

func sourceNames(ctx context.Context, db *sql.DB, n int) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM sources ORDER BY last DESC, id DESC LIMIT ?", n)
	if err != nil {
		return nil, &indexError{err}
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, &indexError{err}
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, &indexError{err}
	}
	return names, nil
}

// cache keeps answers for fresh, or for twenty times as long as they took: no
// question takes more than a twentieth of a processor, however often it is asked.
type cache[K comparable, V any] struct {
	mu      sync.Mutex // held while an answer is made: the others wait for it
	entries map[K]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
}

const fresh = 5 * time.Second

func (c *cache[K, V]) get(key K, now func() time.Time, find func() (V, error)) (V, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := now()
	if kept, ok := c.entries[key]; ok && began.Before(kept.until) {
		return kept.value, nil
	}
	value, err := find()
	if err != nil {
		return value, err
	}
	for old, kept := range c.entries {
		if !began.Before(kept.until) {
			delete(c.entries, old)
		}
	}
	if c.entries == nil {
		c.entries = map[K]entry[V]{}
	}
	took := now().Sub(began)
	c.entries[key] = entry[V]{value, now().Add(max(fresh, 20*took))}
	return value, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
