package routes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/routes"
)

func lines(mistakes []routes.Mistake) []string {
	var list []string
	for _, m := range mistakes {
		list = append(list, m.String())
	}
	return list
}

func TestParse_TellsEveryMistakeAtOnce(t *testing.T) {
	_, mistakes := routes.Parse([]byte(`contacts:
  noc:
    email: [noc@example.net, NOC@example.net, nix]
    language: fr
    pager: "1"
  noc:
    email: a@example.net
  empty:
  mute: {language: en}
  list: {email: []}
  tagged: {email: !x a@example.net}
routes:
  - severity: fatal
    sources: ["[a", "", [b]]
    channel: pigeon
    text: " "
    contacts: [noc, nok, noc]
    continue: perhaps
    webhook: http://example.net
  - contacts: []
  - severity: [error]
  - just text
limits: {}
`), machine)
	want := []string{
		`line 3: contact "noc": NOC@example.net is there twice`,
		`line 3: contact "noc": "nix" is not an email address`,
		`line 4: contact "noc": language "fr" is not one of en, es`,
		`line 5: contact "noc": unknown key "pager"; the keys are email, webhook, language, limits, quiet_hours, if_failing`,
		`line 6: contacts: "noc" stands there twice, first in line 2`,
		`line 8: contact "empty": must be keys with values`,
		`line 9: contact "mute": email or webhook is missing`,
		`line 10: contact "list": email must be a text, or a list of at least one`,
		`line 11: contact "tagged": email must be a text, or a list of at least one`,
		`line 13: route 1: severity "fatal" is not one of info, warning, error, critical`,
		`line 14: route 1: sources: each of the list must be a text`,
		`line 14: route 1: "[a" is not a pattern of sources, such as ups-*`,
		`line 14: route 1: "" is not a pattern of sources, such as ups-*`,
		`line 15: route 1: channel "pigeon" is not one of tcp_socket, http_api`,
		`line 16: route 1: text " " is blank: every message holds it`,
		`line 17: route 1: there is no contact "nok"`,
		`line 17: route 1: contact "noc" is there twice`,
		`line 18: route 1: continue must be true or false`,
		`line 19: route 1: unknown key "webhook"; the keys are severity, sources, channel, text, contacts, continue`,
		`line 20: route 2: contacts must be a text, or a list of at least one`,
		`line 21: route 3: severity must be a text`,
		`line 21: route 3: contacts is missing`,
		`line 22: route 4: must be keys with values`,
		`line 23: the file: unknown key "limits"; the keys are contacts, routes`,
	}
	if diff := cmp.Diff(want, lines(mistakes)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestParse_Mistakes(t *testing.T) {
	const contacts, right = "contacts: {a: {email: a@example.net}}\n", "routes: [{contacts: a}]\n"
	for name, tt := range map[string]struct{ file, want string }{
		"nothing":              {"", "line 1: the file holds nothing"},
		"only a comment":       {"# soon\n", "line 1: the file holds nothing"},
		"null":                 {"---\n", "line 2: the file: must be keys with values"},
		"a list":               {"- a\n", "line 1: the file: must be keys with values"},
		"no contacts":          {"contacts: {}\nroutes: []\n", "line 1: contacts: at least one is needed\nline 2: routes: must be a list of at least one"},
		"contacts a list":      {"contacts: [a]\n" + right, "line 1: contacts: must be keys with values\nline 2: route 1: there is no contact \"a\""},
		"contacts missing":     {"\n" + right, "line 1: contacts are missing\nline 2: route 1: there is no contact \"a\""},
		"routes missing":       {contacts, "line 1: routes are missing"},
		"routes none":          {contacts + "routes: []\n", "line 2: routes: must be a list of at least one"},
		"routes a mapping":     {contacts + "routes: {contacts: a}\n", "line 2: routes: must be a list of at least one"},
		"two documents":        {contacts + right + "---\n" + right, "line 3: a second document begins; a file holds one"},
		"no YAML":              {contacts + "routes: [\n", "line 2: did not find expected node content"},
		"a tab":                {contacts + "routes:\n\t- contacts: a\n", "line 3: found character that cannot start any token"},
		"star without quotes":  {contacts + "routes:\n  - sources: *-ups\n    contacts: a\n", `line 3: a text that begins with * must be in quotes: "*-ups"`},
		"an alias":             {"contacts: {a: {email: &x a@example.net}, b: {email: *x}}\n" + right, `line 1: contact "b": email must be a text, or a list of at least one`},
		"a merge key":          {"contacts: {a: &x {email: a@example.net}, b: {<<: *x}}\n" + right, "line 1: contact \"b\": a key must be a text\nline 1: contact \"b\": email or webhook is missing"},
		"a name with blanks":   {`contacts: {" a": {email: a@example.net}}` + "\nroutes: [{contacts: \" a\"}]", `line 1: contact " a": a name is one line without blanks around it`},
		"a name too long":      {"contacts:\n  " + strings.Repeat("ñ", 41) + ": {email: a@example.net}\nroutes: [{contacts: " + strings.Repeat("ñ", 41) + "}]", `line 2: contact "` + strings.Repeat("ñ", 41) + `": a name has at most 40 characters`},
		"an address too long":  {"contacts: {a: {email: " + strings.Repeat("a", 310) + "@example.net}}\n" + right, `line 1: contact "a": "` + strings.Repeat("a", 310) + `@example.net" is not an email address`},
		"an address of blanks": {`contacts: {a: {email: '"a b"@example.net'}}` + "\n" + right, `line 1: contact "a": "\"a b\"@example.net" is not an email address`},
		"text that folds away": {contacts + "routes: [{contacts: a, text: \"\u0301\"}]\n", "line 2: route 1: text \"\u0301\" is blank: every message holds it"},
		"continue a text":      {contacts + "routes: [{contacts: a, continue: \"true\"}]\n", "line 2: route 1: continue must be true or false"},
		"too long":             {contacts + right + strings.Repeat("#", 1<<20), "line 1: the file is longer than 1048576 bytes"},
	} {
		rules, mistakes := routes.Parse([]byte(tt.file), machine)
		if got := strings.Join(lines(mistakes), "\n"); rules != nil || got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestParse_TakesWhatIsWritten(t *testing.T) {
	rules := parse(t, `
contacts:
  7: {email: Night Shift <night@example.net>}
  guardia ñ:
    language: es
    email:
      - a@example.net
      - b@example.net
routes:
  - sources: "*"
    text: 404
    contacts: 7
    continue: false
  - contacts: [guardia ñ, 7]
`)
	if diff := cmp.Diff([]string{"night@example.net"}, rules.Contacts[0].Emails); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	got := rules.Escalation(pending)(models.Draft{Source: "web/1", Message: "HTTP 404", Severity: models.SeverityInfo})
	if diff := cmp.Diff([]string{"7 night@example.net"}, told(got)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if len(rules.Warnings) > 0 {
		t.Errorf("warnings %v", rules.Warnings)
	}
}

func TestParse_Warnings(t *testing.T) {
	for name, tt := range map[string]struct {
		routes string
		want   []string
	}{
		"a contact that nobody names": {"[{contacts: a}]", []string{`line 1: contact "b": no route tells it anything`}},
		"a route behind all": {"[{contacts: a},\n{contacts: b}]", []string{
			`line 1: contact "b": no route tells it anything`, "line 3: route 2 is never looked at: the one in line 2 catches everything",
		}},
		"no route for the rest": {"[{contacts: [a, b], sources: x},\n{contacts: a, severity: critical}]", []string{
			"line 3: no route catches every error and critical event; those that none catches are recorded as skipped",
		}},
		"errors are caught":         {"[{contacts: [a, b], severity: error}]", nil},
		"behind one that continues": {"[{contacts: a, continue: true}, {contacts: b}]", nil},
	} {
		rules := parse(t, "contacts: {a: {email: a@example.net}, b: {email: b@example.net}}\nroutes: "+tt.routes)
		if got := lines(rules.Warnings); !slices.Equal(tt.want, got) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
