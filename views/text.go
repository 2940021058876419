package views

import (
	"context"
	"strconv"
	"strings"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

func itoa[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

func eventURL(id int64) string { return "/events/" + itoa(id) }

// sourceURL lists the events of one source.
func sourceURL(source string) string { return query.Query{}.WithSource(source).URL("/events") }

// windowURL lists the events of a span of time.
func windowURL(from, to time.Time) string { return query.Query{}.WithWindow(from, to).URL("/events") }

// withParam adds one parameter to an address.
func withParam(url, name, value string) string {
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + name + "=" + value
}

// severityWords is i18n.SeverityCount without its number, which comes first.
func severityWords(ctx context.Context, s models.Severity, n int64) string {
	_, words, _ := strings.Cut(i18n.SeverityCount(ctx, s, n), " ")
	return words
}

// gravest lists the severities, the gravest first.
func gravest() []models.Severity {
	return []models.Severity{models.SeverityCritical, models.SeverityError, models.SeverityWarning, models.SeverityInfo}
}

// severityEffect says what choosing a severity in the form leads to.
func severityEffect(ctx context.Context, s models.Severity) string {
	switch s {
	case models.SeverityCritical:
		return i18n.T(ctx, "create.effect.critical")
	case models.SeverityError:
		return i18n.T(ctx, "create.effect.error")
	case models.SeverityWarning:
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

// deliveryWord is the channel that an alert goes out by.
func deliveryWord(ctx context.Context, channel string) string {
	switch channel {
	case models.DeliveryEmail:
		return i18n.T(ctx, "col.email")
	case models.DeliveryWebhook:
		return i18n.T(ctx, "channel.webhook")
	}
	return channel
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
	case models.EmailDigested:
		return i18n.T(ctx, "mail.digested")
	case models.EmailCancelled:
		return i18n.T(ctx, "mail.cancelled")
	}
	return string(s)
}

func statusIcon(s models.EmailStatus) string {
	switch s {
	case models.EmailSent, models.EmailDigested:
		return "i-check"
	case models.EmailFailed:
		return "i-x"
	case models.EmailPending:
		return "i-clock"
	}
	return "i-skip"
}

func toneIcon(tone string) string {
	switch tone {
	case "success":
		return "i-check"
	case "warning", "error":
		return "sev-" + tone
	}
	return "sev-info"
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
	case SectionAccount:
		return i18n.T(ctx, "account")
	case SectionPeople:
		return i18n.T(ctx, "access.people")
	case SectionKeys:
		return i18n.T(ctx, "access.keys")
	}
	return i18n.T(ctx, "nav.audit")
}

// rangeWords is a range in words: Last 24 hours.
func rangeWords(ctx context.Context, r models.Range) string {
	switch r {
	case models.Range15m:
		return i18n.T(ctx, "range.15m")
	case models.Range1h:
		return i18n.T(ctx, "range.1h")
	case models.Range6h:
		return i18n.T(ctx, "range.6h")
	case models.Range24h:
		return i18n.T(ctx, "range.24h")
	case models.Range7d:
		return i18n.T(ctx, "range.7d")
	}
	return i18n.T(ctx, "range.all")
}

// timeWords is the time that a query is about.
func timeWords(ctx context.Context, q query.Query) string {
	switch {
	case q.From.IsZero() && q.To.IsZero():
		return rangeWords(ctx, q.Range)
	case q.To.IsZero():
		return i18n.T(ctx, "range.from", "Time", momentWords(ctx, q.From))
	case q.From.IsZero():
		return i18n.T(ctx, "range.to", "Time", momentWords(ctx, q.To))
	}
	return spanWords(ctx, q.From, q.To)
}

func momentWords(ctx context.Context, t time.Time) string {
	return i18n.ShortDay(ctx, t) + " " + i18n.Clock(ctx, t)
}

// spanWords is a span of time, with the day told once where one is enough.
func spanWords(ctx context.Context, from, to time.Time) string {
	if i18n.ISODay(ctx, from) == i18n.ISODay(ctx, to) {
		return momentWords(ctx, from) + "\u2013" + i18n.Clock(ctx, to)
	}
	return momentWords(ctx, from) + " \u2013 " + momentWords(ctx, to)
}

// stepWords is the width of a bar: 30 min, 3.5 h.
func stepWords(ctx context.Context, step time.Duration) string {
	if step < time.Hour {
		return itoa(int64(step/time.Minute)) + "\u00a0min"
	}
	decimals := 0
	if step%time.Hour != 0 {
		decimals = 1
	}
	return i18n.Decimal(ctx, step.Hours(), decimals) + "\u00a0h"
}

// limitWords is what one sender may report all the time.
func limitWords(ctx context.Context, r models.Rate) string {
	if r == (models.Rate{}) {
		return i18n.T(ctx, "ingest.limit.none")
	}
	return i18n.T(ctx, "ingest.limit", "Rate", i18n.Number(ctx, int64(r.PerSecond)))
}

// listed joins what stands beside each other.
func listed(parts ...string) string { return strings.Join(parts, " · ") }
