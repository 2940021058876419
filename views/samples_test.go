package views

import (
	"strings"
	"testing"
)

func TestSamples_SpeakWhatThePortsSpeak(t *testing.T) {
	s := Samples{Host: "2001:db8::7", TCPPort: 5090, HTTPPort: 5080}
	if got := tcpSample(s); !strings.HasSuffix(got, "| nc 2001:db8::7 5090") {
		t.Error(got)
	}
	if got := httpSample(s); !strings.HasSuffix(got, " http://[2001:db8::7]:5080/api/events") {
		t.Error(got)
	}
	s.TCPTLS, s.HTTPS = true, true
	if got := tcpSample(s); !strings.HasSuffix(got, "| openssl s_client -quiet -connect [2001:db8::7]:5090") {
		t.Error(got)
	}
	if got := httpSample(s); !strings.HasSuffix(got, " https://[2001:db8::7]:5080/api/events") {
		t.Error(got)
	}
}
