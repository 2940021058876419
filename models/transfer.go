package models

import (
	"errors"
	"slices"
	"time"
)

// MaxImport bounds the file of an import, in bytes.
const MaxImport = 100_000_000

// MaxImportID bounds the ids that a file may bring. Ids that are handed out
// later are above them: this leaves enough below 2^53, up to where every
// reader of JSON holds them exactly.
const MaxImportID = 1 << 40

// The errors of imports.
var (
	// ErrImportTooLarge: the file is larger than MaxImport.
	ErrImportTooLarge = errors.New("import file too large")
	// ErrImporting: another import is under way.
	ErrImporting = errors.New("another import is under way")
)

// ExportFormat is one of the three forms of an export. It is the extension of
// its file name too.
type ExportFormat string

// The forms of an export.
const (
	ExportJSON  ExportFormat = "json"   // one document: events, emails, counters; imports best
	ExportLines ExportFormat = "ndjson" // one event a line
	ExportCSV   ExportFormat = "csv"
)

// ExportFormats lists all forms.
func ExportFormats() []ExportFormat { return []ExportFormat{ExportJSON, ExportLines, ExportCSV} }

// ImportState is how far an import has come.
type ImportState string

// The states of an import.
const (
	ImportRefused  ImportState = "refused"  // the file is not fit: see Problems
	ImportChecked  ImportState = "checked"  // waits for somebody's word
	ImportRunning  ImportState = "running"  // is being written, still invisible; or being removed again, see Error
	ImportFinished ImportState = "finished" // is part of the history
	ImportFailed   ImportState = "failed"   // nothing of it is left: see Error
)

// Import is one file of events on its way into the history.
type Import struct {
	Token string // names it in addresses; nobody can guess it
	Name  string // of the file, as the browser told it
	Size  int64  // bytes
	State ImportState

	Events   int64
	Emails   int64
	From, To time.Time // of the oldest and the newest event; zero without events

	// How many events keep their ids, and how many get others because theirs
	// are taken: a forecast until the import runs. The new ids are consecutive
	// from FirstRenumbered on, in the order of the old ones.
	Kept, Renumbered int64
	FirstRenumbered  int64

	Done     int64    // events written so far
	Problems []string // the first things that are wrong with the file, each with its row
	Error    string   // why it failed
}

// Numbering gives the rows of an import their ids: a free id is kept, a taken
// one is replaced by one of the reserved ids, which follow Base.
type Numbering struct {
	Taken []int64 // ascending
	Base  int64
}

// ID is the id under which a row is stored.
func (n *Numbering) ID(id int64) int64 {
	if i, taken := slices.BinarySearch(n.Taken, id); taken {
		return n.Base + 1 + int64(i)
	}
	return id
}

// ImportPlan is what BeginImport of the store decides.
type ImportPlan struct {
	ID             int64 // of the import
	Events, Emails Numbering
}
