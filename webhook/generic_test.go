package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// verify is the function of docs/webhooks.md, step by step.
func verify(secret string, header func(string) string, body []byte, now time.Time) bool {
	timestamp := header("X-Alerthub-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(expected), []byte(header("X-Alerthub-Signature")))
}

func TestGeneric_IsSigned(t *testing.T) {
	r := post(t, "generic", single("core-sw-1", "ñ"))
	now := born.Add(2 * time.Minute)
	if !verify("s3cret-word", r.header.Get, r.body, now) {
		t.Errorf("not accepted: %v", r.header)
	}
	for name, wrong := range map[string]bool{
		"another secret": verify("another", r.header.Get, r.body, now),
		"another body":   verify("s3cret-word", r.header.Get, append([]byte(" "), r.body...), now),
		"an old request": verify("s3cret-word", r.header.Get, r.body, now.Add(time.Hour)),
		"another time": verify("s3cret-word", func(name string) string {
			if name == "X-Alerthub-Timestamp" {
				return strconv.FormatInt(now.Unix(), 10)
			}
			return r.header.Get(name)
		}, r.body, now),
	} {
		if wrong {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestGeneric_WithoutASecretIsNotSigned(t *testing.T) {
	s := listen(t, nil)
	if _, err := sender(t, nil).Send(t.Context(), models.Webhook{Kind: "generic", URL: s.URL}, single("a", "b")); err != nil {
		t.Fatal(err)
	}
	h := s.seen()[0].header
	if h.Get("X-Alerthub-Signature")+h.Get("X-Alerthub-Timestamp")+h.Get("Authorization") != "" {
		t.Errorf("header %v", h)
	}
}

func TestGeneric_RepeatsAreRecognisable(t *testing.T) {
	var ids []string
	for _, n := range []models.Notice{single("a", "b"), single("a", "b"), func() models.Notice {
		n := single("a", "b")
		n.Alert.CreatedAt = n.Alert.CreatedAt.Add(time.Microsecond) // of another database
		return n
	}()} {
		r := post(t, "generic", n)
		var body struct{ Delivery string }
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatal(err)
		}
		if id := r.header.Get("X-Alerthub-Delivery"); id != body.Delivery {
			t.Errorf("header %s, body %s", id, body.Delivery)
		}
		ids = append(ids, body.Delivery)
	}
	if ids[0] != "7-1795458360123456" || ids[0] != ids[1] || ids[1] == ids[2] {
		t.Errorf("ids %v", ids)
	}
}

// TestDocs_VerifiesInPython runs the example of the documentation. make test
// installs a Python where it may.
func TestDocs_VerifiesInPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("the example needs Python (scripts/need-python): %v", err)
	}
	doc, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```python\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example in docs/webhooks.md")
	}
	r := post(t, "generic", single("core-sw-1", "ñ"))
	header, err := json.Marshal(map[string]string{
		"X-Alerthub-Timestamp": r.header.Get("X-Alerthub-Timestamp"), "X-Alerthub-Signature": r.header.Get("X-Alerthub-Signature"),
	})
	if err != nil {
		t.Fatal(err)
	}
	script := example + `
import sys, json
headers = json.loads(sys.argv[1])
body = sys.stdin.buffer.read()
now = int(headers["X-Alerthub-Timestamp"]) + 60
print(verify("s3cret-word", headers, body, now), verify("another", headers, body, now),
      verify("s3cret-word", headers, body + b" ", now), verify("s3cret-word", headers, body, now + 3600),
      verify("s3cret-word", {}, body, now))
`
	command := exec.CommandContext(t.Context(), python, "-c", script, string(header))
	command.Stdin = strings.NewReader(string(r.body))
	out, err := command.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "True False False False False" {
		t.Errorf("%v: %s", err, out)
	}
}
