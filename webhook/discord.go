package webhook

import (
	"strings"

	"alerthub/models"
)

// The bounds of an embed
// (https://discord.com/developers/docs/resources/message#embed-object-embed-limits).
const (
	maxDiscordTitle = 256
	maxDiscord      = 4096 // of its description; 6,000 in all
)

type discordBody struct {
	Embeds          []discordEmbed  `json:"embeds"`
	AllowedMentions discordMentions `json:"allowed_mentions"`
}

type discordEmbed struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	URL         string `json:"url,omitempty"`
	Color       int    `json:"color"`
}

type discordMentions struct {
	Parse []string `json:"parse"` // empty, not absent: nobody is mentioned, whatever the text holds
}

// composeDiscord writes a message of one embed.
func composeDiscord(l letter, w models.Webhook, _ models.Notice) (call, error) {
	write := func(s string) string { return escaped(s, maxDiscord, discordEscape) }
	var lines []string
	for _, s := range l.lead {
		lines = append(lines, write(s))
	}
	for _, f := range l.facts {
		lines = append(lines, "**"+write(f.label)+":** "+write(f.value))
	}
	for _, part := range l.lists {
		lines = append(lines, "", "**"+write(part.title)+":**")
		for _, s := range part.lines {
			lines = append(lines, write(s))
		}
	}
	lines, left := fit(lines, maxDiscord)
	if l.message != "" && left > 2 {
		lines = append(lines, "", escaped(l.message, left-1, discordEscape))
	}
	return call{url: w.URL, body: discordBody{
		Embeds: []discordEmbed{{
			Title:       escaped(l.title, maxDiscordTitle, discordEscape),
			Description: strings.Join(lines, "\n"),
			URL:         l.link,
			Color:       discordColor(l.severity),
		}},
		AllowedMentions: discordMentions{Parse: []string{}},
	}}, nil
}

// discordEscape takes its meaning from every ASCII character that Markdown,
// mentions, links, timestamps and emoji are made of.
func discordEscape(r rune) string {
	if r > ' ' && r < 0x7f && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') {
		return `\` + string(r)
	}
	return string(r)
}

func discordColor(s models.Severity) int {
	switch s {
	case models.SeverityCritical:
		return 0xb91c1c
	case models.SeverityError:
		return 0xea580c
	case models.SeverityWarning:
		return 0xd97706
	}
	return 0x2563eb
}
