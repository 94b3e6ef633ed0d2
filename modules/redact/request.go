package redact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/redact/scrub"
)

const titleRequestUnchecked = "The request cannot be checked."

var (
	reasonBlocked           = decision.NewReason("redact.blocked", http.StatusUnprocessableEntity, "The request holds data that may not be sent here.")
	reasonRequestType       = decision.NewReason("redact.request_type", http.StatusUnprocessableEntity, titleRequestUnchecked)
	reasonRequestCharset    = decision.NewReason("redact.request_charset", http.StatusUnprocessableEntity, titleRequestUnchecked)
	reasonRequestCoding     = decision.NewReason("redact.request_coding", http.StatusUnprocessableEntity, titleRequestUnchecked)
	reasonRequestLimit      = decision.NewReason("redact.request_limit", http.StatusUnprocessableEntity, titleRequestUnchecked)
	reasonRequestIncomplete = decision.NewReason("redact.request_incomplete", http.StatusBadRequest, "The body of the request is incomplete.")
)

// onRequest is the reason for a request where that for a response is given.
var onRequest = map[*decision.Reason]*decision.Reason{
	reasonType: reasonRequestType, reasonCharset: reasonRequestCharset, reasonCoding: reasonRequestCoding,
	reasonBomb: reasonRequestLimit, reasonLimit: reasonRequestLimit, reasonNotJSON: reasonRequestType,
}

const (
	defaultMaxBody = 1 << 20
	maxMaxBody     = 64 << 20

	// firstPart is how much memory a body gets before more of it has arrived: a
	// declared length costs its sender nothing.
	firstPart = 16 << 10
)

// Request is what may not reach the backend.
type Request struct {
	// DropHeader are names of headers that are removed. "_" and "-" make no
	// difference, as to many backends. Default: none.
	DropHeader []string `json:"drop_header,omitempty"`

	// DropQuery are names of query parameters that are removed, with their values.
	// Case and the separators "_", "-", "." and space make no difference, and
	// name[x] is one of name. Default: none.
	DropQuery []string `json:"drop_query,omitempty"`

	// Block are detectors: a request in whose query or body one finds something is
	// refused. Default: none.
	Block []string `json:"block,omitempty"`

	// MaxBody is how many bytes a body may have, as sent and decoded, where Block
	// has to look at it. It is held back until all of it was seen. At most 64 MiB.
	// Default: 1 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	block    *scrub.Policy // nil: nothing is blocked
	query    []string      // folded
	headers  []prometheus.Counter
	params   []prometheus.Counter
	blocking []prometheus.Counter
}

// fixedHeaders say how a request is to be read, or belong to the connection.
var fixedHeaders = []string{"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
	"Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"}

// checkHeader returns the name of a header that may be dropped.
func checkHeader(name string) (string, error) {
	for i := range len(name) {
		if c := name[i]; c >= 0x7f || c <= ' ' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return "", errors.New("not the name of a header")
		}
	}
	if name == "" {
		return "", errors.New("not the name of a header")
	}
	for _, fixed := range fixedHeaders {
		if sameHeader(name, fixed) {
			return "", errors.New("the request cannot be read without it")
		}
	}
	return name, nil
}

// checkParameter returns the name of a query parameter.
func checkParameter(name string) (string, error) {
	if strings.ContainsAny(name, "[]%&;=+") || foldParameter(name) == "" {
		return "", errors.New("not the name of a parameter: write it decoded, without brackets")
	}
	return name, nil
}

// sameHeader compares names of headers as backends do that make variables of them.
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == '_' {
			x = '-'
		}
		if y == '_' {
			y = '-'
		}
		if lowered(x) != lowered(y) {
			return false
		}
	}
	return true
}

func lowered(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// check refuses what is wrong, and compiles the rest.
func (q *Request) check() error {
	var errs []error
	if len(q.DropHeader)+len(q.DropQuery)+len(q.Block) == 0 {
		errs = append(errs, errors.New("no rule: nothing would be dropped or blocked"))
	}
	q.query = nil
	for i, name := range q.DropHeader {
		if _, err := checkHeader(name); err != nil {
			errs = append(errs, fmt.Errorf("drop header %q: %w", name, err))
		} else if slices.ContainsFunc(q.DropHeader[:i], func(other string) bool { return sameHeader(name, other) }) {
			errs = append(errs, fmt.Errorf("drop header %s is written twice", name))
		}
	}
	for _, name := range q.DropQuery {
		if _, err := checkParameter(name); err != nil {
			errs = append(errs, fmt.Errorf("drop query %q: %w", name, err))
		} else if slices.Contains(q.query, foldParameter(name)) {
			errs = append(errs, fmt.Errorf("drop query %s is written twice", name))
		}
		q.query = append(q.query, foldParameter(name))
	}
	if len(q.Block) > 0 {
		var err error
		if q.block, err = scrub.Compile([]scrub.Rule{{Action: scrub.Mask, Detectors: q.Block}}); err != nil {
			errs = append(errs, fmt.Errorf("block: %w", err))
		}
	}
	if q.MaxBody < 0 || q.MaxBody > maxMaxBody {
		errs = append(errs, fmt.Errorf("max_body %d is not between 1 and %d", q.MaxBody, maxMaxBody))
	}
	if q.MaxBody != 0 && len(q.Block) == 0 {
		errs = append(errs, errors.New("max_body is for block"))
	}
	return errors.Join(errs...)
}

// provision makes the counters.
func (q *Request) provision(counter func(action, selector string) prometheus.Counter) {
	for _, name := range q.DropHeader {
		q.headers = append(q.headers, counter("drop", "header:"+name))
	}
	for _, name := range q.DropQuery {
		q.params = append(q.params, counter("drop", "query:"+name))
	}
	for _, name := range q.Block {
		q.blocking = append(q.blocking, counter("block", "detect:"+name))
	}
	if q.MaxBody == 0 {
		q.MaxBody = defaultMaxBody
	}
}

// drop removes from r what may not reach the backend, or only counts it.
func (q *Request) drop(r *http.Request, dryRun bool) {
	if len(q.DropHeader) > 0 {
		for name := range r.Header {
			for i, unwanted := range q.DropHeader {
				if sameHeader(name, unwanted) {
					q.headers[i].Inc()
					if !dryRun {
						delete(r.Header, name)
					}
				}
			}
		}
	}
	if len(q.query) == 0 || r.URL.RawQuery == "" {
		return
	}
	kept := dropPairs(r.URL.RawQuery, q.query, func(i int) { q.params[i].Inc() })
	if !dryRun && kept != r.URL.RawQuery {
		r.URL.RawQuery = kept
		r.RequestURI = r.URL.RequestURI()
		q.dropOriginal(r)
	}
}

// dropOriginal removes the parameters also from the request as Caddy keeps it, which
// FastCGI and {http.request.orig_uri} show.
func (q *Request) dropOriginal(r *http.Request) {
	sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return
	}
	url := *sent.URL
	url.RawQuery = dropPairs(url.RawQuery, q.query, func(int) {})
	sent.URL, sent.RequestURI = &url, url.RequestURI()
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, sent))
}

// judge looks at the query and the body of r. The body is read and given back. It
// returns why r is to be refused, or the error that ends it.
func (q *Request) judge(r *http.Request) (*decision.Reason, error) {
	if r.URL.RawQuery != "" {
		s := q.search(scrub.Text)
		defer s.release()
		_, err := io.WriteString(s, r.URL.RawQuery)
		if err == nil {
			err = s.close()
		}
		if s.found() {
			s.count()
			return reasonBlocked, nil
		}
		if err != nil {
			return q.refusal(err, &intake{})
		}
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	return q.judgeBody(r)
}

func (q *Request) judgeBody(r *http.Request) (*decision.Reason, error) {
	i := inspect(r.Header, false)
	switch {
	case r.ContentLength > q.MaxBody:
		return reasonRequestLimit, nil
	case i.obstacle != nil:
		return onRequest[i.obstacle], nil
	case i.opaque:
		return reasonRequestType, nil
	case i.kind == scrub.Events:
		i.kind = scrub.Sniff
	}
	s := q.search(i.kind)
	defer s.release()
	i.decoder = nil
	if i.codings > 0 {
		i.decoder = newDecoder(i.codings, s)
		defer i.decoder.release()
	}
	in := &intake{from: r.Body, limit: q.MaxBody}
	err := in.pass(func(part []byte) error {
		if i.decoder != nil {
			return i.decoder.write(part)
		}
		_, err := s.Write(part)
		return err
	})
	if err == nil && i.decoder != nil {
		err = i.decoder.close()
	}
	if err == nil {
		err = s.close()
	}
	s.count()
	found := s.found()
	in.handOn(r, err == nil && !found)
	if found {
		return reasonBlocked, nil
	}
	return q.refusal(err, in)
}

// refusal is why a body cannot be judged.
func (q *Request) refusal(err error, in *intake) (*decision.Reason, error) {
	var handled caddyhttp.HandlerError
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, errTooLong):
		return reasonRequestLimit, err
	case in.err != nil && in.err != io.EOF && errors.As(err, &handled):
		return nil, err // another handler's limit
	case in.err != nil && in.err != io.EOF:
		return reasonRequestIncomplete, err
	}
	if reason := onRequest[reasonOf(err)]; reason != nil {
		return reason, err
	}
	return reasonRequestIncomplete, err
}

var (
	errTooLong = errors.New("the body is too long to be checked")
	errFound   = errors.New("something was found")
)

// search looks through text in three readings: as it is, with the escape sequences
// of JSON also where it is none, and as a form, whose fields may have them too. What
// a sender says it is does not bind the backend.
type search struct {
	q       *Request
	streams [3]*scrub.Stream
	escaped escapeDecoder
	fields  escapeDecoder
	forms   formDecoder
	size    int64
}

func (q *Request) search(kind scrub.Kind) *search {
	s := &search{q: q}
	for i, kind := range []scrub.Kind{kind, scrub.Text, scrub.Text} {
		s.streams[i] = q.block.NewStream(io.Discard, kind)
	}
	s.escaped.w, s.fields.w = s.streams[1], s.streams[2]
	s.forms.w = &s.fields
	return s
}

func (s *search) release() {
	for _, stream := range s.streams {
		stream.Release()
	}
}

// Write implements io.Writer. It ends what writes to it when something is found.
func (s *search) Write(p []byte) (int, error) {
	if s.size += int64(len(p)); s.size > s.q.MaxBody {
		return 0, errTooLong
	}
	for _, reading := range []io.Writer{s.streams[0], &s.escaped, &s.forms} {
		if _, err := reading.Write(p); err != nil {
			return 0, err
		}
	}
	if s.found() {
		return 0, errFound
	}
	return len(p), nil
}

func (s *search) close() error {
	if s.size == 0 {
		return nil
	}
	errs := []error{s.escaped.end(), s.forms.end(), s.fields.end()}
	for _, stream := range s.streams {
		errs = append(errs, stream.Close())
	}
	return errors.Join(errs...)
}

func (s *search) found() bool {
	for _, stream := range s.streams {
		if slices.Max(stream.Counts()) > 0 {
			return true
		}
	}
	return false
}

// count adds what was found to the metrics. All readings find what stands for
// itself.
func (s *search) count() {
	for i := range s.q.blocking {
		n := 0
		for _, stream := range s.streams {
			n = max(n, stream.Counts()[i])
		}
		if n > 0 {
			s.q.blocking[i].Add(float64(n))
		}
	}
}

// intake reads a body once and keeps what it read.
type intake struct {
	from  io.ReadCloser
	limit int64
	kept  []byte
	err   error // why reading ended, io.EOF included
}

// pass hands over the body part by part, to its end.
func (in *intake) pass(take func([]byte) error) error {
	for in.err == nil {
		if len(in.kept) == cap(in.kept) {
			grown := make([]byte, len(in.kept), min(max(2*int64(cap(in.kept)), firstPart), in.limit+1))
			copy(grown, in.kept)
			in.kept = grown
		}
		before := len(in.kept)
		n, err := in.from.Read(in.kept[before:cap(in.kept)])
		in.kept, in.err = in.kept[:before+n], err
		if int64(len(in.kept)) > in.limit {
			return errTooLong
		}
		if n > 0 {
			if err := take(in.kept[before:]); err != nil {
				return err
			}
		}
	}
	if in.err != io.EOF {
		return in.err
	}
	return nil
}

// handOn gives r the body back: what was read, and whatever is left of it.
func (in *intake) handOn(r *http.Request, whole bool) {
	// Whoever waited for 100 Continue got it when the body was read.
	delete(r.Header, "Expect")
	r.Trailer = nil
	if !whole {
		rest := io.Reader(in.from)
		if in.err != nil {
			rest = failing{in.err}
		}
		r.Body = replay{io.MultiReader(bytes.NewReader(in.kept), rest), in.from}
		return
	}
	r.ContentLength, r.TransferEncoding = int64(len(in.kept)), nil
	if r.Body = (replay{bytes.NewReader(in.kept), in.from}); len(in.kept) == 0 {
		r.Body = http.NoBody
	}
}

// replay is a body that was read before.
type replay struct {
	io.Reader
	io.Closer
}

// failing is the end of a body that broke off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
