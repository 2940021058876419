package search

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"alerthub/models"
)

// maxSources bounds the ids of sources that are kept in memory.
const maxSources = 50_000

// batch is one transaction's additions to the file.
type batch struct {
	file   *file
	tx     *sql.Tx
	counts tally
	zones  map[int64]zone
	last   map[int64]int64 // source to the minute of its newest event, if that is here
}

// known is a source as the file has it.
type known struct{ id, last int64 }

// index adds events and moves the watermark to the last one.
func (f *file) index(ctx context.Context, events []models.Event) error {
	last := &events[len(events)-1]
	mark := markOf(last)
	err := f.commit(ctx, func(b *batch) error {
		if err := b.add(ctx, events, f.watermark.Load()); err != nil {
			return err
		}
		return exec(ctx, b.tx, "UPDATE meta SET watermark=?, mark=?", last.ID, mark)
	})
	if err != nil {
		return fmt.Errorf("index events up to %d: %w", last.ID, err)
	}
	f.mark = mark
	f.watermark.Store(last.ID)
	return nil
}

// commit runs fill in a transaction and takes over what it changed.
func (f *file) commit(ctx context.Context, fill func(*batch) error) error {
	b := &batch{file: f, counts: tally{}, zones: map[int64]zone{}, last: map[int64]int64{}}
	err := f.inTx(ctx, func(tx *sql.Tx) error {
		b.tx = tx
		if err := fill(b); err != nil {
			return err
		}
		return b.finish(ctx)
	})
	if err != nil {
		clear(f.sources) // some may have been rolled back
		return err
	}
	f.zones.put(b.zones)
	return nil
}

// markOf tells an event from another one of the same id.
func markOf(e *models.Event) string {
	sum := sha256.Sum256([]byte(models.FormatTime(e.CreatedAt) + "\x00" + e.Source + "\x00" + e.Message))
	return hex.EncodeToString(sum[:8])
}

// add indexes events, by one statement over a JSON array. FTS5 writes out what
// it has gathered, a segment to be merged later, whenever a statement of
// several rows begins: several such statements, or others between them, made
// it four times slower.
//
// before is the id that is indexed below the first of them.
func (b *batch) add(ctx context.Context, events []models.Event, before int64) error {
	list := make([][5]any, len(events))
	for i := range events {
		e := &events[i]
		source, err := b.source(ctx, e.Source)
		if err != nil {
			return err
		}
		facet := facetOf(e.Severity, e.Channel)
		b.count(e, source, facet)
		list[i] = [5]any{e.ID, document(e), sourceToken(source.id, facet), facetToken(facet), nil}
		if e.ID/stopSpan > before/stopSpan {
			list[i][4] = stopToken
		}
		before = e.ID
	}
	array, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return exec(ctx, b.tx, "INSERT INTO words(rowid, text, source, facet, stop) SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?)", string(array))
}

func (b *batch) count(e *models.Event, source *known, facet int64) {
	micro := e.CreatedAt.UnixMicro()
	minute := minuteOf(micro)
	b.counts.add(minute, source.id, facet)
	if minute > source.last {
		source.last, b.last[source.id] = minute, minute
	}
	block := e.ID / blockSize
	one, ok := b.zones[block]
	if !ok {
		if one, ok = b.file.zones.get(block); !ok {
			one = zone{low: micro, high: micro}
		}
	}
	b.zones[block] = one.widened(micro)
}

// source finds a source, or makes it.
func (b *batch) source(ctx context.Context, name string) (*known, error) {
	if source, ok := b.file.sources[name]; ok {
		return source, nil
	}
	source := &known{last: beginning}
	err := b.tx.QueryRowContext(ctx, "SELECT id, last FROM sources WHERE name=?", name).Scan(&source.id, &source.last)
	if errors.Is(err, sql.ErrNoRows) {
		err = b.tx.QueryRowContext(ctx, "INSERT INTO sources(name, last) VALUES (?,?) RETURNING id", name, beginning).Scan(&source.id)
	}
	if err != nil {
		return nil, err
	}
	if len(b.file.sources) >= maxSources {
		clear(b.file.sources)
	}
	b.file.sources[name] = source
	return source, nil
}

// finish writes what was collected by add.
func (b *batch) finish(ctx context.Context) error {
	if err := b.counts.write(ctx, b.tx); err != nil {
		return err
	}
	for block, one := range b.zones {
		if err := exec(ctx, b.tx, "INSERT OR REPLACE INTO zones VALUES (?,?,?)", block, one.low, one.high); err != nil {
			return err
		}
	}
	for source, minute := range b.last {
		if err := exec(ctx, b.tx, "UPDATE sources SET last=? WHERE id=?", minute, source); err != nil {
			return err
		}
	}
	return nil
}

// addLate remembers ids to be indexed although they are below the watermark.
func (f *file) addLate(ctx context.Context, ids []int64) error {
	array, err := json.Marshal(ids)
	if err == nil {
		err = f.inTx(ctx, func(tx *sql.Tx) error {
			return exec(ctx, tx, "INSERT OR IGNORE INTO late SELECT value FROM json_each(?)", string(array))
		})
	}
	if err != nil {
		return fmt.Errorf("remember %d late events: %w", len(ids), err)
	}
	f.late.Add(int64(len(ids)))
	return nil
}

// indexLate indexes some of the late events and reports how many it took. An
// id above the watermark is dropped: it could be read before it was told, so
// that the next batch finds it. One that is indexed already is left alone.
func (f *file) indexLate(ctx context.Context, source Source) (int, error) {
	ids, err := queryInts(ctx, f.writer, "SELECT id FROM late ORDER BY id LIMIT 1000")
	if err != nil || len(ids) == 0 {
		f.late.Store(0)
		return 0, err
	}
	events, err := source.EventsByID(ctx, ids)
	if err != nil {
		return 0, err
	}
	err = f.commit(ctx, func(b *batch) error {
		var missing []models.Event
		for i := len(events) - 1; i >= 0; i-- { // oldest first
			e := events[i]
			if e.ID > f.watermark.Load() {
				continue
			}
			indexed, err := b.holds(ctx, &e)
			if err != nil {
				return err
			}
			if !indexed {
				missing = append(missing, e)
			}
		}
		if err := b.add(ctx, missing, math.MaxInt64); err != nil {
			return err
		}
		return exec(ctx, b.tx, "DELETE FROM late WHERE id<=?", ids[len(ids)-1])
	})
	if err != nil {
		return 0, fmt.Errorf("index late events: %w", err)
	}
	return len(ids), nil
}

// holds reports whether the index has e.
func (b *batch) holds(ctx context.Context, e *models.Event) (bool, error) {
	var n int
	err := b.tx.QueryRowContext(ctx, "SELECT count(*) FROM words WHERE words MATCH ? AND rowid=?",
		quote(facetToken(facetOf(e.Severity, e.Channel))), e.ID).Scan(&n)
	return n > 0, err
}
