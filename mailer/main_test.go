package mailer

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// born is when the tests' events happened.
var born = time.Date(2026, 11, 23, 18, 26, 0, 123456000, time.UTC)
