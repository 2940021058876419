package views

import (
	"context"
	"hash/fnv"
	"strconv"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

// Row is a row of a table of events: one event, or the newest of several that
// say the same.
type Row struct {
	Event models.Event
	N     int                // how many it stands for
	Mail  models.EmailStatus // what became of its emails; "" when it caused none
	Fresh bool               // arrived while the page was open
}

// GroupKey is what repeats have in common: source, severity, message and the
// minute they were received in.
type GroupKey struct {
	source, message string
	severity        models.Severity
	minute          int64
}

// KeyOf is the same for events that repeat each other, and for no others.
func KeyOf(e *models.Event) GroupKey {
	return GroupKey{e.Source, e.Message, e.Severity, e.CreatedAt.Truncate(time.Minute).Unix()}
}

// Group makes rows of events, newest first, and stops after limit of them.
func Group(events []models.Event, mail map[int64]models.EmailStatus, limit int) []Row {
	rows := make([]Row, 0, min(limit, len(events)))
	seen := make(map[GroupKey]int, len(events)) // index in rows
	for i := range events {
		e := &events[i]
		key := KeyOf(e)
		if at, ok := seen[key]; ok {
			rows[at].N++
			continue
		}
		if len(rows) == limit {
			break // so that rows hold the newest events without a hole, and an older page goes on after them
		}
		seen[key] = len(rows)
		rows = append(rows, Row{Event: *e, N: 1, Mail: mail[e.ID]})
	}
	return rows
}

// groupName is a short name of the group that a row stands for, the same for
// all its events.
func groupName(e *models.Event) string {
	h := fnv.New64a()
	key := KeyOf(e)
	for _, text := range []string{key.source, string(key.severity), key.message, strconv.FormatInt(key.minute, 36)} {
		h.Write([]byte(text))
		h.Write([]byte{0})
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// grave orders the states of emails by how much they ask for a person.
var grave = map[models.EmailStatus]int{
	models.EmailCancelled: 1, models.EmailDigested: 2, models.EmailSent: 3, models.EmailSkipped: 4, models.EmailPending: 5, models.EmailFailed: 6,
}

// MailByEvent is the gravest state among each event's emails: failed, pending,
// skipped, sent, digested, cancelled.
func MailByEvent(alerts []models.EmailAlert) map[int64]models.EmailStatus {
	worst := make(map[int64]models.EmailStatus, len(alerts))
	for i := range alerts {
		a := &alerts[i]
		if grave[a.Status] > grave[worst[a.EventID]] {
			worst[a.EventID] = a.Status
		}
	}
	return worst
}

// ackedTitle says when an event was acknowledged, and whether who did is known.
func ackedTitle(ctx context.Context, e *models.Event) string {
	title := i18n.Both(ctx, e.AckedAt)
	if !e.AckedVerified {
		title += " · " + i18n.T(ctx, "ack.unverified")
	}
	return title
}
