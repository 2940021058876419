package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"alerthub/models"
)

// The names of the counters are "events", and these prefixes with a severity,
// a channel or the status of an alert; "unacked:" counts errors and criticals that
// nobody has acknowledged, "probes" the probes.
const (
	eventsCounter  = "events"
	severityPrefix = "severity:"
	channelPrefix  = "channel:"
	emailPrefix    = "email:"
	webhookPrefix  = "webhook:"
	unackedPrefix  = "unacked:"
)

// Stats reads the kept counters and the last id, as of one moment. Process is
// left zero.
func (s *Store) Stats(ctx context.Context) (models.Stats, error) {
	var rows []struct {
		Name  string
		Value int64
	}
	hidden := s.reservedIDs()
	err := s.gormR.WithContext(ctx).Raw(
		"SELECT name, value FROM counters UNION ALL SELECT 'last', "+newestID, hidden.to, hidden.after).Scan(&rows).Error
	if err != nil {
		return models.Stats{}, fmt.Errorf("read the counters: %w", err)
	}
	value := make(map[string]int64, len(rows))
	for _, r := range rows {
		value[r.Name] = r.Value
	}
	stats := models.Stats{
		Events: value[eventsCounter], LastEventID: value["last"],
		Severity: map[models.Severity]int64{}, Channel: map[models.Channel]int64{}, Email: map[models.EmailStatus]int64{}, Webhook: map[models.EmailStatus]int64{},
	}
	for _, severity := range models.Severities() {
		stats.Severity[severity] = value[severityPrefix+string(severity)]
	}
	for _, channel := range models.Channels() {
		stats.Channel[channel] = value[channelPrefix+string(channel)]
	}
	for _, status := range models.EmailStatuses() {
		stats.Email[status] = value[emailPrefix+string(status)]
		stats.Webhook[status] = value[webhookPrefix+string(status)]
	}
	return stats, nil
}

// tally sums what one transaction adds, so that each counter and each row of
// rollups is written once a commit. All of it follows from the counts of the
// minutes, but for what needs an acknowledgement.
type tally struct {
	minutes []minuteCounts // a batch usually has one
	unacked [2]int64       // errors, criticals
	webhook [6]int64       // alerts that go out as webhooks, in the order of EmailStatuses
}

type minuteCounts struct {
	minute int64
	models.Counts
}

func (t *tally) at(at time.Time) *models.Counts {
	minute := minuteOf(at)
	for i := len(t.minutes) - 1; i >= 0; i-- {
		if t.minutes[i].minute == minute {
			return &t.minutes[i].Counts
		}
	}
	t.minutes = append(t.minutes, minuteCounts{minute: minute})
	return &t.minutes[len(t.minutes)-1].Counts
}

// event adds a new event.
func (t *tally) event(e *models.Event) {
	t.at(e.CreatedAt).Event[e.Severity.Rank()][e.Channel.Index()]++
	if !e.Acked() {
		t.unackedBy(e.Severity, 1)
	}
}

// unackedBy adds n unacknowledged events of a severity, if it is one that
// waits for a person.
func (t *tally) unackedBy(severity models.Severity, n int64) {
	if severity.Escalates() {
		t.unacked[severity.Rank()-models.SeverityError.Rank()] += n
	}
}

// alert adds n alerts of a channel that were born at a time; below zero for
// the status that they leave.
func (t *tally) alert(channel string, born time.Time, status models.EmailStatus, n int64) {
	if channel == models.DeliveryWebhook {
		t.webhook[status.Index()] += n
	} else {
		t.at(born).Email[status.Index()] += n
	}
}

// write hands over each counter and each row of rollups that changes.
func (t *tally) write(addCounter func(name string, n int64) error, addRollup func(minute int64, kind string, n int64) error) error {
	values := t.counters()
	for i, name := range counterNames {
		if values[i] == 0 {
			continue
		}
		if err := addCounter(name, values[i]); err != nil {
			return err
		}
	}
	for i := range t.minutes {
		m := &t.minutes[i]
		for kind, name := range kindNames {
			n := *cell(&m.Counts, kind)
			if n == 0 {
				continue
			}
			if err := addRollup(m.minute, name, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// counterNames are the kept counters, but for the probes.
var counterNames = func() (names []string) {
	names = append(names, eventsCounter)
	for _, severity := range models.Severities() {
		names = append(names, severityPrefix+string(severity))
	}
	for _, channel := range models.Channels() {
		names = append(names, channelPrefix+string(channel))
	}
	for _, status := range models.EmailStatuses() {
		names = append(names, emailPrefix+string(status))
	}
	names = append(names, unackedPrefix+string(models.SeverityError), unackedPrefix+string(models.SeverityCritical))
	for _, status := range models.EmailStatuses() {
		names = append(names, webhookPrefix+string(status))
	}
	return names
}()

// counters are what to add to the counters, in the order of counterNames.
func (t *tally) counters() [1 + 4 + 2 + 6 + 2 + 6]int64 {
	var sum models.Counts
	for i := range t.minutes {
		sum.Add(&t.minutes[i].Counts)
	}
	e, m, w := &sum.Event, &sum.Email, &t.webhook
	tcp, http := sum.Channel(models.ChannelTCP), sum.Channel(models.ChannelHTTP)
	return [...]int64{
		tcp + http,
		e[0][0] + e[0][1], e[1][0] + e[1][1], e[2][0] + e[2][1], e[3][0] + e[3][1],
		tcp, http,
		m[0], m[1], m[2], m[3], m[4], m[5],
		t.unacked[0], t.unacked[1],
		w[0], w[1], w[2], w[3], w[4], w[5],
	}
}

// save writes a tally in an everyday transaction.
func (t *tally) save(tx *gorm.DB) error {
	return t.write(
		func(name string, n int64) error { return tx.Exec(addCount, name, n).Error },
		func(minute int64, kind string, n int64) error { return tx.Exec(addRollup, minute, kind, n).Error },
	)
}
