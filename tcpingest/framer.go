package tcpingest

import "bytes"

const (
	// smallBuffer is what a connection that says little keeps.
	smallBuffer = 1 << 10
	// largeBuffer is what one that says much may grow to, unless a line needs
	// more. It also bounds the bytes that one group holds.
	largeBuffer = 64 << 10
)

var byteOrderMark = []byte("\uFEFF")

// framer cuts a stream of bytes into lines, in memory bounded by the longest
// line. The same bytes give the same lines however they arrive. It belongs to
// the reader goroutine of its connection.
type framer struct {
	max int // longest line in bytes, its end (LF or CR LF) not counted

	buf      []byte
	start    int  // of the line that is not complete yet
	scanned  int  // no line end in buf[start:scanned]
	end      int  // of what was read
	full     bool // the last read took all the space there was: more is waiting
	skipping bool // inside a line that was too long
}

// space returns where to read into. It must be followed by filled.
func (f *framer) space() []byte {
	if f.start > 0 {
		// next has returned all complete lines: at most part of one moves.
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.scanned -= f.start
		f.start = 0
	}
	if f.full || f.end == len(f.buf) {
		f.resize(max(2*len(f.buf), smallBuffer))
	}
	return f.buf[f.end:]
}

// filled takes over the n bytes that were read into space.
func (f *framer) filled(n int) {
	f.end += n
	f.full = f.end == len(f.buf)
}

// shrink gives memory back after a read of n bytes that left nothing behind,
// so that a burst does not cost its buffer for as long as the connection is open.
func (f *framer) shrink(n int) {
	if f.start == f.end && n < len(f.buf)/8 && len(f.buf) > smallBuffer {
		f.resize(len(f.buf) / 2)
	}
}

func (f *framer) resize(size int) {
	// Two more than the longest line, for the CR and for the byte that tells
	// that a line is too long.
	if size = min(size, max(largeBuffer, f.max+2)); size == len(f.buf) {
		return
	}
	buf := make([]byte, size)
	f.end = copy(buf, f.buf[f.start:f.end])
	f.scanned -= f.start
	f.start = 0
	f.buf = buf
}

// pending is what was read and not returned as a line yet.
func (f *framer) pending() []byte { return f.buf[f.start:f.end] }

// next returns the next line that is not blank, without its end; ok is false
// when there is no complete one. tooLong stands for a line longer than max,
// whose bytes are dropped. The line is valid until the next call of space.
func (f *framer) next() (line []byte, tooLong, ok bool) {
	for {
		i := bytes.IndexByte(f.buf[f.scanned:f.end], '\n')
		if i < 0 {
			f.scanned = f.end
			if f.skipping {
				f.start = f.end
				return nil, false, false
			}
			// One byte over the limit may still be the CR of a line end.
			if f.end-f.start > f.max+1 {
				f.start, f.skipping = f.end, true
				return nil, true, true
			}
			return nil, false, false
		}
		line = f.buf[f.start : f.scanned+i]
		f.start = f.scanned + i + 1
		f.scanned = f.start
		if f.skipping {
			f.skipping = false
			continue
		}
		if line, tooLong, ok = f.judge(line); ok {
			return line, tooLong, true
		}
	}
}

// last returns what follows the last line end, once the stream has ended.
func (f *framer) last() (line []byte, tooLong, ok bool) {
	line = f.buf[f.start:f.end]
	f.start = f.end
	f.scanned = f.end
	if f.skipping {
		return nil, false, false
	}
	return f.judge(line)
}

// judge tells lines from blank ones and from those that are too long.
func (f *framer) judge(line []byte) (kept []byte, tooLong, ok bool) {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) > f.max {
		return nil, true, true
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))) == 0 {
		return nil, false, false
	}
	return line, false, true
}
