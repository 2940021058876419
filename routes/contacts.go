package routes

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"alerthub/i18n"
	"alerthub/models"
)

// maxAddress bounds an address: a local part and a domain (RFC 5321, section 4.5.3.1).
const maxAddress = 64 + 1 + 255

func (p *parser) contacts(n *yaml.Node) {
	var failing []*yaml.Node // by contact: whom it names
	for name, node := range p.pairs(n, "contacts") {
		c := Contact{Line: name.Line}
		c.Name, c.Limits = name.Value, models.DefaultLimits()
		of := fmt.Sprintf("contact %q", c.Name)
		if why := badName(c.Name); why != "" {
			p.bad(c.Line, "%s: %s", of, why)
		}
		// Known even if it is not right: routes that name it are no mistake.
		p.rules.byName[c.Name] = len(p.rules.Contacts)
		members, ok := p.members(node, of, "email", "webhook", "language", "limits", "quiet_hours", "if_failing")
		if ok {
			p.contact(&c, members, of)
		}
		p.rules.Contacts = append(p.rules.Contacts, c)
		failing = append(failing, p.one(members["if_failing"], of, "if_failing"))
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.bad(n.Line, "contacts: at least one is needed")
	}
	for i, text := range failing {
		if text != nil {
			p.ifFailing(&p.rules.Contacts[i], text)
		}
	}
}

func (p *parser) contact(c *Contact, members map[string]*yaml.Node, of string) {
	if n := members["email"]; n != nil {
		c.Emails = p.addresses(n, of)
	}
	if n := members["webhook"]; n != nil {
		c.Webhooks = p.webhooks(n, of)
	}
	if members["email"] == nil && members["webhook"] == nil {
		p.bad(c.Line, "%s: email or webhook is missing", of)
	}
	language := i18n.English
	if n := p.one(members["language"], of, "language"); n != nil {
		var ok bool
		if language, ok = i18n.Parse(n.Value); !ok {
			p.bad(n.Line, "%s: language %q is not one of %s", of, n.Value, list(i18n.Langs()))
		}
	}
	c.Language = language.String()
	if n := members["limits"]; n != nil {
		c.Limits = p.limits(n, of)
	}
	if n := members["quiet_hours"]; n != nil {
		c.Quiet = p.quietHours(n, of)
	}
}

// ifFailing is read when all contacts are known: it may name a later one.
func (p *parser) ifFailing(c *Contact, n *yaml.Node) {
	c.IfFailing = n.Value
	switch _, known := p.rules.byName[n.Value]; {
	case !known:
		p.bad(n.Line, "contact %q: if_failing: there is no contact %q", c.Name, n.Value)
	case n.Value == c.Name:
		p.bad(n.Line, "contact %q: if_failing must be another contact", c.Name)
	}
}

func badName(name string) string {
	switch {
	case name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl):
		return "a name is one line without blanks around it"
	case utf8.RuneCountInString(name) > models.MaxContact:
		return fmt.Sprintf("a name has at most %d characters", models.MaxContact)
	}
	return ""
}

func (p *parser) addresses(n *yaml.Node, of string) []string {
	var addresses []string
	for _, text := range p.several(n, of, "email", n.Line) {
		address, ok := parseAddress(text.Value)
		switch {
		case strings.Contains(text.Value, "://"): // it may be secret
			p.bad(text.Line, "%s: a URL is not an email address; see webhook", of)
		case !ok:
			p.bad(text.Line, "%s: %q is not an email address", of, text.Value)
		case slices.ContainsFunc(addresses, func(other string) bool { return strings.EqualFold(other, address) }):
			p.bad(text.Line, "%s: %s is there twice", of, address)
		default:
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// parseAddress is the bare address of text, which the mailer will read again.
func parseAddress(text string) (string, bool) {
	a, err := mail.ParseAddress(text)
	if err == nil {
		a, err = mail.ParseAddress(a.Address)
	}
	if err != nil || len(a.Address) > maxAddress {
		return "", false
	}
	return a.Address, true
}
