package routes

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pairs are the keys and values of a mapping, in their order. What is no
// mapping, and keys that are no text or stand there twice, are mistakes.
func (p *parser) pairs(n *yaml.Node, of string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			p.bad(n.Line, "%s: must be keys with values", of)
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if !isText(key) {
				p.bad(key.Line, "%s: a key must be a text", of)
				continue
			}
			if first := seen[key.Value]; first > 0 {
				p.bad(key.Line, "%s: %s stands there twice, first in line %d", of, quoted(key), first)
				continue
			}
			seen[key.Value] = key.Line
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// members are the values of a mapping whose keys are known; an unknown one is
// a mistake. The second result is false if it is no mapping.
func (p *parser) members(n *yaml.Node, of string, known ...string) (map[string]*yaml.Node, bool) {
	members := map[string]*yaml.Node{}
	for key, value := range p.pairs(n, of) {
		if !slices.Contains(known, key.Value) {
			p.bad(key.Line, "%s: unknown key %s; the keys are %s", of, quoted(key), strings.Join(known, ", "))
			continue
		}
		members[key.Value] = value
	}
	return members, n.Kind == yaml.MappingNode
}

// quoted is a key, unless a URL took its place, which may be a secret.
func quoted(key *yaml.Node) string {
	if strings.Contains(key.Value, "://") {
		return "(a URL)"
	}
	return strconv.Quote(key.Value)
}

// one is a node that must be a text; nil if it is absent or none.
func (p *parser) one(n *yaml.Node, of, name string) *yaml.Node {
	if n != nil && !isText(n) {
		p.bad(n.Line, "%s: %s must be a text", of, name)
		return nil
	}
	return n
}

// several are the texts of a node that must be one, or a list of at least one.
// One that is absent is missing in line.
func (p *parser) several(n *yaml.Node, of, name string, line int) []*yaml.Node {
	switch {
	case n == nil:
		p.bad(line, "%s: %s is missing", of, name)
		return nil
	case isText(n):
		return []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		p.bad(n.Line, "%s: %s must be a text, or a list of at least one", of, name)
		return nil
	}
	var texts []*yaml.Node
	for _, item := range n.Content {
		if item = p.one(item, of, name+": each of the list"); item != nil {
			texts = append(texts, item)
		}
	}
	return texts
}

// isText reports whether a node is one plain value. Numbers, dates and the
// like are taken as they are written; null, aliases and tags of one's own
// are not.
func isText(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, n.ShortTag())
}
