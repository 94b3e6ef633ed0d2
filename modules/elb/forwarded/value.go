package forwarded

import (
	"net/netip"
	"strings"
)

// longestTrace bounds an identifier that goes into logs and to backends.
const longestTrace = 256

// The parts of a traceparent of version 00 (W3C Trace Context section 3.2.2).
const (
	traceparentLength = 55
	versionEnd        = 2
	traceIDEnd        = 35
	parentIDEnd       = 52
)

// What a tracestate may hold (W3C Trace Context section 3.3.1).
const (
	longestTracestate = 512
	mostTracestates   = 32
)

// Proto returns "http" or "https" for what a balancer wrote into
// X-Forwarded-Proto, in any case of ASCII letters.
func Proto(s string) (string, bool) {
	switch {
	case s == "https", s == "http":
		return s, true
	// Without the lengths, EqualFold takes a long s for an s.
	case len(s) == len("https") && strings.EqualFold(s, "https"):
		return "https", true
	case len(s) == len("http") && strings.EqualFold(s, "http"):
		return "http", true
	}
	return "", false
}

// Port reports whether s is a port number from 1 to 65535 without leading zeros.
func Port(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// Host reports whether s is a host as it stands in a Host header: a DNS name, an
// IPv4 address or a bracketed IPv6 address, and possibly a port.
func Host(s string) bool {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(s[1:end])
		return err == nil && addr.Is6() && addr.Zone() == "" &&
			(end+1 == len(s) || s[end+1] == ':' && Port(s[end+2:]))
	}
	name, port, found := strings.Cut(s, ":")
	if found && !Port(port) || name == "" || len(name) > 253 || name[0] == '.' || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return !strings.Contains(name, "..")
}

// Trace reports whether s is fit to be an identifier in logs: at most 256
// characters of those that the balancers' own identifiers are made of.
func Trace(s string) bool {
	if s == "" || len(s) > longestTrace {
		return false
	}
	for i := range len(s) {
		if !inTrace[s[i]] {
			return false
		}
	}
	return true
}

var inTrace = func() (set [256]bool) {
	for c := range set {
		set[c] = alphanumeric(byte(c)) || strings.IndexByte("-_.:;=/+", byte(c)) >= 0
	}
	return set
}()

// Traceparent reports whether s is a traceparent (W3C Trace Context section 3.2):
// version, trace id, parent id and flags in lower-case hexadecimal. Versions above
// 00 may go on after another hyphen.
func Traceparent(s string) bool {
	if len(s) < traceparentLength || !Trace(s) {
		return false
	}
	version, traceID, parentID, flags := s[:versionEnd], s[versionEnd+1:traceIDEnd], s[traceIDEnd+1:parentIDEnd], s[parentIDEnd+1:traceparentLength]
	switch {
	case s[versionEnd] != '-' || s[traceIDEnd] != '-' || s[parentIDEnd] != '-',
		!hex(version) || !hex(traceID) || !hex(parentID) || !hex(flags),
		version == "ff",
		strings.Trim(traceID, "0") == "" || strings.Trim(parentID, "0") == "":
		return false
	case len(s) == traceparentLength:
		return true
	}
	return version != "00" && s[traceparentLength] == '-'
}

// Tracestate reports whether s is a tracestate (W3C Trace Context section 3.3): a
// list of key=value that vendors give on to each other.
func Tracestate(s string) bool {
	if len(s) > longestTracestate {
		return false
	}
	members, n := false, 0
	for member := range strings.SplitSeq(s, ",") {
		if n++; n > mostTracestates {
			return false
		}
		// Empty members are allowed, for lists that somebody cut.
		if member = trim(member); member == "" {
			continue
		}
		key, value, found := strings.Cut(member, "=")
		if !found || !tracestateKey(key) || !tracestateValue(value) {
			return false
		}
		members = true
	}
	return members
}

func tracestateKey(s string) bool {
	if s == "" || len(s) > 256 || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= '0' && s[0] <= '9') {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') && strings.IndexByte("_-*/@", c) < 0 {
			return false
		}
	}
	return true
}

func tracestateValue(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ',' || c == '=' {
			return false
		}
	}
	return true
}

func hex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
