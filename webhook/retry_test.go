package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 18, 27, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, " 120 ": 2 * time.Minute, "3599": 3599 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999": time.Hour, strings.Repeat("9", 400): time.Hour, "1.5": 1500 * time.Millisecond, "0.25": 250 * time.Millisecond,
		"-1": 0, "+5": 0, "1e3": 0, "0x10": 0, "5s": 0, "1.": 0, ".5": 0, "1.5.5": 0, "1,5": 0, "NaN": 0, "Inf": 0, "٣": 0, "soon": 0,
		"Mon, 23 Nov 2026 18:28:30 GMT":  90 * time.Second,
		"Monday, 23-Nov-26 18:28:30 GMT": 90 * time.Second,
		"Mon Nov 23 18:28:30 2026":       90 * time.Second,
		"Mon, 23 Nov 2026 18:26:59 GMT":  0,
		"Mon, 23 Nov 2026 19:27:01 GMT":  time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":  time.Hour,
		"Mon, 01 Jan 0001 00:00:00 GMT":  0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"0", "30", "1.5", "Mon, 23 Nov 2026 18:28:30 GMT", "-1", "9e9", strings.Repeat("9", 99)} {
		f.Add(value)
	}
	now := time.Date(2026, 11, 23, 18, 27, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		got := retryAfter(value, now)
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q: %v", value, got)
		}
		if got > 0 && !digits(strings.Replace(strings.TrimSpace(value), ".", "", 1)) {
			if at, err := http.ParseTime(strings.TrimSpace(value)); err != nil || got != min(maxRetryAfter, at.Sub(now)) {
				t.Errorf("%q: %v, %v", value, got, err)
			}
		}
	})
}
