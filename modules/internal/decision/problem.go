package decision

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// RequestID returns the identifier of r that problem documents and logs show,
// Caddy's {http.request.uuid}, or "" outside of a Caddy request.
func RequestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}

// WriteProblem answers r with the problem document of the error that ended it,
// or of status where no guard refused it. Headers that are set already stay.
func WriteProblem(w http.ResponseWriter, r *http.Request, status int) {
	var doc []byte
	if refusal := refusalOf(r); refusal != nil && refusal.Reason.Status == status {
		doc = append(doc, refusal.Reason.problem...)
		if d := refusal.Detail; d != nil {
			doc = append(append(doc, `,"`+d.Member+`":`...), d.value()...)
		}
		sayWhen(w.Header(), refusal)
	} else {
		doc = append(doc, members("about:blank", statusTitle(status), status)...)
	}
	if id := RequestID(r); id != "" {
		doc = append(doc, `,"request_id":`...)
		doc = strconv.AppendQuote(doc, id)
	}
	doc = append(doc, "}\n"...)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// What described the body that would have been sent does not describe this one.
	for _, name := range []string{"Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name)
	}
	w.WriteHeader(status)
	_, _ = w.Write(doc) // which net/http leaves out of an answer to HEAD
}

// refusalOf is the refusal of r, or nil.
func refusalOf(r *http.Request) *Refusal {
	var refusal *Refusal
	if err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error); errors.As(err, &refusal) {
		return refusal
	}
	return nil
}

// sayWhen writes when the caller may come again.
func sayWhen(h http.Header, refusal *Refusal) {
	if refusal != nil && refusal.Reason.retryAfter != "" {
		h.Set("Retry-After", refusal.Reason.retryAfter)
	}
}

// members are the fixed members of a problem document, without the closing brace.
func members(typeURI, title string, status int) string {
	quoted, _ := json.Marshal(title)
	return `{"type":"` + typeURI + `","title":` + string(quoted) + `,"status":` + strconv.Itoa(status)
}
