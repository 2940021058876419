package i18n

import (
	"context"
	"testing"
	"time"
	_ "time/tzdata" // as the program has them, whatever this machine knows
)

// zoned reads a language in a zone, at a moment of 2026.
func zoned(l Lang, zone *time.Location) context.Context {
	return WithNow(WithZone(in(l), zone), time.Date(2026, 2, 25, 12, 0, 0, 0, time.UTC))
}

func madrid(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestDates_areThoseOfTheReader(t *testing.T) {
	at := time.Date(2026, 2, 24, 23, 41, 52, 118e6, time.UTC) // the 25th in Madrid
	old := time.Date(2025, 9, 3, 10, 0, 0, 0, time.UTC)
	en, es := zoned(English, madrid(t)), zoned(Spanish, madrid(t))
	utc := zoned(Spanish, time.UTC)
	for _, test := range []struct{ name, got, want string }{
		{"long, English", LongDay(en, at), "Wednesday 25 February"},
		{"long, Spanish", LongDay(es, at), "miércoles 25 de febrero"},
		{"long, in UTC", LongDay(utc, at), "martes 24 de febrero"},
		{"another year, English", LongDay(en, old), "Wednesday 3 September 2025"},
		{"another year, Spanish", LongDay(es, old), "miércoles 3 de septiembre de 2025"},
		{"short, English", ShortDay(en, at), "Wed 25 Feb"},
		{"short, Spanish", ShortDay(es, at), "mié 25 feb"},
		{"with the year", Date(es, old), "mié 3 sep 2025"},
		{"the day of a row", ISODay(en, at), "2026-02-25"},
		{"the day of a row in UTC", ISODay(utc, at), "2026-02-24"},
		{"clock", Clock(en, at), "00:41:52"},
		{"clock in UTC", Clock(utc, at), "23:41:52"},
		{"minute", Minute(en, at), "00:41"},
		{"milliseconds", Millis(at), ".118"},
		{"both zones", Both(en, at), "2026-02-25 00:41:52.118 +01:00 · 23:41:52.118 UTC"},
		{"the zone", ZoneName(en, at), "Europe/Madrid (UTC+1)"},
		{"the zone in summer", ZoneName(en, old), "Europe/Madrid (UTC+2)"},
		{"the zone UTC", ZoneName(utc, at), "UTC"},
		{"a zone of half hours", ZoneName(zoned(English, time.FixedZone("X", -(3*3600+1800))), at), "X (UTC\u22123:30)"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

func TestZone_withoutOneIsTheServers(t *testing.T) {
	// The same clock, whatever the name by which the zone is found.
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	if got, want := at.In(Zone(context.Background())).Format(time.RFC3339), at.In(time.Local).Format(time.RFC3339); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if age := time.Since(Now(context.Background())); age < 0 || age > time.Minute {
		t.Errorf("now is %s ago", age)
	}
}

func TestAge(t *testing.T) {
	ctx := zoned(English, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "0\u00a0s", 0: "0\u00a0s", 59 * time.Second: "59\u00a0s", time.Minute: "1\u00a0min", 59*time.Minute + 59*time.Second: "59\u00a0min",
		time.Hour: "1\u00a0h", 23 * time.Hour: "23\u00a0h", 24 * time.Hour: "1\u00a0d", 1234 * 24 * time.Hour: "1,234\u00a0d",
	} {
		if got := Age(ctx, Now(ctx).Add(-d)); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}
