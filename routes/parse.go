package routes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"alerthub/models"
	"alerthub/query"
)

// maxFile bounds a file, in bytes: thousands of routes.
const maxFile = 1 << 20

// Mistake is something that is wrong with a file.
type Mistake struct {
	Line int
	Text string
}

// String names the line first.
func (m Mistake) String() string { return fmt.Sprintf("line %d: %s", m.Line, m.Text) }

// Parse reads a routes file, and the variables and files that it names. It
// returns either rules, or all that is wrong with the file, in the order of its
// lines. No mistake and no warning holds a webhook's URL, secret or token.
func Parse(file []byte, env Env) (*Rules, []Mistake) {
	p := parser{env: env.orProcess(), rules: &Rules{byName: map[string]int{}}}
	p.document(file)
	if len(p.mistakes) > 0 {
		slices.SortStableFunc(p.mistakes, byLine)
		return nil, p.mistakes
	}
	p.warn()
	return p.rules, nil
}

func byLine(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) }

// parser collects rules and mistakes. It walks the nodes of the document
// itself, since decoding into structs ends at the first mistake.
type parser struct {
	env      Env
	rules    *Rules
	mistakes []Mistake
}

func (p *parser) bad(line int, format string, args ...any) {
	p.mistakes = append(p.mistakes, Mistake{line, fmt.Sprintf(format, args...)})
}

// doubt is a warning.
func (p *parser) doubt(line int, format string, args ...any) {
	p.rules.Warnings = append(p.rules.Warnings, Mistake{line, fmt.Sprintf(format, args...)})
}

func (p *parser) document(file []byte) {
	if len(file) > maxFile {
		p.bad(1, "the file is longer than %d bytes", maxFile)
		return
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.bad(1, "the file holds nothing")
		return
	case err != nil:
		p.syntax(file, err)
		return
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		p.bad(more.Line, "a second document begins; a file holds one")
	case !errors.Is(err, io.EOF):
		p.syntax(file, err)
	}
	members, ok := p.members(doc.Content[0], "the file", "contacts", "routes")
	if !ok {
		return
	}
	for _, part := range []struct {
		name string
		read func(*yaml.Node)
	}{{"contacts", p.contacts}, {"routes", p.routes}} {
		if node := members[part.name]; node != nil {
			part.read(node)
		} else {
			p.bad(1, "%s are missing", part.name)
		}
	}
}

var (
	syntaxLine    = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

// syntax tells what the library found to be no YAML: one thing, since it
// cannot read on. A pattern that begins with '*' is the likely one, so that
// its line, which the library does not know, is looked for.
func (p *parser) syntax(file []byte, err error) {
	words, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := syntaxLine.FindStringSubmatch(words); m != nil {
		words = words[len(m[0]):]
		line, _ = strconv.Atoi(m[1]) // digits
	}
	if m := unknownAnchor.FindStringSubmatch(words); m != nil {
		words = fmt.Sprintf("a text that begins with * must be in quotes: %q", "*"+m[1])
		before, _, _ := bytes.Cut(file, []byte("*"+m[1]))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	p.bad(line, "%s", words)
}

func (p *parser) routes(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.bad(n.Line, "routes: must be a list of at least one")
		return
	}
	for i, node := range n.Content {
		of := fmt.Sprintf("route %d", i+1)
		r := Route{Line: node.Line}
		if members, ok := p.members(node, of, "severity", "sources", "channel", "text", "contacts", "continue"); ok {
			p.conditions(&r, members, of)
			p.named(&r, members["contacts"], of)
			if n := members["continue"]; n != nil && (n.ShortTag() != "!!bool" || n.Decode(&r.Continue) != nil) {
				p.bad(n.Line, "%s: continue must be true or false", of)
			}
		}
		p.rules.Routes = append(p.rules.Routes, r)
	}
}

func (p *parser) conditions(r *Route, members map[string]*yaml.Node, of string) {
	if n := p.one(members["severity"], of, "severity"); n != nil {
		r.Severity = models.Severity(n.Value)
		r.conditions = append(r.conditions, bySeverity)
		if !r.Severity.Valid() {
			p.bad(n.Line, "%s: severity %q is not one of %s", of, n.Value, list(models.Severities()))
		}
	}
	if n := p.one(members["channel"], of, "channel"); n != nil {
		r.Channel = models.Channel(n.Value)
		r.conditions = append(r.conditions, byChannel)
		if !r.Channel.Valid() {
			p.bad(n.Line, "%s: channel %q is not one of %s", of, n.Value, list(models.Channels()))
		}
	}
	if n := members["sources"]; n != nil {
		r.conditions = append(r.conditions, bySource)
		for _, text := range p.several(n, of, "sources", n.Line) {
			r.Sources = append(r.Sources, text.Value)
			if _, err := path.Match(text.Value, ""); err != nil || text.Value == "" {
				p.bad(text.Line, "%s: %q is not a pattern of sources, such as ups-*", of, text.Value)
			}
		}
	}
	if n := p.one(members["text"], of, "text"); n != nil {
		r.Text, r.folded = n.Value, query.Fold(n.Value)
		r.conditions = append(r.conditions, byText)
		if strings.TrimSpace(r.folded) == "" {
			p.bad(n.Line, "%s: text %q is blank: every message holds it", of, n.Value)
		}
	}
}

func (p *parser) named(r *Route, n *yaml.Node, of string) {
	for _, text := range p.several(n, of, "contacts", r.Line) {
		c, ok := p.rules.byName[text.Value]
		switch {
		case !ok:
			p.bad(text.Line, "%s: there is no contact %q", of, text.Value)
		case slices.Contains(r.Contacts, c):
			p.bad(text.Line, "%s: contact %q is there twice", of, text.Value)
		default:
			r.Contacts = append(r.Contacts, c)
		}
	}
}

// list writes the words that may stand in a place.
func list[T any](words []T) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(words), " ", ", "), "[]")
}
