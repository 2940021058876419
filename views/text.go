package views

import (
	"context"
	"strconv"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func eventURL(id int64) string { return "/events/" + itoa(id) }

// olderURL is the page of the rows below before; of all rows for 0.
func olderURL(url string, before int64) string {
	if before == 0 {
		return url
	}
	return url + "?before=" + itoa(before)
}

// severityWord is the severity in the reader's language. A word that is none
// of the four, from a database written elsewhere, is shown as it is.
func severityWord(ctx context.Context, s models.Severity) string {
	switch s {
	case models.SeverityInfo:
		return i18n.T(ctx, "sev.info")
	case models.SeverityWarning:
		return i18n.T(ctx, "sev.warning")
	case models.SeverityError:
		return i18n.T(ctx, "sev.error")
	case models.SeverityCritical:
		return i18n.T(ctx, "sev.critical")
	}
	return string(s)
}

// severityEffect says what choosing a severity in the form leads to.
func severityEffect(ctx context.Context, s models.Severity) string {
	switch {
	case s.Escalates():
		return i18n.T(ctx, "create.effect.email")
	case s == models.SeverityWarning:
		return i18n.T(ctx, "create.effect.warning")
	}
	return i18n.T(ctx, "create.effect.info")
}

func channelWord(c models.Channel) string {
	switch c {
	case models.ChannelTCP:
		return "TCP"
	case models.ChannelHTTP:
		return "HTTP"
	}
	return string(c)
}

func statusWord(ctx context.Context, s models.EmailStatus) string {
	switch s {
	case models.EmailSent:
		return i18n.T(ctx, "mail.sent")
	case models.EmailFailed:
		return i18n.T(ctx, "mail.failed")
	case models.EmailSkipped:
		return i18n.T(ctx, "mail.skipped")
	case models.EmailPending:
		return i18n.T(ctx, "mail.pending")
	}
	return string(s)
}

func statusIcon(s models.EmailStatus) string {
	switch s {
	case models.EmailSent:
		return "i-check"
	case models.EmailFailed:
		return "i-x"
	case models.EmailPending:
		return "i-clock"
	}
	return "i-skip"
}

// Times are shown in UTC, to the second with the milliseconds apart, so that
// style can recede or hide them.
func day(t time.Time) string    { return t.UTC().Format("2006-01-02") }
func clock(t time.Time) string  { return t.UTC().Format("15:04:05") }
func millis(t time.Time) string { return t.UTC().Format(".000") }
func whole(t time.Time) string  { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// latest names the last event stored.
func latest(ctx context.Context, s models.Stats) string {
	if s.LastEventID == 0 {
		return i18n.T(ctx, "kpi.events.none")
	}
	return i18n.T(ctx, "kpi.events.sub", "ID", itoa(s.LastEventID))
}

// newestID is the greatest id of a page of events, which is its first.
func newestID(events []models.Event) int64 {
	if len(events) == 0 {
		return 0
	}
	return events[0].ID
}

func section(ctx context.Context, s Section) string {
	switch s {
	case SectionDashboard:
		return i18n.T(ctx, "nav.dashboard")
	case SectionCreate:
		return i18n.T(ctx, "nav.create")
	case SectionEvents:
		return i18n.T(ctx, "nav.events")
	case SectionAlerts:
		return i18n.T(ctx, "nav.alerts")
	}
	return i18n.T(ctx, "nav.audit")
}
