package search

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"alerthub/models"
)

// Counts are kept by source and facet, for each minute, half-hour and day of
// the receive time and for all time, so that any window of whole minutes is
// the sum of few rows. A row holds one span and one shard of the sources, as
// pairs of varints: the step from the key before, and the count. A key is the
// source's place in its shard times 8, plus the facet. Shard 0 holds the
// facets of all sources together.

// steps are the widths of spans in minutes; 0 is all time.
var steps = []int64{1, 30, 24 * 60, 0}

// shardSize is how many sources share a row: an event rewrites one of each
// step, and a window of one source reads only its own.
const shardSize = 512

var errBlob = errors.New("counts cannot be read")

// span names a row of counts.
type span struct{ step, bucket, shard int64 }

// place is where a source's counts are.
func place(source, facet int64) (shard, key int64) {
	return 1 + source/shardSize, source%shardSize*facets + facet
}

// minuteOf is the minute of a time in Unix microseconds.
func minuteOf(micro int64) int64 { return floorDiv(micro, 60_000_000) }

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// tally is what one batch adds to counts.
type tally map[span]map[int64]int64

func (t tally) add(minute, source, facet int64) {
	shard, key := place(source, facet)
	for _, step := range steps {
		var bucket int64
		if step > 0 {
			bucket = floorDiv(minute, step)
		}
		t.one(span{step, bucket, shard}, key)
		t.one(span{step, bucket, 0}, facet)
	}
}

func (t tally) one(at span, key int64) {
	if t[at] == nil {
		t[at] = map[int64]int64{}
	}
	t[at][key]++
}

// write adds the tally to the table.
func (t tally) write(ctx context.Context, tx *sql.Tx) error {
	ordered := slices.SortedFunc(maps.Keys(t), func(a, b span) int {
		return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.shard, b.shard))
	})
	for _, at := range ordered {
		sum := t[at]
		var blob []byte
		err := tx.QueryRowContext(ctx, "SELECT n FROM counts WHERE step=? AND bucket=? AND shard=?", at.step, at.bucket, at.shard).Scan(&blob)
		switch {
		case err == nil:
			if err := eachCount(blob, func(key, n int64) { sum[key] += n }); err != nil {
				return err
			}
			err = exec(ctx, tx, "UPDATE counts SET n=? WHERE step=? AND bucket=? AND shard=?", pack(sum), at.step, at.bucket, at.shard)
		case errors.Is(err, sql.ErrNoRows):
			err = exec(ctx, tx, "INSERT INTO counts VALUES (?,?,?,?)", at.step, at.bucket, at.shard, pack(sum))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func pack(sum map[int64]int64) []byte {
	var blob []byte
	var before int64
	for _, key := range slices.Sorted(maps.Keys(sum)) {
		blob = binary.AppendUvarint(blob, uint64(key-before))
		blob = binary.AppendUvarint(blob, uint64(sum[key]))
		before = key
	}
	return blob
}

// eachCount reads a row of counts.
func eachCount(blob []byte, count func(key, n int64)) error {
	var key int64
	for len(blob) > 0 {
		step, k := binary.Uvarint(blob)
		n, m := binary.Uvarint(blob[max(k, 0):])
		if k <= 0 || m <= 0 {
			return errBlob
		}
		blob = blob[k+m:]
		key += int64(step)
		count(key, int64(n))
	}
	return nil
}

// beginning and end are minutes before and after all times.
const (
	beginning = -1 << 40
	end       = 1 << 40
)

// stretch is the spans of one step with buckets from low to high-1.
type stretch struct{ step, low, high int64 }

// cover lists the stretches that make up the minutes from a to b-1.
func cover(a, b int64) []stretch {
	if a == beginning && b == end {
		return []stretch{{step: 0, low: 0, high: 1}}
	}
	return coverBy(a, b, len(steps)-2)
}

// coverBy takes whole spans of steps[level] and smaller ones at both ends.
func coverBy(a, b int64, level int) []stretch {
	if a >= b {
		return nil
	}
	step := steps[level]
	low, high := -floorDiv(-a, step), floorDiv(b, step)
	if level == 0 {
		return []stretch{{step, a, b}}
	}
	if low >= high {
		return coverBy(a, b, level-1)
	}
	list := coverBy(a, low*step, level-1)
	list = append(list, stretch{step, low, high})
	return append(list, coverBy(high*step, b, level-1)...)
}

// sumCounts calls count for all rows of the minutes from a to b-1 that the
// condition on shard selects.
func sumCounts(ctx context.Context, tx *sql.Tx, a, b int64, shards string, count func(shard, key, n int64)) error {
	for _, s := range cover(a, b) {
		rows, err := tx.QueryContext(ctx, "SELECT shard, n FROM counts WHERE step=? AND bucket>=? AND bucket<? AND "+shards, s.step, s.low, s.high)
		if err != nil {
			return err
		}
		err = eachRow(rows, count)
		if err != nil {
			return err
		}
	}
	return nil
}

func eachRow(rows *sql.Rows, count func(shard, key, n int64)) error {
	defer rows.Close()
	for rows.Next() {
		var shard int64
		var blob sql.RawBytes
		if err := rows.Scan(&shard, &blob); err != nil {
			return err
		}
		if err := eachCount(blob, func(key, n int64) { count(shard, key, n) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// addFacet adds n events of a facet to counts by rank, if its channel is asked for.
func addFacet(severity *[4]int64, facet, n int64, channels []models.Channel) {
	channel := models.Channels()[facet%2]
	if len(channels) == 0 || slices.Contains(channels, channel) {
		severity[facet/2] += n
	}
}
