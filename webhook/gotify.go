package webhook

import (
	"net/http"
	"net/url"
	"strings"

	"alerthub/models"
)

// maxGotify bounds a message, in characters. Gotify has no bound of its own;
// this is what a phone can show.
const maxGotify = 4000

type gotifyBody struct {
	Title    string         `json:"title"`
	Message  string         `json:"message"`
	Priority int            `json:"priority"`
	Extras   map[string]any `json:"extras"`
}

// composeGotify writes a message of plain text
// (https://gotify.net/docs/pushmsg, https://gotify.net/docs/msgextras).
func composeGotify(l letter, w models.Webhook, _ models.Notice) (call, error) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return call{}, err
	}
	if !strings.HasSuffix(u.Path, "/message") {
		u = u.JoinPath("message")
	}
	extras := map[string]any{"client::display": map[string]string{"contentType": "text/plain"}}
	if l.link != "" {
		extras["client::notification"] = map[string]any{"click": map[string]string{"url": l.link}}
	}
	return call{url: u.String(), header: http.Header{"X-Gotify-Key": {w.Token}}, body: gotifyBody{
		Title: l.title, Message: cut(l.text(), maxGotify),
		// Its clients make no sound up to 3, and insist from 8 on.
		Priority: [...]int{2, 4, 6, 9}[max(0, l.severity.Rank())], Extras: extras,
	}}, nil
}
