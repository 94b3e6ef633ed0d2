package upstream

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

var reasonTooLong = decision.NewReason("upstream.too_long", http.StatusRequestHeaderFieldsTooLarge,
	"The request is too long to be passed on.")

// tooLong answers a request that no assertion can be made about. It is a response and
// not an error: Caddy counts errors as failures of the service, tries others, and
// takes all of them from everybody.
func tooLong(req *http.Request) *http.Response {
	a := answer{header: make(http.Header)}
	refused := context.WithValue(req.Context(), caddyhttp.ErrorCtxKey, error(&decision.Refusal{Reason: reasonTooLong}))
	decision.WriteProblem(&a, req.WithContext(refused), reasonTooLong.Status)
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: req,
	}
}

// answer keeps what is written to it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
