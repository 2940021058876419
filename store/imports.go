package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// visible leaves out the rows of an import that is still running. It is part
// of every read of events and emails, and judged by the same snapshot as they.
const visible = "import_id IS NOT (SELECT coalesce(max(id), 0) FROM imports WHERE state = 'running')"

// visibleRows begins a query of what everybody may see.
func (s *Store) visibleRows(ctx context.Context) *gorm.DB {
	return s.gormR.WithContext(ctx).Where(visible)
}

// idRange are the ids above after, up to to.
type idRange struct{ after, to int64 }

// below is where a walk down the ids goes on: beneath the range, if it is in it.
func (r idRange) below(id int64) int64 {
	if id > r.after && id <= r.to {
		return r.after
	}
	return id
}

// reservedIDs are the ids in which nothing is visible while an import runs. To
// look at them would be right too, but as slow as the import is large.
func (s *Store) reservedIDs() idRange {
	if r := s.reserved.Load(); r != nil {
		return *r
	}
	return idRange{}
}

// importRow is one row of imports.
type importRow struct {
	ID              int64 `gorm:"primaryKey"`
	Token           string
	Name            string
	Size            int64
	State           string
	StartedAt       string
	EndedAt         sql.NullString
	Events          int64
	Emails          int64
	OldestAt        sql.NullString
	NewestAt        sql.NullString
	Kept            int64
	Renumbered      int64
	FirstRenumbered int64
	ReservedAfter   int64
	ReservedTo      int64
	Error           sql.NullString
	Indexed         bool
}

// TableName is GORM's hook.
func (importRow) TableName() string { return "imports" }

// BeginImport makes an import whose rows have these ids, each ascending, and
// reserves all ids that it will use: nothing that arrives from now on takes a
// free one of them, and later events get larger ones. Only one import may run.
// The error wraps models.ErrImporting or models.ErrUnavailable, or is the
// context's.
func (s *Store) BeginImport(ctx context.Context, i models.Import, events, emails []int64) (models.ImportPlan, error) {
	row := importRow{
		Token: i.Token, Name: i.Name, Size: i.Size, State: string(models.ImportRunning), StartedAt: models.FormatTime(time.Now()),
		Events: i.Events, Emails: i.Emails,
	}
	if i.Events > 0 {
		row.OldestAt, row.NewestAt = optional(models.FormatTime(i.From)), optional(models.FormatTime(i.To))
	}
	early := [2]numbered{}
	var err error
	for n, ids := range [][]int64{events, emails} {
		if early[n], err = s.numbered(ctx, importTables[n], ids); err != nil {
			return models.ImportPlan{}, err
		}
	}
	var plan models.ImportPlan
	err = s.write(ctx, "begin an import", func(tx *gorm.DB, _ *tally) error {
		var running int64
		if err := tx.Model(&row).Where("state = ?", models.ImportRunning).Count(&running).Error; err != nil {
			return err
		}
		if running > 0 {
			return models.ErrImporting
		}
		if err := tx.Raw("SELECT coalesce(max(id), 0) FROM events").Scan(&row.ReservedAfter).Error; err != nil {
			return err
		}
		if plan.Events, row.ReservedTo, err = reserve(tx, importTables[0], events, early[0]); err != nil {
			return err
		}
		if plan.Emails, _, err = reserve(tx, importTables[1], emails, early[1]); err != nil {
			return err
		}
		row.Renumbered = int64(len(plan.Events.Taken))
		row.Kept = i.Events - row.Renumbered
		if row.Renumbered > 0 {
			row.FirstRenumbered = plan.Events.Base + 1
		}
		return tx.Create(&row).Error
	})
	if err != nil {
		return models.ImportPlan{}, err
	}
	plan.ID = row.ID
	s.importing.Store(&importing{id: row.ID, minutes: map[int64]*models.Counts{}})
	s.reserved.Store(&idRange{row.ReservedAfter, row.ReservedTo})
	return plan, nil
}

// importTables are the tables that an import writes.
var importTables = [2]string{"events", "email_alerts"}

// numbered are the ids that were taken when last was the last id.
type numbered struct {
	last  int64
	taken []int64
}

// lastUsed is the largest id that a table has used or reserved.
const lastUsed = "SELECT max(coalesce((SELECT max(id) FROM %[1]s), 0), coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = '%[1]s'), 0))"

// numbered looks for taken ids outside of any turn: nothing up to the last
// used id changes but by an import.
func (s *Store) numbered(ctx context.Context, table string, ids []int64) (n numbered, err error) {
	db := s.gormR.WithContext(ctx)
	if err := db.Raw(fmt.Sprintf(lastUsed, table)).Scan(&n.last).Error; err != nil {
		return n, fmt.Errorf("read the last id of %s: %w", table, err)
	}
	n.taken, err = takenIDs(db, table, ids, idRange{0, n.last})
	return n, err
}

// reserve makes the numbering of one table and moves its AUTOINCREMENT
// sequence beyond all ids that the import will use.
func reserve(tx *gorm.DB, table string, ids []int64, early numbered) (n models.Numbering, to int64, err error) {
	if err := tx.Raw(fmt.Sprintf(lastUsed, table)).Scan(&n.Base).Error; err != nil {
		return n, 0, err
	}
	late, err := takenIDs(tx, table, ids, idRange{early.last, n.Base})
	if err != nil {
		return n, 0, err
	}
	n.Taken = append(early.taken, late...)
	if len(ids) > 0 {
		n.Base = max(n.Base, ids[len(ids)-1])
	}
	to = n.Base + int64(len(n.Taken))
	moved := tx.Exec("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", to, table)
	if moved.Error != nil || moved.RowsAffected > 0 {
		return n, to, moved.Error
	}
	return n, to, tx.Exec("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, to).Error
}

// takenIDs are those of the ascending ids that lie in a range and that a
// table has.
func takenIDs(db *gorm.DB, table string, ids []int64, in idRange) ([]int64, error) {
	from, _ := slices.BinarySearch(ids, in.after+1)
	to, _ := slices.BinarySearch(ids, in.to+1)
	var taken []int64
	for chunk := range slices.Chunk(ids[from:max(from, to)], 10_000) {
		var found []int64
		if err := db.Table(table).Where(withIDs, idList(chunk)).Order("id").Pluck("id", &found).Error; err != nil {
			return nil, fmt.Errorf("look for taken ids: %w", err)
		}
		taken = append(taken, found...)
	}
	return taken, nil
}

// TakenEventIDs counts which of the ascending ids belong to events already.
func (s *Store) TakenEventIDs(ctx context.Context, ids []int64) (int64, error) {
	n, err := s.numbered(ctx, importTables[0], ids)
	return int64(len(n.taken)), err
}

// UnfinishedImport is the import that runs, or that ran when the hub ended; 0
// for none.
func (s *Store) UnfinishedImport(ctx context.Context) (id int64, err error) {
	row, err := s.unfinishedImport(ctx)
	return row.ID, err
}

func (s *Store) unfinishedImport(ctx context.Context) (row importRow, err error) {
	err = s.gormR.WithContext(ctx).Where("state = ?", models.ImportRunning).Limit(1).Find(&row).Error
	if err != nil {
		return row, fmt.Errorf("look for an unfinished import: %w", err)
	}
	return row, nil
}

// loadReserved knows at start what an unfinished import reserved.
func (s *Store) loadReserved(ctx context.Context) error {
	row, err := s.unfinishedImport(ctx)
	if err == nil && row.ID > 0 {
		s.reserved.Store(&idRange{row.ReservedAfter, row.ReservedTo})
	}
	return err
}

// Import returns the import that has a token, as far as the database knows it;
// the error wraps models.ErrNotFound.
func (s *Store) Import(ctx context.Context, token string) (models.Import, error) {
	var row importRow
	err := s.gormR.WithContext(ctx).Where("token = ?", token).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Import{}, fmt.Errorf("import: %w", models.ErrNotFound)
	}
	if err != nil {
		return models.Import{}, fmt.Errorf("read an import: %w", err)
	}
	i := models.Import{
		Token: row.Token, Name: row.Name, Size: row.Size, State: models.ImportState(row.State), Events: row.Events, Emails: row.Emails,
		Kept: row.Kept, Renumbered: row.Renumbered, FirstRenumbered: row.FirstRenumbered, Error: row.Error.String,
	}
	if i.State == models.ImportFinished {
		i.Done = i.Events
	}
	if row.OldestAt.Valid {
		if i.From, err = models.ParseTime(row.OldestAt.String); err == nil {
			i.To, err = models.ParseTime(row.NewestAt.String)
		}
	}
	return i, err
}

// UnindexedImport is the oldest finished import that ImportIndexed was not
// called for; 0 for none.
func (s *Store) UnindexedImport(ctx context.Context) (id int64, err error) {
	err = s.gormR.WithContext(ctx).Raw("SELECT coalesce(min(id), 0) FROM imports WHERE state = ? AND indexed = 0", models.ImportFinished).Scan(&id).Error
	if err != nil {
		return 0, fmt.Errorf("look for an import to index: %w", err)
	}
	return id, nil
}

// ImportedIDs returns at most limit ids above after of an import's events,
// ascending.
func (s *Store) ImportedIDs(ctx context.Context, id, after int64, limit int) (ids []int64, err error) {
	err = s.gormR.WithContext(ctx).Model(&eventRow{}).Where("import_id = ? AND id > ?", id, after).
		Order("id").Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("read the ids of an import: %w", err)
	}
	return ids, nil
}

// ImportIndexed remembers that the search index holds an import.
func (s *Store) ImportIndexed(ctx context.Context, id int64) error {
	return s.write(ctx, "note an indexed import", func(tx *gorm.DB, _ *tally) error {
		return tx.Model(&importRow{}).Where("id = ?", id).Update("indexed", 1).Error
	})
}
