package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"alerthub/models"
)

func tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Send delivers n to w and returns the other side's words of acceptance. It
// ends within the configured AttemptTimeout, whatever the other side does.
// Its error is a *models.Fault, or wraps context.Canceled when ctx was
// cancelled; a passed deadline is a fault. Trying again is safe for receivers
// that know the delivery id: it stays the same.
func (s *Sender) Send(ctx context.Context, w models.Webhook, n models.Notice) (words string, err error) {
	if wrong := Check(w); wrong != "" {
		return "", &models.Fault{Server: true, Words: "configuration: " + wrong}
	}
	f, _ := find(w.Kind)
	hide := newSecrets(w)
	within := fmt.Sprintf("no answer within %v", s.cfg.AttemptTimeout)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < s.cfg.AttemptTimeout {
		within = "no answer in time"
	}
	try, cancel := context.WithTimeout(ctx, s.cfg.AttemptTimeout)
	defer cancel()
	var connected atomic.Bool
	request, err := s.request(httptrace.WithClientTrace(try, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), f, w, n)
	if err != nil {
		return "", &models.Fault{Permanent: true, Words: hide.words("compose: " + err.Error())}
	}
	// Not through http.Client: it has nothing to add but redirects, cookies and
	// errors that hold the URL.
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		stage := "answer"
		if !connected.Load() {
			stage = "connect to " + request.URL.Host
		}
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return "", fmt.Errorf("%s: %w", hide.words(stage), ctx.Err())
		case try.Err() != nil:
			err = errors.New(within)
		}
		return "", &models.Fault{Server: !connected.Load(), Words: hide.words(stage + ": " + reason(err))}
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 {
		return hide.words(response.Status), nil // what else it says changes nothing
	}
	fault := s.refused(response)
	fault.Words = hide.words(response.Status + because(fault, response.StatusCode) + answer(response, cancel, hide))
	return "", fault
}

// request makes the request of one try.
func (s *Sender) request(ctx context.Context, f format, w models.Webhook, n models.Notice) (*http.Request, error) {
	if w.URL == "" {
		w.URL = f.url
	}
	c, err := f.compose(s.write(n), w, n)
	if err != nil {
		return nil, err
	}
	body, err := encode(c.body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be used") // its error repeats it
	}
	if c.header != nil {
		r.Header = c.header
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "alerthub/"+s.cfg.Version)
	if f.signs && w.Secret != "" {
		sign(r.Header, w.Secret, s.cfg.Now(), body)
	}
	return r, nil
}

// encode is json.Marshal without its escapes for HTML pages, which would make
// texts longer than their bounds.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// refused classes an answer that is no acceptance.
func (s *Sender) refused(r *http.Response) *models.Fault {
	switch code := r.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return &models.Fault{RetryAfter: retryAfter(r.Header.Get("Retry-After"), s.cfg.Now())}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return &models.Fault{}
	}
	return &models.Fault{Server: r.StatusCode < 400 || concernsTarget(r.StatusCode), Permanent: true}
}

// concernsTarget reports whether a refusal may be about the webhook: it is not
// known there (any more), or not with this token. It may be about the message
// as well, of which a filter in front of the webhook did not like the text.
func concernsTarget(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusGone:
		return true
	}
	return false
}

// because is what people should know beside the status.
func because(f *models.Fault, code int) string {
	if f.Server && code >= 300 && code < 400 {
		return " (redirects are not followed)"
	}
	return ""
}

// answer is the beginning of the body of a refusal, ready to follow its
// status; stop ends a read that takes longer than words are worth.
func answer(r *http.Response, stop func(), hide secrets) string {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return "" // packed, though nobody asked for that
	}
	defer time.AfterFunc(bodyTimeout, stop).Stop()
	// What came before an error is as good as the whole.
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))
	text := string(body)
	if len(body) == maxBody {
		text = hide.cut(text)
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return ": " + text
}

// reason is an error in words that stay the same from try to try: without the
// port of this end.
func reason(err error) string {
	var refused *refusal
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "no such host"
		}
		return "look up the name: " + dns.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
}
