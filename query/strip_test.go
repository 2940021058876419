package query_test

import (
	"net/url"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/query"
)

func TestQuery_Strip(t *testing.T) {
	now := time.Date(2026, 11, 23, 18, 37, 12, 0, time.UTC)
	for rawQuery, want := range map[string]struct {
		from, to string // "" for no strip
		step     time.Duration
	}{
		"":                          {"2026-11-22T19:00:00Z", "2026-11-23T19:00:00Z", 30 * time.Minute},
		"range=1h":                  {"2026-11-23T17:38:00Z", "2026-11-23T18:38:00Z", time.Minute},
		"sev=error&ch=tcp&range=6h": {"2026-11-23T12:40:00Z", "2026-11-23T18:40:00Z", 8 * time.Minute},
		"q=x":                       {}, "src=x": {}, "ack=no": {},
		"from=2026-11-23T18:30:10Z":                         {"2026-11-23T18:30:00Z", "2026-11-23T18:38:00Z", time.Minute},
		"from=2026-11-23T12:00:00Z":                         {"2026-11-23T12:00:00Z", "2026-11-23T18:40:00Z", 10 * time.Minute},
		"to=2026-11-20T00:00:00Z":                           {"2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", 30 * time.Minute},
		"from=2026-11-20T10:05:00Z&to=2026-11-20T10:06:00Z": {"2026-11-20T10:00:00Z", "2026-11-20T10:30:00Z", 30 * time.Minute}, // folded
		"from=2016-01-01T00:00:00Z":                         {"2015-12-28T00:00:00Z", "2026-12-14T00:00:00Z", 10 * 7 * 24 * time.Hour},
	} {
		values, err := url.ParseQuery(rawQuery)
		if err != nil {
			t.Fatal(err)
		}
		q, problems := query.Parse(values, now)
		w, ok := q.Strip(now)
		if len(problems) > 0 || ok != (want.from != "") {
			t.Errorf("%s: %v, %v", rawQuery, ok, problems)
			continue
		}
		if !ok {
			continue
		}
		if from, to := w.From.Format(time.RFC3339), w.To.Format(time.RFC3339); w.Step != want.step || from != want.from && want.step < 24*time.Hour || to != want.to && want.step < 24*time.Hour {
			t.Errorf("%s: %s to %s by %v", rawQuery, from, to, w.Step)
		}
		if w.From.After(q.Filter(now).From) && !q.Filter(now).From.IsZero() || w.Bars() < 1 || w.Bars() > 61 {
			t.Errorf("%s: %d bars from %v", rawQuery, w.Bars(), w.From)
		}
	}
}

func TestQuery_Only(t *testing.T) {
	all := models.Series{Counts: []models.Counts{{Event: [4][2]int64{{1, 2}, {3, 4}, {5, 6}, {7, 8}}, Email: [6]int64{9, 9, 9, 9}}}}
	for name, tt := range map[string]struct {
		q    query.Query
		want [4][2]int64
	}{
		"all":                {query.Query{}, [4][2]int64{{1, 2}, {3, 4}, {5, 6}, {7, 8}}},
		"severities":         {query.Query{}.WithSeverities("critical", "info"), [4][2]int64{{1, 2}, {}, {}, {7, 8}}},
		"a channel":          {query.Query{}.WithChannels("http_api"), [4][2]int64{{0, 2}, {0, 4}, {0, 6}, {0, 8}}},
		"one of one channel": {query.Query{}.WithSeverities("error").WithChannels("tcp_socket"), [4][2]int64{{}, {}, {5, 0}, {}}},
	} {
		if got := tt.q.Only(all).Counts[0].Event; got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if all.Counts[0].Event[0][0] != 1 {
		t.Error("the series that was given has changed")
	}
}
