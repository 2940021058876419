package search

import "syscall"

// niceness is the index's: far below that of everything else in the hub, yet
// not the last, which could wait for long while others compute.
const niceness = 15

// giveWay lowers the priority of the calling thread. On Linux a priority is a
// thread's own. A refusal changes nothing but speed.
func giveWay() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness) }
