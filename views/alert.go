package views

import (
	"context"
	"strings"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

// ToldCap is how many of the events that a digest tells of are listed.
const ToldCap = 20

// AlertData is one alert with everything that is known of it.
type AlertData struct {
	AlertLine
	Attempts []models.Attempt // of the message that tells of it
	Told     []AlertLine      // what else its message tells of, the newest first, at most ToldCap
	Others   int64            // how many that are
	Many     bool             // there are more than Others
	Query    query.Outbox     // the list that it was opened from
}

// CancelData asks before pending alerts are cancelled.
type CancelData struct {
	models.Cancellation
	Count int64
	Many  bool // there are more
}

func alertURL(id int64) string { return "/alerts/" + itoa(id) }

// CancelURL asks whether what sel selects is to be cancelled.
func CancelURL(sel models.Cancellation) string {
	return "/alerts/cancel?" + cancelValues(sel).Encode()
}

// carrier is the alert whose message tells of a, if that is another one.
func carrier(a *models.EmailAlert) int64 {
	if a.MailID == a.ID || a.Status == models.EmailCancelled || a.Status == models.EmailSkipped {
		return 0
	}
	return a.MailID
}

// waits reports whether it is known until when an alert waits.
func waits(a *models.EmailAlert) bool {
	return a.Status == models.EmailPending && a.NextAttemptAt.After(a.UpdatedAt)
}

// waitWords says until when an alert waits.
func waitWords(ctx context.Context, a *models.EmailAlert) string {
	if a.Attempts > 0 {
		return i18n.T(ctx, "mail.next", "Time", i18n.Clock(ctx, a.NextAttemptAt))
	}
	return i18n.T(ctx, "mail.until", "Time", i18n.Clock(ctx, a.NextAttemptAt))
}

// detail is a sentence of the hub's that stands in the outbox, and what it is
// in the reader's language. Each % stands for words that stay as they are.
type detail struct {
	pattern string
	say     func(ctx context.Context, words []string) string
}

func details() []detail {
	return []detail{
		{"gathered with what follows on a message about the same source", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.gathered") }},
		{"waits for a digest: the limit by the hour is reached", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.limit") }},
		{"held back in the quiet hours", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.quiet") }},
		{"told in the digest of alert %", func(ctx context.Context, w []string) string { return i18n.T(ctx, "why.digest", "ID", w[0]) }},
		{"cancelled by %", func(ctx context.Context, w []string) string { return i18n.T(ctx, "why.cancelled", "Name", w[0]) }},
		{"to be tried again: %", func(ctx context.Context, w []string) string { return i18n.T(ctx, "why.again", "Name", w[0]) }},
		{"the contact % is not in the routes file any more", func(ctx context.Context, w []string) string { return i18n.T(ctx, "why.contact", "Name", w[0]) }},
		{"the contact % has no webhook % any more", func(ctx context.Context, w []string) string {
			return i18n.T(ctx, "why.webhook", "Name", w[0], "Webhook", w[1])
		}},
		{"no route matches", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.route") }},
		{"email is not configured: % not set", func(ctx context.Context, w []string) string { return i18n.T(ctx, "why.unset", "Settings", w[0]) }},
		{"gave up after %: %", func(ctx context.Context, w []string) string {
			return i18n.T(ctx, "why.gaveup", "Age", w[0], "Reason", detailWords(ctx, w[1]))
		}},
		{"its turn did not come", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.turn") }},
		{"the outbox cannot be read or written", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.outbox") }},
		{"imported", func(ctx context.Context, _ []string) string { return i18n.T(ctx, "why.imported") }},
	}
}

// detailWords is what the outbox says of an alert: the hub's own sentences in
// the reader's language, anything else, a server's words, as it is.
func detailWords(ctx context.Context, text string) string {
	for _, d := range details() {
		if words, ok := match(d.pattern, text); ok {
			return d.say(ctx, words)
		}
	}
	return text
}

// match finds what the %s of a pattern stand for in a text.
func match(pattern, text string) (words []string, ok bool) {
	parts := strings.Split(pattern, "%")
	rest, ok := strings.CutPrefix(text, parts[0])
	for i, part := range parts[1:] {
		var word string
		switch last := i == len(parts)-2; {
		case !ok:
			return nil, false
		case last:
			word, ok = strings.CutSuffix(rest, part)
			rest = ""
		default:
			word, rest, ok = strings.Cut(rest, part)
		}
		words = append(words, word)
	}
	return words, ok && rest == ""
}
