package routes_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

func TestExplain(t *testing.T) {
	rules := parse(t, `
contacts: {a: {email: a@example.net}, b: {email: b@example.net}}
routes:
  - {sources: [ups-*, pdu-*], severity: critical, contacts: a}
  - {text: "Batería", channel: tcp_socket, contacts: [b], continue: true}
  - contacts: [b, a]
  - contacts: a`)
	explained := rules.Explain(models.Draft{Source: "ups-1", Severity: models.SeverityError, Message: "bateria", Channel: models.ChannelTCP}, time.Now())
	var got []string
	for _, s := range explained.Steps {
		got = append(got, fmt.Sprintf("%d line %d: %v", s.Number, s.Route.Line, s.Matched))
		for _, c := range s.Checks {
			got = append(got, fmt.Sprintf("%s | %q | %s | %v", c.Name, c.Wants, c.Has, c.Holds))
		}
	}
	want := []string{
		"1 line 4: false", `severity | ["critical"] | error | false`, `sources | ["ups-*" "pdu-*"] | ups-1 | true`,
		"2 line 5: true", `channel | ["tcp_socket"] | tcp_socket | true`, `text | ["Batería"] | bateria | true`,
		"3 line 6: true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if p := explained.Plans; len(p) != 2 || p[0].Contact.Name != "b" || p[1].Contact.Name != "a" {
		t.Errorf("plans %+v, want b, then a", p)
	}
}

func TestExplain_Plans(t *testing.T) {
	const quiet = "quiet_hours: {zone: Europe/Madrid, from: 22:00, to: 07:00}"
	night, day := "2026-03-29T00:30:00Z", "2026-03-29T12:00:00Z"
	for name, tt := range map[string]struct {
		contact, at string
		severity    models.Severity
		want        []string
	}{
		"the default":        {"language: es", day, "error", []string{"gather", "per_hour"}},
		"a critical":         {"language: es", day, "critical", []string{"gather", "per_hour", "urgent"}},
		"no limits":          {"limits: none", day, "critical", []string{"at_once"}},
		"nothing is bounded": {"limits: {per_hour: 0}", day, "critical", []string{"gather"}},
		"at night":           {quiet, night, "error", []string{"held 2026-03-29T05:00:00Z", "per_hour"}},
		"exempt at night":    {quiet, night, "critical", []string{"exempt", "gather", "per_hour", "urgent"}},
		"by day":             {quiet, day, "error", []string{"awake", "gather", "per_hour"}},
		"exempt by day":      {quiet, day, "critical", []string{"awake", "gather", "per_hour", "urgent"}},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		rules := parse(t, "contacts: {a: {email: a@example.net, webhook: {kind: slack, url_env: SLACK_URL, name: room}, "+tt.contact+"}}\nroutes: [{contacts: a}]")
		plan := rules.Explain(models.Draft{Severity: tt.severity}, at).Plans[0]
		var got []string
		for _, s := range plan.Stages {
			text := string(s.Kind)
			if !s.Until.IsZero() {
				text += s.Until.Format(" " + time.RFC3339)
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := fmt.Sprint(plan.Addresses); got != "[{email a@example.net } {webhook room slack}]" {
			t.Errorf("%s: addresses %s", name, got)
		}
	}
}
