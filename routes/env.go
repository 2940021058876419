package routes

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"alerthub/models"
)

// Env is what Parse knows of the machine. The zero Env is that of the process.
type Env struct {
	Getenv   func(string) string          // nil means os.Getenv
	ReadFile func(string) ([]byte, error) // nil means os.ReadFile; it resolves relative names
	// CheckWebhook says what is wrong with a webhook, without its secrets; ""
	// for nothing. Nil checks nothing.
	CheckWebhook func(models.Webhook) string
	// Elsewhere means that the file is not read where it is used: a variable
	// that is not set, or a file of a secret that cannot be read, is a warning.
	Elsewhere bool
}

func (e Env) orProcess() Env {
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.ReadFile == nil {
		e.ReadFile = os.ReadFile
	}
	return e
}

// value is what one of name, name_env and name_file says. It is "" when none
// of them is there, or when it is not known; unknown is then what stands for
// it. No mistake quotes a value: somebody may have put the secret where its
// variable belongs.
func (p *parser) value(members map[string]*yaml.Node, of, name string) (value, unknown string) {
	var given []string
	for _, key := range []string{name, name + "_env", name + "_file"} {
		if members[key] != nil {
			given = append(given, key)
		}
	}
	if len(given) == 0 {
		return "", ""
	}
	key := given[0]
	n := members[key]
	if len(given) > 1 {
		p.bad(members[given[1]].Line, "%s: %s; give one of them", of, strings.Join(given, " and "))
		return "", key
	}
	if n = p.one(n, of, key); n == nil {
		return "", key
	}
	switch key {
	case name + "_env":
		value, unknown = p.variable(n, of, key)
	case name + "_file":
		value, unknown = p.secretFile(n, of, key)
	default:
		value = n.Value
	}
	switch {
	case unknown != "":
	case value == "":
		p.bad(n.Line, "%s: %s is empty", of, key)
		unknown = key
	case strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value:
		p.bad(n.Line, "%s: %s must be one line without blanks around it", of, key)
		unknown = key
	}
	return value, unknown
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// telling is a variable that is hardly a secret in the wrong place.
	telling = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,19}(_[A-Z0-9]{1,19})+$`)
)

func (p *parser) variable(n *yaml.Node, of, key string) (value, unknown string) {
	if !variable.MatchString(n.Value) {
		p.bad(n.Line, "%s: %s must be the name of an environment variable, such as SLACK_URL", of, key)
		return "", key
	}
	if value = p.env.Getenv(n.Value); value != "" {
		return value, ""
	}
	name := "the environment variable"
	unknown = key
	if telling.MatchString(n.Value) {
		name += " " + n.Value
		unknown = "$" + n.Value
	}
	p.missing(n.Line, "%s: %s: %s is not set", of, key, name)
	return "", unknown
}

func (p *parser) secretFile(n *yaml.Node, of, key string) (value, unknown string) {
	content, err := p.env.ReadFile(n.Value)
	if err != nil {
		why := ""
		// Its words name the file, and others may quote what it holds.
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			why = ": " + pe.Err.Error()
		}
		p.missing(n.Line, "%s: the file of %s cannot be read%s", of, key, why)
		return "", key
	}
	return strings.TrimRight(string(content), "\r\n"), ""
}

// missing tells what is not there: a mistake where the file is used.
func (p *parser) missing(line int, format string, args ...any) {
	if p.env.Elsewhere {
		p.doubt(line, format, args...)
		return
	}
	p.bad(line, format, args...)
}
