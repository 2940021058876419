package i18n

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// message is a catalogue's entry as it is written: its plural forms, or its
// one text under "other".
type message map[string]string

func readCatalogue(t *testing.T, l Lang) map[string]message {
	t.Helper()
	raw, err := files.ReadFile(l.String() + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var entries map[string]any
	if err := json.Unmarshal(raw, &entries); err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	catalogue := make(map[string]message, len(entries))
	for key, entry := range entries {
		switch v := entry.(type) {
		case string:
			catalogue[key] = message{"other": v}
		case map[string]any:
			m := message{}
			for form, text := range v {
				m[form] = text.(string)
			}
			catalogue[key] = m
		}
	}
	return catalogue
}

// forms are the plural forms that each language needs (CLDR, for integers).
var forms = map[Lang][]string{English: {"one", "other"}, Spanish: {"many", "one", "other"}}

var placeholder = regexp.MustCompile(`{{\.(\w+)}}`)

func placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestCatalogues_sayTheSameThings(t *testing.T) {
	english, spanish := readCatalogue(t, English), readCatalogue(t, Spanish)
	for key := range spanish {
		if _, ok := english[key]; !ok {
			t.Errorf("%s: only in Spanish", key)
		}
	}
	for key, en := range english {
		es, ok := spanish[key]
		if !ok {
			t.Errorf("%s: only in English", key)
			continue
		}
		if (len(en) > 1) != (len(es) > 1) {
			t.Errorf("%s: has plural forms in one language only", key)
		}
		want := placeholders(en["other"])
		for l, m := range map[Lang]message{English: en, Spanish: es} {
			for form, text := range m {
				if diff := cmp.Diff(want, placeholders(text)); diff != "" {
					t.Errorf("%s: placeholders of %s %q differ (-want +got):\n%s", key, l, form, diff)
				}
				if strings.TrimSpace(text) != text || text == "" {
					t.Errorf("%s: %s %q is blank or has blanks around it", key, l, form)
				}
			}
			if got := sortedKeys(m); len(m) > 1 && !slices.Equal(got, forms[l]) {
				t.Errorf("%s: plural forms in %s are %v, want %v", key, l, got, forms[l])
			}
		}
	}
}

func sortedKeys(m message) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// TestCatalogues_holdWhatTheProgramSays reads the program's source: every call
// of T names its key and its placeholders literally, so that none can be
// missing, misspelled or left over.
func TestCatalogues_holdWhatTheProgramSays(t *testing.T) {
	english := readCatalogue(t, English)
	used := map[string]bool{}
	for _, file := range sources(t, "..") {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isT(call) {
				return true
			}
			at := set.Position(call.Pos())
			key, ok := literal(call.Args[1])
			if !ok {
				t.Errorf("%s: the key is not a literal", at)
				return true
			}
			used[key] = true
			m, ok := english[key]
			if !ok {
				t.Errorf("%s: %s is in no catalogue", at, key)
				return true
			}
			var names []string
			for i := 2; i < len(call.Args); i += 2 {
				name, _ := literal(call.Args[i])
				names = append(names, name)
			}
			slices.Sort(names)
			if diff := cmp.Diff(placeholders(m["other"]), names); diff != "" {
				t.Errorf("%s: %s: placeholders differ (-catalogue +call):\n%s", at, key, diff)
			}
			return true
		})
	}
	for key := range english {
		if !used[key] {
			t.Errorf("%s: nobody says it", key)
		}
	}
}

// sources lists the program's Go files, generated ones too, tests not.
func sources(t *testing.T, root string) []string {
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("found %d source files: %v", len(found), err)
	}
	return found
}

// isT reports whether a call is one of T; one argument is a conversion to a
// type parameter of that name.
func isT(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident: // in this package
		return f.Name == "T" && len(call.Args) > 1
	case *ast.SelectorExpr:
		p, ok := f.X.(*ast.Ident)
		return ok && p.Name == "i18n" && f.Sel.Name == "T"
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}
