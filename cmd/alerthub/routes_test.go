package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example is the file of docs/escalation.md, written to campus.yaml in the
// working directory, and what the page says that explain prints.
func example(t *testing.T) (explained string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/escalation.md")
	if err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	printed := regexp.MustCompile("(?s)\\$ alerthub routes explain[^\n]*\n(.*?)```").FindSubmatch(page)
	if file == nil || printed == nil {
		t.Fatal("the page has no example")
	}
	t.Chdir(t.TempDir())
	write(t, "campus.yaml", string(file[1]))
	return string(printed[1])
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs the program.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestRoutesCheck_Prints(t *testing.T) {
	example(t)
	code, stdout, stderr := command(t, "routes", "check", "campus.yaml")
	want := `campus.yaml is right: 3 contacts, 4 routes

contact noc: noc@example.net, turno@example.net, in es
contact on-call: oncall@example.net, in en
contact facilities: facilities@example.net, in en

route 1 (line 12): severity at least warning, sources ups-*
  tells facilities, and goes on
route 2 (line 18): severity at least warning, channel tcp_socket, sources */ups*, text "batería"
  tells noc
route 3 (line 24): severity at least critical
  tells on-call, noc
route 4 (line 28): severity at least error
  tells noc
`
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

func TestRoutesCheck_Warns(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f.yaml", "contacts:\n  a: {email: a@example.net}\n  b: {email: b@example.net}\nroutes:\n  - contacts: a\n")
	code, stdout, stderr := command(t, "routes", "check", "f.yaml")
	want := `f.yaml is right: 2 contacts, 1 route

contact a: a@example.net, in en
contact b: b@example.net, in en

route 1 (line 5): everything
  tells a

warning: line 3: contact "b": no route tells it anything
`
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

// A file with mistakes starts nothing, whoever reads it.
func TestRoutes_TellEveryMistake(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f.yaml", "contacts:\n  a: {email: nobody}\nroutes:\n  - contacts: b\n    limit: 3\n")
	for _, args := range [][]string{
		{"routes", "check", "f.yaml"},
		{"routes", "explain", "--routes", "f.yaml", "--source", "s", "--severity", "error"},
		{"serve", "--routes", "f.yaml", "--data-dir", "data"},
	} {
		code, stdout, stderr := command(t, args...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%v: exit %d, %q", args, code, stdout)
		}
		for _, mistake := range []string{
			`f.yaml, line 2: contact "a": "nobody" is not an email address`,
			`f.yaml, line 4: route 1: there is no contact "b"`,
			`f.yaml, line 5: route 1: unknown key "limit"`,
		} {
			if !strings.Contains(stderr, mistake) {
				t.Errorf("%v does not tell %s:\n%s", args, mistake, stderr)
			}
		}
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("a hub with a wrong file made its directory")
	}
	if code, _, stderr := command(t, "routes", "check", "nowhere.yaml"); code != exitUsage || !strings.Contains(stderr, "nowhere.yaml cannot be read: no such file") {
		t.Errorf("no file: exit %d, %s", code, stderr)
	}
}

func TestRoutesExplain_PrintsWhatThePageSays(t *testing.T) {
	want := example(t)
	code, stdout, stderr := command(t, "routes", "explain", "--routes", "campus.yaml", "--source", "ups-3", "--severity", "error", "--message", "on battery")
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

func TestRoutesExplain_WhatNoRouteCatches(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f.yaml", "contacts: {a: {email: a@example.net}}\nroutes: [{contacts: a, channel: http_api}]\n")
	t.Setenv("ALERTHUB_ROUTES", filepath.Join(".", "f.yaml"))
	for severity, want := range map[string]string{
		"crit": "\nno mail; recorded as skipped: no route matches\n",
		"info": "\nno mail, and nothing recorded: no route matches, and info need not reach a person\n",
	} {
		if code, stdout, stderr := command(t, "routes", "explain", "--source", "s", "--severity", severity); code != 0 || !strings.HasSuffix(stdout, want) {
			t.Errorf("%s: exit %d, %s%s, want %s", severity, code, stdout, stderr, want)
		}
	}
	if code, stdout, _ := command(t, "routes", "explain", "--source", "s", "--severity", "4", "--channel", "http_api"); code != 0 || !strings.Contains(stdout, "severity warning, channel http_api") || !strings.HasSuffix(stdout, "\nmail to a: a@example.net, in en\n") {
		t.Errorf("by HTTP: exit %d, %s", code, stdout)
	}
	for _, args := range [][]string{{"--severity", "loud"}, {"--severity", "info", "--channel", "pigeon"}, {}} {
		if code, _, stderr := command(t, append([]string{"routes", "explain", "--source", "s"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}

func TestResolve_RoutesTakeThePlaceOfSMTPTo(t *testing.T) {
	example(t)
	s, err := resolve(t, map[string]string{"ALERTHUB_ROUTES": "campus.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"SMTP_HOST", "SMTP_FROM"}, s.SMTP.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if _, known := s.SMTP.Routes.Language("noc"); !known {
		t.Error("the file's contacts are not known")
	}
}
