package edge

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// response asks the client to leave, if the gateway drains when the response
// begins: the request may have come before. HTTP/2 makes GOAWAY of the header. An
// interim response must not have it there, and 101 has a Connection header of its
// own.
type response struct {
	caddyhttp.ResponseWriterWrapper
	draining func() bool // nil: never
	measured *Measurement
	begun    bool
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status >= 200 {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
	w.measured.status(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.begin()
	defer w.measured.wrote(w.measured.now())
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	defer w.measured.wrote(w.measured.now())
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError implements the interface of http.ResponseController.
func (w *response) FlushError() error {
	w.begin()
	defer w.measured.wrote(w.measured.now())
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *response) begin() {
	if w.begun {
		return
	}
	w.begun = true
	if w.draining != nil && w.draining() {
		w.Header().Set("Connection", "close")
	}
}

// Interface guards
var _ io.ReaderFrom = (*response)(nil)
