package store

import "errors"

// Why a database could not be opened. Each comes wrapped in one line that
// names the file; compare with errors.Is.
var (
	// ErrInUse: another hub has the data directory open.
	ErrInUse = errors.New("another hub is using it")
	// ErrLocked: another process holds the database's write lock.
	ErrLocked = errors.New("locked by another process")
	// ErrNotUsable: what is there is not a complete, writable database of
	// the hub; it was left as it is.
	ErrNotUsable = errors.New("not a usable alerthub database")
	// ErrNewerSchema: a newer version of the hub wrote the database.
	ErrNewerSchema = errors.New("written by a newer version of the hub")
)
