package search

import "syscall"

// niceness is the index's: below that of everything else in the hub, yet not so
// far that it would stand still while others compute.
const niceness = 5

// giveWay lowers the priority of the calling thread. On Linux a priority is a
// thread's own. A refusal changes nothing but speed.
func giveWay() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness) }
