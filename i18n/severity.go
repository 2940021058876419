package i18n

import (
	"context"
	"slices"
	"strings"

	"alerthub/models"
)

// Severity is a severity in the reader's language. A word that is none stays
// as it is.
func Severity(ctx context.Context, s models.Severity) string {
	switch s {
	case models.SeverityInfo:
		return T(ctx, "sev.info")
	case models.SeverityWarning:
		return T(ctx, "sev.warning")
	case models.SeverityError:
		return T(ctx, "sev.error")
	case models.SeverityCritical:
		return T(ctx, "sev.critical")
	}
	return string(s)
}

// SeverityCount counts events of one severity: 2 critical.
func SeverityCount(ctx context.Context, s models.Severity, n int64) string {
	switch s {
	case models.SeverityInfo:
		return T(ctx, "sev.count.info", "Count", n)
	case models.SeverityWarning:
		return T(ctx, "sev.count.warning", "Count", n)
	case models.SeverityError:
		return T(ctx, "sev.count.error", "Count", n)
	case models.SeverityCritical:
		return T(ctx, "sev.count.critical", "Count", n)
	}
	return Number(ctx, n) + " " + string(s)
}

// SeverityCounts counts events by severity, by its rank, the gravest first:
// 2 critical, 1 error.
func SeverityCounts(ctx context.Context, counts [4]int64) string {
	var words []string
	for _, s := range slices.Backward(models.Severities()) {
		if n := counts[s.Rank()]; n > 0 {
			words = append(words, SeverityCount(ctx, s, n))
		}
	}
	return strings.Join(words, ", ")
}
