package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"alerthub/models"
)

// maxExportItem bounds one event or email of an import in bytes: a payload of
// a mebibyte with every byte escaped fits.
const maxExportItem = 8 << 20

// ExportRow is one row of an export: an event, or an email.
type ExportRow struct {
	Email bool // which of the two
	Row   int  // its place among its kind, from 1
	Event models.Event
	Alert models.EmailAlert
	Err   error // a *models.FieldError that says why it cannot be taken; nil when it can
}

// Name is how people are told which row it is.
func (r *ExportRow) Name() string {
	if r.Email {
		return fmt.Sprintf("email %d", r.Row)
	}
	return fmt.Sprintf("event %d", r.Row)
}

// ExportReader reads an export row by row, in a document or as one event a
// line. It is as strict as Decode: exact names, no name twice, and what it
// does not know is skipped. It holds no more than one row in memory.
type ExportReader struct {
	in    *fence
	dec   *jsontext.Decoder
	lines bool // one event a line; else a document

	begun         bool
	list          string // the list that is being read, "" between lists
	events, mails int    // rows so far
}

// The lists of a document.
const (
	eventList = "events"
	emailList = "email_logs"
)

// NewExportReader looks which of the two forms file has. Its errors are those
// of Next.
func NewExportReader(file io.ReadSeeker) (*ExportReader, error) {
	r := &ExportReader{}
	if err := r.restart(file); err != nil {
		return nil, err
	}
	lines, err := r.isLines()
	if err != nil {
		return nil, err
	}
	r.lines = lines
	return r, r.restart(file)
}

func (r *ExportReader) restart(file io.ReadSeeker) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	mark := make([]byte, len(byteOrderMark))
	if n, err := io.ReadFull(file, mark); err != nil || string(mark) != string(byteOrderMark) {
		if _, err := file.Seek(int64(-n), io.SeekCurrent); err != nil {
			return err
		}
	}
	r.in = &fence{r: file}
	r.dec = jsontext.NewDecoder(r.in, lenientText)
	return nil
}

// isLines reports whether the first object is not a document.
func (r *ExportReader) isLines() (bool, error) {
	r.allow()
	if token, err := r.dec.ReadToken(); err != nil || token.Kind() != '{' {
		return false, r.malformed(err)
	}
	for {
		r.allow()
		name, err := r.dec.ReadToken()
		switch {
		case err != nil:
			return false, r.malformed(err)
		case name.Kind() == '}':
			return true, nil
		case name.String() == eventList:
			return false, nil
		}
		if err := r.skip(); err != nil {
			return false, err
		}
	}
}

// Next returns the next row. The error is io.EOF after the last one; an error
// that wraps models.ErrInvalidJSON says where the file stops to be an export,
// and reading has ended; any other is the file's.
func (r *ExportReader) Next() (ExportRow, error) {
	if r.lines {
		r.list = eventList
		r.allow()
		if r.dec.PeekKind() == 0 {
			if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
				return ExportRow{}, r.malformed(err)
			}
			return ExportRow{}, io.EOF
		}
		return r.row()
	}
	for {
		r.allow()
		if r.list != "" {
			if r.dec.PeekKind() != ']' {
				return r.row()
			}
			r.list = ""
		} else if !r.begun {
			r.begun = true
		} else if ended, err := r.member(); err != nil {
			return ExportRow{}, err
		} else if ended {
			return ExportRow{}, r.end()
		} else {
			continue
		}
		if _, err := r.dec.ReadToken(); err != nil { // the brace that opens the document, or the bracket that closes a list
			return ExportRow{}, r.malformed(err)
		}
	}
}

// member reads up to the next list of the document, or its end.
func (r *ExportReader) member() (ended bool, err error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return false, r.malformed(err)
	}
	if token.Kind() == '}' {
		return true, nil
	}
	name := token.String()
	if name != eventList && name != emailList {
		return false, r.skip()
	}
	r.allow()
	token, err = r.dec.ReadToken()
	switch {
	case err != nil:
		return false, r.malformed(err)
	case token.Kind() == '[':
		r.list = name
	case token.Kind() != 'n':
		return false, fmt.Errorf("%w: %q is not a list", models.ErrInvalidJSON, name)
	}
	return false, nil
}

// end makes sure that nothing follows the document.
func (r *ExportReader) end() error {
	r.allow()
	switch _, err := r.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return r.malformed(err)
	}
	return fmt.Errorf("%w: something follows its end, at byte %d", models.ErrInvalidJSON, r.dec.InputOffset())
}

// row reads an item of the list.
func (r *ExportReader) row() (ExportRow, error) {
	row := ExportRow{Email: r.list == emailList}
	if row.Email {
		r.mails++
		row.Row = r.mails
	} else {
		r.events++
		row.Row = r.events
	}
	value, err := r.dec.ReadValue()
	if err != nil {
		return ExportRow{}, fmt.Errorf("%s: %w", row.Name(), r.malformed(err))
	}
	if row.Email {
		row.Alert, row.Err = decodeAlert(value)
	} else {
		row.Event, row.Err = decodeEvent(value)
	}
	return row, nil
}

// skip reads over a value, however large, but for single texts larger than
// the fence lets through.
func (r *ExportReader) skip() error {
	for depth := r.dec.StackDepth(); ; {
		r.allow()
		if _, err := r.dec.ReadToken(); err != nil {
			return r.malformed(err)
		}
		if r.dec.StackDepth() == depth {
			return nil
		}
	}
}

// allow moves the fence ahead of the next row or token.
func (r *ExportReader) allow() { r.in.end = r.dec.InputOffset() + maxExportItem }

// malformed says where the file stops to be JSON. Faults of reading the file
// itself stay what they are.
func (r *ExportReader) malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch at := r.dec.InputOffset(); {
	case errors.Is(err, errBeyondFence):
		return fmt.Errorf("%w: larger than 8 MiB, at byte %d", models.ErrInvalidJSON, at)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %s, at byte %d", models.ErrInvalidJSON, reasonOf(syntax), syntax.ByteOffset)
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it begins or ends too soon, at byte %d", models.ErrInvalidJSON, at)
	}
	return err
}

// reasonOf is what is wrong, without the prefix that every such error has.
func reasonOf(e *jsontext.SyntacticError) string {
	switch {
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the file ends too soon"
	case errors.Is(e.Err, jsontext.ErrDuplicateName):
		return "a name stands twice in one object"
	case errors.Is(e.Err, jsontext.ErrNonStringName):
		return "a name is not a string"
	}
	return "not well-formed"
}

// fence lets a reader through up to a place, so that no single value makes
// the decoder's buffer grow without bound.
type fence struct {
	r         io.Reader
	read, end int64
}

var errBeyondFence = errors.New("beyond the fence")

// Read reads up to the fence.
func (f *fence) Read(p []byte) (int, error) {
	if f.read >= f.end {
		return 0, errBeyondFence
	}
	n, err := f.r.Read(p[:min(int64(len(p)), f.end-f.read)])
	f.read += int64(n)
	return n, err
}
