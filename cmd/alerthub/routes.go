package main

import (
	"fmt"
	"io"
	"slices"
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
	return s.Routes.Escalation(s.birth)
}

// routesCmd looks at a routes file without a hub.
type routesCmd struct {
	Check   checkCmd   `cmd:"" help:"Check a file as serve does, and print what it holds or everything that is wrong with it."`
	Explain explainCmd `cmd:"" help:"Print which routes an event would be looked at by, why each matched or not, and who would be told."`
}

// readRoutes is a routes file that is right, or a *settingsError. It may be
// read where its variables are not set, such as in the CI of its repository.
func readRoutes(name, file string) (*routes.Rules, error) {
	var ck checker
	rules := ck.routes(name, file, routes.Env{Elsewhere: true})
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
		out.contact(contact)
	}
	out.line("")
	for i := range rules.Routes {
		route := &rules.Routes[i]
		wants := []string{"everything"}
		if conditions := route.Conditions(); len(conditions) > 0 {
			wants = nil
			for _, c := range conditions {
				wants = append(wants, c.Name+" "+condition(c))
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

// contact prints what the file says about a contact, but for its secrets.
func (p *printer) contact(c routes.Contact) {
	addresses := slices.Clone(c.Emails)
	for _, w := range c.Webhooks {
		addresses = append(addresses, webhookName(w.Name, w.Kind))
	}
	p.line("contact %s: %s, in %s", c.Name, strings.Join(addresses, ", "), c.Language)
	l := c.Limits
	hourly, gather := "no bound an hour", "nothing gathered"
	if l.PerHour > 0 {
		hourly = fmt.Sprintf("%d an hour, %d of them reserved, then every %s", l.PerHour, l.Reserve, short(l.Interval))
	}
	if l.Gather > 0 {
		gather = "gathered for " + short(l.Gather)
	}
	p.line("  limits: %s; %s", hourly, gather)
	if q := c.Quiet; q != nil {
		exempt := ", without exemption"
		if len(q.Exempt) > 0 {
			exempt = ", but for " + join(q.Exempt, ", ")
		}
		p.line("  quiet hours: %s%s", hours(q), exempt)
	}
	if c.IfFailing != "" {
		p.line("  if failing: %s", c.IfFailing)
	}
}

// told says whom a route tells, and whether others may follow.
func told(rules *routes.Rules, route *routes.Route) string {
	text := strings.Join(rules.Names(route), ", ")
	if route.Continue {
		text += ", and goes on"
	}
	return text
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
