package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what another side may ask for: one that is wrong about
// the time must not silence a contact for good.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds,
// with a fraction too as some services write them, or a date. It is between 0
// and maxRetryAfter; 0 when it says nothing that can be understood.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	whole, fraction, _ := strings.Cut(value, ".")
	if digits(whole) && (digits(fraction) || !strings.Contains(value, ".")) {
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || seconds >= maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		return time.Duration(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(maxRetryAfter, max(0, at.Sub(now)))
}

// digits reports whether s is at least one ASCII digit and nothing else.
func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
