package webhook

import (
	"strings"

	"alerthub/models"
)

// maxTeamsLines bounds the lines of a message: each costs a block, and a
// message of Teams may take 28 KB.
const maxTeamsLines = 20

type teamsBody struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string            `json:"$schema"`
	Type    string            `json:"type"`
	Version string            `json:"version"`
	MSTeams map[string]string `json:"msteams"`
	Body    []teamsBlock      `json:"body"`
	Actions []teamsAction     `json:"actions,omitempty"`
}

type teamsBlock struct {
	Type    string     `json:"type"`
	Spacing string     `json:"spacing,omitempty"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Size     string `json:"size,omitempty"`
	Weight   string `json:"weight,omitempty"`
	Color    string `json:"color,omitempty"`
	FontType string `json:"fontType,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// composeTeams writes an Adaptive Card for a Workflows webhook ("When a Teams
// webhook request is received"). All texts are TextRuns: those of a TextBlock
// and a Fact are Markdown, those of a RichTextBlock are not
// (https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features).
// Mentions need an entity beside the text; there is none.
func composeTeams(l letter, w models.Webhook, _ models.Notice) (call, error) {
	run := func(s string) teamsRun { return teamsRun{Type: "TextRun", Text: teamsText(s)} }
	bold := func(s string) teamsRun {
		r := run(s)
		r.Weight = "Bolder"
		return r
	}
	block := func(spacing string, inlines ...teamsRun) teamsBlock {
		return teamsBlock{Type: "RichTextBlock", Spacing: spacing, Inlines: inlines}
	}
	title := bold(l.title)
	title.Size, title.Color = "Large", teamsColor(l.severity)
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		MSTeams: map[string]string{"width": "Full"},
		Body:    []teamsBlock{block("", title)},
	}
	add := func(b teamsBlock) { card.Body = append(card.Body, b) }
	for _, s := range l.lead {
		add(block("Small", run(s)))
	}
	for _, f := range l.facts {
		add(block("Small", bold(f.label+": "), run(f.value)))
	}
	for _, part := range l.lists {
		add(block("Medium", bold(part.title)))
		for _, line := range part.lines {
			add(block("Small", run(line)))
		}
	}
	if l.message != "" {
		// A line feed inside a TextRun is shown as a blank.
		for i, line := range strings.SplitN(l.message, "\n", maxTeamsLines) {
			r := run(strings.ReplaceAll(line, "\n", " "))
			r.FontType = "Monospace"
			spacing := "None"
			if i == 0 {
				spacing = "Medium"
			}
			add(block(spacing, r))
		}
	}
	if l.link != "" {
		card.Actions = []teamsAction{{Type: "Action.OpenUrl", Title: l.open, URL: l.link}}
	}
	return call{url: w.URL, body: teamsBody{Type: "message", Attachments: []teamsAttachment{{
		ContentType: "application/vnd.microsoft.card.adaptive", Content: card,
	}}}}, nil
}

// teamsText keeps {{DATE()}} and {{TIME()}}, which cards write in the
// reader's zone, from being one. An empty run is not allowed.
func teamsText(s string) string {
	if s == "" {
		return " "
	}
	for strings.Contains(s, "{{") {
		s = strings.ReplaceAll(s, "{{", "{"+joiner+"{")
	}
	return s
}

func teamsColor(s models.Severity) string {
	switch s {
	case models.SeverityCritical, models.SeverityError:
		return "Attention"
	case models.SeverityWarning:
		return "Warning"
	}
	return "Accent"
}
