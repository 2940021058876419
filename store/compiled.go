package store

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file is the one place that goes below database/sql, for the hot INSERT
// alone. The driver compiles the SQL of a prepared statement again at each
// Exec and binds in time quadratic to the parameters. In one run of
// `go test -bench 'Insert|Bare' ./store` its prepared INSERT made 57 thousand
// rows a second, InsertBatch 322 thousand; docs/adr/0002-hot-insert.md has
// more. Only the lib package of modernc.org/sqlite is imported: its root would
// register a second driver of the same name.

// rawConn is one SQLite connection without a driver. One goroutine at a time.
type rawConn struct {
	tls *libc.TLS
	db  uintptr
}

// openRaw opens the database of a file: URI and runs the given statements.
func openRaw(uri string, busy time.Duration, setup ...string) (*rawConn, error) {
	c := &rawConn{tls: libc.NewTLS()}
	name, err := libc.CString(uri)
	if err != nil {
		c.tls.Close()
		return nil, err
	}
	out := libc.Xcalloc(c.tls, 1, libc.Tsize_t(unsafe.Sizeof(c.db)))
	// The store's turn lets one goroutine in at a time: no mutex of SQLite's own.
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_NOMUTEX | sqlite3.SQLITE_OPEN_URI
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, out, flags, 0)
	c.db = *(*uintptr)(pointer(out))
	libc.Xfree(c.tls, name)
	libc.Xfree(c.tls, out)
	if rc == sqlite3.SQLITE_OK {
		sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
		rc = sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, int32(busy.Milliseconds()))
	}
	if rc != sqlite3.SQLITE_OK {
		return nil, errors.Join(c.failure("open", rc), c.close())
	}
	for _, sql := range setup {
		if err := c.exec(sql); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// pointer is unsafe.Pointer(p) for memory that SQLite's allocator owns, which
// the garbage collector neither moves nor frees.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// close frees the connection; its statements must be finalized before.
func (c *rawConn) close() error {
	var err error
	if rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db); rc != sqlite3.SQLITE_OK {
		err = c.failure("close", rc)
	}
	c.tls.Close()
	return err
}

// exec runs statements that give no rows.
func (c *rawConn) exec(sql string) error {
	text, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := sqlite3.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != sqlite3.SQLITE_OK {
		return c.failure(sql, rc)
	}
	return nil
}

// rawError is a refusal of SQLite.
type rawError struct {
	what    string
	message string // SQLite's own words
	code    int32  // the extended result code
	errno   int32  // of the system call behind it; 0 when there was none
}

// Error says what was tried and all that is known about why it failed.
func (e *rawError) Error() string {
	if e.errno != 0 {
		return fmt.Sprintf("%s: %s (code %d, errno %d)", e.what, e.message, e.code, e.errno)
	}
	return fmt.Sprintf("%s: %s (code %d)", e.what, e.message, e.code)
}

// Reason is what people are told: SQLite's words alone.
func (e *rawError) Reason() string { return e.message }

func (c *rawConn) failure(what string, rc int32) error {
	e := &rawError{what: what, code: rc, message: libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))}
	if c.db != 0 {
		e.message = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
		if kind := rc & 0xff; kind == sqlite3.SQLITE_IOERR || kind == sqlite3.SQLITE_CANTOPEN {
			e.errno = sqlite3.Xsqlite3_system_errno(c.tls, c.db)
		}
	}
	return e
}

// compiled is a statement that stays compiled between its runs. What is bound
// stays bound too, until it is bound anew.
type compiled struct {
	c    *rawConn
	p    uintptr
	what string // for errors
	rc   int32  // the first refusal of a bind since the last step
}

func (c *rawConn) compile(what, sql string) (*compiled, error) {
	text, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	out := libc.Xcalloc(c.tls, 1, libc.Tsize_t(unsafe.Sizeof(c.db)))
	defer libc.Xfree(c.tls, out)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, c.failure("compile "+what, rc)
	}
	return &compiled{c: c, p: *(*uintptr)(pointer(out)), what: what}, nil
}

func (s *compiled) finalize() {
	if s != nil {
		sqlite3.Xsqlite3_finalize(s.c.tls, s.p) // repeats the last step's error, which was told
	}
}

// text binds n bytes at p, which must stay as they are until the last step.
func (s *compiled) text(i int32, p uintptr, n int) {
	s.note(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, i, p, int32(n), sqlite3.SQLITE_STATIC))
}

func (s *compiled) int(i int32, v int64) {
	s.note(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, i, v))
}

func (s *compiled) null(i int32) { s.note(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, i)) }

func (s *compiled) note(rc int32) {
	if s.rc == sqlite3.SQLITE_OK {
		s.rc = rc
	}
}

// exec runs a statement that gives no row, and makes it ready again.
func (s *compiled) exec() error {
	row, err := s.row()
	if row {
		s.reset()
	}
	return err
}

// row steps to the first row and reports whether there is one; then the
// caller reads it with column and ends with reset.
func (s *compiled) row() (bool, error) {
	rc := s.rc
	s.rc = sqlite3.SQLITE_OK
	if rc == sqlite3.SQLITE_OK {
		rc = sqlite3.Xsqlite3_step(s.c.tls, s.p)
	}
	if rc == sqlite3.SQLITE_ROW {
		return true, nil
	}
	var err error
	if rc != sqlite3.SQLITE_DONE {
		err = s.c.failure(s.what, rc)
	}
	s.reset()
	return false, err
}

func (s *compiled) column(i int32) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, i) }

func (s *compiled) reset() { sqlite3.Xsqlite3_reset(s.c.tls, s.p) }

func (c *rawConn) lastID() int64 { return sqlite3.Xsqlite3_last_insert_rowid(c.tls, c.db) }

// scratch is memory that SQLite may read: texts are copied in one after the
// other and bound in place, so that a row costs no allocation.
type scratch struct {
	tls  *libc.TLS
	p    uintptr
	mem  []byte
	used int
}

// room empties the scratch and makes sure that n bytes fit.
func (m *scratch) room(n int) error {
	m.used = 0
	if n <= len(m.mem) {
		return nil
	}
	m.free()
	size := max(n, 64<<10)
	if m.p = libc.Xmalloc(m.tls, libc.Tsize_t(size)); m.p == 0 {
		return fmt.Errorf("allocate %d bytes for binding", size)
	}
	m.mem = unsafe.Slice((*byte)(pointer(m.p)), size)
	return nil
}

func (m *scratch) free() {
	if m.p != 0 {
		libc.Xfree(m.tls, m.p)
	}
	m.p, m.mem = 0, nil
}

// put copies s; room must have been made.
func (m *scratch) put(s string) uintptr {
	p := m.p + uintptr(m.used)
	m.used += copy(m.mem[m.used:], s)
	return p
}
