package wire_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/wire"
)

var (
	birth = time.Date(2026, 2, 24, 9, 41, 46, 123456000, time.UTC)

	fullEvent = models.Event{
		ID: 12, CreatedAt: birth, Source: "núcleo-rtr-madrid", Severity: models.SeverityCritical,
		Message: "línea 1\n\tlínea 2 \u2028 \"<b>\" 🚨", Channel: models.ChannelTCP, RawPayload: "{\"a\":\"\\u0000\x01\"}", Peer: "192.0.2.7",
		AckedAt: birth.Add(time.Minute), AckedBy: "Ana", AckedPeer: "2001:db8::1", AckedVerified: true,
	}
	bareEvent = models.Event{ID: 11, CreatedAt: birth, Source: "a", Severity: models.SeverityInfo, Message: strings.Repeat("ñ", 300), Channel: models.ChannelHTTP}
	fullAlert = models.EmailAlert{
		ID: 3, EventID: 12, CreatedAt: birth, UpdatedAt: birth.Add(time.Second), Contact: "guardia ñ", Channel: "email", Recipient: "noc@example.net",
		Status: models.EmailFailed, Detail: "550 no such user", Attempts: 4,
	}
)

// readAll reads an export to its end.
func readAll(export string) (rows []wire.ExportRow, err error) {
	r, err := wire.NewExportReader(strings.NewReader(export))
	for err == nil {
		var row wire.ExportRow
		if row, err = r.Next(); err == nil {
			rows = append(rows, row)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, err
}

func TestExportWriter_ReadsBack(t *testing.T) {
	spool, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	var out bytes.Buffer
	w := wire.NewExportWriter(&out, spool)
	for _, e := range []models.Event{fullEvent, bareEvent} {
		var emails []models.EmailAlert
		if e.ID == fullAlert.EventID {
			emails = append(emails, fullAlert)
		}
		if err := w.Page([]models.Event{e}, emails); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(models.Stats{Events: 2}, birth); err != nil {
		t.Fatal(err)
	}
	rows, err := readAll(out.String())
	if err != nil {
		t.Fatalf("%v, reading\n%s", err, out.String())
	}
	want := []wire.ExportRow{{Row: 1, Event: fullEvent}, {Row: 2, Event: bareEvent}, {Email: true, Row: 1, Alert: fullAlert}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for _, part := range []string{"],\"email_logs\":[", `"stats":{"total_events":2,`, `"exported_at":"2026-02-24T09:41:46.123456Z"}`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the document lacks %s:\n%s", part, out.String())
		}
	}
}

func TestExportWriter_Empty(t *testing.T) {
	var out bytes.Buffer
	spool, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	if err := wire.NewExportWriter(&out, spool).End(models.Stats{}, birth); err != nil {
		t.Fatal(err)
	}
	if rows, err := readAll(out.String()); err != nil || len(rows) != 0 {
		t.Errorf("%v, %v, reading\n%s", rows, err, out.String())
	}
}

const goodEvent = `{"id":5,"created_at":"2026-02-24T10:41:46.123456+01:00","source":"a","severity":"warn","message":"m","channel":"http_api"}`

func TestExportReader_Forms(t *testing.T) {
	want := []wire.ExportRow{
		{Row: 1, Event: models.Event{ID: 5, CreatedAt: birth, Source: "a", Severity: models.SeverityWarning, Message: "m", Channel: models.ChannelHTTP}},
	}
	for name, export := range map[string]string{
		"document":                   `{"events":[` + goodEvent + `]}`,
		"document, events last":      `{"version":{"x":[1,[2]]},"stats":null,"email_logs":[],"events":[` + goodEvent + `]}`,
		"document, emails null":      `{"events":[` + goodEvent + `],"email_logs":null}`,
		"document after a BOM":       "\uFEFF" + `{"events":[` + goodEvent + `]}`,
		"lines":                      goodEvent + "\n",
		"lines, blank ones, no end":  "\n\n" + goodEvent + "\r\n\n",
		"lines, members not known":   strings.Replace(goodEvent, `"id"`, `"tags":["x",{"y":1}],"ID":9,"id"`, 1),
		"lines, times of old":        strings.Replace(goodEvent, "2026-02-24T10:41:46.123456+01:00", "2026-02-24 09:41:46.123456", 1),
		"lines, null means absent":   strings.Replace(goodEvent, `"id"`, `"raw_payload":null,"acked_at":null,"peer":null,"id"`, 1),
		"lines, payload not too big": strings.Replace(goodEvent, `"id"`, `"x":"`+strings.Repeat("x", 7<<20)+`","id"`, 1),
	} {
		rows, err := readAll(export)
		if diff := cmp.Diff(want, rows); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestExportReader_PendingIsSkipped(t *testing.T) {
	rows, err := readAll(`{"events":[],"email_logs":[{"id":1,"event_id":2,"created_at":"2026-02-24T09:41:46.123456Z","recipient":"a@b","status":"pending","attempts":2,"next_attempt_at":"2026-02-24T10:00:00Z"}]}`)
	if err != nil || len(rows) != 1 || rows[0].Err != nil {
		t.Fatalf("%+v, %v", rows, err)
	}
	want := models.EmailAlert{ID: 1, EventID: 2, CreatedAt: birth, UpdatedAt: birth, Channel: "email", Recipient: "a@b", Status: models.EmailSkipped, Detail: "imported", Attempts: 2}
	if diff := cmp.Diff(want, rows[0].Alert); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExportReader_RefusedEmails(t *testing.T) {
	for name, tt := range map[string]struct{ members, want string }{
		"another channel":    {`"channel":"pigeon"`, "channel: must be email"},
		"contact too long":   {`"contact":"` + strings.Repeat("ñ", models.MaxContact+1) + `"`, "contact: is too long"},
		"contact a number":   {`"contact":7`, "contact: must be a string"},
		"channel not a text": {`"channel":[]`, "channel: must be a string"},
	} {
		rows, err := readAll(`{"events":[],"email_logs":[{"id":1,"event_id":2,"created_at":"2026-02-24T09:41:46Z","status":"sent",` + tt.members + `}]}`)
		if err != nil || len(rows) != 1 || rows[0].Err == nil || !strings.HasPrefix(rows[0].Err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %q", name, rows, err, tt.want)
		}
	}
}

// What is wrong with one row is told with the row, and the next one is read.
func TestExportReader_RefusedRows(t *testing.T) {
	replace := func(from, to string) string { return strings.Replace(goodEvent, from, to, 1) }
	for name, tt := range map[string]struct{ row, want string }{
		"no id":              {replace(`"id":5,`, ``), "id: must be a whole number from 1"},
		"id zero":            {replace(`:5`, `:0`), "id: must be a whole number from 1"},
		"id negative":        {replace(`:5`, `:-5`), "id: must be a whole number from 1"},
		"id far too large":   {replace(`:5`, `:9007199254740991`), "id: must be a whole number from 1"},
		"id overflows":       {replace(`:5`, `:99999999999999999999`), "id: must be a whole number"},
		"id a fraction":      {replace(`:5`, `:5.5`), "id: must be a whole number"},
		"id a text":          {replace(`:5`, `:"5"`), "id: must be a whole number"},
		"time missing":       {replace(`created_at`, `createdAt`), "created_at: must be a time"},
		"time nonsense":      {replace(`2026-02-24T10`, `2026-02-31T10`), "created_at: must be a time"},
		"time too fine":      {replace(`.123456`, `.1234567`), "created_at: is finer than a microsecond"},
		"time out of range":  {replace(`2026-02-24`, `0001-01-01`), "created_at: must lie between"},
		"severity unknown":   {replace(`warn`, `grave`), "severity: must be"},
		"severity missing":   {replace(`"severity":"warn",`, ``), "severity: must be"},
		"severity a number":  {replace(`"warn"`, `3`), "severity: must be a string"},
		"channel unknown":    {replace(`http_api`, `smoke`), "channel: must be"},
		"source missing":     {replace(`"source":"a"`, `"source":" "`), "source: is missing"},
		"source too long":    {replace(`"source":"a"`, `"source":"`+strings.Repeat("é", 81)+`"`), "source: is too long"},
		"message too long":   {replace(`"message":"m"`, `"message":"`+strings.Repeat("é", 301)+`"`), "message: is too long"},
		"message an object":  {replace(`"m"`, `{"a":1}`), "message: must be a string"},
		"peer a host":        {replace(`"id"`, `"peer":"router","id"`), "peer: must be an IP address"},
		"peer a hidden text": {replace(`"id"`, `"peer":"fe80::1%\u0007","id"`), "peer: must be an IP address"},
		"ack by nobody":      {replace(`"id"`, `"acked_at":"2026-02-24T10:00:00Z","id"`), "acked_by: must be a name"},
		"ack at no time":     {replace(`"id"`, `"acked_by":"Ana","id"`), "acked_at: is missing"},
		"ack verified only":  {replace(`"id"`, `"acked_verified":true,"id"`), "acked_at: is missing"},
		"ack verified maybe": {replace(`"id"`, `"acked_verified":1,"id"`), "acked_verified: must be true or false"},
		"not an object":      {`[1]`, "row: must be an object"},
		"null":               {`null`, "row: must be an object"},
	} {
		for form, export := range map[string]string{"lines": tt.row + "\n" + goodEvent, "document": `{"events":[` + tt.row + "," + goodEvent + `]}`} {
			if form == "lines" && !strings.HasPrefix(tt.row, "{") {
				export = goodEvent + "\n" + export
			}
			rows, err := readAll(export)
			var got []string
			good := 0
			for _, row := range rows {
				if row.Err == nil {
					good++
					continue
				}
				if !errors.Is(row.Err, models.ErrInvalid) {
					t.Errorf("%s in %s: %v is not ErrInvalid", name, form, row.Err)
				}
				got = append(got, row.Err.Error())
			}
			if err != nil || good == 0 || len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("%s in %s: refused %q and took %d, %v; want %q refused and the other taken", name, form, got, good, err, tt.want)
			}
		}
	}
}

// What is no export at all ends the reading, and says where.
func TestExportReader_Malformed(t *testing.T) {
	for name, tt := range map[string]struct{ export, want string }{
		"empty":                    {"", "ends too soon"},
		"only a BOM":               {"\uFEFF", "ends too soon"},
		"a list":                   {"[]", "not a JSON object"},
		"text":                     {"id;created_at\n", "not a JSON object"},
		"truncated in an event":    {`{"events":[` + goodEvent + `,{"id":6,"sou`, "event 2: not a JSON object: the file ends too soon, at byte"},
		"truncated between events": {`{"events":[` + goodEvent, "the file ends too soon"},
		"truncated line":           {goodEvent + "\n" + goodEvent[:40], "event 2: not a JSON object: the file ends too soon"},
		"second document":          {`{"events":[]}{"events":[]}`, "something follows its end"},
		"events no list":           {`{"events":{"1":2}}`, `"events" is not a list`},
		"events a text":            {`{"events":"x"}`, `"events" is not a list`},
		"a member twice":           {strings.Replace(goodEvent, `"id"`, `"id":1,"id"`, 1), "twice"},
		"a list twice":             {`{"events":[],"events":[]}`, "twice"},
		"member of another case":   {`{"Events":[` + goodEvent + `]}`, "id: must be"},
		"nested deeply":            {`{"events":[{"id":1,"x":` + strings.Repeat("[", 1_000_000), "event 1"},
		"huge text":                {`{"events":[{"id":1,"x":"` + strings.Repeat("x", 9<<20) + `"}]}`, "event 1: not a JSON object: larger than 8 MiB"},
		"huge member":              {`{"x":"` + strings.Repeat("x", 9<<20) + `","events":[]}`, "larger than 8 MiB"},
		"huge number":              {`{"x":` + strings.Repeat("1", 9<<20), "larger than 8 MiB"},
	} {
		rows, err := readAll(tt.export)
		if err == nil && len(rows) == 1 {
			err = rows[0].Err
		} else if !errors.Is(err, models.ErrInvalidJSON) {
			t.Errorf("%s: %v is not ErrInvalidJSON", name, err)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 200 {
			t.Errorf("%s: %.300v; want %q", name, err, tt.want)
		}
	}
}

// FuzzExportReader: whatever the file, reading ends, every row that is taken
// keeps the limits of an event, and writing it makes the same row again.
func FuzzExportReader(f *testing.F) {
	f.Add(goodEvent)
	f.Add(`{"events":[` + goodEvent + `],"email_logs":[{"id":1,"event_id":5,"created_at":"2026-02-24T09:41:46Z","status":"sent"}]}`)
	f.Add("\uFEFF{\"events\":[" + goodEvent[:50])
	f.Add(`{"x":{"events":[]}}` + "\n" + goodEvent)
	f.Add(`{"events":null,"email_logs":{}}`)
	f.Fuzz(func(t *testing.T, export string) {
		rows, _ := readAll(export)
		for _, row := range rows {
			if row.Err != nil || row.Email {
				continue
			}
			e := row.Event
			if !e.Severity.Valid() || !e.Channel.Valid() || e.Source == "" || len([]rune(e.Source)) > models.MaxSource ||
				e.Message == "" || len([]rune(e.Message)) > models.MaxMessage || e.ID < 1 || e.ID > models.MaxImportID {
				t.Fatalf("took %+v", e)
			}
			text, err := wire.Marshal(wire.FromExported(e))
			if err != nil {
				t.Fatal(err)
			}
			again, err := readAll(string(text))
			if err != nil || len(again) != 1 || again[0].Err != nil || again[0].Event != e {
				t.Fatalf("%+v\nbecame %+v, %v", e, again, err)
			}
		}
	})
}
