package i18n

import (
	"net/http"
	"net/url"
	"time"
)

// The cookies of a person's time zone.
const (
	ZoneCookie   = "zone" // the browser's zone, by its IANA name; the panel's script writes it
	ZoneUTCName  = "utc"  // the value of ChoiceCookie and ?tz= for times in UTC
	ChoiceCookie = "tz"   // "utc" once a person has chosen that, whatever the browser's zone
)

// MatchZone chooses the time zone of an answer: UTC when a person has chosen
// so, by ?tz= or its cookie, which chosen tells; then the browser's zone, then
// the server's. Names of no zone are ignored.
func MatchZone(r *http.Request) (zone *time.Location, chosen bool) {
	choice := r.URL.Query().Get(ChoiceCookie)
	if c, err := r.Cookie(ChoiceCookie); choice == "" && err == nil {
		choice = c.Value
	}
	if choice == ZoneUTCName {
		return time.UTC, true
	}
	if c, err := r.Cookie(ZoneCookie); err == nil && c.Value != "" {
		// LoadLocation refuses names that leave the directory of zones.
		if name, err := url.PathUnescape(c.Value); err == nil && name != "" {
			if zone, err := time.LoadLocation(name); err == nil {
				return zone, false
			}
		}
	}
	return local(), false
}
