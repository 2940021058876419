package query_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 2, 24, 9, 41, 46, 123456789, time.UTC)

func TestParse(t *testing.T) {
	from := time.Date(2026, 2, 24, 8, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		in       string
		want     query.Query
		canon    string
		problems []string // fields
	}{
		"nothing":              {in: "", want: query.Query{}},
		"form fields left":     {in: "q=&src=&range=&from=&to=&ack=&ch=&sev=", want: query.Query{}},
		"text is trimmed":      {in: "q=++disk+full+", want: query.Query{Text: "disk full"}, canon: "q=disk+full"},
		"severities by rank":   {in: "sev=critical,error&sev=ERROR", want: query.Query{Severities: []models.Severity{"error", "critical"}}, canon: "sev=error&sev=critical"},
		"all severities":       {in: "sev=info,warning,error,critical", want: query.Query{}},
		"channel":              {in: "ch=tcp", want: query.Query{Channels: []models.Channel{models.ChannelTCP}}, canon: "ch=tcp"},
		"channel's wire word":  {in: "ch=http_api", want: query.Query{Channels: []models.Channel{models.ChannelHTTP}}, canon: "ch=http"},
		"both channels":        {in: "ch=tcp&ch=http", want: query.Query{}},
		"source":               {in: "src=core-sw-1", want: query.Query{Source: "core-sw-1"}, canon: "src=core-sw-1"},
		"unacknowledged":       {in: "ack=no", want: query.Query{Unacked: true}, canon: "ack=no"},
		"range":                {in: "range=24h", want: query.Query{Range: models.Range24h}, canon: "range=24h"},
		"all time":             {in: "range=all", want: query.Query{}},
		"bounds in UTC":        {in: "from=2026-02-24T09:00:00%2B01:00", want: query.Query{From: from}, canon: "from=2026-02-24T08%3A00%3A00Z"},
		"bounds beat a range":  {in: "range=1h&to=2026-02-24T08:00:00Z", want: query.Query{To: from}, canon: "to=2026-02-24T08%3A00%3A00Z"},
		"to not after from":    {in: "from=2026-02-24T08:00:00Z&to=2026-02-24T08:00:00Z", want: query.Query{From: from}, canon: "from=2026-02-24T08%3A00%3A00Z", problems: []string{"to"}},
		"future":               {in: "from=2027-01-01T00:00:00Z", want: query.Query{From: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, canon: "from=2027-01-01T00%3A00%3A00Z", problems: []string{"from"}},
		"unknown words":        {in: "sev=spicy&ch=udp&ack=yes&range=2h&from=x", want: query.Query{}, problems: []string{"sev", "ch", "ack", "from", "range"}},
		"too many words":       {in: "q=1+2+3+4+5+6+7+8+9", want: query.Query{Text: "1 2 3 4 5 6 7 8 9"}, canon: "q=1+2+3+4+5+6+7+8+9", problems: []string{"q"}},
		"too long":             {in: "q=" + strings.Repeat("%C3%A1", 301), want: query.Query{Text: strings.Repeat("á", 300)}, canon: "q=" + strings.Repeat("%C3%A1", 300), problems: []string{"q"}},
		"other parameters":     {in: "before=12&density=compact", want: query.Query{}},
		"a year of six digits": {in: "from=9999-12-31T23:59:59-01:00", want: query.Query{}, problems: []string{"from"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			values, err := url.ParseQuery(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			got, problems := query.Parse(values, now)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("query (-want +got):\n%s", diff)
			}
			var fields []string
			for _, p := range problems {
				fields = append(fields, p.Field)
			}
			if diff := cmp.Diff(tt.problems, fields); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if got.String() != tt.canon {
				t.Errorf("canonical %q, want %q", got, tt.canon)
			}
			if got.Empty() != (tt.canon == "") {
				t.Errorf("Empty is %v", got.Empty())
			}
		})
	}
}

func TestQuery_Filter(t *testing.T) {
	f := query.Query{Text: "disk", Range: models.Range24h}.Filter(now)
	want := models.EventFilter{Text: "disk", From: models.Range24h.Window(now).From}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("a range bounds only the start (-want +got):\n%s", diff)
	}
}

func TestQuery_With(t *testing.T) {
	base, _ := query.Parse(url.Values{"q": {"disk"}, "range": {"1h"}, "sev": {"info"}}, now)
	got := base.WithWindow(now, now.Add(time.Minute)).WithSeverities("critical", "error").WithSource("a b").WithText(" x ")
	if want := "from=2026-02-24T09%3A41%3A46.123456Z&q=x&sev=error&sev=critical&src=a+b&to=2026-02-24T09%3A42%3A46.123456Z"; got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := got.WithRange(models.Range6h).WithSeverities().WithSource("").WithText("").URL("/events"); got != "/events?range=6h" {
		t.Errorf("got %s", got)
	}
	if got := got.WithRange("").WithSeverities(models.Severities()...).WithSource("").WithText("").URL("/events"); got != "/events" {
		t.Errorf("got %s", got)
	}
	if base.String() != "q=disk&range=1h&sev=info" {
		t.Errorf("the original changed: %s", base)
	}
	if !base.Shows("info") || base.Shows("error") || !base.WithSeverities().Shows("error") {
		t.Error("Shows")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("q=%22disk+full%22+-sda+%2312&sev=error,critical&ch=tcp&src=core&range=24h")
	f.Add("from=2026-02-24T09:00:00.123456789%2B01:00&to=2026-02-25T09:00:00Z&ack=no")
	f.Add("q=%ff%00&src=%ff&from=0001-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, raw string) {
		values, _ := url.ParseQuery(raw)
		q, _ := query.Parse(values, now)
		again, _ := query.Parse(q.Values(), now)
		if diff := cmp.Diff(q, again); diff != "" {
			t.Fatalf("%q does not come back (-first +again):\n%s", raw, diff)
		}
		if q.String() != again.String() {
			t.Fatalf("%q and %q", q, again)
		}
		if utf8.RuneCountInString(q.Text) > query.MaxText || (q.Range != "" && (!q.From.IsZero() || !q.To.IsZero())) {
			t.Fatalf("%q: %+v", raw, q)
		}
	})
}
