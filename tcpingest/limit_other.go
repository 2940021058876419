//go:build !unix

package tcpingest

import "math"

// Descriptors returns that nothing is limited by descriptors.
func Descriptors() (connections, others int) { return math.MaxInt, math.MaxInt }
