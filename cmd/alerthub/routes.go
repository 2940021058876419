package main

import (
	"fmt"
	"io"
	"strings"

	"alerthub/hub"
	"alerthub/models"
	"alerthub/routes"
)

// escalation is the rule by which events cause emails: that of the routes
// file, or SMTP_TO is told of what must reach a person.
func (a *App) escalation() func(models.Draft) []models.NewAlert {
	s := a.settings.SMTP
	if s.Routes == nil {
		return hub.EscalateTo(s.To, s.Missing())
	}
	for _, w := range s.Routes.Warnings {
		a.logger.Warn("routes file", "warning", w.String())
	}
	if len(s.To) > 0 {
		a.logger.Warn("SMTP_TO is not used: the routes file says who is told")
	}
	return s.Routes.Escalation(hub.Birth(s.Missing()))
}

// routesCmd looks at a routes file without a hub.
type routesCmd struct {
	Check   checkCmd   `cmd:"" help:"Check a file as serve does, and print what it holds or everything that is wrong with it."`
	Explain explainCmd `cmd:"" help:"Print which routes an event would be looked at by, why each matched or not, and who would be told."`
}

// readRoutes is a routes file that is right, or a *settingsError.
func readRoutes(name, file string) (*routes.Rules, error) {
	var ck checker
	rules := ck.routes(name, file)
	if len(ck.problems) > 0 {
		return nil, &settingsError{ck.problems}
	}
	return rules, nil
}

type checkCmd struct {
	File string `arg:"" name:"file" help:"The file."`
}

// run prints what the file says. The error tells all that is wrong with it.
func (c *checkCmd) run(stdout io.Writer) error {
	rules, err := readRoutes("FILE", c.File)
	if err != nil {
		return err
	}
	out := printer{w: stdout}
	out.line("%s is right: %s, %s", c.File, count(len(rules.Contacts), "contact"), count(len(rules.Routes), "route"))
	out.line("")
	for _, contact := range rules.Contacts {
		out.line("contact %s: %s", contact.Name, mails(contact))
	}
	out.line("")
	for i := range rules.Routes {
		route := &rules.Routes[i]
		wants := []string{"everything"}
		if conditions := route.Conditions(); len(conditions) > 0 {
			wants = nil
			for _, c := range conditions {
				wants = append(wants, c.Name+" "+c.Wants)
			}
		}
		out.line("route %d (line %d): %s", i+1, route.Line, strings.Join(wants, ", "))
		out.line("  tells %s", told(rules, route))
	}
	if len(rules.Warnings) > 0 {
		out.line("")
	}
	for _, w := range rules.Warnings {
		out.line("warning: %s", w)
	}
	return out.err
}

type explainCmd struct {
	Routes   string `name:"routes" env:"ALERTHUB_ROUTES" required:"" placeholder:"FILE" help:"The file."`
	Source   string `name:"source" required:"" placeholder:"NAME" help:"The event's source."`
	Severity string `name:"severity" required:"" placeholder:"WORD" help:"info, warning, error or critical, or a word or number of syslog."`
	Channel  string `name:"channel" default:"tcp_socket" enum:"tcp_socket,http_api" placeholder:"CHANNEL" help:"tcp_socket or http_api. Default ${default}."`
	Message  string `name:"message" placeholder:"TEXT" help:"The event's message."`
}

// Validate refuses a severity that a hub would take for the default.
func (c *explainCmd) Validate() error {
	if _, known := models.ParseSeverity(c.Severity); !known {
		return fmt.Errorf("--severity: %q is not one of info, warning, error, critical", c.Severity)
	}
	return nil
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
	out := printer{w: stdout}
	out.line("event: source %q, severity %s, channel %s, message %q", draft.Source, draft.Severity, draft.Channel, draft.Message)
	steps, named := rules.Explain(draft)
	for _, s := range steps {
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
			out.line("  %s  %s %s: it is %q", answer, check.Name, check.Wants, check.Has)
		}
		if len(s.Checks) == 0 {
			out.line("  yes  it has no conditions")
		}
		if s.Matched {
			out.line("  tells %s", told(rules, s.Route))
		}
	}
	out.line("")
	for _, contact := range named {
		out.line("mail to %s: %s", contact.Name, mails(contact))
	}
	switch {
	case len(named) > 0:
	case draft.Severity.Escalates():
		out.line("no mail; recorded as skipped: %s", routes.NoRoute)
	default:
		out.line("no mail, and nothing recorded: %s, and %s need not reach a person", routes.NoRoute, draft.Severity)
	}
	return out.err
}

// told says whom a route tells, and whether others may follow.
func told(rules *routes.Rules, route *routes.Route) string {
	text := strings.Join(rules.Names(route), ", ")
	if route.Continue {
		text += ", and goes on"
	}
	return text
}

func mails(c routes.Contact) string {
	return fmt.Sprintf("%s, in %s", strings.Join(c.Addresses, ", "), c.Language)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printer writes lines until one cannot be written.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
