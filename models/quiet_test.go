package models_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones, for machines that have none

	"pgregory.net/rapid"

	"alerthub/models"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func hhmm(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}

// walked is the end of quiet hours by looking at the clock minute by minute.
func walked(t time.Time, q models.QuietHours) (time.Time, bool) {
	quiet := func(t time.Time) bool {
		local := t.In(q.Zone)
		shown, from, to := local.Hour()*60+local.Minute(), int(q.From.Minutes()), int(q.To.Minutes())
		return (shown-from+24*60)%(24*60) < (to-from+24*60)%(24*60) // minutes since it began, and in all
	}
	if !quiet(t) {
		return time.Time{}, false
	}
	t = t.Truncate(time.Minute)
	for quiet(t) {
		t = t.Add(time.Minute)
	}
	return t, true
}

// In Madrid 2026, 02:00 is 03:00 on 29 March, and 03:00 is 02:00 on 25 October.
func TestQuietHours_WhenClocksChange(t *testing.T) {
	const none = ""
	madrid := zone(t, "Europe/Madrid")
	night := models.QuietHours{From: hhmm(22, 0), To: hhmm(7, 0), Zone: madrid}
	early := models.QuietHours{From: hhmm(22, 0), To: hhmm(2, 30), Zone: madrid}
	late := models.QuietHours{From: hhmm(2, 30), To: hhmm(7, 0), Zone: madrid}
	within := models.QuietHours{From: hhmm(2, 15), To: hhmm(2, 45), Zone: madrid}
	nearly := models.QuietHours{From: hhmm(3, 0), To: hhmm(2, 0), Zone: madrid} // an hour to be told in
	for _, tt := range []struct {
		name     string
		q        models.QuietHours
		at, want string // UTC
	}{
		{"before the night", night, "2026-03-28T20:59:59Z", none},
		{"as it begins", night, "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z"},
		{"a short night", night, "2026-03-28T23:30:00Z", "2026-03-29T05:00:00Z"},
		{"behind the change", night, "2026-03-29T01:30:00Z", "2026-03-29T05:00:00Z"},
		{"its last moment", night, "2026-03-29T04:59:59.999999999Z", "2026-03-29T05:00:00Z"},
		{"as it ends", night, "2026-03-29T05:00:00Z", none},
		{"to is skipped", early, "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"behind what is skipped", early, "2026-03-29T01:00:00Z", none},
		{"from is skipped", late, "2026-03-29T01:00:00Z", "2026-03-29T05:00:00Z"},
		{"all is skipped, before", within, "2026-03-29T00:59:59Z", none},
		{"all is skipped, behind", within, "2026-03-29T01:00:00Z", none},
		{"what is not quiet is skipped", nearly, "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},

		{"a long night", night, "2026-10-24T22:00:00Z", "2026-10-25T06:00:00Z"},
		{"to comes the first time", early, "2026-10-25T00:15:00Z", "2026-10-25T00:30:00Z"},
		{"between the two", early, "2026-10-25T00:30:00Z", none},
		{"to comes the second time", early, "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"},
		{"behind the second time", early, "2026-10-25T01:30:00Z", none},
		{"from comes the first time", late, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		{"set back before from", late, "2026-10-25T01:00:00Z", none},
		{"from comes the second time", late, "2026-10-25T01:30:00Z", "2026-10-25T06:00:00Z"},
		{"all comes twice, first", within, "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"},
		{"all comes twice, second", within, "2026-10-25T01:20:00Z", "2026-10-25T01:45:00Z"},
		{"what is not quiet comes twice", nearly, "2026-10-25T00:30:00Z", none},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got := none
		if end, quiet := tt.q.Until(at, models.SeverityError); quiet {
			got = end.Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("%s: %s ends %q, want %q", tt.name, tt.at, got, tt.want)
		}
		if end, _ := walked(at, tt.q); tt.want != none && end.Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%s: the reference says %s, the table %s", tt.name, end, tt.want)
		}
	}
}

// No clock showed 30 December 2011 in Apia.
func TestQuietHours_OfADayThatIsSkipped(t *testing.T) {
	apia := zone(t, "Pacific/Apia")
	night := models.QuietHours{From: hhmm(22, 0), To: hhmm(7, 0), Zone: apia}
	end, quiet := night.Until(time.Date(2011, 12, 29, 23, 0, 0, 0, apia), models.SeverityError)
	if want := time.Date(2011, 12, 31, 7, 0, 0, 0, apia); !quiet || !end.Equal(want) || end.Sub(time.Date(2011, 12, 29, 23, 0, 0, 0, apia)) != 8*time.Hour {
		t.Errorf("%v, %v; want %v", end.In(apia), quiet, want)
	}
}

func TestQuietHours_ExemptSeverities(t *testing.T) {
	at := time.Date(2026, 7, 1, 23, 0, 0, 0, time.UTC)
	q := &models.QuietHours{From: hhmm(22, 0), To: hhmm(7, 0), Zone: time.UTC, Exempt: []models.Severity{models.SeverityCritical}}
	for _, s := range models.Severities() {
		if _, quiet := q.Until(at, s); quiet != (s != models.SeverityCritical) {
			t.Errorf("%s: quiet is %v", s, quiet)
		}
	}
	var none *models.QuietHours
	if _, quiet := none.Until(at, models.SeverityInfo); quiet {
		t.Error("no quiet hours are quiet")
	}
}

// Zones whose clocks change in every way there is: at midnight, by half an
// hour, by a whole day, by name alone, twice within weeks, never.
var zones = []string{
	"Europe/Madrid", "America/New_York", "America/Havana", "Asia/Beirut", "America/Sao_Paulo", "America/Asuncion", "Atlantic/Azores",
	"Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Africa/Casablanca", "Africa/Cairo", "Asia/Gaza", "Asia/Tehran",
	"America/St_Johns", "Antarctica/Troll", "Europe/Dublin", "Asia/Kathmandu", "Asia/Pyongyang", "America/Caracas", "UTC",
}

func TestQuietHours_AreWhatTheClockShows(t *testing.T) {
	quietAcross := 0
	rapid.Check(t, func(rt *rapid.T) {
		q := models.QuietHours{Zone: zone(rt, rapid.SampledFrom(zones).Draw(rt, "zone"))}
		// A change of the zone: where one ends that some moment of these years is in.
		year := rapid.IntRange(1985, 2045).Draw(rt, "year")
		around := time.Date(year, time.Month(rapid.IntRange(1, 12).Draw(rt, "month")), 1, 0, 0, 0, 0, time.UTC)
		_, change := around.In(q.Zone).ZoneBounds()
		if change.IsZero() {
			change = around
		}
		// Times of day, half of them near those that the change skips or repeats.
		before, after := minutes(change.Add(-time.Second).In(q.Zone)), minutes(change.In(q.Zone))
		day := func(label string) int {
			m := rapid.SampledFrom([]int{0, before, after}).Draw(rt, label+" near")
			return (m + rapid.OneOf(rapid.IntRange(-70, 70), rapid.IntRange(0, 1439)).Draw(rt, label) + 1440) % 1440
		}
		for range 20 {
			from, to := day("from"), day("to")
			if from == to {
				to = (to + 1) % 1440
			}
			q.From, q.To = hhmm(0, from), hhmm(0, to)
			at := change.Add(time.Duration(rapid.OneOf(rapid.IntRange(-120, 120), rapid.IntRange(-3000, 3000)).Draw(rt, "minutes")) * time.Minute).
				Add(time.Duration(rapid.SampledFrom([]int64{0, 0, 1, 59e9, 60e9 - 1}).Draw(rt, "within the minute")))

			want, wantQuiet := walked(at, q)
			got, quiet := q.Until(at, models.SeverityWarning)
			if quiet != wantQuiet || !got.Equal(want) {
				rt.Fatalf("%v–%v in %v at %v: %v, %v; want %v, %v", q.From, q.To, q.Zone, at.In(q.Zone), got.In(q.Zone), quiet, want.In(q.Zone), wantQuiet)
			}
			if quiet && !at.After(change) && got.After(change) {
				quietAcross++
			}
		}
	})
	if quietAcross == 0 {
		t.Error("no quiet hours went across a change: the moments are not what they were meant to be")
	}
}

func minutes(t time.Time) int { return t.Hour()*60 + t.Minute() }
