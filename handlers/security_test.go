package handlers

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"alerthub/models"
)

var update = flag.Bool("update", false, "write the table of docs/security.md instead of comparing with it")

// securityFile is where it is written down who may what, and which test shows
// which promise.
const securityFile = "../docs/security.md"

// TestSecurity_RoutesAreWrittenDown: the table of the document is that of the
// code.
func TestSecurity_RoutesAreWrittenDown(t *testing.T) {
	written, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- routes: go test ./handlers -run TestSecurity -update -->\n", "<!-- end of routes -->\n"
	before, rest, found := strings.Cut(string(written), begin)
	table, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", securityFile)
	}
	want := routesTable()
	if *update {
		if err := os.WriteFile(securityFile, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("%s tells another table than the code; to write it anew: go test ./handlers -run TestSecurity -update\n%s", securityFile, want)
	}
}

// routesTable is who may reach which route.
func routesTable() string {
	var b strings.Builder
	actors := []models.Actor{{Kind: models.ActorOpen}, {Kind: models.ActorNobody}}
	b.WriteString("| route | asks for | open hub | nobody |")
	for _, role := range models.Roles() {
		actors = append(actors, models.Actor{Kind: models.ActorUser, Role: role})
		fmt.Fprintf(&b, " %s |", role)
	}
	for _, scope := range models.Scopes() {
		actors = append(actors, models.Actor{Kind: models.ActorKey, Scopes: []models.Scope{scope}})
		fmt.Fprintf(&b, " key: %s |", scope)
	}
	b.WriteString("\n|" + strings.Repeat("---|", 2+len(actors)) + "\n")
	table := Permissions()
	lines := make([]string, 0, len(table))
	for line := range table {
		lines = append(lines, line)
	}
	path := func(line string) string { _, path, _ := strings.Cut(line, " "); return path }
	slices.SortFunc(lines, func(a, b string) int {
		least := models.Permissions()
		return cmp.Or(slices.Index(least, table[a])-slices.Index(least, table[b]), strings.Compare(path(a), path(b)), strings.Compare(a, b))
	})
	for _, line := range lines {
		fmt.Fprintf(&b, "| `%s` | %s |", line, table[line])
		for _, actor := range actors {
			if actor.May(table[line]) {
				b.WriteString(" yes |")
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

var (
	namedTests  = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testsOfFile = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\([tf] `)
)

// TestSecurity_NamedTestsExist: what the document calls shown is shown by a
// test that there is.
func TestSecurity_NamedTestsExist(t *testing.T) {
	there := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range testsOfFile.FindAllSubmatch(source, -1) {
			there[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	named := namedTests.FindAllStringSubmatch(string(written), -1)
	for _, match := range named {
		if !there[match[1]] {
			t.Errorf("%s names %s, which is nowhere", securityFile, match[1])
		}
	}
	if len(named) < 50 || len(there) < 300 {
		t.Errorf("%d names, %d tests: this proves nothing", len(named), len(there))
	}
}
