package i18n

import (
	"os"
	"strings"
	"sync"
	"time"
)

// local is the machine's zone. Go knows it as "Local" where it is set by a
// link at /etc/localtime (localtime(5)); browsers compare theirs by the IANA
// name, which is in the link.
var local = sync.OnceValue(func() *time.Location {
	if target, err := os.Readlink("/etc/localtime"); err == nil && time.Local.String() == "Local" {
		_, name, _ := strings.Cut(target, "zoneinfo/")
		name = strings.TrimPrefix(name, "Etc/") // browsers say UTC
		if zone, err := time.LoadLocation(name); err == nil && name != "" {
			return zone
		}
	}
	return time.Local
})
