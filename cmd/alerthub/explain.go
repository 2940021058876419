package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"alerthub/models"
	"alerthub/routes"
	"alerthub/views"
)

type explainCmd struct {
	Routes   string `name:"routes" env:"ALERTHUB_ROUTES" required:"" placeholder:"FILE" help:"The file."`
	Source   string `name:"source" required:"" placeholder:"NAME" help:"The event's source."`
	Severity string `name:"severity" required:"" placeholder:"WORD" help:"info, warning, error or critical, or a word or number of syslog."`
	Channel  string `name:"channel" default:"tcp_socket" enum:"tcp_socket,http_api" placeholder:"CHANNEL" help:"tcp_socket or http_api. Default ${default}."`
	Message  string `name:"message" placeholder:"TEXT" help:"The event's message."`
	At       string `name:"at" placeholder:"TIME" help:"When the event is received: RFC 3339, or 2026-03-29 01:30 in local time. Default: now."`
}

// Validate refuses a severity that a hub would take for the default, and what
// is no time.
func (c *explainCmd) Validate() error {
	if _, known := models.ParseSeverity(c.Severity); !known {
		return fmt.Errorf("--severity: %q is not one of info, warning, error, critical", c.Severity)
	}
	_, err := c.at()
	return err
}

func (c *explainCmd) at() (time.Time, error) {
	if c.At == "" {
		return time.Now(), nil
	}
	if at, err := time.Parse(time.RFC3339, c.At); err == nil {
		return at, nil
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", c.At, time.Local)
	if err != nil {
		return at, fmt.Errorf("--at: %q is not a time such as 2026-03-29T01:30:00Z or \"2026-03-29 01:30\"", c.At)
	}
	return at, nil
}

// run prints how the file decides about the event, by the code that decides.
func (c *explainCmd) run(stdout io.Writer) error {
	rules, err := readRoutes("--routes", c.Routes)
	if err != nil {
		return err
	}
	draft, err := models.NewDraft(models.Input{Source: c.Source, Severity: c.Severity, Message: c.Message, Channel: models.Channel(c.Channel)})
	if err != nil {
		return err
	}
	at, err := c.at()
	if err != nil {
		return err
	}
	out := printer{w: stdout}
	out.line("event: source %q, severity %s, channel %s, message %q", draft.Source, draft.Severity, draft.Channel, draft.Message)
	if c.At != "" {
		out.line("received at %s", at.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	explained := rules.Explain(draft, at)
	for _, s := range explained.Steps {
		out.line("")
		verdict := "does not match"
		if s.Matched {
			verdict = "matches"
		}
		out.line("route %d (line %d) %s", s.Number, s.Route.Line, verdict)
		for _, check := range s.Checks {
			answer := "no "
			if check.Holds {
				answer = "yes"
			}
			out.line("  %s  %s %s: it is %q", answer, check.Name, condition(check), check.Has)
		}
		if len(s.Checks) == 0 {
			out.line("  yes  it has no conditions")
		}
		if s.Matched {
			out.line("  tells %s", told(rules, s.Route))
		}
	}
	for _, plan := range explained.Plans {
		out.line("")
		out.plan(plan, &draft, at)
	}
	switch {
	case len(explained.Plans) > 0:
	case draft.Severity.Escalates():
		out.line("\nnobody is told; recorded as skipped: %s", routes.NoRoute)
	default:
		out.line("\nnobody is told, and nothing recorded: %s, and %s need not reach a person", routes.NoRoute, draft.Severity)
	}
	return out.err
}

// why is how the routes decide about a stored event, for the panel.
func (s Settings) why(e models.Event) views.Why {
	rules := s.SMTP.Routes
	if rules == nil {
		return views.Why{}
	}
	why := views.Why{Routed: true}
	explained := rules.Explain(models.Draft{Source: e.Source, Severity: e.Severity, Channel: e.Channel, Message: e.Message}, e.CreatedAt)
	for _, step := range explained.Steps {
		shown := views.RouteStep{Number: step.Number, Line: step.Route.Line, Matched: step.Matched, Onward: step.Route.Continue}
		for _, c := range step.Checks {
			wants := strings.Join(c.Wants, ", ")
			if c.Name == "severity" {
				wants = "≥ " + wants
			}
			shown.Checks = append(shown.Checks, views.RouteCheck{Name: c.Name, Wants: wants, Has: c.Has, Holds: c.Holds})
		}
		if step.Matched {
			shown.Tells = rules.Names(step.Route)
		}
		why.Steps = append(why.Steps, shown)
	}
	return why
}

// plan prints what a contact is told of an event, and when.
func (p *printer) plan(plan routes.Plan, d *models.Draft, at time.Time) {
	p.line("%s, in %s", plan.Contact.Name, plan.Contact.Language)
	for _, a := range plan.Addresses {
		if a.Channel == models.DeliveryWebhook {
			p.line("  webhook to %s", webhookName(a.Recipient, a.Kind))
		} else {
			p.line("  email to %s", a.Recipient)
		}
	}
	q, l := plan.Contact.Quiet, plan.Contact.Limits
	for _, stage := range plan.Stages {
		switch stage.Kind {
		case routes.StageHeld:
			p.line("  quiet hours %s hold it until %s; then it is told with all else that waits", hours(q), both(stage.Until, q.Zone))
		case routes.StageExempt:
			p.line("  quiet hours %s: %s is exempt", hours(q), d.Severity)
		case routes.StageAwake:
			p.line("  outside of quiet hours %s: it is %s", hours(q), both(at, q.Zone))
		case routes.StageGather:
			p.line("  told at once if nothing about %s was told in the last %s; else within %[2]s in a digest", d.Source, short(l.Gather))
		case routes.StageAtOnce:
			p.line("  told at once")
		case routes.StagePerHour:
			kept := ""
			if l.Reserve > 0 {
				kept = fmt.Sprintf(", %d of them kept for criticals of sources that were silent for an hour", l.Reserve)
			}
			p.line("  at most %d an hour%s; past that one digest every %s", l.PerHour, kept, short(l.Interval))
		case routes.StageUrgent:
			p.line("  past that, within %s in a digest if nothing about %s was told for an hour", short(routes.UrgentWithin), d.Source)
		}
	}
	if plan.Contact.IfFailing != "" {
		p.line("  if it cannot be delivered, %s is told", plan.Contact.IfFailing)
	}
}

// condition is what a route wants, in words.
func condition(c routes.Check) string {
	switch c.Name {
	case "severity":
		return "at least " + c.Wants[0]
	case "text":
		return strconv.Quote(c.Wants[0])
	default:
		return strings.Join(c.Wants, " or ")
	}
}

// webhookName is what people call a webhook, with its kind if that is not told.
func webhookName(name, kind string) string {
	if name == kind || strings.HasPrefix(name, kind+" ") {
		return name
	}
	return name + " (" + kind + ")"
}

func hours(q *models.QuietHours) string {
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	return clock(q.From) + "–" + clock(q.To) + " " + q.Zone.String()
}

// both is a time in a zone and in UTC.
func both(t time.Time, zone *time.Location) string {
	local, utc := t.In(zone), "15:04 UTC"
	if local.Day() != t.UTC().Day() {
		utc = "2006-01-02 " + utc
	}
	return local.Format("2006-01-02 15:04 MST") + " (" + t.UTC().Format(utc) + ")"
}

// short is a duration without the zeros that Go writes behind it.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func join(severities []models.Severity, between string) string {
	words := make([]string, len(severities))
	for i, s := range severities {
		words[i] = string(s)
	}
	return strings.Join(words, between)
}
