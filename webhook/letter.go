package webhook

import (
	"context"
	"strconv"
	"strings"
	"time"

	"alerthub/i18n"
	"alerthub/models"
)

// What a digest tells in a chat; the rest is counted. At most about 16 KB of
// JSON, whatever the characters.
const (
	maxSources = models.NamedSources
	maxNewest  = 8
	maxLine    = 160 // characters of a message that is one line of a digest
)

// letter is a notice in words for people, in the contact's language. All of
// it is plain: each kind escapes it in its own way.
type letter struct {
	severity models.Severity // the gravest that it tells of
	title    string
	lead     []string // of a digest: why, and since when
	facts    []fact
	lists    []list
	message  string // of a single event; it may have several lines, and comes last
	link     string // to the event in the panel; "" for none
	open     string // what a link to it is called
}

type fact struct{ label, value string }

type list struct {
	title string
	lines []string
}

// write puts n in words.
func (s *Sender) write(n models.Notice) letter {
	lang, _ := i18n.Parse(n.Contact.Language)
	ctx := i18n.WithLang(context.Background(), lang)
	l := letter{open: i18n.T(ctx, "hook.open")}
	if s.cfg.PublicURL != "" {
		l.link = s.cfg.PublicURL + "/events/" + strconv.FormatInt(n.Event.ID, 10)
	}
	if n.Digest != nil {
		l.writeDigest(ctx, n.Digest)
		return l
	}
	e := n.Event
	l.severity = e.Severity
	word := severityWord(ctx, e.Severity)
	l.title = word + ": " + source(e.Source)
	l.know(i18n.T(ctx, "col.severity"), word)
	l.know(i18n.T(ctx, "col.source"), source(e.Source))
	l.know(i18n.T(ctx, "letter.date"), moment(e.CreatedAt))
	l.know(i18n.T(ctx, "col.event"), strconv.FormatInt(e.ID, 10))
	l.message = cut(plain(e.Message, true), models.MaxMessage)
	return l
}

func (l *letter) writeDigest(ctx context.Context, d *models.Digest) {
	l.severity = d.Worst()
	l.title = severityWord(ctx, l.severity) + ": " + i18n.T(ctx, "hook.events", "Count", d.Total())
	l.lead = []string{
		reasonWords(ctx, d.Reason),
		i18n.T(ctx, "hook.period", "From", moment(d.From), "To", moment(d.To)),
	}
	l.know(i18n.T(ctx, "col.severity"), i18n.SeverityCounts(ctx, d.Severity))

	sources := list{title: i18n.T(ctx, "hook.sources")}
	named := d.Sources[:min(len(d.Sources), maxSources)]
	for _, c := range named {
		sources.lines = append(sources.lines, source(c.Source)+": "+i18n.SeverityCounts(ctx, c.Severity))
	}
	if rest := len(d.Sources) - len(named) + d.OtherSources; rest > 0 {
		sources.lines = append(sources.lines, i18n.T(ctx, "hook.sources.more", "Count", rest))
	}
	newest := list{title: i18n.T(ctx, "hook.newest")}
	shown := d.Newest[:min(len(d.Newest), maxNewest)]
	for _, e := range shown {
		newest.lines = append(newest.lines, e.CreatedAt.UTC().Format(time.DateTime)+" "+severityWord(ctx, e.Severity)+" "+
			source(e.Source)+": "+cut(oneLine(e.Message), maxLine))
	}
	if rest := d.Total() - int64(len(shown)); rest > 0 && len(shown) > 0 {
		newest.lines = append(newest.lines, i18n.T(ctx, "hook.newest.more", "Count", rest))
	}
	for _, all := range []list{sources, newest} {
		if len(all.lines) > 0 {
			l.lists = append(l.lists, all)
		}
	}
}

// know adds a fact; services refuse empty texts.
func (l *letter) know(label, value string) {
	if value != "" {
		l.facts = append(l.facts, fact{label, value})
	}
}

// text is the letter without its title and its link.
func (l *letter) text() string {
	var parts []string
	lines := append([]string(nil), l.lead...)
	for _, f := range l.facts {
		lines = append(lines, f.label+": "+f.value)
	}
	parts = append(parts, strings.Join(lines, "\n"))
	for _, all := range l.lists {
		parts = append(parts, all.title+":\n"+strings.Join(all.lines, "\n"))
	}
	if l.message != "" {
		parts = append(parts, l.message)
	}
	return strings.Join(parts, "\n\n")
}

// source is the name of a source as it is shown.
func source(s string) string { return cut(oneLine(s), models.MaxSource) }

// moment is a time as it is in mails.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func severityWord(ctx context.Context, s models.Severity) string {
	return source(i18n.Severity(ctx, s))
}

func reasonWords(ctx context.Context, r models.DigestReason) string {
	switch r {
	case models.DigestLimit:
		return i18n.T(ctx, "hook.reason.limit")
	case models.DigestQuiet:
		return i18n.T(ctx, "hook.reason.quiet")
	}
	return i18n.T(ctx, "hook.reason.gathered")
}
