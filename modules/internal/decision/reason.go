// Package decision is how a guard refuses: with a machine-readable reason for
// operators, a problem document (RFC 9457) for callers, and through Caddy's
// error chain, so that a site's handle_errors stays in charge.
package decision

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Reason is why a guard refuses. Reasons are package variables of the guards,
// made with NewReason, so their number bounds the labels of the metrics.
type Reason struct {
	// Code is for operators: metrics and logs. Its first label is the guard,
	// "auth.token_expired".
	Code string
	// Status is the HTTP status of the refusal.
	Status int
	// Title is for callers: one sentence in the problem document that gives no
	// hint to a guesser. Reasons that a caller must not tell apart share a title.
	Title string

	problem    string // the document's members that do not depend on the request
	retryAfter string // the Retry-After of what refuses without a response writer
}

var registry struct {
	sync.Mutex
	reasons []*Reason
}

// NewReason makes a reason. Call it for package variables only. It panics on a
// code that exists and on a status that is not an error.
func NewReason(code string, status int, title string) *Reason {
	registry.Lock()
	defer registry.Unlock()
	if slices.ContainsFunc(registry.reasons, func(r *Reason) bool { return r.Code == code }) {
		panic("reason " + code + " exists already")
	}
	if status < 400 || status > 599 {
		panic(fmt.Sprintf("reason %s: %d is not an error status", code, status))
	}
	r := &Reason{Code: code, Status: status, Title: title, problem: members(TypeURI(title), title, status)}
	registry.reasons = append(registry.reasons, r)
	return r
}

// RetryAfter makes problem documents and error routes say when to try again. It is
// for what refuses from where no response can be written, like a transport; guards
// set the header themselves. It returns r.
func (r *Reason) RetryAfter(seconds int) *Reason {
	r.retryAfter = strconv.Itoa(seconds)
	return r
}

// Reasons are all reasons of the modules that are compiled in, sorted by code.
func Reasons() []*Reason {
	registry.Lock()
	defer registry.Unlock()
	sorted := slices.Clone(registry.reasons)
	slices.SortFunc(sorted, func(a, b *Reason) int { return strings.Compare(a.Code, b.Code) })
	return sorted
}

// typeBase is the page that explains the problem types; a type is a heading in it.
const typeBase = "https://github.com/sallyport-gateway/sallyport/blob/main/modules/problem/TYPES.md#"

// TypeURI is the problem type of a title (RFC 9457 section 3.1.1). Type and title
// stand for each other, so a type tells a caller no more than the title does.
func TypeURI(title string) string {
	var slug strings.Builder
	for _, c := range strings.ToLower(title) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			slug.WriteRune(c)
		case c == ' ':
			slug.WriteByte('-')
		}
	}
	return typeBase + slug.String()
}

// Refusal is the error that a refused request ends with, inside a
// caddyhttp.HandlerError. Its text is the title, because handle_errors can show
// it to callers as {err.message}.
type Refusal struct {
	Reason *Reason
	// Detail is one more member of the problem document; nil for none.
	Detail *Detail
}

func (r *Refusal) Error() string { return r.Reason.Title }

// Detail is what a problem document says beside its reason (an extension member,
// RFC 9457 section 3.2): which parameter it is about, or where. A guard gives it
// to Deny as the cause. It holds only what was configured or counted, never what
// a request says.
type Detail struct {
	// Member is the name of the member, a word of the guard's.
	Member string
	// Text is its value.
	Text string
	// Number is its value if IsNumber is set.
	Number   int64
	IsNumber bool
}

// maxDetail is how long a text may be to stand in a document, in bytes.
const maxDetail = 256

// Error is for the log at debug level.
func (d *Detail) Error() string { return d.Member + " " + string(d.value()) }

func (d *Detail) value() []byte {
	if d.IsNumber {
		return strconv.AppendInt(nil, d.Number, 10)
	}
	text := d.Text
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	quoted, _ := json.Marshal(text) // a text can be marshalled
	return quoted
}

// statusTitle is the title of an error that no guard decided.
func statusTitle(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}
