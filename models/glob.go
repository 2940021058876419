package models

import (
	"strings"
	"unicode/utf8"
)

// GlobSigns are what a pattern has and a plain name has not.
const GlobSigns = `*?[\`

// Glob reports whether all of s matches a pattern that path.Match takes. It
// means the same as there, but that sources are no paths: '*' matches any
// characters and '?' any one, '/' too. What it takes is bounded by the product
// of the two lengths.
func Glob(pattern, s string) bool {
	p, i := 0, 0
	star, retry := -1, 0 // behind the last '*', and where in s that part was tried last
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, retry = p, i
			continue
		}
		c, size := utf8.DecodeRuneInString(s[i:])
		if n, ok := element(pattern[p:], c); ok {
			p, i = p+n, i+size
			continue
		}
		if star < 0 {
			return false
		}
		_, size = utf8.DecodeRuneInString(s[retry:])
		retry += size
		p, i = star, retry
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// element compares c with the first element of a pattern, which is no '*', and
// returns the length of that element.
func element(pattern string, c rune) (n int, ok bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return class(pattern, c)
	}
	want, n := literal(pattern)
	return n, want == c
}

// class is element for a set of characters, such as [a-f0] or [^ ].
func class(pattern string, c rune) (n int, ok bool) {
	n = len("[")
	negated := pattern[n] == '^'
	if negated {
		n++
	}
	for pattern[n] != ']' {
		low, size := literal(pattern[n:])
		n += size
		high := low
		if pattern[n] == '-' {
			high, size = literal(pattern[n+1:])
			n += 1 + size
		}
		ok = ok || low <= c && c <= high
	}
	return n + len("]"), ok != negated
}

// literal is the first character of a pattern, a backslash before it left out.
func literal(pattern string) (c rune, n int) {
	if pattern[0] == '\\' {
		n = 1
	}
	c, size := utf8.DecodeRuneInString(pattern[n:])
	return c, n + size
}
