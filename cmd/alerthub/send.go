package main

import (
	"bufio"
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
	"alerthub/wire"
)

// sendCmd is a device: it makes up events, or sends lines from a pipe, over
// the hub's TCP port.
type sendCmd struct {
	Addr       string `name:"addr" env:"ALERTHUB_TCP_ADDR" default:"127.0.0.1:5090" placeholder:"HOST:PORT" help:"The hub's TCP port. Default ${default}."`
	tlsClient  `embed:""`
	ClientCert string `name:"client-cert" placeholder:"FILE" help:"Certificate (PEM) to show in the place of a key; implies --tls."`
	ClientKey  string `name:"client-key" placeholder:"FILE" help:"Its key (PEM)."`
	tokenFrom  `embed:""`

	Count    int           `name:"count" default:"12" placeholder:"N" help:"Events to make up; 0 goes on until interrupted. Default ${default}."`
	Interval time.Duration `name:"interval" default:"400ms" placeholder:"DURATION" help:"Pause between them. Default ${default}."`
	Seed     uint64        `name:"seed" placeholder:"N" help:"Make up the same events as another run with this seed; 0 is a new one each time."`
	Stdin    bool          `name:"stdin" help:"Send the lines of standard input instead, one JSON object each, as fast as they are acknowledged. Prints the refused ones and fails if there are any."`
	Key      bool          `name:"key" help:"Give each event an idempotency key, unless it has one. What was not acknowledged is sent again after a reconnect; nothing is lost or stored twice."`
	RetryFor time.Duration `name:"retry-for" default:"1m" placeholder:"DURATION" help:"With --key: how long to try while the hub acknowledges nothing. Default ${default}."`
}

// Validate tells a wrong command line before anything is sent.
func (c *sendCmd) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("--addr: %q is not HOST:PORT", c.Addr)
	}
	if c.Count < 0 || c.Interval < 0 || c.RetryFor < 0 {
		return errors.New("--count, --interval and --retry-for must not be negative")
	}
	return nil
}

// run sends until the input ends. The error tells what was refused or is not
// known to be stored.
func (c *sendCmd) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	cfg, err := c.tlsConfig()
	if err != nil {
		return err
	}
	token, err := c.token(os.Getenv)
	if err != nil {
		return err
	}
	newKey := func() string { return "" }
	if c.Key {
		// Not from --seed: a second run is new events, not repeats.
		prefix, n := crand.Text(), 0
		newKey = func() string {
			n++
			return prefix + "-" + strconv.Itoa(n)
		}
	}
	s := &sender{addr: c.Addr, dial: dialer(cfg, dialTimeout), token: token, keyed: c.Key, retryFor: c.RetryFor, log: stderr}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		source  iter.Seq[message]
		readErr error // written before source ends
	)
	if c.Stdin {
		s.window = pipeWindow
		s.answered = func(m message, answer string, ok bool) {
			if !ok {
				_, _ = fmt.Fprintf(stderr, "line %d refused: %s %s\n", m.number, answer, shorten(m.label))
			}
		}
		source = pipedLines(stdin, newKey, &readErr)
	} else {
		s.window = 1 // the answer is printed beside its event
		s.answered = func(m message, answer string, _ bool) {
			_, _ = fmt.Fprintf(stdout, "%s  ->  %s\n", m.label, answer)
		}
		source = c.randomEvents(ctx, newKey)
	}
	err = s.deliver(ctx, channelOf(ctx, source))
	if err == nil && readErr != nil {
		err = fmt.Errorf("read standard input: %w", readErr)
	}
	if c.Stdin {
		_, _ = fmt.Fprintf(stdout, "%d stored, %d refused, %d unknown\n", s.stored, s.refused, len(s.pending))
	}
	if s.refused > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d events refused", s.refused, s.stored+s.refused))
	}
	return err
}

// tlsConfig is how to encrypt, and the certificate to show; nil for plain text.
func (c *sendCmd) tlsConfig() (*tls.Config, error) {
	if c.ClientCert == "" && c.ClientKey == "" {
		return c.config()
	}
	shown, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("--client-cert, --client-key: %w", err)
	}
	c.TLS = true
	cfg, err := c.config()
	if err == nil {
		cfg.Certificates = []tls.Certificate{shown}
	}
	return cfg, err
}

// message is one line to send.
type message struct {
	number int    // of the line of the input, from 1
	label  string // how it is shown to a person
	line   []byte // as sent, with its line feed
}

// channelOf runs seq in a goroutine that ends with seq or with ctx. The channel
// is closed when seq has yielded everything, not when ctx cut it short. One
// that reads standard input may outlive ctx: it ends with the process.
func channelOf(ctx context.Context, seq iter.Seq[message]) <-chan message {
	out := make(chan message)
	go func() {
		for m := range seq {
			select {
			case out <- m:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() == nil {
			close(out)
		}
	}()
	return out
}

// pipedLines yields the lines of r that are not blank. What reading fails with
// is left in err.
func pipedLines(r io.Reader, newKey func() string, err *error) iter.Seq[message] {
	return func(yield func(message) bool) {
		lines := bufio.NewReader(r)
		for n := 1; ; n++ {
			line, readErr := lines.ReadBytes('\n')
			line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\uFEFF")))
			if len(line) > 0 {
				m := message{number: n, label: string(line), line: append(withKey(line, newKey()), '\n')}
				if !yield(m) {
					return
				}
			}
			if readErr != nil {
				if readErr != io.EOF {
					*err = readErr
				}
				return
			}
		}
	}
}

// withKey puts an idempotency key into a line that has none. What is no JSON
// object stays as it is: refusing it is the hub's business.
func withKey(line []byte, key string) []byte {
	if key == "" {
		return line
	}
	quoted := strconv.Quote(key) // letters, digits and a hyphen
	dec := jsontext.NewDecoder(bytes.NewReader(line), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return line
	}
	start, empty := dec.InputOffset(), true
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return line
		}
		isKey := name.String() == "key"
		value, err := dec.ReadValue()
		if err != nil {
			return line
		}
		if isKey {
			if v := string(value); v != "null" && v != `""` {
				return line
			}
			end := dec.InputOffset()
			return slices.Concat(line[:end-int64(len(value))], []byte(quoted), line[end:])
		}
		empty = false
	}
	member := `"key":` + quoted
	if !empty {
		member += ","
	}
	return slices.Concat(line[:start], []byte(member), line[start:])
}

// shorten cuts a line that is shown to a person.
func shorten(line string) string {
	const most = 200
	if len(line) <= most {
		return strconv.Quote(line)
	}
	return strconv.Quote(line[:most]) + "..."
}

// randomEvents yields c.Count made-up events, c.Interval apart.
func (c *sendCmd) randomEvents(ctx context.Context, newKey func() string) iter.Seq[message] {
	seed := c.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 0))
	return func(yield func(message) bool) {
		for n := 1; c.Count == 0 || n <= c.Count; n++ {
			if n > 1 {
				select {
				case <-time.After(c.Interval):
				case <-ctx.Done():
					return
				}
			}
			severity, source, text := randomEvent(random)
			line, err := wire.Marshal(struct {
				Source   string          `json:"source"`
				Severity models.Severity `json:"severity"`
				Message  string          `json:"message"`
				Key      string          `json:"key,omitempty"`
			}{source, severity, text, newKey()})
			if err != nil {
				panic(err) // four strings
			}
			label := fmt.Sprintf("%-8s  %-18s  %s", severity, source, text)
			if !yield(message{n, label, append(line, '\n')}) {
				return
			}
		}
	}
}

// randomEvent makes up one event: severities are weighted 50, 28, 16 and 6 of
// a hundred, from info to critical, as a network's are.
func randomEvent(random *rand.Rand) (severity models.Severity, source, text string) {
	switch n := random.IntN(100); {
	case n < 50:
		severity = models.SeverityInfo
	case n < 78:
		severity = models.SeverityWarning
	case n < 94:
		severity = models.SeverityError
	default:
		severity = models.SeverityCritical
	}
	texts := deviceTexts[severity]
	return severity, deviceNames[random.IntN(len(deviceNames))], texts[random.IntN(len(texts))]
}

var deviceNames = []string{
	"core-rtr-mad-01", "core-rtr-bcn-02", "dist-sw-mad-03", "access-sw-p2-14", "fw-edge-01",
	"ups-rack-b4", "pdu-rack-a1", "ap-lobby-07", "sensor-a", "sensor-cold-aisle-2", "vpn-gw-01", "nas-backup-01",
}

var deviceTexts = map[models.Severity][]string{
	models.SeverityInfo: {
		"Configuration saved by operator", "Interface Gi0/12 changed state to up", "NTP synchronised with 192.0.2.123",
		"Backup finished in 312 s", "Firmware is up to date", "DHCP lease renewed", "Temperature 21.5 C",
	},
	models.SeverityWarning: {
		"CPU at 87 % for 5 minutes", "Interface Gi0/3: 214 CRC errors in an hour", "Temperature 31.0 C, threshold 30.0 C",
		"Battery at 64 %", "Disk 2: reallocated sectors 8", "Certificate expires in 12 days",
	},
	models.SeverityError: {
		"Interface Gi0/1 changed state to down", "BGP session with 192.0.2.1 lost", "Power supply 2 failed",
		"Backup failed: no space left on device", "RADIUS server 192.0.2.20 does not answer",
	},
	models.SeverityCritical: {
		"On battery, 9 minutes left", "Temperature 43.5 C, shutting down", "Both uplinks down",
		"RAID volume 1 failed", "Fan tray removed",
	},
}
