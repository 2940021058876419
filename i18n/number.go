package i18n

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number writes n with its thousands always grouped, so that columns align:
// 1,234 in English, 1.234 in Spanish.
func Number(ctx context.Context, n int64) string { return group(FromContext(ctx), n) }

// Percent writes part of whole with one decimal: 96.8 % in English, 96,8 % in
// Spanish. Of nothing, it is 0.
func Percent(ctx context.Context, part, whole int64) string {
	share := 0.0
	if whole > 0 {
		share = float64(part) / float64(whole) * 100
	}
	return Decimal(ctx, share, 1) + "\u00a0%"
}

// Decimal writes f with a fixed number of decimals: 1,204.5 in English,
// 1.204,5 in Spanish.
func Decimal(ctx context.Context, f float64, decimals int) string {
	l := FromContext(ctx)
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(math.Abs(f), 'f', decimals, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return whole // beyond all that is counted here
	}
	text := group(l, n)
	if fraction != "" {
		point := "."
		if l == Spanish {
			point = ","
		}
		text += point + fraction
	}
	if f < 0 {
		text = "\u2212" + text
	}
	return text
}

// Signed writes how much something has changed: +1,262, \u2212355, or 0.
func Signed(ctx context.Context, n int64) string {
	l := FromContext(ctx)
	switch {
	case n > 0:
		return "+" + group(l, n)
	case n < 0:
		return "\u2212" + group(l, n)[1:]
	}
	return "0"
}

// Change writes by how many percent something has changed since it was
// before, which must not be 0.
func Change(ctx context.Context, now, before int64) string {
	return Signed(ctx, int64(math.Round(float64(now-before)/float64(before)*100))) + "\u00a0%"
}

// Bytes writes a size in decimal units: 412 MB.
func Bytes(ctx context.Context, n int64) string {
	f, unit := float64(n), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1000, larger
	}
	return Decimal(ctx, f, decimals(f, unit == "B")) + "\u00a0" + unit
}

// Duration writes a short span of time: 3.1 ms, 1.3 s, 12 s.
func Duration(ctx context.Context, d time.Duration) string {
	f, unit := float64(d)/float64(time.Millisecond), "ms"
	if f >= 999.5 {
		f, unit = f/1000, "s"
	}
	return Decimal(ctx, f, decimals(f, d == 0)) + "\u00a0" + unit
}

// decimals is one for a small number that is not counted in whole units.
func decimals(f float64, whole bool) int {
	if whole || f >= 9.95 {
		return 0
	}
	return 1
}

func group(l Lang, n int64) string {
	separator := byte(',')
	if l == Spanish {
		separator = '.'
	}
	digits := strconv.FormatInt(n, 10)
	first := 0 // index of the first digit
	if n < 0 {
		first = 1
	}
	out := make([]byte, 0, len(digits)+len(digits)/3)
	for i := 0; i < len(digits); i++ {
		if i > first && (len(digits)-i)%3 == 0 {
			out = append(out, separator)
		}
		out = append(out, digits[i])
	}
	return string(out)
}
