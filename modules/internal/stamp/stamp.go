// Package stamp lets a guard have the last word on fields of a response: Caddy's
// proxy adds a backend's fields to those that are there already, so what has to be
// the gateway's alone is set once more right before the header is sent.
package stamp

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Stamper sets fields of a response's header. It may be asked several times for
// one response, and has to come to the same each time.
type Stamper interface {
	Stamp(header http.Header)
}

// Writer asks its Stamper before the header is sent. Embed it in a type that is
// the Stamper. Hijacking and deadlines reach the wrapped writer through Unwrap.
type Writer struct {
	caddyhttp.ResponseWriterWrapper
	Stamper

	sent bool
}

// Serve passes r on to next. Where nothing was sent, because a handler refused r
// or wrote nothing, the fields are set now: Caddy's error routes go on with this
// header. w is the value that embeds the Writer.
func (s *Writer) Serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	err := next.ServeHTTP(w, r)
	s.send()
	return err
}

// send stamps the header for the last time.
func (s *Writer) send() {
	if !s.sent {
		s.sent = true
		s.Stamp(s.Header())
	}
}

// WriteHeader stamps informational responses too, but they are not the last: of
// the statuses below 200 only 101 is.
func (s *Writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		s.send()
	} else if !s.sent {
		s.Stamp(s.Header())
	}
	s.ResponseWriterWrapper.WriteHeader(status)
}

func (s *Writer) Write(p []byte) (int, error) {
	s.send()
	return s.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom; the embedded one would go past Write.
func (s *Writer) ReadFrom(src io.Reader) (int64, error) {
	s.send()
	return s.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError implements the interface of http.ResponseController, which would
// otherwise flush the wrapped writer, and a header without the last stamp.
func (s *Writer) FlushError() error {
	s.send()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*Writer)(nil)
	_ io.ReaderFrom       = (*Writer)(nil)
)
