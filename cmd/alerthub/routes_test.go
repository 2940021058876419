package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
	t.Setenv("NTFY_URL", "https://ntfy.example.net/hidden")
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
  limits: 30 an hour, 10 of them reserved, then every 10m; gathered for 5m
  if failing: on-call
contact on-call: oncall@example.net, ntfy ntfy.example.net, in en
  limits: 30 an hour, 10 of them reserved, then every 10m; gathered for 5m
contact facilities: facilities@example.net, in en
  limits: 6 an hour, 2 of them reserved, then every 10m; gathered for 5m
  quiet hours: 22:00–07:00 Europe/Madrid, but for critical

route 1 (line 16): severity at least warning, sources ups-*
  tells facilities, and goes on
route 2 (line 22): severity at least warning, channel tcp_socket, sources */ups*, text "batería"
  tells noc
route 3 (line 28): severity at least critical
  tells on-call, noc
route 4 (line 32): severity at least error
  tells noc
`
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

func TestRoutesCheck_Warns(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f.yaml", "contacts:\n  a: {email: a@example.net, limits: none}\n  b:\n    quiet_hours: {zone: UTC, from: 22:00, to: 7:30, exempt: []}\n"+
		"    webhook: {kind: gotify, name: desk, url: https://gotify.example.net, token_file: token}\nroutes:\n  - contacts: a\n")
	code, stdout, stderr := command(t, "routes", "check", "f.yaml")
	want := `f.yaml is right: 2 contacts, 1 route

contact a: a@example.net, in en
  limits: no bound an hour; nothing gathered
contact b: desk (gotify), in en
  limits: 30 an hour, 10 of them reserved, then every 10m; gathered for 5m
  quiet hours: 22:00–07:30 UTC, without exemption

route 1 (line 7): everything
  tells a

warning: line 3: contact "b": no route tells it anything
warning: line 4: contact "b": quiet_hours: they hold critical events, too
warning: line 5: contact "b": webhook: the file of token_file cannot be read: no such file or directory
`
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

// What is only where the hub is, is missed by serve, not by check and explain.
func TestRoutes_SecretsThatAreElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("conf", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "conf/f.yaml", `contacts: {a: {webhook: {kind: generic, url_env: HOOK_URL, secret_file: hook}}}
routes: [{contacts: a}]`)
	explain := []string{"routes", "explain", "--routes", "conf/f.yaml", "--source", "s", "--severity", "error"}
	for _, args := range [][]string{{"routes", "check", "conf/f.yaml"}, explain} {
		if code, stdout, stderr := command(t, args...); code != 0 || !strings.Contains(stdout, "generic $HOOK_URL") {
			t.Errorf("%v: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
	settings := map[string]string{"ALERTHUB_ROUTES": "conf/f.yaml"}
	_, err := resolve(t, settings)
	for _, want := range []string{"the environment variable HOOK_URL is not set", "the file of secret_file cannot be read: no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("serve does not miss it: %v, want %s", err, want)
		}
	}

	write(t, "conf/hook", "hidden-secret\n")
	settings["HOOK_URL"] = "https://hooks.example.com/hidden"
	t.Setenv("HOOK_URL", settings["HOOK_URL"])
	s, err := resolve(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := s.SMTP.Routes.Contact("a"); c.Webhooks[0].Secret != "hidden-secret" || c.Webhooks[0].URL != settings["HOOK_URL"] {
		t.Errorf("contact %+v", c)
	}
	for _, args := range [][]string{{"routes", "check", "conf/f.yaml"}, explain} {
		if code, stdout, stderr := command(t, args...); code != 0 || !strings.Contains(stdout, "generic hooks.example.com") || strings.Contains(stdout+stderr, "hidden") {
			t.Errorf("%v: exit %d, %s%s", args, code, stdout, stderr)
		}
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
	code, stdout, stderr := command(t, "routes", "explain", "--routes", "campus.yaml", "--source", "ups-3", "--severity", "error", "--message", "on battery", "--at", "2026-03-29T01:30:00+01:00")
	if diff := cmp.Diff(want, stdout); code != 0 || stderr != "" || diff != "" {
		t.Errorf("exit %d, %q (-want +got):\n%s", code, stderr, diff)
	}
}

func TestRoutesExplain_WhatNoRouteCatches(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f.yaml", "contacts: {a: {email: a@example.net}}\nroutes: [{contacts: a, channel: http_api}]\n")
	t.Setenv("ALERTHUB_ROUTES", filepath.Join(".", "f.yaml"))
	for severity, want := range map[string]string{
		"crit": "\nnobody is told; recorded as skipped: no route matches\n",
		"info": "\nnobody is told, and nothing recorded: no route matches, and info need not reach a person\n",
	} {
		if code, stdout, stderr := command(t, "routes", "explain", "--source", "s", "--severity", severity); code != 0 || !strings.HasSuffix(stdout, want) {
			t.Errorf("%s: exit %d, %s%s, want %s", severity, code, stdout, stderr, want)
		}
	}
	if code, stdout, _ := command(t, "routes", "explain", "--source", "s", "--severity", "4", "--channel", "http_api"); code != 0 || !strings.Contains(stdout, "severity warning, channel http_api") || !strings.Contains(stdout, "\na, in en\n  email to a@example.net\n") {
		t.Errorf("by HTTP: exit %d, %s", code, stdout)
	}
	for _, args := range [][]string{{"--severity", "loud"}, {"--severity", "info", "--channel", "pigeon"}, {"--severity", "info", "--at", "noon"}, {}} {
		if code, _, stderr := command(t, append([]string{"routes", "explain", "--source", "s"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}

func TestRoutesExplain_Plans(t *testing.T) {
	example(t)
	// A machine whose local time is that of Auckland.
	zone, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local
	time.Local = zone
	t.Cleanup(func() { time.Local = local })
	const gather, reserve = "  told at once if nothing about ups-3 was told in the last 5m; else within 5m in a digest\n", " of them kept for criticals of sources that were silent for an hour; past that one digest every 10m\n"
	for at, want := range map[string]string{
		"2026-03-29 13:30": "received at 2026-03-29 00:30:00 UTC\n" + "…facilities, in en\n  email to facilities@example.net\n" +
			"  quiet hours 22:00–07:00 Europe/Madrid: critical is exempt\n" + gather + "  at most 6 an hour, 2" + reserve +
			"  past that, within 1m in a digest if nothing about ups-3 was told for an hour\n\non-call, in en\n  email to oncall@example.net\n  webhook to ntfy ntfy.example.net\n",
		"2026-06-29T23:30:00+02:00": "received at 2026-06-29 21:30:00 UTC\n",
		"2026-06-29T12:00:00Z":      "…  outside of quiet hours 22:00–07:00 Europe/Madrid: it is 2026-06-29 14:00 CEST (12:00 UTC)\n" + gather,
	} {
		code, stdout, stderr := command(t, "routes", "explain", "--routes", "campus.yaml", "--source", "ups-3", "--severity", "critical", "--at", at)
		for part := range strings.SplitSeq(want, "…") {
			if code != 0 || !strings.Contains(stdout, part) {
				t.Errorf("%s: exit %d, %s%s, want %s", at, code, stdout, stderr, part)
			}
		}
	}
}

func TestResolve_RoutesTakeThePlaceOfSMTPTo(t *testing.T) {
	example(t)
	s, err := resolve(t, map[string]string{"ALERTHUB_ROUTES": "campus.yaml", "NTFY_URL": "https://ntfy.example.net/hidden"})
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
