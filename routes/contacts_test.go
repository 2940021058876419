package routes_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones, for machines that have none

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/routes"
)

func TestParse_AContactInFull(t *testing.T) {
	rules := parse(t, `
contacts:
  noc:
    email: [noc@example.net]
    language: es
    limits: {per_hour: 12, reserve: 5, gather: 90s, interval: 1m}
    quiet_hours:
      zone: Europe/Madrid
      from: 22:00
      to: "7:05"
      exempt: [critical, error]
    webhook:
      - kind: slack
        url_env: SLACK_URL
        secret_file: secrets/hook
      - kind: pagerduty
        token_env: PAGER_KEY
        name: the duty
      - {kind: generic, url: "http://10.0.0.7:8080/in"}
    if_failing: on-call
  on-call:
    webhook: {kind: ntfy, url_env: NTFY_URL}
routes: [{contacts: noc}]
`)
	noc, _ := rules.Contact("noc")
	if noc.Quiet == nil || noc.Quiet.Zone.String() != "Europe/Madrid" {
		t.Fatalf("quiet hours %+v", noc.Quiet)
	}
	noc.Quiet.Zone = nil
	want := models.Contact{
		Name: "noc", Language: "es", Emails: []string{"noc@example.net"}, IfFailing: "on-call",
		Limits: models.Limits{PerHour: 12, Reserve: 5, Gather: 90 * time.Second, Interval: time.Minute},
		Quiet:  &models.QuietHours{From: 22 * time.Hour, To: 7*time.Hour + 5*time.Minute, Exempt: []models.Severity{"critical", "error"}},
		Webhooks: []models.Webhook{
			{Name: "slack hooks.example.com", Kind: "slack", URL: "https://hooks.example.com/services/hidden", Secret: "hidden-secret"},
			{Name: "the duty", Kind: "pagerduty", Token: "hidden-key"},
			{Name: "generic 10.0.0.7:8080", Kind: "generic", URL: "http://10.0.0.7:8080/in"},
		},
	}
	if diff := cmp.Diff(want, noc); diff != "" {
		t.Errorf("contact (-want +got):\n%s", diff)
	}
	if len(rules.Warnings) > 0 {
		t.Errorf("warnings %v", rules.Warnings)
	}
	oncall, _ := rules.Contact("on-call")
	if oncall.Limits != models.DefaultLimits() || oncall.Quiet != nil || oncall.Language != "en" {
		t.Errorf("defaults %+v", oncall)
	}
}

func TestParse_Limits(t *testing.T) {
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for text, want := range map[string]models.Limits{
		"{}":                         models.DefaultLimits(),
		"none":                       {Interval: minutes(10)},
		"{gather: 0}":                {PerHour: 30, Reserve: 10, Interval: minutes(10)},
		"{gather: 1h}":               {PerHour: 30, Reserve: 10, Gather: minutes(60), Interval: minutes(10)},
		"{per_hour: 0}":              {Gather: minutes(5), Interval: minutes(10)},
		"{per_hour: 0, reserve: 0}":  {Gather: minutes(5), Interval: minutes(10)},
		"{per_hour: 100}":            {PerHour: 100, Reserve: 10, Gather: minutes(5), Interval: minutes(10)},
		"{per_hour: 8}":              {PerHour: 8, Reserve: 2, Gather: minutes(5), Interval: minutes(10)},
		"{per_hour: 2}":              {PerHour: 2, Gather: minutes(5), Interval: minutes(10)},
		"{per_hour: 4, reserve: 4}":  {PerHour: 4, Reserve: 4, Gather: minutes(5), Interval: minutes(10)},
		"{reserve: 30}":              {PerHour: 30, Reserve: 30, Gather: minutes(5), Interval: minutes(10)},
		"{interval: 24h, gather: 0}": {PerHour: 30, Reserve: 10, Interval: 24 * time.Hour},
	} {
		rules := parse(t, "contacts: {a: {email: a@example.net, limits: "+text+"}}\nroutes: [{contacts: a}]")
		if diff := cmp.Diff(want, rules.Contacts[0].Limits); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestParse_MistakesOfContacts(t *testing.T) {
	_, mistakes := routes.Parse([]byte(`contacts:
  a:
    email: https://hooks.example.com/hidden
    limits: {per_hour: -1, reserve: x, gather: 5, interval: 30s, burst: 3}
    quiet_hours: {zone: Madrid, from: 24:00, to: 7, exempt: [loud, error, error]}
    if_failing: a
  b:
    limits: {per_hour: 5, reserve: 6}
    quiet_hours: {from: "07:00", to: 7:00}
    webhook: https://hooks.example.com/hidden
    if_failing: nobody
  c:
    limits: {per_hour: 0, reserve: 1}
    quiet_hours: 22-7
    if_failing: [a]
    webhook:
      - {kind: slack, url: "https://h/hidden", url_env: SLACK_URL}
      - {kind: slack, url_env: "https://h/hidden"}
      - {kind: slack, url_env: SLACK_GONE, token_env: hiddenhidden}
      - {kind: slack, url_file: secrets/gone, secret_file: secrets/nothing}
      - {kind: slack, url: "ftp://h/hidden"}
      - {kind: slack, url: "https://h/%hidden"}
      - {url: "https://h/hidden", secret: hidden, "https://h/hidden": 1}
      - {kind: odd, url: "https://h/hidden"}
      - {kind: slack, url: "https://h/hidden", token_env: TWO_LINES}
      - {kind: slack, url: "https://h/hidden", name: " x"}
      - {kind: "a b", url: [x], name: [y]}
      - [x]
  d: {webhook: [], limits: [1], quiet_hours: {zone: Local, to: [1], exempt: {}}}
  e: {webhook: [{kind: slack, url: "https://h/1"}, {kind: slack, url: "https://h/2"}]}
routes: [{contacts: [a, b, c]}]
`), machine)
	want := []string{
		`line 3: contact "a": a URL is not an email address; see webhook`,
		`line 4: contact "a": limits: unknown key "burst"; the keys are per_hour, reserve, gather, interval`,
		`line 4: contact "a": limits: per_hour must be a whole number from 0 to 10000`,
		`line 4: contact "a": limits: reserve must be a whole number from 0 to 10000`,
		`line 4: contact "a": limits: gather must be a duration such as 90s or 5m, from 0m to 60m`,
		`line 4: contact "a": limits: interval must be a duration such as 90s or 5m, from 1m to 1440m`,
		`line 5: contact "a": quiet_hours: "Madrid" is not a time zone such as Europe/Madrid`,
		`line 5: contact "a": quiet_hours: from "24:00" is not a time of day such as 22:00`,
		`line 5: contact "a": quiet_hours: to "7" is not a time of day such as 22:00`,
		`line 5: contact "a": quiet_hours: severity "loud" is not one of info, warning, error, critical`,
		`line 5: contact "a": quiet_hours: error is there twice`,
		`line 6: contact "a": if_failing must be another contact`,
		`line 8: contact "b": limits: reserve 6 is more than per_hour 5`,
		`line 9: contact "b": quiet_hours: zone is missing`,
		`line 9: contact "b": quiet_hours: from and to are the same`,
		`line 10: contact "b": webhook must be keys with values, or a list of them`,
		`line 11: contact "b": if_failing: there is no contact "nobody"`,
		`line 13: contact "c": limits: reserve is a part of per_hour, which is 0: no bound`,
		`line 14: contact "c": quiet_hours: must be keys with values`,
		`line 15: contact "c": if_failing must be a text`,
		`line 17: contact "c": webhook 1: url and url_env; give one of them`,
		`line 18: contact "c": webhook 2: url_env must be the name of an environment variable, such as SLACK_URL`,
		`line 19: contact "c": webhook 3: url_env: the environment variable SLACK_GONE is not set`,
		`line 19: contact "c": webhook 3: token_env: the environment variable is not set`,
		`line 20: contact "c": webhook 4: the file of url_file cannot be read: file does not exist`,
		`line 20: contact "c": webhook 4: secret_file is empty`,
		`line 21: contact "c": webhook 5: its url is not an address such as https://hooks.example.net/alerts`,
		`line 22: contact "c": webhook 6: its url is not an address such as https://hooks.example.net/alerts`,
		`line 23: contact "c": webhook 7: unknown key "secret"; the keys are kind, name, url, url_env, url_file, secret_env, secret_file, token_env, token_file`,
		`line 23: contact "c": webhook 7: unknown key (a URL); the keys are kind, name, url, url_env, url_file, secret_env, secret_file, token_env, token_file`,
		`line 23: contact "c": webhook 7: kind is missing`,
		`line 24: contact "c": webhook 8: there is no such kind`,
		`line 25: contact "c": webhook 9: token_env must be one line without blanks around it`,
		`line 26: contact "c": webhook 10: name: a name is one line without blanks around it`,
		`line 27: contact "c": webhook 11: kind must be one word, such as slack`,
		`line 27: contact "c": webhook 11: url must be a text`,
		`line 27: contact "c": webhook 11: name must be a text`,
		`line 28: contact "c": webhook 12: must be keys with values`,
		`line 29: contact "d": webhook must be keys with values, or a list of them`,
		`line 29: contact "d": limits: must be none, or keys with values`,
		`line 29: contact "d": quiet_hours: "Local" is not a time zone such as Europe/Madrid`,
		`line 29: contact "d": quiet_hours: from is missing`,
		`line 29: contact "d": quiet_hours: to must be a text`,
		`line 29: contact "d": quiet_hours: exempt must be a text, or a list of at least one`,
		`line 30: contact "e": webhook 2: its name is that of the one in line 30; give it another by the key name`,
	}
	got := lines(mistakes)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
	if all := strings.Join(got, "\n"); strings.Contains(all, "hidden") {
		t.Errorf("a secret is told:\n%s", all)
	}
}

// What docs/escalation.md shows can be written: whole files, and parts of a
// contact.
func TestParse_WhatThePageShows(t *testing.T) {
	page, err := os.ReadFile("../docs/escalation.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d examples", len(blocks))
	}
	elsewhere := machine
	elsewhere.Elsewhere = true
	for _, block := range blocks {
		file := string(block[1])
		if strings.HasPrefix(file, " ") {
			file = "contacts:\n  a:\n    email: a@example.net\n" + file + "routes: [{contacts: a}]\n"
		}
		if _, mistakes := routes.Parse([]byte(file), elsewhere); len(mistakes) > 0 {
			t.Errorf("mistakes %v in\n%s", mistakes, file)
		}
	}
}

// A file can be checked where its secrets are not, such as in CI.
func TestParse_Elsewhere(t *testing.T) {
	file := []byte(`contacts:
  a:
    webhook:
      - {kind: slack, url_env: SLACK_GONE}
      - {kind: odd, url_file: secrets/gone, token_env: PAGER_KEY}
      - {kind: odd, url_file: secrets/gone}
      - {kind: slack, name: known, url_env: SLACK_URL}
routes: [{contacts: a}]
`)
	elsewhere := machine
	elsewhere.Elsewhere = true
	rules, mistakes := routes.Parse(file, elsewhere)
	if len(mistakes) > 0 {
		t.Fatalf("mistakes %v", mistakes)
	}
	want := []string{
		`line 4: contact "a": webhook 1: url_env: the environment variable SLACK_GONE is not set`,
		`line 5: contact "a": webhook 2: the file of url_file cannot be read: file does not exist`,
		`line 6: contact "a": webhook 3: the file of url_file cannot be read: file does not exist`,
	}
	if diff := cmp.Diff(want, lines(rules.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	got := told(rules.Escalation(pending)(models.Draft{}))
	if diff := cmp.Diff([]string{"a slack $SLACK_GONE", "a odd url_file", "a odd url_file", "a known"}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if rules, mistakes := routes.Parse(file, machine); rules != nil || len(mistakes) != 3 {
		t.Errorf("where it is used: mistakes %v", mistakes)
	}
}

func TestParse_WarningsOfContacts(t *testing.T) {
	const held = `line 1: contact "a": quiet_hours: they hold critical events, too`
	const open = `line 1: contact "a": webhook: its url is http to a public host: everybody on the way can read it; use https`
	for contact, want := range map[string][]string{
		"quiet_hours: {zone: UTC, from: 22:00, to: 07:00, exempt: []}":      {held},
		"quiet_hours: {zone: UTC, from: 22:00, to: 07:00, exempt: warning}": {held},
		"quiet_hours: {zone: UTC, from: 22:00, to: 07:00}":                  nil,
		`webhook: {kind: generic, url: "http://hooks.example.com/"}`:        {open},
		`webhook: {kind: generic, url: "http://203.0.113.7/"}`:              {open},
		`webhook: {kind: generic, url: "http://[2001:db8::1]/"}`:            {open},
		`webhook: {kind: generic, url: "https://hooks.example.com/"}`:       nil,
		`webhook: {kind: generic, url: "http://localhost:99/"}`:             nil,
		`webhook: {kind: generic, url: "http://127.0.0.1/"}`:                nil,
		`webhook: {kind: generic, url: "http://[fd00::1]:80/"}`:             nil,
		`webhook: {kind: generic, url: "http://192.168.1.2/"}`:              nil,
		`webhook: {kind: generic, url: "http://gotify.lan/"}`:               nil,
		"if_failing: b": nil,
	} {
		file := "contacts: {a: {email: a@example.net, " + contact + "}, b: {email: b@example.net}}\nroutes: [{contacts: [a, b]}]"
		if strings.HasPrefix(contact, "if_failing") {
			file = strings.Replace(file, "[a, b]", "a", 1) // who is named so is named
		}
		if got := lines(parse(t, file).Warnings); !slices.Equal(want, got) {
			t.Errorf("%s: %q, want %q", contact, got, want)
		}
	}
}
