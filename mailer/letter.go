package mailer

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

// letter is what a mail says, for both of its parts: words in the contact's
// language, and a device's texts as they may be shown.
type letter struct {
	Lang     i18n.Lang
	Subject  string // what follows its start
	Intro    string // a sentence of ours
	Severity tone   // of the event, or the gravest of a digest
	Facts    []fact
	Link     string // into the panel; "" for none
	LinkText string
	Why      string // why this mail came

	// Of a mail about one event.
	Labels  labels
	Source  string
	Message []string // its lines

	Digest *digest // of a digest
}

// fact is a line of ours with its name.
type fact struct{ Label, Value string }

// labels name what a device said.
type labels struct{ Severity, Source, Message string }

// tone is how a severity looks: in words and shape, and only then in colour.
type tone struct {
	models.Severity
	Word  string
	Glyph string
	// Of the light look; the page's style sheet knows the dark one.
	Text, Fill, Edge string // the badge's
	Bar              string // beside a message
	Ink              string // of its word on the page
}

const (
	dayTime = "2006-01-02 15:04:05"
	utcTime = dayTime + " UTC"
)

func newLetter(publicURL string, n models.Notice) *letter {
	lang, _ := i18n.Parse(n.Contact.Language)
	ctx := i18n.WithLang(context.Background(), lang)
	l := &letter{
		Lang: lang,
		Why:  i18n.T(ctx, "letter.why"),
		Labels: labels{
			Severity: i18n.T(ctx, "col.severity"),
			Source:   i18n.T(ctx, "col.source"),
			Message:  i18n.T(ctx, "col.message"),
		},
	}
	if name := oneLine(n.Contact.Name); name != "" {
		l.Why = i18n.T(ctx, "letter.why.contact", "Name", name)
	}
	panel := strings.TrimRight(oneLine(publicURL), "/")
	if n.Digest != nil {
		l.tellDigest(ctx, panel, n.Digest)
	} else {
		l.tellEvent(ctx, panel, n.Event)
	}
	return l
}

// tellEvent makes l a letter about one event.
func (l *letter) tellEvent(ctx context.Context, panel string, e models.Event) {
	l.Severity = toneOf(ctx, e.Severity)
	l.Source = cut(oneLine(e.Source), maxSource)
	l.Message = strings.Split(cut(manyLines(e.Message), maxMessage), "\n")
	l.Subject = l.Source
	if start := cut(flat(e.Message), maxSubject); start != "" {
		l.Subject += " – " + start
	}
	l.Intro = i18n.T(ctx, "letter.intro")
	l.Facts = []fact{{i18n.T(ctx, "letter.date"), e.CreatedAt.UTC().Format(utcTime)}}
	if e.ID > 0 { // else it is of no row
		l.Facts = append([]fact{{i18n.T(ctx, "col.event"), strconv.FormatInt(e.ID, 10)}}, l.Facts...)
		l.Link, l.LinkText = eventURL(panel, e.ID), i18n.T(ctx, "letter.open.event")
	}
	switch e.Channel {
	case models.ChannelTCP:
		l.Facts = append(l.Facts, fact{i18n.T(ctx, "col.channel"), "TCP"})
	case models.ChannelHTTP:
		l.Facts = append(l.Facts, fact{i18n.T(ctx, "col.channel"), "HTTP"})
	}
}

// eventURL is the page of an event; "" when nobody knows where the panel is.
func eventURL(panel string, id int64) string {
	if panel == "" {
		return ""
	}
	return panel + "/events/" + strconv.FormatInt(id, 10)
}

// periodURL is the list of what a digest tells of, and of what else came
// then with one of its severities; see package query for the parameters.
func periodURL(panel string, d *models.Digest) string {
	if panel == "" {
		return ""
	}
	values := url.Values{}
	if !d.From.IsZero() && !d.To.Before(d.From) {
		values.Set("from", d.From.UTC().Format(time.RFC3339Nano))
		// The panel's end is not part of its window.
		values.Set("to", d.To.UTC().Add(time.Microsecond).Format(time.RFC3339Nano))
	}
	for _, s := range models.Severities() {
		if d.Severity[s.Rank()] > 0 {
			values.Add("sev", string(s))
		}
	}
	if len(values) == 0 {
		return panel + "/events"
	}
	return panel + "/events?" + values.Encode()
}

// toneOf is how s looks; what is no severity counts as info, as everywhere.
func toneOf(ctx context.Context, s models.Severity) tone {
	switch s {
	case models.SeverityCritical:
		return tone{s, i18n.Severity(ctx, s), "◆", "#ffffff", "#b4004a", "#b4004a", "#b4004a", "#ae004d"}
	case models.SeverityError:
		return tone{s, i18n.Severity(ctx, s), "■", "#ae3d15", "#ffeee7", "#f0b7a1", "#e9601d", "#ae3d15"}
	case models.SeverityWarning:
		return tone{s, i18n.Severity(ctx, s), "▲", "#7d4d05", "#fef3dd", "#ecc98a", "#eba22b", "#7d4d05"}
	}
	return tone{models.SeverityInfo, i18n.Severity(ctx, models.SeverityInfo), "●", "#4b5d71", "#f0f3f6", "#c3cfdc", "#8296ab", "#4b5d71"}
}
