// Package event writes security events: one JSON line for each refusal, to
// standard output or a file, from a bounded queue. A request never waits for it.
//
// The fields of a line are in package telemetry's documentation.
package event

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Schema is the version of the lines' schema: it changes when the meaning of a
// field does, not when one is added.
const Schema = "sallyport.event.v1"

// Event is a refusal. Empty fields are left out of its line.
type Event struct {
	Time      time.Time
	Decision  string // NewID
	Verdict   string
	Guard     string
	Reason    string
	Status    int
	Site      string
	Client    netip.Addr // the established one; the zero Addr says that none is
	Method    string
	Path      string // as it was sent, without the query
	RequestID string
	Trace     string // the balancer's
	Principal string
	KeyID     string // of the principal's API key
	TokenID   string // of the principal's token, its jti; only a hash of it is written
	Rule      string // the configured name of the rule that refused
}

// NewID returns an identifier that nobody can guess and no two decisions share:
// 128 bits of the runtime's ChaCha8 generator, in hex.
func NewID() string {
	const digits = "0123456789abcdef"
	var id [32]byte
	for i := 0; i < len(id); i += 16 {
		n := rand.Uint64()
		for j := range 16 {
			id[i+j] = digits[n>>(4*j)&15]
		}
	}
	return string(id[:])
}

// The longest texts of a caller's that a line has. More is cut off, and marked
// by an ellipsis.
const (
	maxMethod = 32
	maxPath   = 1024
	maxText   = 256
)

// cut makes the texts of a caller short, and their memory the event's own: an
// event in the queue must not keep a request's header alive.
func (e *Event) cut() {
	e.Method = shorten(e.Method, maxMethod)
	e.Path = shorten(e.Path, maxPath)
	e.Trace = shorten(e.Trace, maxText)
	e.Principal = shorten(e.Principal, maxText)
	e.KeyID = shorten(e.KeyID, maxText)
	if e.TokenID != "" {
		sum := sha256.Sum256([]byte(e.TokenID))
		e.TokenID = hex.EncodeToString(sum[:])
	}
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return string([]byte(s))
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// gateway names this process's machine in every line.
var gateway = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
})

// appendLine appends the line of e, with its end.
func (e *Event) appendLine(b []byte, withPath bool) []byte {
	b = append(b, `{"time":"`...)
	b = e.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","schema":"`+Schema+`"`...)
	b = appendText(b, "decision", e.Decision)
	b = appendText(b, "verdict", e.Verdict)
	b = appendText(b, "guard", e.Guard)
	b = appendText(b, "rule", e.Rule)
	b = appendText(b, "reason", e.Reason)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = appendText(b, "site", e.Site)
	if e.Client.IsValid() {
		b = append(b, `,"client":"`...)
		b = e.Client.AppendTo(b)
		b = append(b, '"')
	}
	b = appendText(b, "method", e.Method)
	if withPath {
		b = appendText(b, "path", e.Path)
	}
	b = appendText(b, "request_id", e.RequestID)
	b = appendText(b, "balancer_trace", e.Trace)
	b = appendText(b, "principal", e.Principal)
	b = appendText(b, "key_id", e.KeyID)
	b = appendText(b, "jti_sha256", e.TokenID)
	b = appendText(b, "gateway", gateway())
	return append(b, "}\n"...)
}

// appendText appends a member, unless its value is empty. Every control character
// is escaped, also those that only a terminal reads as one, and what is not UTF-8
// is replaced: a line is a line, whatever a caller sent.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029':
			const digits = "0123456789abcdef"
			b = append(b, '\\', 'u', digits[c>>12&15], digits[c>>8&15], digits[c>>4&15], digits[c&15])
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}
