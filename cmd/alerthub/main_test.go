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
