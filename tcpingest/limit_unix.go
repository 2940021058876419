//go:build unix

package tcpingest

import (
	"math"
	"syscall"
)

// spareDescriptors returns how many of the files that this process may open
// the connections may take, so that the rest of it is never without.
func spareDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	files := int(min(limit.Cur, math.MaxInt32))
	return max(files-max(files/4, 64), 1)
}
