package i18n

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

//go:embed en.json es.json
var files embed.FS

// words is the catalogue of one language.
type words struct {
	plain     map[string]string // texts without placeholders, ready to use
	localizer *i18n.Localizer   // the rest
}

// catalogues is read-only after it is built, indexed by Lang.
var catalogues = load()

// load reads the embedded catalogues. They are part of the program, so one
// that cannot be read is a fault of the build: it panics, in every test.
func load() []words {
	bundle := i18n.NewBundle(tags[English])
	all := make([]words, len(Langs()))
	for _, l := range Langs() {
		file, err := bundle.LoadMessageFileFS(files, l.String()+".json")
		if err != nil {
			panic(fmt.Sprintf("i18n: catalogue %s: %v", l, err))
		}
		plain := make(map[string]string, len(file.Messages))
		for _, m := range file.Messages {
			if m.One == "" && !strings.Contains(m.Other, "{{") {
				plain[m.ID] = m.Other
			}
		}
		all[l] = words{plain: plain, localizer: i18n.NewLocalizer(bundle, l.String())}
	}
	return all
}

// T is the text of key in the language of ctx. Its placeholders are given as
// pairs of a name and a value; int and int64 values are grouped as by Number,
// and the one named Count also chooses the plural form. An unknown key, which
// the tests do not let pass, is answered by itself.
func T(ctx context.Context, key string, pairs ...any) string {
	l := FromContext(ctx)
	w := &catalogues[l]
	if text, ok := w.plain[key]; ok {
		return text
	}
	data := make(map[string]any, len(pairs)/2)
	var count any
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case int:
			data[name] = group(l, int64(v))
		case int64:
			data[name] = group(l, v)
		default:
			data[name] = v
		}
		if name == "Count" {
			count = pairs[i+1]
		}
	}
	text, err := w.localizer.Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: data, PluralCount: count})
	if err != nil {
		return key
	}
	return text
}
