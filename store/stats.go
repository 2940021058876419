package store

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"alerthub/models"
)

// The names of the counters are "events", and these prefixes with a severity,
// a channel or an email status; "probes" counts the probes.
const (
	eventsCounter  = "events"
	severityPrefix = "severity:"
	channelPrefix  = "channel:"
	emailPrefix    = "email:"
)

// Stats reads the kept counters and the last id, as of one moment. Process is
// left zero.
func (s *Store) Stats(ctx context.Context) (models.Stats, error) {
	var rows []struct {
		Name  string
		Value int64
	}
	err := s.gormR.WithContext(ctx).Raw(
		"SELECT name, value FROM counters UNION ALL SELECT 'last', coalesce(max(id), 0) FROM events").Scan(&rows).Error
	if err != nil {
		return models.Stats{}, fmt.Errorf("read the counters: %w", err)
	}
	value := make(map[string]int64, len(rows))
	for _, r := range rows {
		value[r.Name] = r.Value
	}
	stats := models.Stats{
		Events: value[eventsCounter], LastEventID: value["last"],
		Severity: map[models.Severity]int64{}, Channel: map[models.Channel]int64{}, Email: map[models.EmailStatus]int64{},
	}
	for _, severity := range models.Severities() {
		stats.Severity[severity] = value[severityPrefix+string(severity)]
	}
	for _, channel := range models.Channels() {
		stats.Channel[channel] = value[channelPrefix+string(channel)]
	}
	for _, status := range models.EmailStatuses() {
		stats.Email[status] = value[emailPrefix+string(status)]
	}
	return stats, nil
}

// tally sums what one transaction adds, so that each counter is written once
// a commit.
type tally struct {
	events   int64
	severity [4]int64 // by rank
	tcp      int64
	email    [4]int64 // in the order of models.EmailStatuses
}

func (t *tally) event(e *models.Event) {
	t.events++
	t.severity[e.Severity.Rank()]++
	if e.Channel == models.ChannelTCP {
		t.tcp++
	}
}

func (t *tally) alert(status models.EmailStatus, n int64) {
	for i, s := range models.EmailStatuses() {
		if s == status {
			t.email[i] += n
		}
	}
}

// each calls add for every counter that changes.
func (t *tally) each(add func(name string, n int64) error) error {
	counts := map[string]int64{
		eventsCounter: t.events,
		channelPrefix + string(models.ChannelTCP):  t.tcp,
		channelPrefix + string(models.ChannelHTTP): t.events - t.tcp,
	}
	for i, severity := range models.Severities() {
		counts[severityPrefix+string(severity)] = t.severity[i]
	}
	for i, status := range models.EmailStatuses() {
		counts[emailPrefix+string(status)] = t.email[i]
	}
	for name, n := range counts {
		if n == 0 {
			continue
		}
		if err := add(name, n); err != nil {
			return err
		}
	}
	return nil
}

// addCounter adds n to a counter in an everyday transaction.
func addCounter(tx *gorm.DB, name string, n int64) error { return tx.Exec(addCount, name, n).Error }
