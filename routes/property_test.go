package routes_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"alerthub/models"
	"alerthub/routes"
)

// plan is a routes file as the reference reads it: from the generator, not
// from the file.
type plan struct {
	emails   map[string][]string
	webhooks map[string][]string // by their names
	routes   []plannedRoute
}

type plannedRoute struct {
	severity, channel, text string // "" for none
	sources, contacts       []string
	goOn                    bool
}

func (p plan) file() string {
	var b strings.Builder
	b.WriteString("contacts:\n")
	for i, name := range names {
		fmt.Fprintf(&b, "  %s:\n    if_failing: %s\n", name, names[(i+1)%len(names)])
		if len(p.emails[name]) > 0 {
			fmt.Fprintf(&b, "    email: %q\n", p.emails[name])
		}
		if len(p.webhooks[name]) > 0 {
			b.WriteString("    webhook:\n")
		}
		for _, w := range p.webhooks[name] {
			fmt.Fprintf(&b, "      - {name: %q, kind: slack, url_env: SLACK_URL}\n", w)
		}
	}
	b.WriteString("routes:\n")
	for _, r := range p.routes {
		fmt.Fprintf(&b, "  - contacts: %q\n", r.contacts)
		for key, value := range map[string]string{"severity": r.severity, "channel": r.channel, "text": r.text} {
			if value != "" {
				fmt.Fprintf(&b, "    %s: %q\n", key, value)
			}
		}
		if len(r.sources) > 0 {
			fmt.Fprintf(&b, "    sources: %q\n", r.sources)
		}
		fmt.Fprintf(&b, "    continue: %v\n", r.goOn)
	}
	return strings.ReplaceAll(b.String(), `" "`, `", "`) // Go's lists as YAML's
}

// expected decides about d the slow and obvious way: every route is asked,
// then the answers are read from the top.
func (p plan) expected(d models.Draft) []string {
	var answers []bool
	for _, r := range p.routes {
		answers = append(answers, r.matches(d))
	}
	var list []string
	add := func(names []string) {
		for _, name := range names {
			for _, address := range slices.Concat(p.emails[name], p.webhooks[name]) {
				if who := name + " " + address; !slices.Contains(list, who) {
					list = append(list, who)
				}
			}
		}
	}
	for i, yes := range answers {
		if yes {
			add(p.routes[i].contacts)
		}
		if yes && !p.routes[i].goOn {
			break
		}
	}
	return list
}

func (r plannedRoute) matches(d models.Draft) bool {
	order := map[models.Severity]int{"info": 1, "warning": 2, "error": 3, "critical": 4}
	plain := strings.NewReplacer("Á", "a", "á", "a", "É", "e", "é", "e", "Ñ", "n", "ñ", "n")
	if r.severity != "" && order[d.Severity] < order[models.Severity(r.severity)] {
		return false
	}
	if r.channel != "" && string(d.Channel) != r.channel {
		return false
	}
	if r.text != "" && !strings.Contains(strings.ToLower(plain.Replace(d.Message)), strings.ToLower(plain.Replace(r.text))) {
		return false
	}
	if len(r.sources) == 0 {
		return true
	}
	for _, pattern := range r.sources {
		if regexp.MustCompile("(?s)^" + asRegexp(pattern) + "$").MatchString(d.Source) {
			return true
		}
	}
	return false
}

// asRegexp translates the patterns of these tests, which have no backslash.
func asRegexp(pattern string) string {
	quoted := regexp.QuoteMeta(pattern)
	return strings.NewReplacer(`\*`, ".*", `\?`, ".", `\[`, "[", `\]`, "]", `\^`, "^", `\-`, "-").Replace(quoted)
}

var (
	names   = []string{"ana", "benito", "noc"}
	sources = rapid.StringMatching(`[au/é-]{0,6}`)
	globs   = rapid.StringMatching(`([au/é-]|\*|\?|\[a-z\]|\[\^/é\]|\[ué\]){1,5}`)
	texts   = rapid.StringMatching(`[aáÁeÉnñÑ ]{0,8}`)
)

func planned(t *rapid.T) plan {
	p := plan{emails: map[string][]string{}, webhooks: map[string][]string{}}
	for i, name := range names {
		emails := rapid.IntRange(0, 2).Draw(t, "emails")
		for n := range emails {
			p.emails[name] = append(p.emails[name], fmt.Sprintf("%d-%d@example.net", i, n))
		}
		// One of both is needed.
		for n := range rapid.IntRange(max(0, 1-emails), 2).Draw(t, "webhooks") {
			p.webhooks[name] = append(p.webhooks[name], fmt.Sprintf("room-%d-%d", i, n))
		}
	}
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID)
	for range rapid.IntRange(1, 5).Draw(t, "routes") {
		r := plannedRoute{
			severity: rapid.SampledFrom([]string{"", "info", "warning", "error", "critical"}).Draw(t, "severity"),
			channel:  rapid.SampledFrom([]string{"", "", "tcp_socket", "http_api"}).Draw(t, "channel"),
			sources:  rapid.SliceOfN(globs, 0, 3).Draw(t, "globs"),
			contacts: some.Draw(t, "contacts"),
			goOn:     rapid.Bool().Draw(t, "continue"),
		}
		if rapid.Bool().Draw(t, "with text") {
			r.text = rapid.StringMatching(`[aáÁeÉnñÑ]{1,2}`).Draw(t, "text")
		}
		p.routes = append(p.routes, r)
	}
	return p
}

// What is decided is what the reference says, and Explain says the same.
func TestEscalation_IsWhatTheFileSays(t *testing.T) {
	toldAll := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := planned(rt)
		rules, mistakes := routes.Parse([]byte(p.file()), machine)
		if len(mistakes) > 0 {
			rt.Fatalf("%v in\n%s", mistakes, p.file())
		}
		decide := rules.Escalation(pending)
		for range 20 {
			d := models.Draft{
				Source: sources.Draw(rt, "source"), Message: texts.Draw(rt, "message"),
				Severity: rapid.SampledFrom(models.Severities()).Draw(rt, "severity"),
				Channel:  rapid.SampledFrom(models.Channels()).Draw(rt, "channel"),
			}
			want := p.expected(d)
			var explained []string
			plans := rules.Explain(d, time.Now()).Plans
			for _, plan := range plans {
				for _, a := range plan.Addresses {
					explained = append(explained, plan.Contact.Name+" "+a.Recipient)
				}
			}
			if !slices.Equal(want, explained) {
				rt.Fatalf("%+v: explained %q, want %q by\n%s", d, explained, want, p.file())
			}
			if len(want) == 0 && d.Severity.Escalates() {
				want = []string{""} // nobody, and the row says so
			}
			alerts := decide(d)
			for _, a := range alerts {
				if a.Contact != "" && (a.Channel == models.DeliveryWebhook) != strings.HasPrefix(a.Recipient, "room-") {
					rt.Fatalf("%+v goes the wrong way", a)
				}
			}
			if got := told(alerts); !slices.Equal(want, got) {
				rt.Fatalf("%+v: told %q, want %q by\n%s", d, got, want, p.file())
			}
			if len(plans) == 3 {
				toldAll++
			}
		}
	})
	if toldAll == 0 {
		t.Error("no event was told to everybody: the files are not what they were meant to be")
	}
}

// On sources without a slash a pattern means what path.Match says.
func FuzzSources(f *testing.F) {
	for _, seed := range [][2]string{{"ups-*", "ups-3"}, {"*", ""}, {"[^a-cñ]?*", "ññ"}, {`\*a*b\[`, "*aab["}, {"a*a*a*a*b", strings.Repeat("a", 70)}, {"*[]", "x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, source string) {
		source = strings.ToValidUTF8(strings.ReplaceAll(source, "/", ""), "")
		quoted, ok := inYAML(pattern)
		if !ok {
			return
		}
		rules, mistakes := routes.Parse([]byte("contacts: {a: {email: a@example.net}}\nroutes: [{contacts: a, sources: "+quoted+"}]"), machine)
		want, err := path.Match(pattern, source)
		if (err != nil || pattern == "") != (len(mistakes) > 0) {
			t.Fatalf("pattern %q: %v, but path.Match says %v", pattern, mistakes, err)
		}
		if rules == nil {
			return
		}
		if got := len(rules.Escalation(pending)(models.Draft{Source: source})) > 0; got != want {
			t.Errorf("%q of %q: %v, want %v", pattern, source, got, want)
		}
	})
}

// inYAML writes plain text in single quotes.
func inYAML(s string) (string, bool) {
	for _, r := range s {
		if r < ' ' || r > '~' && r < 0xa0 || r >= 0xd800 || r == 0x2028 || r == 0x2029 {
			return "", false
		}
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", true
}

// FuzzParse: whatever a file holds, either there are rules that can be used,
// or mistakes that name lines of the file.
func FuzzParse(f *testing.F) {
	f.Add("contacts: {a: {email: a@example.net, language: es}}\nroutes: [{severity: error, sources: [\"*\"], channel: http_api, text: x, contacts: [a], continue: true}]")
	f.Add("contacts:\n  a: &x\n    email: [*x]\nroutes:\n- *x\n")
	f.Add("a: &a [*a]\n---\n? [b]\n: !!binary x\n")
	f.Add("contacts: {a: {email: !!str a@b}}\nroutes: [{contacts: a, sources: *b}]")
	f.Add("contacts: {a: {webhook: [{kind: slack, url_env: SLACK_URL}, {kind: odd, url: 'http://h', secret_file: secrets/hook}], limits: {per_hour: 3, reserve: 2, gather: 0, interval: 1h}, quiet_hours: {zone: Asia/Tokyo, from: 7:00, to: '22:00', exempt: []}, if_failing: b}, b: {email: a@b, limits: none}}\nroutes: [{contacts: a}]")
	f.Fuzz(func(t *testing.T, file string) {
		rules, mistakes := routes.Parse([]byte(file), machine)
		if (rules == nil) != (len(mistakes) > 0) {
			t.Fatalf("rules %v, mistakes %v", rules, mistakes)
		}
		last := strings.Count(file, "\n") + strings.Count(file, "\r") + strings.Count(file, "\u0085") + strings.Count(file, "\u2028") + strings.Count(file, "\u2029") + 2
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > last || m.Text == "" {
				t.Errorf("mistake %q of a file of %d lines", m, last)
			}
			if strings.Contains(m.Text, "hidden") && !strings.Contains(file, "hidden") {
				t.Errorf("mistake %q tells a secret", m)
			}
		}
		if rules == nil {
			return
		}
		for _, c := range rules.Contacts {
			l := c.Limits
			if len(c.Emails)+len(c.Webhooks) == 0 || l.Reserve > l.PerHour || l.Reserve < 0 || l.Gather < 0 || l.Interval < time.Minute || c.Quiet != nil && c.Quiet.From == c.Quiet.To {
				t.Errorf("contact %+v", c)
			}
		}
		for _, d := range []models.Draft{{Severity: models.SeverityInfo, Channel: models.ChannelHTTP}, {Source: "ups-1", Severity: models.SeverityCritical, Channel: models.ChannelTCP, Message: "x"}} {
			alerts := rules.Escalation(pending)(d)
			if len(alerts) == 0 && d.Severity.Escalates() {
				t.Error("a critical event has no outcome")
			}
			seen := map[string]bool{}
			for _, a := range alerts {
				if _, known := rules.Language(a.Contact); known != (a.Status == models.EmailPending) || seen[a.Contact+"\x00"+a.Recipient] {
					t.Errorf("alert %+v of %+v", a, alerts)
				}
				seen[a.Contact+"\x00"+a.Recipient] = true
			}
		}
	})
}
