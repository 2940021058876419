//go:build !unix

package tcpingest

import "math"

// spareDescriptors returns that connections are not limited by descriptors.
func spareDescriptors() int { return math.MaxInt }
