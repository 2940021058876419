package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"alerthub/models"
)

func TestSend_StatusDecides(t *testing.T) {
	type fault = models.Fault
	temporary, permanent, server := &fault{}, &fault{Permanent: true}, &fault{Server: true, Permanent: true}
	for _, c := range []struct {
		code       int
		retryAfter string
		want       *fault // nil for success
	}{
		{200, "", nil}, {201, "", nil}, {202, "", nil}, {204, "", nil}, {299, "", nil},
		{300, "", server}, {301, "", server}, {302, "", server}, {304, "", server}, {307, "", server}, {308, "", server},
		{400, "", permanent}, {401, "", server}, {402, "", permanent}, {403, "", server}, {404, "", server}, {405, "", server},
		{406, "", permanent}, {407, "", server}, {408, "", temporary}, {409, "", permanent}, {410, "", server}, {411, "", permanent},
		{413, "", permanent}, {415, "", permanent}, {422, "", permanent}, {425, "", temporary}, {429, "", temporary}, {499, "", permanent},
		{500, "", temporary}, {501, "", temporary}, {502, "", temporary}, {503, "", temporary}, {504, "", temporary}, {599, "", temporary},
		{429, "30", &fault{RetryAfter: 30 * time.Second}},
		{503, "30", &fault{RetryAfter: 30 * time.Second}},
		{503, "Mon, 23 Nov 2026 18:29:00 GMT", &fault{RetryAfter: 2 * time.Minute}}, // the clock says 18:27:00.1
		{429, "86400", &fault{RetryAfter: time.Hour}},
		{429, "soon", temporary},
		{500, "30", temporary}, // RFC 9110 knows it for 503, RFC 6585 for 429
		{400, "30", permanent},
	} {
		name := fmt.Sprintf("%d %s", c.code, c.retryAfter)
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.WriteHeader(c.code)
			if c.code >= 400 {
				io.WriteString(w, "  because\nof this\x00  ")
			}
		})
		words, err := sender(t, nil).Send(t.Context(), hook("generic", s.URL), single("a", "b"))
		status := fmt.Sprintf("%d %s", c.code, http.StatusText(c.code))
		if c.want == nil {
			if err != nil || words != strings.TrimSpace(status) && words != fmt.Sprintf("%d status code %d", c.code, c.code) {
				t.Errorf("%s: words %q, error %v", name, words, err)
			}
			continue
		}
		f := asFault(t, err)
		if d := f.RetryAfter - c.want.RetryAfter; f.Server != c.want.Server || f.Permanent != c.want.Permanent || d.Abs() > time.Second {
			t.Errorf("%s: fault %+v", name, f)
		}
		if want := ": because of this"; c.code >= 400 && !strings.HasSuffix(f.Words, want) || !strings.HasPrefix(f.Words, fmt.Sprint(c.code)) {
			t.Errorf("%s: words %q", name, f.Words)
		}
		if n := len(s.seen()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

func TestSend_FollowsNoRedirect(t *testing.T) {
	elsewhere := listen(t, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/s3cr3t-place")
			w.WriteHeader(code)
		})
		_, err := sender(t, nil).Send(t.Context(), hook("slack", s.URL), single("a", "b"))
		f := asFault(t, err)
		if want := fmt.Sprintf("%d %s (redirects are not followed)", code, http.StatusText(code)); f.Words != want || !f.Server {
			t.Errorf("fault %+v, want %q", f, want)
		}
	}
	if n := len(elsewhere.seen()); n > 0 {
		t.Errorf("%d requests elsewhere", n)
	}
}

func TestSend_VerifiesTheCertificate(t *testing.T) {
	s := &target{}
	s.Server = httptest.NewUnstartedServer(s.handler(nil))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	trusting := sender(t, func(c *Config) { c.RootCAs = roots })
	if words, err := trusting.Send(t.Context(), hook("discord", s.URL), single("a", "b")); err != nil || words != "200 OK" {
		t.Errorf("words %q, error %v", words, err)
	}
	_, err := sender(t, nil).Send(t.Context(), hook("discord", s.URL), single("a", "b"))
	if f := asFault(t, err); !f.Server || f.Permanent || !strings.Contains(f.Words, "certificate") {
		t.Errorf("an unknown authority: fault %+v", f)
	}
	wrongName := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	_, err = trusting.Send(t.Context(), hook("discord", wrongName), single("a", "b"))
	if f := asFault(t, err); !f.Server || !strings.Contains(f.Words, "localhost") {
		t.Errorf("another name: fault %+v", f)
	}
	_, err = trusting.Send(t.Context(), hook("discord", strings.Replace(listen(t, nil).URL, "http:", "https:", 1)), single("a", "b"))
	if f := asFault(t, err); !f.Server || !strings.Contains(f.Words, "does not look like a TLS handshake") {
		t.Errorf("no TLS at all: fault %+v", f)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestSend_CancelledIsNobodysFault(t *testing.T) {
	arrived, end := make(chan struct{}), make(chan struct{})
	s := listen(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-end
	})
	defer close(end)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	words, err := sender(t, nil).Send(ctx, hook("slack", s.URL), single("a", "b"))
	var f *models.Fault
	if !errors.Is(err, context.Canceled) || errors.As(err, &f) || words != "" || err.Error() != "answer: context canceled" {
		t.Errorf("words %q, error %v", words, err)
	}
	_, err = sender(t, nil).Send(ctx, hook("slack", s.URL), single("a", "b"))
	if !errors.Is(err, context.Canceled) || errors.As(err, &f) {
		t.Errorf("cancelled before: error %v", err)
	}
}

func TestSend_APassedDeadlineIsAFault(t *testing.T) {
	end := make(chan struct{})
	s := listen(t, func(http.ResponseWriter, *http.Request) { <-end })
	defer close(end)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := sender(t, nil).Send(ctx, hook("slack", s.URL), single("a", "b"))
	if f := asFault(t, err); f.Server || f.Permanent || f.Words != "answer: no answer in time" {
		t.Errorf("fault %+v", f)
	}
}

func TestSend_UsesNoProxy(t *testing.T) {
	s := listen(t, nil)
	to := sender(t, nil)
	resolve(t, to, "127.0.0.1") // a proxy of the environment is not asked about localhost
	w := hook("slack", strings.Replace(s.URL, "127.0.0.1", "hooks.example.net", 1))
	if _, err := to.Send(t.Context(), w, single("a", "b")); err != nil || len(s.seen()) != 1 {
		t.Errorf("error %v, %d requests", err, len(s.seen()))
	}
}

func TestSecrets_AreFoundInEverySpelling(t *testing.T) {
	h := newSecrets(models.Webhook{
		Kind: "generic", URL: "https://h.example/a%c3%b1o-s3cr3t/x?k=v%c3%a1l-s3cr3t&other=s3cr3t+two", Token: "t/ken+s3cr3t", Secret: "s3cr3t & more",
	})
	for _, echo := range []string{
		"a%c3%b1o-s3cr3t", "a%C3%B1o-s3cr3t", "año-s3cr3t", "/año-s3cr3t/x", "v%c3%a1l-s3cr3t", "v%C3%A1l-s3cr3t", "vál-s3cr3t",
		"s3cr3t+two", "s3cr3t two", "s3cr3t%20two", "t/ken+s3cr3t", "t%2Fken%2Bs3cr3t", "s3cr3t & more", "s3cr3t+%26+more", "s3cr3t%20&%20more",
		base64.StdEncoding.EncodeToString([]byte("t/ken+s3cr3t")),
	} {
		if got := h.words("no <" + echo + "> here"); got != "no <***> here" {
			t.Errorf("%q: %q", echo, got)
		}
	}
	if got := h.words("404 no such hook"); got != "404 no such hook" {
		t.Errorf("%q", got)
	}
}

// leak is what of w nobody may read in s, "" for nothing.
func leak(w models.Webhook, s string) string {
	parts := []string{w.Secret, w.Token, base64.StdEncoding.EncodeToString([]byte(w.Token))}
	if u, err := url.Parse(w.URL); err == nil {
		parts = append(parts, u.Path, u.RawQuery)
		parts = append(parts, strings.Split(u.Path, "/")...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
	}
	for _, p := range parts {
		if len(p) >= minSecret && strings.Contains(s, p) {
			return p
		}
	}
	return ""
}

func TestSend_TellsNoSecret(t *testing.T) {
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			hijacked, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer hijacked.Close()
			all := r.URL.String() + " " + r.URL.Path + " " + strings.ReplaceAll(r.URL.Path, "/", `\/`) + " " +
				url.QueryEscape(r.URL.String()) + " " + r.URL.RawQuery + fmt.Sprint(r.URL.Query()) +
				r.Header.Get("Authorization") + r.Header.Get("X-Gotify-Key") + " s3cret-word r0uting-key " +
				base64.StdEncoding.EncodeToString([]byte(r.Header.Get("X-Gotify-Key")))
			fmt.Fprintf(hijacked, "HTTP/1.1 %d No %s\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n%s", code, all, r.URL, len(all), all)
		}
	}
	for _, kind := range Kinds() {
		for _, code := range []int{200, 302, 400, 403, 429, 500} {
			s := listen(t, echo(code))
			w := hook(kind, s.URL)
			words, err := sender(t, nil).Send(t.Context(), w, single("a", "b"))
			if err != nil {
				words = err.Error() + asFault(t, err).Words
			}
			if p := leak(w, words); p != "" || !strings.Contains(words, "***") {
				t.Errorf("%s %d: %q in %q", kind, code, p, words)
			}
		}
		// Where nobody listens, where there is no such name, and where nothing is HTTP.
		closed := httptest.NewServer(nil)
		closed.Close()
		for _, at := range []string{closed.URL, "http://nowhere.invalid"} {
			to := sender(t, nil)
			if at != closed.URL {
				resolve(t, to)
			}
			w := hook(kind, at)
			_, err := to.Send(t.Context(), w, single("a", "b"))
			f := asFault(t, err)
			if p := leak(w, f.Words); p != "" || !f.Server {
				t.Errorf("%s at %s: %q in %+v", kind, at, p, f)
			}
		}
		garbage := raw(t, func(c io.ReadWriter) {
			r, _ := http.ReadRequest(reader(c))
			io.WriteString(c, "no "+r.URL.String()+" "+r.Header.Get("Authorization")+"\r\n\r\n")
		})
		w := hook(kind, garbage)
		_, err := sender(t, nil).Send(t.Context(), w, single("a", "b"))
		if p := leak(w, asFault(t, err).Words); p != "" {
			t.Errorf("%s: %q in %v", kind, p, err)
		}
	}
}

func TestSend_TellsNoPartOfASecretAtTheBound(t *testing.T) {
	w := models.Webhook{Kind: "generic", Token: strings.Repeat("t0ken", 8)}
	for shift := range 50 {
		body := strings.Repeat(" ", shift) + strings.Repeat(w.Token+" ", 200)
		s := listen(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(500)
			io.WriteString(rw, body)
		})
		w.URL = s.URL
		_, err := sender(t, nil).Send(t.Context(), w, single("a", "b"))
		if f := asFault(t, err); strings.Contains(strings.ReplaceAll(f.Words, "***", ""), "t0") {
			t.Errorf("words %q", f.Words)
		}
	}
	// Few enough that what is left of the body is within the words.
	long := models.Webhook{Kind: "generic", Token: strings.Repeat("s", 1500)}
	s := listen(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(500)
		io.WriteString(rw, strings.Repeat(long.Token+" ", 4))
	})
	long.URL = s.URL
	_, err := sender(t, nil).Send(t.Context(), long, single("a", "b"))
	if f := asFault(t, err); strings.Contains(f.Words, "ss") || !strings.Contains(f.Words, "***") {
		t.Errorf("words %q", f.Words)
	}
}

func TestSend_WordsAreBounded(t *testing.T) {
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("ñ\xff\r\n", 3000))
	})
	_, err := sender(t, nil).Send(t.Context(), hook("slack", s.URL), single("a", "b"))
	f := asFault(t, err)
	if n := utf8.RuneCountInString(f.Words); n > models.MaxWords+1 || !utf8.ValidString(f.Words) || strings.ContainsAny(f.Words, "\r\n") {
		t.Errorf("%d characters: %q", n, f.Words)
	}
	packed := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		w.WriteHeader(500)
		io.WriteString(w, "\x1b\x03garbage")
	})
	_, err = sender(t, nil).Send(t.Context(), hook("slack", packed.URL), single("a", "b"))
	if f := asFault(t, err); f.Words != "500 Internal Server Error" {
		t.Errorf("words %q", f.Words)
	}
}
