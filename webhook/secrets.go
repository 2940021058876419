package webhook

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"alerthub/models"
)

// minSecret is the length from which a part of a URL is taken for a secret.
// Shorter ones would blot out ordinary words, and keep nothing secret.
const minSecret = 4

// secrets hides what of a webhook nobody may read, in whatever the other side
// says and in errors.
type secrets struct {
	replace *strings.Replacer
	all     []string
}

func newSecrets(w models.Webhook) secrets {
	var all []string
	add := func(s string) {
		if s == "" {
			return
		}
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	add(w.Secret)
	add(w.Token)
	if u, err := url.Parse(w.URL); err != nil {
		add(w.URL)
	} else {
		parts := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery, u.Fragment}
		parts = append(parts, strings.Split(u.Path, "/")...)
		parts = append(parts, strings.Split(u.EscapedPath(), "/")...)
		for _, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
			_, value, _ := strings.Cut(pair, "=")
			parts = append(parts, pair, value)
			if plain, err := url.QueryUnescape(value); err == nil {
				parts = append(parts, plain)
			}
		}
		for _, p := range parts {
			if len(p) >= minSecret {
				add(p)
			}
		}
	}
	// The longer first: of two that begin alike, nothing must be left.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	all = slices.Compact(all)
	var pairs []string
	for _, s := range all {
		pairs = append(pairs, s, "***")
	}
	return secrets{replace: strings.NewReplacer(pairs...), all: all}
}

// words makes what the other side said, or an error, fit for people.
func (h secrets) words(s string) string { return models.Words(h.replace.Replace(s)) }

// cut hides the secrets of text that was cut at a bound: what its end may be
// the beginning of, too, which nothing would recognise any more.
func (h secrets) cut(s string) string {
	s = h.replace.Replace(s)
	drop := 0
	for _, secret := range h.all {
		for n := min(len(secret), len(s)); n > drop; n-- {
			if strings.HasSuffix(s, secret[:n]) {
				drop = n
			}
		}
	}
	return s[:len(s)-drop]
}
