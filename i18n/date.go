package i18n

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// calendars name the days, from Sunday, and the months, by Lang.
var calendars = [...]struct{ days, months []string }{
	English: {
		strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday"),
		strings.Fields("January February March April May June July August September October November December"),
	},
	Spanish: {
		strings.Fields("domingo lunes martes miércoles jueves viernes sábado"),
		strings.Fields("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
	},
}

// abbreviated is the first three letters of a name.
func abbreviated(name string) string { return string([]rune(name)[:3]) }

// Clock is a moment's time of day in the reader's zone: 09:41:52.
func Clock(ctx context.Context, t time.Time) string { return t.In(Zone(ctx)).Format("15:04:05") }

// Minute is Clock without seconds.
func Minute(ctx context.Context, t time.Time) string { return t.In(Zone(ctx)).Format("15:04") }

// Millis is the part of a second that Clock leaves out: .118
func Millis(t time.Time) string { return t.Format(".000") }

// ISODay is a moment's day in the reader's zone: 2026-02-24.
func ISODay(ctx context.Context, t time.Time) string { return t.In(Zone(ctx)).Format(time.DateOnly) }

// LongDay is a moment's day in words: Tuesday 24 February, martes 24 de
// febrero. The year is told when it is not the current one.
func LongDay(ctx context.Context, t time.Time) string {
	l, local := FromContext(ctx), t.In(Zone(ctx))
	names := calendars[l]
	between := " "
	if l == Spanish {
		between = " de "
	}
	text := names.days[local.Weekday()] + " " + strconv.Itoa(local.Day()) + between + names.months[local.Month()-1]
	if local.Year() != Now(ctx).In(Zone(ctx)).Year() {
		text += between + strconv.Itoa(local.Year())
	}
	return text
}

// ShortDay is a moment's day in little room: Tue 24 Feb, mar 24 feb.
func ShortDay(ctx context.Context, t time.Time) string {
	local := t.In(Zone(ctx))
	names := calendars[FromContext(ctx)]
	return abbreviated(names.days[local.Weekday()]) + " " + strconv.Itoa(local.Day()) + " " + abbreviated(names.months[local.Month()-1])
}

// Date is ShortDay with its year.
func Date(ctx context.Context, t time.Time) string {
	return ShortDay(ctx, t) + " " + strconv.Itoa(t.In(Zone(ctx)).Year())
}

// Both is a moment, whole, in the reader's zone and in UTC.
func Both(ctx context.Context, t time.Time) string {
	return t.In(Zone(ctx)).Format("2006-01-02 15:04:05.000 -07:00") + " · " + t.UTC().Format("15:04:05.000 UTC")
}

// ZoneName names the reader's zone at a moment: Europe/Madrid (UTC+1).
func ZoneName(ctx context.Context, at time.Time) string {
	zone := Zone(ctx)
	_, offset := at.In(zone).Zone()
	if zone == time.UTC || zone.String() == "UTC" {
		return "UTC"
	}
	sign, minutes := "+", offset/60
	if minutes < 0 {
		sign, minutes = "\u2212", -minutes
	}
	text := "UTC" + sign + strconv.Itoa(minutes/60)
	if minutes%60 != 0 {
		text += ":" + strconv.Itoa(minutes%60)
	}
	if zone.String() == "Local" {
		return text
	}
	return zone.String() + " (" + text + ")"
}

// Age is how long ago t was, in one unit that both languages write alike:
// 4 s, 12 min, 3 h, 2 d. What lies ahead is 0 s old.
func Age(ctx context.Context, t time.Time) string {
	d := max(0, Now(ctx).Sub(t))
	n, unit := int64(d/time.Second), "s"
	switch {
	case d >= 24*time.Hour:
		n, unit = int64(d/(24*time.Hour)), "d"
	case d >= time.Hour:
		n, unit = int64(d/time.Hour), "h"
	case d >= time.Minute:
		n, unit = int64(d/time.Minute), "min"
	}
	return Number(ctx, n) + "\u00a0" + unit
}
