package validate

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/openapi"
)

// firstPart is how much memory a body gets before more of it has arrived: a
// declared length costs its sender nothing.
const firstPart = 16 << 10

// body is the body of one request and what has to be done with it.
type body struct {
	present    bool
	media      string // in lower case, without parameters
	coding     string // gzip, deflate or none
	isJSON     bool   // to be scanned
	required   bool
	documented openapi.Body
}

// bodyOf looks whether r has a body. One without a declared length counts as one
// until it has ended.
func bodyOf(r *http.Request) body {
	return body{present: r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0}
}

// judgeBodyHeader checks what the header says of the body, before it is read.
func (h *Handler) judgeBodyHeader(r *http.Request, b *body, match *openapi.Match) finding {
	b.required = h.needsBody(r.Method)
	if h.plan != nil {
		b.documented = match.Body("")
		b.required = b.required || b.documented.Required
	}
	switch {
	case !b.present && b.required:
		return finding{reason: reasonBodyRequired}
	case !b.present:
		return finding{}
	case h.plan != nil && !b.documented.Documented:
		return finding{reason: reasonBodyUnexpected}
	case r.ContentLength > h.MaxBody:
		return finding{reason: reasonBodySize}
	}
	if found := h.judgeType(r.Header["Content-Type"], b, match); found.reason != nil {
		return found
	}
	var ok bool
	if b.coding, ok = codingOf(r.Header["Content-Encoding"]); !ok {
		return finding{reason: reasonCoding}
	}
	return finding{}
}

// judgeType checks the content type and decides whether the body is scanned.
func (h *Handler) judgeType(values []string, b *body, match *openapi.Match) finding {
	media, charset, ok := contentType(values)
	restricted := h.types != nil || h.jsonOnly || h.plan != nil
	if !ok || media == "" && restricted {
		return finding{reason: reasonContentType}
	}
	isJSON := isJSON(media)
	family, _, _ := strings.Cut(media, "/")
	if h.types != nil && !h.types[media] && !h.types[family+"/*"] || h.jsonOnly && !isJSON {
		return finding{reason: reasonContentType}
	}
	if h.plan != nil {
		if b.documented = match.Body(media); !b.documented.Media {
			return finding{reason: reasonContentType}
		}
	}
	b.media, b.isJSON = media, isJSON && (h.JSON != nil || h.plan != nil)
	if b.isJSON && charset != "" && !strings.EqualFold(charset, "utf-8") {
		return finding{reason: reasonCharset}
	}
	return finding{}
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// contentType reads a Content-Type; media is "" where there is none. Several
// lines, several types in one, and a parameter given twice are not ok.
func contentType(values []string) (media, charset string, ok bool) {
	if len(values) == 0 {
		return "", "", true
	}
	if v := values[0]; len(values) == 1 && v == "application/json" {
		return v, "", true // without taking it apart
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || len(values) > 1 || !strings.Contains(media, "/") {
		return "", "", false
	}
	return media, params["charset"], true
}

// codingOf reads the Content-Encoding.
func codingOf(values []string) (coding string, ok bool) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			switch name {
			case "", "identity":
				continue
			case "x-gzip":
				name = codingGzip
			case codingGzip, codingDeflate:
			default:
				return "", false
			}
			if coding != "" {
				return "", false
			}
			coding = name
		}
	}
	return coding, true
}

// judgeBody reads a body that has to be looked at, and hands it on.
func (h *Handler) judgeBody(r *http.Request, b *body) finding {
	if !b.present || !b.isJSON && b.coding == "" && r.ContentLength >= 0 {
		return finding{}
	}
	in := &intake{from: r.Body, limit: h.MaxBody}
	if n := min(r.ContentLength, firstPart); n > 0 {
		in.kept = make([]byte, 0, n+1)
	}
	found := h.read(in, b)
	if found.reason == nil && len(in.kept) == 0 && b.required {
		found.reason = reasonBodyRequired
	}
	in.handOn(r, found.reason == nil)
	return found
}

var scanners = sync.Pool{New: func() any { return jsonscan.New(jsonscan.Limits{}) }}

// read takes the whole body in, scanning it while it arrives.
func (h *Handler) read(in *intake, b *body) finding {
	check := &inspection{limit: h.MaxBody}
	if b.isJSON {
		check.scanner = scanners.Get().(*jsonscan.Scanner)
		check.scanner.Reset(h.limits)
		defer func() {
			check.scanner.Reset(jsonscan.Limits{}) // which lets go of large ones' memory
			scanners.Put(check.scanner)
		}()
	}
	var err error
	plain := &in.kept
	if b.coding == "" {
		err = in.pass(check)
	} else {
		check.keep = b.documented.Inspect()
		err = decode(in, b.coding, check)
		plain = &check.text
	}
	if err == nil && check.scanner != nil && len(in.kept) > 0 {
		err = check.scanner.Close()
	}
	if err != nil {
		return foundIn(err)
	}
	if b.isJSON && b.documented.Inspect() && len(in.kept) > 0 {
		switch fault, pointer := b.documented.Check(*plain); fault {
		case openapi.OK:
		case openapi.Costly:
			return finding{reason: reasonCost}
		default:
			return aboutPointer(reasonBodyInvalid, pointer)
		}
	}
	return finding{}
}

var (
	errTooLarge    = errors.New("the body is too large")
	errRatio       = errors.New("the body decodes to too much")
	errUndecodable = errors.New("the body cannot be decoded")
	errBrokenOff   = errors.New("the body cannot be read")
)

// foundIn is the finding for an error while reading a body.
func foundIn(err error) finding {
	var refused *jsonscan.Error
	switch {
	case errors.As(err, &refused):
		return aboutJSON(refused)
	case errors.Is(err, errTooLarge):
		return finding{reason: reasonBodySize}
	case errors.Is(err, errRatio):
		return finding{reason: reasonBodyRatio}
	case errors.Is(err, errUndecodable):
		return finding{reason: reasonUndecodable}
	}
	return finding{reason: reasonBodyIncomplete, cause: brokenOff(err)}
}

// brokenOff says why a body did not arrive whole. net/http's own errors may quote
// what came.
func brokenOff(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return errBrokenOff
}

// intake reads a body once and keeps what it read.
type intake struct {
	from  io.ReadCloser
	limit int64
	kept  []byte
	err   error // why reading ended, io.EOF included
}

// next reads a part and returns it. The part stays as it is. It takes a byte more
// than the limit, by which an inspection sees that there are too many.
func (in *intake) next() ([]byte, error) {
	if in.err != nil {
		return nil, in.err
	}
	if len(in.kept) == cap(in.kept) {
		grown := make([]byte, len(in.kept), min(max(2*int64(cap(in.kept)), 4<<10), in.limit+1))
		copy(grown, in.kept)
		in.kept = grown
	}
	before := len(in.kept)
	n, err := in.from.Read(in.kept[before:cap(in.kept)])
	in.kept = in.kept[:before+n]
	in.err = err
	return in.kept[before:], err
}

// pass writes the whole body to w.
func (in *intake) pass(w io.Writer) error {
	for {
		part, err := in.next()
		if len(part) > 0 {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// handOn gives r the body back: what was read, and whatever is left of it.
func (in *intake) handOn(r *http.Request, whole bool) {
	// Whoever waited for 100 Continue got it when the body was read.
	delete(r.Header, "Expect")
	r.Trailer = nil
	if !whole {
		r.Body = replay{io.MultiReader(bytes.NewReader(in.kept), in.from), in.from}
		return
	}
	r.ContentLength, r.TransferEncoding = int64(len(in.kept)), nil
	if len(in.kept) == 0 {
		r.Body = http.NoBody
		return
	}
	r.Body = replay{bytes.NewReader(in.kept), in.from}
}

// replay is a body that was read before.
type replay struct {
	io.Reader
	io.Closer
}
