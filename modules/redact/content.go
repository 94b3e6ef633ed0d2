package redact

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/redact/scrub"
)

// Callers are not told what about the response could not be checked.
const titleUnchecked = "The response cannot be checked."

var (
	reasonUpgrade = decision.NewReason("redact.upgrade", http.StatusBadGateway, titleUnchecked)
	reasonPartial = decision.NewReason("redact.partial", http.StatusBadGateway, titleUnchecked)
	reasonType    = decision.NewReason("redact.type", http.StatusBadGateway, titleUnchecked)
	reasonCharset = decision.NewReason("redact.charset", http.StatusBadGateway, titleUnchecked)
	reasonCoding  = decision.NewReason("redact.coding", http.StatusBadGateway, titleUnchecked)
	reasonBomb    = decision.NewReason("redact.bomb", http.StatusBadGateway, titleUnchecked)
	reasonNotJSON = decision.NewReason("redact.not_json", http.StatusBadGateway, titleUnchecked)
	reasonLimit   = decision.NewReason("redact.limit", http.StatusBadGateway, titleUnchecked)
)

// inspection is how the body of one response is read.
type inspection struct {
	opaque   bool             // media: it passes as it is
	obstacle *decision.Reason // why a body cannot be read, if there is one
	kind     scrub.Kind
	codings  int // layers of gzip

	stream  *scrub.Stream
	decoder *decoder
}

// inspect decides by the header of a response how to read its body. keys says
// that members are looked for by their names.
func inspect(h http.Header, keys bool) inspection {
	i := inspection{}
	if i.classify(h["Content-Type"], keys); i.obstacle != nil {
		return i
	}
	for _, value := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.Trim(coding, " \t")) {
			case "", "identity":
			case "gzip", "x-gzip":
				i.codings++
			default:
				i.obstacle = reasonCoding
			}
		}
	}
	if i.codings > maxCodings {
		i.obstacle = reasonCoding
	}
	return i
}

// classify sorts the media types: JSON, event streams, other text, media that
// has no text to find, and what cannot be read. The last holds the other forms of
// structured data too, which some backends offer in place of JSON to whoever asks
// for them: binary ones, and those of text in which members are not found.
func (i *inspection) classify(values []string, keys bool) {
	i.kind = scrub.Sniff
	if len(values) == 0 {
		return
	}
	if v := values[0]; len(values) == 1 && (v == "application/json" || v == "application/json; charset=utf-8") {
		i.kind = scrub.JSON // without taking it apart
		return
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || len(values) > 1 {
		i.obstacle = reasonType
		return
	}
	family, subtype, _ := strings.Cut(media, "/")
	_, suffix, _ := strings.Cut(subtype, "+")
	switch {
	case jsonTypes[media] || suffix == "json" || suffix == "json-seq":
		i.kind = scrub.JSON
	case media == "text/event-stream":
		i.kind = scrub.Events
	case media == "image/svg+xml" || scriptTypes[media]:
	case dataTypes[media] || suffix == "xml" || suffix == "yaml" || suffix == "jwt":
		if keys {
			i.obstacle = reasonType
			return
		}
	case family == "text":
	case family == "image" || family == "audio" || family == "video" || family == "font" || fontTypes[media]:
		i.opaque = true
		return
	default:
		i.obstacle = reasonType
		return
	}
	if charset, given := params["charset"]; given && !charsets[strings.ToLower(charset)] {
		i.obstacle = reasonCharset
	}
}

var (
	jsonTypes = setOf("application/json", "text/json", "application/x-json", "application/ndjson", "application/x-ndjson",
		"application/jsonl", "application/x-jsonl", "application/jsonlines", "application/x-jsonlines", "application/json-seq")
	scriptTypes = setOf("application/javascript", "application/x-javascript", "application/ecmascript")
	dataTypes   = setOf("application/xml", "text/xml", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml",
		"application/toml", "text/toml", "text/csv", "text/tab-separated-values", "application/x-www-form-urlencoded",
		"application/sql", "application/graphql", "application/jwt", "application/jose")
	fontTypes = setOf("application/vnd.ms-fontobject", "application/font-woff", "application/font-woff2", "application/font-sfnt",
		"application/x-font-ttf", "application/x-font-otf", "application/x-font-woff", "application/wasm")

	// charsets have ASCII's characters in ASCII's bytes, and those bytes in
	// nothing else.
	charsets = setOf("", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "iso-8859-15", "windows-1252")
)

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// unmask looks at the beginning of a body that its type says is media: no image
// begins like JSON, but JSON is sent as an image by backends that let callers
// choose the type. Compressed, only the beginning of gzip can be looked at.
func (i *inspection) unmask(begin []byte) {
	for range i.codings {
		z, err := gzip.NewReader(bytes.NewReader(begin))
		if err != nil {
			i.obstacle = reasonCoding
			return
		}
		plain := make([]byte, 64)
		n, _ := io.ReadFull(z, plain)
		begin = plain[:n]
	}
	begin = bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\ufeff")), " \t\r\n\x1e")
	if len(begin) == 0 || bytes.IndexByte([]byte("{[\")"), begin[0]) >= 0 {
		i.opaque = false // and kind is Sniff
	}
}

// open makes the body come out of w, redacted.
func (i *inspection) open(p *scrub.Policy, w io.Writer) {
	i.stream = p.NewStream(w, i.kind)
	if i.codings > 0 {
		i.decoder = newDecoder(i.codings, i.stream)
	}
}

// write takes a part of the body, and returns why it cannot be read.
func (i *inspection) write(p []byte) error {
	if i.decoder != nil {
		return i.decoder.write(p)
	}
	_, err := i.stream.Write(p)
	return err
}

// close takes the end of the body.
func (i *inspection) close() error {
	if i.stream == nil {
		return nil
	}
	if i.decoder != nil {
		if err := i.decoder.close(); err != nil {
			return err
		}
	}
	return i.stream.Close()
}

// release ends the use of the inspection.
func (i *inspection) release() {
	if i.decoder != nil {
		i.decoder.release()
		i.decoder = nil
	}
	if i.stream != nil {
		i.stream.Release()
		i.stream = nil
	}
}

// reasonOf returns why a body cannot be read, nil if err is about something
// else: the connection to the client.
func reasonOf(err error) *decision.Reason {
	switch {
	case errors.Is(err, scrub.ErrSyntax):
		return reasonNotJSON
	case errors.Is(err, scrub.ErrDepth), errors.Is(err, scrub.ErrLimit):
		return reasonLimit
	case errors.Is(err, scrub.ErrEncoding):
		return reasonCharset
	case errors.Is(err, errBomb):
		return reasonBomb
	case errors.Is(err, errCoding):
		return reasonCoding
	}
	return nil
}
