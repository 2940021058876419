package routes

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"alerthub/models"
)

// webhooks are one, or a list of at least one.
func (p *parser) webhooks(n *yaml.Node, of string) []models.Webhook {
	nodes := []*yaml.Node{n}
	switch {
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		nodes = n.Content
	case n.Kind != yaml.MappingNode:
		p.bad(n.Line, "%s: webhook must be keys with values, or a list of them", of)
		return nil
	}
	var webhooks []models.Webhook
	lines := map[string]int{} // of their names
	for i, node := range nodes {
		of := of + ": webhook"
		if len(nodes) > 1 {
			of = fmt.Sprintf("%s %d", of, i+1)
		}
		w, named := p.webhook(node, of)
		switch first := lines[w.Name]; {
		case !named:
		case first > 0:
			p.bad(node.Line, "%s: its name is that of the one in line %d; give it another by the key name", of, first)
		default:
			lines[w.Name] = node.Line
		}
		webhooks = append(webhooks, w)
	}
	return webhooks
}

var word = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)

// webhook reads one. It is not named while the host that its name is made of is
// not known.
func (p *parser) webhook(n *yaml.Node, of string) (w models.Webhook, named bool) {
	members, ok := p.members(n, of, "kind", "name", "url", "url_env", "url_file", "secret_env", "secret_file", "token_env", "token_file")
	if !ok {
		return w, false
	}
	wrong := len(p.mistakes)
	if members["kind"] == nil {
		p.bad(n.Line, "%s: kind is missing", of)
	} else if kind := p.one(members["kind"], of, "kind"); kind != nil {
		if w.Kind = kind.Value; !word.MatchString(w.Kind) {
			p.bad(kind.Line, "%s: kind must be one word, such as slack", of)
		}
	}
	var unknown [3]string
	w.URL, unknown[0] = p.value(members, of, "url")
	w.Secret, unknown[1] = p.value(members, of, "secret")
	w.Token, unknown[2] = p.value(members, of, "token")
	host := unknown[0]
	if w.URL != "" && host == "" {
		host = p.host(w.URL, of, cmp.Or(members["url"], members["url_env"], members["url_file"]).Line)
	}
	w.Name = strings.TrimSpace(w.Kind + " " + host)
	named = unknown[0] == "" && (w.URL == "") == (host == "") && w.Kind != ""
	if name := p.one(members["name"], of, "name"); name != nil {
		w.Name, named = name.Value, true
		if why := badName(w.Name); why != "" {
			p.bad(name.Line, "%s: name: %s", of, why)
		}
	}
	// A webhook that is not known in full would be refused for what it lacks.
	if len(p.mistakes) > wrong || p.env.CheckWebhook == nil || slices.ContainsFunc(unknown[:], func(s string) bool { return s != "" }) {
		return w, named
	}
	if why := p.env.CheckWebhook(w); why != "" {
		p.bad(n.Line, "%s: %s", of, why)
	}
	return w, named
}

// host is where a URL leads to. The URL itself may be a secret.
func (p *parser) host(text, of string, line int) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		p.bad(line, "%s: its url is not an address such as https://hooks.example.net/alerts", of)
		return ""
	}
	if u.Scheme == "http" && public(u.Hostname()) {
		p.doubt(line, "%s: its url is http to a public host: everybody on the way can read it; use https", of)
	}
	return u.Host
}

// public reports whether a host is hardly one of the own network: an address
// that is routed everywhere, or a name that is not of those kept for private
// use (RFC 6761, RFC 6762, RFC 8375, and .internal by ICANN).
func public(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a.IsGlobalUnicast() && !a.IsPrivate()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(name, ".") {
		return false
	}
	return !slices.ContainsFunc([]string{".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}
