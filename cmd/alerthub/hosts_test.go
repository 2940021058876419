package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve_AllowedHosts(t *testing.T) {
	s, err := resolve(t, map[string]string{"ALERTHUB_ALLOWED_HOSTS": "Alerts.example.net, *.noc.example.net,,192.0.2.7,::1,hub-2"},
		"--public-url", "https://panel.example.net:8443/hub", "--http-addr", "hub.example.net:5080", "--feed-addr", ":8767")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alerts.example.net", "*.noc.example.net", "hub-2", "panel.example.net", "hub.example.net", "box.example.com", "box", "box.local"}
	if diff := cmp.Diff(want, s.hosts("box.example.com")); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:5], s.hosts("")); diff != "" {
		t.Errorf("hosts of a machine without a name (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"*", "*.", "http://a.example.net", "a.example.net:80", "a..b", "a*.example.net", "*.*.example.net", "a b", "[::1]"} {
		if _, err := resolve(t, nil, "--allowed-hosts", wrong); err == nil || !strings.Contains(err.Error(), "--allowed-hosts: ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
