package webhook

import (
	"alerthub/models"
)

// maxSlack bounds the text of a message, in characters. Slack documents 3,000
// for one text object, and refuses messages of about 13,000 in all.
const (
	maxSlack     = 9000
	maxSlackText = 3000
)

type slackBody struct {
	Text        string       `json:"text"` // of the notification
	Mrkdwn      bool         `json:"mrkdwn"`
	Parse       string       `json:"parse"`
	UnfurlLinks bool         `json:"unfurl_links"`
	UnfurlMedia bool         `json:"unfurl_media"`
	Blocks      []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string         `json:"type"`
	Elements []slackElement `json:"elements"`
}

type slackElement struct {
	Type     string         `json:"type"`
	Style    any            `json:"style,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
	Text     string         `json:"text,omitempty"`
	URL      string         `json:"url,omitempty"`
}

// composeSlack writes a message of one rich text block
// (https://docs.slack.dev/reference/block-kit/blocks/rich-text-block). There,
// markup, mentions and links are elements of their own and never inside a
// text, while mrkdwn has no way to write a star that is only a star.
func composeSlack(l letter, w models.Webhook, _ models.Notice) (call, error) {
	left := maxSlack
	text := func(s string) slackElement {
		s = escaped(s, maxSlackText, slackEscape)
		left -= units(s)
		return slackElement{Type: "text", Text: s}
	}
	bold := func(s string) slackElement {
		e := text(s)
		e.Style = map[string]bool{"bold": true}
		return e
	}
	section := func(e ...slackElement) slackElement {
		return slackElement{Type: "rich_text_section", Elements: e}
	}
	title := text(l.title)
	all := []slackElement{section(bold(l.title))}
	for _, s := range l.lead {
		all = append(all, section(text(s)))
	}
	for _, f := range l.facts {
		all = append(all, section(bold(f.label+": "), text(f.value)))
	}
	for _, part := range l.lists {
		bullets := slackElement{Type: "rich_text_list", Style: "bullet"}
		heading := section(bold(part.title))
		for _, line := range part.lines {
			if left < len(line)*len("&amp;") {
				break
			}
			bullets.Elements = append(bullets.Elements, section(text(line)))
		}
		if len(bullets.Elements) > 0 {
			all = append(all, heading, bullets)
		}
	}
	if l.message != "" {
		all = append(all, slackElement{Type: "rich_text_preformatted", Elements: []slackElement{text(l.message)}})
	}
	if l.link != "" {
		all = append(all, section(slackElement{Type: "link", URL: l.link, Text: l.open}))
	}
	return call{url: w.URL, body: slackBody{
		Text: title.Text, Parse: "none", Blocks: []slackBlock{{Type: "rich_text", Elements: all}},
	}}, nil
}

// slackEscape writes the three characters with which Slack's control
// sequences are made, <!channel> and <@id> among them
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func slackEscape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}
