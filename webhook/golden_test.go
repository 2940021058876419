package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestGolden keeps an eye on every message, as it arrives.
func TestGolden(t *testing.T) {
	for _, kind := range Kinds() {
		for _, lang := range []string{"en", "es"} {
			one := single("Añasco – central <1>", "Uplink Gi0/1 is *down*.\nNo carrier since 18:25 & counting, see http://10.0.0.1/")
			many := digest(12, "core-sw-1", "Uplink Gi0/1 is down.\nNo carrier")
			many.Digest.Reason = models.DigestGathered
			if lang == "es" {
				many.Digest.Reason = models.DigestQuiet
			}
			for name, n := range map[string]models.Notice{"single": one, "digest": many} {
				t.Run(kind+"/"+name+"/"+lang, func(t *testing.T) {
					n.Contact.Language = lang
					golden(t, kind+"-"+name+"."+lang+".golden", render(t, post(t, kind, n)))
				})
			}
		}
	}
}

// render writes a request as a person would read it.
func render(t *testing.T, r received) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.method, r.path)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if name != "Content-Length" && name != "Accept-Encoding" {
			fmt.Fprintf(&b, "%s: %s\n", name, r.header.Get(name))
		}
	}
	b.WriteByte('\n')
	if err := json.Indent(&b, r.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if it is meant to, run the test with -update:\n%s", path, diff)
	}
}
