package webhook

import (
	"net/http"
	"net/url"
	"strings"

	"alerthub/models"
)

// The bounds of a message. A longer text would become an attached file
// (https://docs.ntfy.sh/config/#rate-limiting, message-size-limit).
const (
	maxNtfy      = 4000 // bytes, of 4,096
	maxNtfyTitle = 200  // characters
)

// ntfyBody has no markdown field: ntfy shows the text as it is.
type ntfyBody struct {
	Topic    string `json:"topic"`
	Title    string `json:"title"`
	Message  string `json:"message"`
	Priority int    `json:"priority"`
	Click    string `json:"click,omitempty"`
}

// composeNtfy publishes as JSON to the server's root, with the topic of the
// URL's end (https://docs.ntfy.sh/publish/#publish-as-json). The other way,
// the topic's URL with the title in a header, would put what a device said
// into a header.
func composeNtfy(l letter, w models.Webhook, _ models.Notice) (call, error) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return call{}, err
	}
	root, topic := splitTopic(u)
	var header http.Header
	if w.Token != "" {
		header = http.Header{"Authorization": {"Bearer " + w.Token}}
	}
	return call{url: root, header: header, body: ntfyBody{
		Topic: topic, Title: cut(l.title, maxNtfyTitle), Message: cutBytes(l.text(), maxNtfy),
		Priority: [...]int{2, 3, 4, 5}[max(0, l.severity.Rank())], Click: l.link,
	}}, nil
}

// splitTopic divides https://ntfy.example.net/topic.
func splitTopic(u *url.URL) (root, topic string) {
	i := strings.LastIndexByte(u.Path, '/')
	topic = u.Path[i+1:]
	short := *u
	short.Path, short.RawPath = u.Path[:i+1], ""
	return short.String(), topic
}

// validTopic reports whether ntfy takes s for a topic.
func validTopic(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
	})
}
