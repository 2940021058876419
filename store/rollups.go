package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// A row of rollups is how many rows of one kind were born in one minute, or in
// the half-hour that begins with it once it is folded. The kinds are the cells
// of models.Counts.
const kinds = 4*2 + 6

// kindNames are the kinds as stored: "<severity>:<channel>" in the order of
// Counts.Event, then emailPrefix with a status in the order of Counts.Email.
var kindNames = func() (names [kinds]string) {
	i := 0
	for _, severity := range models.Severities() {
		for _, channel := range models.Channels() {
			names[i] = string(severity) + ":" + string(channel)
			i++
		}
	}
	for _, status := range models.EmailStatuses() {
		names[i] = emailPrefix + string(status)
		i++
	}
	return names
}()

var kindIndex = func() map[string]int {
	index := make(map[string]int, kinds)
	for i, name := range kindNames {
		index[name] = i
	}
	return index
}()

// cell is the count of a kind.
func cell(c *models.Counts, kind int) *int64 {
	if kind < 8 {
		return &c.Event[kind/2][kind%2]
	}
	return &c.Email[kind-8]
}

const (
	rollupMinutes = int64(models.RollupCoarse / models.RollupStep)

	addRollup = "INSERT INTO rollups (minute, kind, n) VALUES (?, ?, ?) ON CONFLICT (minute, kind) DO UPDATE SET n = n + excluded.n"
)

// minuteOf is the minute that t is in, since 1970.
func minuteOf(t time.Time) int64 { return floor(t.Unix(), 60) / 60 }

// minuteTime is when a minute begins.
func minuteTime(minute int64) time.Time { return time.Unix(minute*60, 0).UTC() }

// halfHour is the first minute of the half-hour of a minute.
func halfHour(minute int64) int64 { return floor(minute, rollupMinutes) }

// floor rounds n down to a multiple of step, below zero too.
func floor(n, step int64) int64 { return n - (n%step+step)%step }

// maxBars bounds a Series.
const maxBars = 2000

// Series counts what each bar of w held. A row of rollups counts for the bar
// that holds its minute: what is older than models.RollupFold is known by
// half-hours only. The error wraps models.ErrInvalid for a window of more than
// 2,000 bars.
func (s *Store) Series(ctx context.Context, w models.Window) (models.Series, error) {
	if w.Bars() > maxBars {
		return models.Series{}, fmt.Errorf("series of %d bars: %w", w.Bars(), models.ErrInvalid)
	}
	series := models.Series{Window: w, Counts: make([]models.Counts, max(w.Bars(), 0))}
	if len(series.Counts) == 0 || s.recent.series(&series) {
		return series, nil
	}
	from, to := minutesOf(w)
	err := eachRollup(ctx, s.reader, from, to, func(minute int64, kind int, n int64) {
		*cell(barOf(&series, minute), kind) += n
	})
	if err != nil {
		return models.Series{}, fmt.Errorf("read the series: %w", err)
	}
	return series, nil
}

// minutesOf are the minutes that begin within w; to is not one of them.
func minutesOf(w models.Window) (from, to int64) {
	return minuteOf(w.From.Add(time.Minute - 1)), minuteOf(w.To.Add(time.Minute - 1))
}

// barOf is the bar that holds a minute, which must begin within the window.
func barOf(s *models.Series, minute int64) *models.Counts {
	return &s.Counts[minuteTime(minute).Sub(s.From)/s.Step]
}

// eachRollup reads the rows of minutes from up to to.
func eachRollup(ctx context.Context, db *sql.DB, from, to int64, each func(minute int64, kind int, n int64)) error {
	rows, err := db.QueryContext(ctx, "SELECT minute, kind, n FROM rollups WHERE minute >= ? AND minute < ?", from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var minute, n int64
		var kind sql.RawBytes
		if err := rows.Scan(&minute, &kind, &n); err != nil {
			return err
		}
		if i, ok := kindIndex[string(kind)]; ok {
			each(minute, i, n)
		}
	}
	return rows.Err()
}

// recentSpan is how far back recent goes: the longest range, and the one
// before it that it is compared with, with a day to spare.
const recentSpan = 15 * 24 * time.Hour

// recent mirrors the newest rollups in memory: a day's 17 thousand rows take
// the driver 16 ms, and every open dashboard asks for them each second. Who
// writes rollups adds to it after the commit, in the turn.
type recent struct {
	mu     sync.RWMutex
	from   int64 // the first minute that it knows
	minute map[int64]*models.Counts
}

// load reads it anew. The store's turn must be held, unless nobody writes yet.
func (r *recent) load(ctx context.Context, db *sql.DB, now time.Time) error {
	from := halfHour(minuteOf(now.Add(-recentSpan)))
	all := map[int64]*models.Counts{}
	err := eachRollup(ctx, db, from, 1<<62, func(minute int64, kind int, n int64) {
		*cell(at(all, minute), kind) += n
	})
	if err != nil {
		return fmt.Errorf("read the rollups: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from, r.minute = from, all
	return nil
}

func at(all map[int64]*models.Counts, minute int64) *models.Counts {
	c := all[minute]
	if c == nil {
		c = &models.Counts{}
		all[minute] = c
	}
	return c
}

// add adds what was committed.
func (r *recent) add(t *tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range t.minutes {
		if m := &t.minutes[i]; m.minute >= r.from {
			at(r.minute, m.minute).Add(&m.Counts)
		}
	}
}

// series fills s, unless its window begins before what is known.
func (r *recent) series(s *models.Series) bool {
	from, to := minutesOf(s.Window)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if from < r.from {
		return false
	}
	for minute := from; minute < to; minute++ {
		if c := r.minute[minute]; c != nil {
			barOf(s, minute).Add(c)
		}
	}
	return true
}

// fold does what foldHalfHour does to the table, and forgets what is too old.
func (r *recent) fold(half int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for minute := half + 1; minute < half+rollupMinutes; minute++ {
		if c := r.minute[minute]; c != nil {
			at(r.minute, half).Add(c)
			delete(r.minute, minute)
		}
	}
}

func (r *recent) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from = max(r.from, halfHour(minuteOf(now.Add(-recentSpan))))
	for minute := range r.minute {
		if minute < r.from {
			delete(r.minute, minute)
		}
	}
}

// foldHalves bounds the half-hours of one fold. A hub that runs has one new
// half-hour each half-hour; one that was off for a week catches up in a while.
const foldHalves = 24

// fold sums minutes older than models.RollupFold into half-hours, each
// half-hour in a transaction of its own, from the minute on that it is given;
// it returns where the next one begins.
func (s *Store) fold(ctx context.Context, from int64, now time.Time) (next int64, err error) {
	s.recent.forget(now)
	end := halfHour(minuteOf(now.Add(-models.RollupFold)))
	for range foldHalves {
		var minute int64
		err := s.reader.QueryRowContext(ctx, "SELECT coalesce(min(minute), ?2) FROM rollups WHERE minute >= ?1 AND minute < ?2 AND minute % 30 <> 0",
			from, end).Scan(&minute)
		if err != nil {
			return from, fmt.Errorf("look for minutes to fold: %w", err)
		}
		if from = max(from, halfHour(minute)); from >= end {
			break
		}
		if err := s.foldHalfHour(ctx, from); err != nil {
			return from, err
		}
		s.recent.fold(from)
		from += rollupMinutes
	}
	return from, nil
}

// foldHalfHour sums the minutes of one half-hour, at most 29 times 12 rows.
func (s *Store) foldHalfHour(ctx context.Context, half int64) error {
	return s.write(ctx, fmt.Sprintf("fold the half-hour %d", half), func(tx *gorm.DB, _ *tally) error {
		err := tx.Exec("INSERT INTO rollups SELECT ?, kind, sum(n) FROM rollups WHERE minute > ? AND minute < ? GROUP BY kind"+
			" ON CONFLICT (minute, kind) DO UPDATE SET n = n + excluded.n", half, half, half+rollupMinutes).Error
		if err != nil {
			return err
		}
		return tx.Exec("DELETE FROM rollups WHERE minute > ? AND minute < ?", half, half+rollupMinutes).Error
	})
}
