package i18n

import (
	"context"
	"strconv"
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
	b := strconv.AppendFloat(nil, share, 'f', 1, 64)
	if FromContext(ctx) == Spanish {
		b[len(b)-2] = ','
	}
	return string(b) + "\u00a0%"
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
