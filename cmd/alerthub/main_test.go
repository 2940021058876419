package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun_HelpNamesEverySetting(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%v: exit %d, %s", args, code, &stderr)
		}
		for _, name := range []string{"--http-addr", "ALERTHUB_DATA_DIR", "SMTP_TLS", "--log-format"} {
			if !strings.Contains(stdout.String(), name) {
				t.Errorf("%v says nothing of %s", args, name)
			}
		}
	}
}

// Of a list that is given twice one value would be lost without a word.
func TestRun_RefusesAListGivenTwice(t *testing.T) {
	for args, want := range map[string]string{
		"serve --webhook-allow 10.20.0.5/32 --smtp-port=26 --smtp-port=25 --webhook-allow=10.20.0.6/32": "--webhook-allow",
		"--smtp-to=a@example.net --smtp-to=a@example.net":                                               "--smtp-to",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(strings.Fields(args), "--data-dir", t.TempDir()), strings.NewReader(""), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), want+": given twice") || strings.Count(stderr.String(), "twice") != 1 {
			t.Errorf("%v: exit %d, %s", args, code, &stderr)
		}
	}
}
