package wire_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/wire"
)

var origin = wire.Origin{Channel: models.ChannelTCP, Peer: "192.0.2.7"}

func TestDecode(t *testing.T) {
	long := strings.Repeat("ñ", 301)
	tests := map[string]struct {
		in   string
		want models.Draft
	}{
		"all members": {
			in:   `{"source":"sw-1","severity":"warning","message":"Port down"}`,
			want: models.Draft{Source: "sw-1", Severity: "warning", Message: "Port down"},
		},
		"nothing named": {
			in:   `{}`,
			want: models.Draft{Source: "192.0.2.7", Severity: "info", Message: "(no message)"},
		},
		"null is absent": {
			in:   `{"source":null,"severity":null,"message":null,"key":null}`,
			want: models.Draft{Source: "192.0.2.7", Severity: "info", Message: "(no message)"},
		},
		"syslog number": {
			in:   `{"source":"a","severity":2,"message":"m"}`,
			want: models.Draft{Source: "a", Severity: "critical", Message: "m"},
		},
		"alias in capitals": {
			in:   `{"source":"a","severity":" WARN ","message":"m"}`,
			want: models.Draft{Source: "a", Severity: "warning", Message: "m"},
		},
		"unknown severity stays in the payload": {
			in:   `{"source":"a","severity":"spicy","message":"m"}`,
			want: models.Draft{Source: "a", Severity: "info", Message: "m"},
		},
		"exact case only": {
			in:   `{"Source":"a","MESSAGE":"m"}`,
			want: models.Draft{Source: "192.0.2.7", Severity: "info", Message: "(no message)"},
		},
		"cut between characters": {
			in:   `{"source":"a","message":"` + long + `"}`,
			want: models.Draft{Source: "a", Severity: "info", Message: long[:600], Truncated: []string{"message"}},
		},
		"not UTF-8": {
			in:   "{\"source\":\"a\",\"message\":\"ca\xedda\"}",
			want: models.Draft{Source: "a", Severity: "info", Message: "ca\uFFFDda", RawPayload: `{"source":"a","message":"ca` + "\uFFFD" + `da"}`},
		},
		"lone surrogate": {
			in:   `{"source":"a","message":"x\ud800y"}`,
			want: models.Draft{Source: "a", Severity: "info", Message: "x\uFFFDy"},
		},
		"control characters": {
			in:   `{"source":"a\u0000\nb","message":"one\ntwo\u0007"}`,
			want: models.Draft{Source: "a\uFFFD\uFFFDb", Severity: "info", Message: "one\ntwo\uFFFD"},
		},
		"byte order mark": {
			in:   "\uFEFF" + `{"source":"a","message":"m"}`,
			want: models.Draft{Source: "a", Severity: "info", Message: "m", RawPayload: `{"source":"a","message":"m"}`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := wire.Decode([]byte(tt.in), origin)
			if err != nil {
				t.Fatalf("Decode(%q): %v", tt.in, err)
			}
			tt.want.Channel, tt.want.Peer = origin.Channel, origin.Peer
			if tt.want.RawPayload == "" {
				tt.want.RawPayload = tt.in
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("draft (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecode_Refused(t *testing.T) {
	tests := map[string]struct {
		in    string
		field string // "" for ErrInvalidJSON
	}{
		"empty":                   {in: ""},
		"words":                   {in: "hello"},
		"array":                   {in: `[{"source":"a"}]`},
		"cut off":                 {in: `{"source":"a"`},
		"two objects":             {in: `{} {}`},
		"duplicate members":       {in: `{"source":"a","source":"b"}`},
		"wrong type, then broken": {in: `{"source":5,"message":`},
		"source is a number":      {in: `{"source":5}`, field: "source"},
		"message is an object":    {in: `{"message":{"a":1}}`, field: "message"},
		"severity is a list":      {in: `{"severity":[1]}`, field: "severity"},
		"severity is true":        {in: `{"severity":true}`, field: "severity"},
		"key is a number":         {in: `{"key":1}`, field: "key"},
		"key too long":            {in: `{"key":"` + strings.Repeat("k", 129) + `"}`, field: "key"},
		"key with a line feed":    {in: `{"key":"a\nb"}`, field: "key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := wire.Decode([]byte(tt.in), origin)
			var field *models.FieldError
			switch {
			case tt.field == "":
				if !errors.Is(err, models.ErrInvalidJSON) {
					t.Errorf("Decode(%q) = %v, want ErrInvalidJSON", tt.in, err)
				}
			case !errors.As(err, &field) || field.Field != tt.field:
				t.Errorf("Decode(%q) = %v, want a FieldError for %q", tt.in, err, tt.field)
			}
		})
	}
}

func TestDecode_Fingerprint(t *testing.T) {
	decode := func(in string) models.Draft {
		t.Helper()
		d, err := wire.Decode([]byte(in), origin)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	tail := strings.Repeat("x", models.MaxMessage)
	first := decode(`{"source":"a","severity":"err","message":"` + tail + `1","key":"k"}`)
	repeat := decode(`{"key":"k", "message":"` + tail + `1", "severity":"error", "source":"a"}`)
	other := decode(`{"source":"a","severity":"err","message":"` + tail + `2","key":"k"}`)
	if first.Fingerprint != repeat.Fingerprint {
		t.Error("the same content written otherwise has another fingerprint")
	}
	if first.Fingerprint == other.Fingerprint {
		t.Error("messages that differ past the cut have the same fingerprint")
	}
}

func TestSplitArray(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string // nil for ErrInvalidJSON
	}{
		"items of all kinds":  {`[ {"a":1,"a":2}, 5 ,"x",[[]],null]`, []string{`{"a":1,"a":2}`, `5`, `"x"`, `[[]]`, `null`}},
		"empty":               {` [ ] `, []string{}},
		"one more than asked": {`[1,2,3,4,5,6,7,8]`, []string{`1`, `2`, `3`, `4`, `5`, `6`}},
		"object":              {`{}`, nil},
		"nothing":             {``, nil},
		"cut off":             {`[{},`, nil},
		"trailing comma":      {`[{},]`, nil},
		"more after it":       {`[{}] {}`, nil},
		"broken item":         {`[{},{"a"}]`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			items, err := wire.SplitArray([]byte(tt.in), 5)
			if tt.want == nil {
				if !errors.Is(err, models.ErrInvalidJSON) {
					t.Fatalf("SplitArray(%q) = %q, %v, want ErrInvalidJSON", tt.in, items, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("SplitArray(%q): %v", tt.in, err)
			}
			got := make([]string, len(items))
			for i, item := range items {
				got[i] = string(item)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"source":"a","severity":3,"message":"m","key":"k"}`, `{"severity":1e3}`, "{\"message\":\"\xff\"}",
		`{"source":"a","source":"b"}`, `[]`, `null`, `{"message":"\ud800"}`, "\uFEFF{}", `{"message":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		d, err := wire.Decode(raw, origin)
		if string(raw) != before {
			t.Fatalf("Decode changed its input")
		}
		if err != nil {
			if !errors.Is(err, models.ErrInvalidJSON) && !errors.Is(err, models.ErrInvalid) {
				t.Fatalf("undocumented error %v", err)
			}
			return
		}
		if !d.Severity.Valid() || d.Source == "" || d.Message == "" {
			t.Fatalf("incomplete draft %+v", d)
		}
		if utf8.RuneCountInString(d.Source) > models.MaxSource || utf8.RuneCountInString(d.Message) > models.MaxMessage {
			t.Fatalf("draft over its limits %+v", d)
		}
		for _, text := range []string{d.Source, d.Message, d.RawPayload, d.Key} {
			if !utf8.ValidString(text) {
				t.Fatalf("text that is not UTF-8: %q", text)
			}
		}
		if strings.ContainsAny(d.Source, "\x00\r\n") || strings.ContainsAny(d.Message, "\x00\r") {
			t.Fatalf("control characters in %+v", d)
		}
	})
}
