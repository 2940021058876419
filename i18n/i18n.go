// Package i18n owns the words that people read, in English and Spanish, and
// how numbers look in each language. It decides which language a request
// gets; it never translates what devices send, wire values, logs or API
// answers. It runs no goroutine; everything in it is safe for concurrent use.
package i18n

import (
	"context"
	"net/http"

	"golang.org/x/text/language"
)

// Lang is a language of the panel. The zero value is English.
type Lang uint8

// The languages.
const (
	English Lang = iota
	Spanish
)

// CookieName is the cookie that keeps a person's choice of language.
const CookieName = "lang"

var (
	tags    = []language.Tag{language.English, language.Spanish}
	matcher = language.NewMatcher(tags)
)

// Langs lists all languages, the default first.
func Langs() []Lang { return []Lang{English, Spanish} }

// String is the language's tag, as in <html lang>, ?lang= and the cookie.
func (l Lang) String() string {
	if l == Spanish {
		return "es"
	}
	return "en"
}

// Parse reads a tag written by String. The second result is false for
// anything else; the language is then English.
func Parse(tag string) (Lang, bool) {
	switch tag {
	case "en":
		return English, true
	case "es":
		return Spanish, true
	}
	return English, false
}

// Match chooses the language of an answer: ?lang=, then the cookie, then
// Accept-Language, then English. Values that name no language are ignored.
func Match(r *http.Request) Lang {
	if l, ok := Parse(r.URL.Query().Get("lang")); ok {
		return l
	}
	if c, err := r.Cookie(CookieName); err == nil {
		if l, ok := Parse(c.Value); ok {
			return l
		}
	}
	if wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language")); err == nil {
		_, index, _ := matcher.Match(wanted...)
		return Lang(index)
	}
	return English
}

type contextKey struct{}

// WithLang returns a context in which T, Number and Percent speak l.
func WithLang(ctx context.Context, l Lang) context.Context {
	return context.WithValue(ctx, contextKey{}, l)
}

// FromContext is the language that WithLang set, or English.
func FromContext(ctx context.Context) Lang {
	l, _ := ctx.Value(contextKey{}).(Lang)
	return l
}
