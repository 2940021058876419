//go:build unix

package tcpingest

import (
	"math"
	"syscall"
)

// Descriptors returns how many of the files that this process may open the
// connections to this door may take, and how many are left to the rest of it.
func Descriptors() (connections, others int) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt, math.MaxInt
	}
	files := int(min(limit.Cur, math.MaxInt32))
	connections = max(files-max(files/4, 64), 1)
	return connections, files - connections
}
