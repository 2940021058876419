package webhook

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"alerthub/models"
)

// Check says what is wrong with a webhook, "" when nothing is. It never
// repeats the URL, the secret or the token.
func Check(w models.Webhook) string {
	f, ok := find(w.Kind)
	switch {
	case w.Kind == "":
		return "the kind is missing; it is one of " + strings.Join(Kinds(), ", ")
	case !ok:
		return fmt.Sprintf("kind %q is none of %s", models.Words(w.Kind), strings.Join(Kinds(), ", "))
	case w.URL == "" && f.url == "":
		return "the URL is missing"
	}
	if w.URL != "" {
		if wrong := checkURL(w); wrong != "" {
			return wrong
		}
	}
	switch {
	case f.token == needsToken && w.Token == "":
		return "kind " + f.kind + " needs a token"
	case f.token == noToken && w.Token != "":
		return "kind " + f.kind + " takes no token"
	case strings.ContainsFunc(w.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "the token holds a blank or a character that is not plain ASCII"
	case !f.signs && w.Secret != "":
		return "kind " + f.kind + " takes no secret: only generic is signed"
	}
	return ""
}

func checkURL(w models.Webhook) string {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil:
		return "the URL cannot be read" // its error repeats it
	case u.Scheme != "http" && u.Scheme != "https":
		return "the URL begins with neither http:// nor https://"
	case u.Hostname() == "":
		return "the URL names no host"
	case u.User != nil:
		return "the URL holds a user or password; use a token"
	case u.Fragment != "":
		return "the URL holds a fragment (#), which is never sent"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return "the port of the URL is not between 1 and 65535"
		}
	}
	if w.Kind == "ntfy" {
		if _, topic := splitTopic(u); !validTopic(topic) {
			return "the URL does not end with an ntfy topic: 1 to 64 letters, digits, - or _"
		}
	}
	return ""
}
