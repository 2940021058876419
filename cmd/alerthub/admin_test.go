package main

import (
	"strings"
	"testing"

	"alerthub/models"
	"alerthub/store"
)

// Without a hub that runs, what it would take is what it is told by the same
// variable, or its default: not nothing.
func TestSenders_WithoutAHub(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = st.SaveSenders(t.Context(), []models.AnonymousSender{{Address: "127.0.0.1", LastSource: "a", Events: 1}, {Address: "10.1.0.9", LastSource: "b", Events: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for variable, want := range map[string]string{
		"":            "2 senders without a key, 1 of them refused by 127.0.0.0/8,::1/128",
		"10.1.0.0/16": "2 senders without a key, 1 of them refused by 10.1.0.0/16",
	} {
		t.Setenv("ALERTHUB_ANONYMOUS", variable)
		var out strings.Builder
		if err := (&sendersCmd{adminFlags: adminFlags{DataDir: dir}}).run(t.Context(), &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %v\n%s", variable, err, out.String())
		}
	}
}
