package tcpingest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"alerthub/models"
)

// chunks is a connection that delivers its bytes in given pieces and then ends.
type chunks struct {
	net.Conn // nil: only the methods below are used
	data     []byte
	sizes    []byte // of the reads, over and over; none: as much as fits
	answers  bytes.Buffer
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	if len(c.sizes) > 0 {
		size := int(c.sizes[0])%40 + 1
		c.sizes = append(c.sizes[1:], c.sizes[0])
		p = p[:min(size, len(p))]
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

func (c *chunks) Write(p []byte) (int, error)      { return c.answers.Write(p) }
func (c *chunks) Close() error                     { return nil }
func (c *chunks) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1} }
func (c *chunks) SetReadDeadline(time.Time) error  { return nil }
func (c *chunks) SetWriteDeadline(time.Time) error { return nil }

// converse returns the answers to data and what was stored.
func converse(data, sizes []byte, cfg Config) (string, []models.Draft) {
	svc := &fakeService{}
	nc := &chunks{data: data, sizes: bytes.Clone(sizes)}
	cfg.Access = &fakeAccess{}
	New(svc, cfg).newConn(nc).serve(context.Background())
	return nc.answers.String(), svc.drafts
}

// FuzzFraming: the same bytes get the same answers and store the same events,
// however they arrive; and every answer is one JSON object on one line.
func FuzzFraming(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.in")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in, []byte{0})
		f.Add(in, []byte{2, 38, 0, 9})
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n{}\n"), []byte{0})
	f.Add([]byte("\x16\x03\x01{}\n"), []byte{0})
	f.Add([]byte(strings.Repeat("{}\n", 40)), []byte{4})
	f.Add([]byte("  \n\r\n"+strings.Repeat("x", 99)+"\r"+"\n{}"), []byte{96, 1})
	// A longest line, and the read after which only its LF is missing.
	f.Add([]byte(strings.Repeat("x", 98)+"\r\n{}\n"), []byte{32})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		cfg := Config{MaxLine: 98, Window: 7}
		whole, stored := converse(data, nil, cfg)
		pieces, again := converse(data, sizes, cfg)
		if whole != pieces {
			t.Fatalf("%q\nwhole:     %q\nin pieces: %q", data, whole, pieces)
		}
		if len(stored) != len(again) {
			t.Fatalf("%d events, in pieces %d", len(stored), len(again))
		}
		for i := range stored {
			if stored[i].RawPayload != again[i].RawPayload {
				t.Fatalf("event %d: %q, in pieces %q", i, stored[i].RawPayload, again[i].RawPayload)
			}
		}
		if strings.HasPrefix(whole, "HTTP/1.1 400 ") {
			return
		}
		for line := range strings.Lines(whole) {
			if !strings.HasSuffix(line, "\n") || !json.Valid([]byte(line)) {
				t.Fatalf("answer %q", line)
			}
		}
	})
}

func TestFramer_GivesMemoryBack(t *testing.T) {
	f := framer{max: DefaultMaxLine}
	deliver := func(data string) {
		for len(data) > 0 {
			n := copy(f.space(), data)
			data = data[n:]
			f.filled(n)
			for {
				if _, _, ok := f.next(); !ok {
					break
				}
			}
			f.shrink(n)
		}
	}
	deliver(strings.Repeat("{}\n", 100_000))
	if len(f.buf) < largeBuffer {
		t.Errorf("a buffer of %d bytes after a burst, want at least %d", len(f.buf), largeBuffer)
	}
	for range 10 {
		deliver("{}\n")
	}
	if len(f.buf) != smallBuffer {
		t.Errorf("a buffer of %d bytes after single lines, want %d", len(f.buf), smallBuffer)
	}
}

// FuzzAnswer: whatever a field is called, an answer is one valid JSON line.
func FuzzAnswer(f *testing.F) {
	f.Add(int64(42), false, "message", "source", byte(1))
	f.Add(int64(-1), true, "a\"b\\\n", "\xff\u2028\x00", byte(0))
	f.Fuzz(func(t *testing.T, id int64, duplicate bool, one, two string, refusal byte) {
		at := int(refusal) % len(refusals)
		for _, got := range [][]byte{
			appendReceipt(nil, &models.Receipt{Event: models.Event{ID: id}, Duplicate: duplicate}),
			appendReceipt(nil, &models.Receipt{Event: models.Event{ID: id}, Duplicate: duplicate, Truncated: []string{one, two}}),
			appendRefusal(nil, at, &models.FieldError{Field: one}),
			appendRefusal(nil, at, refusals[at].err),
		} {
			var answer struct {
				OK        *bool    `json:"ok"`
				ID        *int64   `json:"event_id"`
				Truncated []string `json:"truncated"`
				Error     string   `json:"error"`
				Field     string   `json:"field"`
			}
			if err := json.Unmarshal(got, &answer); err != nil || bytes.IndexByte(got, '\n') != len(got)-1 || answer.OK == nil {
				t.Fatalf("answer %q: %v", got, err)
			}
			if *answer.OK && (answer.ID == nil || *answer.ID != id) || !*answer.OK && answer.Error == "" {
				t.Fatalf("answer %q", got)
			}
			if utf8.ValidString(two) && len(answer.Truncated) > 0 && answer.Truncated[1] != two {
				t.Fatalf("truncated %q in %q", answer.Truncated, got)
			}
		}
	})
}
