package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// ackRows bounds the events of one transaction: whoever stores events waits
// for it.
const ackRows = 500

// unackedTerms select what waits for a person, in the very words of the
// indexes of migration 4: SQLite would not use them for bound parameters.
var unackedTerms = map[models.Severity]string{
	models.SeverityCritical: "severity = 'critical' AND acked_at IS NULL",
	models.SeverityError:    "severity = 'error' AND acked_at IS NULL",
}

// Acknowledge marks events as taken care of and returns those that it changed,
// newest first, as stored now. Ids that are unknown, or acknowledged already,
// are left alone; any severity may be acknowledged. Many ids are written in
// transactions of 500: with an error come the events that were changed before.
// The error wraps models.ErrInvalid or models.ErrUnavailable, or is the
// context's.
func (s *Store) Acknowledge(ctx context.Context, ids []int64, ack models.Ack) ([]models.Event, error) {
	if ack.By == "" || ack.At.IsZero() {
		return nil, fmt.Errorf("acknowledge: %w: by %q at %v", models.ErrInvalid, ack.By, ack.At)
	}
	return s.mark(ctx, "acknowledge", ids, eventRow{
		AckedAt: optional(models.FormatTime(ack.At)), AckedBy: optional(ack.By), AckedPeer: optional(ack.Peer),
		AckedVerified: ack.Verified,
	})
}

// Unacknowledge takes acknowledgements back, under the rules of Acknowledge.
func (s *Store) Unacknowledge(ctx context.Context, ids []int64) ([]models.Event, error) {
	return s.mark(ctx, "unacknowledge", ids, eventRow{})
}

// mark gives the events of ids the acknowledgement of set, or none, unless
// they have one, or none, already.
func (s *Store) mark(ctx context.Context, what string, ids []int64, set eventRow) ([]models.Event, error) {
	without, n := "acked_at IS NULL", int64(-1)
	if !set.AckedAt.Valid {
		without, n = "acked_at IS NOT NULL", 1
	}
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	var changed []models.Event
	for chunk := range slices.Chunk(slices.Compact(ids), ackRows) {
		var rows []eventRow
		err := s.write(ctx, fmt.Sprintf("%s %d events", what, len(chunk)), func(tx *gorm.DB, sum *tally) error {
			if err := tx.Where(visible).Where(withIDs, idList(chunk)).Where(without).Order("id DESC").Find(&rows).Error; err != nil {
				return err
			}
			for i := range rows {
				r := &rows[i]
				r.AckedAt, r.AckedBy, r.AckedPeer, r.AckedVerified = set.AckedAt, set.AckedBy, set.AckedPeer, set.AckedVerified
				sum.unackedBy(models.Severity(r.Severity), n)
			}
			return tx.Model(&eventRow{}).Where(visible).Where(withIDs, idList(chunk)).Where(without).
				Select("AckedAt", "AckedBy", "AckedPeer", "AckedVerified").Updates(&set).Error
		})
		if err != nil {
			return changed, err
		}
		events, err := convert(rows, (*eventRow).event)
		if err != nil {
			return changed, err
		}
		changed = append(changed, events...)
	}
	return changed, nil
}

// withIDs selects by an idList: one parameter, however many, since binding is
// quadratic in this driver.
const withIDs = "id IN (SELECT value FROM json_each(?))"

func idList(ids []int64) string {
	text := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, id, 10)
	}
	return string(append(text, ']'))
}

// AcknowledgeGroup acknowledges an event and its earlier repeats: those with
// its source, severity and message that were received in the same minute of
// UTC and are among the 100,000 ids before it. Otherwise it is Acknowledge;
// an unknown id is models.ErrNotFound.
func (s *Store) AcknowledgeGroup(ctx context.Context, id int64, ack models.Ack) ([]models.Event, error) {
	newest, err := s.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	minute := newest.CreatedAt.Truncate(time.Minute)
	query := s.visibleRows(ctx).Where("acked_at IS NULL")
	if newest.Severity.Escalates() {
		query = s.unacked(ctx, newest.Severity)
	}
	var ids []int64
	err = query.Model(&eventRow{}).Where("id <= ? AND id > ?", id, id-searchBudget).
		Where("created_at >= ? AND created_at < ?", models.FormatTime(minute), models.FormatTime(minute.Add(time.Minute))).
		Where("source = ? AND severity = ? AND message = ?", newest.Source, newest.Severity, newest.Message).
		Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("look for repeats of event %d: %w", id, err)
	}
	return s.Acknowledge(ctx, ids, ack)
}

// Attention returns how many events wait for a person, and at most limit of
// them: the newest criticals, then the newest errors.
func (s *Store) Attention(ctx context.Context, limit int) (models.Attention, error) {
	var a models.Attention
	for _, part := range []struct {
		severity models.Severity
		count    *int64
	}{{models.SeverityCritical, &a.Critical}, {models.SeverityError, &a.Errors}} {
		err := s.gormR.WithContext(ctx).Raw("SELECT coalesce(sum(value), 0) FROM counters WHERE name = ?",
			unackedPrefix+string(part.severity)).Scan(part.count).Error
		if err != nil {
			return models.Attention{}, fmt.Errorf("read the counters: %w", err)
		}
		var rows []eventRow
		err = s.unacked(ctx, part.severity).Order("id DESC").Limit(max(0, min(limit, models.MaxLimit)-len(a.Events))).Find(&rows).Error
		if err != nil {
			return models.Attention{}, fmt.Errorf("read what is unacknowledged: %w", err)
		}
		events, err := convert(rows, (*eventRow).event)
		if err != nil {
			return models.Attention{}, err
		}
		a.Events = append(a.Events, events...)
	}
	return a, nil
}

// unacked selects what waits for a person of an error or critical severity.
func (s *Store) unacked(ctx context.Context, severity models.Severity) *gorm.DB {
	return s.visibleRows(ctx).Where(unackedTerms[severity])
}

// unackedEvents is Events for what waits for a person. An index gives each of
// the two severities in the order of ids; with other conditions a call looks
// at no more than searchWindow rows of each.
func (s *Store) unackedEvents(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	limit := pageLimit(f.Limit)
	high := int64(1<<63 - 1)
	if f.Before > 0 {
		high = f.Before - 1
	}
	severities := []models.Severity{models.SeverityError, models.SeverityCritical}
	if len(f.Severities) > 0 {
		severities = slices.DeleteFunc(severities, func(s models.Severity) bool { return !slices.Contains(f.Severities, s) })
	}
	f.Severities = nil
	if len(severities) == 0 {
		return models.EventPage{}, nil
	}
	floor := f.After
	var newest []string
	var ids []any
	for _, severity := range severities {
		query, narrow := conditions(s.unacked(ctx, severity), f)
		if narrow {
			low, err := s.unackedFloor(ctx, severity, high)
			if err != nil {
				return models.EventPage{}, err
			}
			floor = max(floor, low)
		}
		newest = append(newest, "SELECT id FROM (?)")
		ids = append(ids, query.Model(&eventRow{}).Select("id").Where("id > ? AND id <= ?", floor, high).Order("id DESC").Limit(limit+1))
	}
	// Ids come from the index alone; whole rows are read of the page's.
	var rows []eventRow
	err := s.gormR.WithContext(ctx).Where("id IN (?) AND id > ?", s.gormR.Raw(strings.Join(newest, " UNION ALL "), ids...), floor).
		Order("id DESC").Limit(limit + 1).Find(&rows).Error
	if err != nil {
		return models.EventPage{}, fmt.Errorf("search events: %w", err)
	}
	var page models.EventPage
	if page.Events, err = convert(rows, (*eventRow).event); err != nil {
		return models.EventPage{}, err
	}
	return s.finish(ctx, page, limit, floor, f.After)
}

// unackedFloor is the id below which a search down from high would look at
// more than searchWindow rows of a severity; 0 when there are fewer.
func (s *Store) unackedFloor(ctx context.Context, severity models.Severity, high int64) (int64, error) {
	var row eventRow
	err := s.unacked(ctx, severity).Select("id").Where("id <= ?", high).
		Order("id DESC").Offset(searchWindow).Take(&row).Error
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return 0, fmt.Errorf("search events: %w", err)
	}
	return row.ID, nil
}

// EventsByID returns the events of ids that there are, newest first.
func (s *Store) EventsByID(ctx context.Context, ids []int64) ([]models.Event, error) {
	var rows []eventRow
	if err := s.visibleRows(ctx).Where(withIDs, idList(ids)).Order("id DESC").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read %d events: %w", len(ids), err)
	}
	return convert(rows, (*eventRow).event)
}
