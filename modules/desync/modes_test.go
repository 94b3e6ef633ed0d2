package desync

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sallyport-gateway/sallyport/modules/desync/framing"
)

const (
	get     = "GET /first HTTP/1.1\r\nHost: a\r\n"
	post    = "POST /first HTTP/1.1\r\nHost: a\r\n"
	chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	next    = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)

// cases are one request each, or what may be taken for several, and how many
// requests reach the backend without this package's judgement (in monitor), with
// `next` behind it: where that is none, net/http refuses as well.
var cases = []struct {
	name   string
	input  string
	reason framing.Reason
	stock  int
}{
	{"a plain request", get + "\r\n", framing.None, 2},
	{"a body", post + "Content-Length: 5\r\n\r\nhello", framing.None, 2},
	{"a chunked body with an extension and a trailer", chunked + "5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", framing.None, 2},

	{"an empty line in front", "\r\n" + get + "\r\n", framing.LeadingEmptyLine, 0},
	{"an empty line after a POST", post + "Content-Length: 0\r\n\r\n\r\n", framing.LeadingEmptyLine, 2},
	{"a space in the target", "GET /first x HTTP/1.1\r\nHost: a\r\n\r\n", framing.SpaceInURI, 0},
	{"HTTP/1.2", "GET /first HTTP/1.2\r\nHost: a\r\n\r\n", framing.NonCompliantVersion, 2},
	{"a byte over 0x7f in a value", get + "A: \xe9\r\n\r\n", framing.NonCompliantHeader, 2},
	{"a control byte in a value", get + "A: \x01\r\n\r\n", framing.NonCompliantHeader, 0},
	{"a control byte in a name", get + "A\x01: b\r\n\r\n", framing.NonCompliantHeader, 0},
	{"a space in front of the colon", get + "A : b\r\n\r\n", framing.NonCompliantHeader, 0},
	{"a GET with a Content-Length of 0", get + "Content-Length: 0\r\n\r\n", framing.GetHeadZeroContentLength, 2},

	{"a control byte in the target", "GET /first\x01 HTTP/1.1\r\nHost: a\r\n\r\n", framing.AmbiguousURI, 0},
	{"a byte over 0x7f in the target", "GET /first\xff HTTP/1.1\r\nHost: a\r\n\r\n", framing.AmbiguousURI, 2},
	{"a fragment in the target", "GET /first#x HTTP/1.1\r\nHost: a\r\n\r\n", framing.AmbiguousURI, 2},
	{"an absolute target", "GET http://a/first HTTP/1.1\r\nHost: b\r\n\r\n", framing.AbsoluteFormURI, 2},
	{"CONNECT", "CONNECT first:80 HTTP/1.1\r\nHost: first:80\r\n\r\n", framing.ConnectMethod, 2},
	{"a bare LF after a header", get + "A: b\n\r\n", framing.NonCRLFLineTermination, 2},
	{"bare LFs only", "GET /first HTTP/1.1\nHost: a\n\n", framing.NonCRLFLineTermination, 2},
	{"a folded header", get + "A: b\r\n c\r\n\r\n", framing.MultilineHeader, 2},
	{"a folded header that looks like another", get + "A: b\r\n Content-Length: 52\r\n\r\n", framing.MultilineHeader, 2},
	{"a line without a colon", get + "nothing\r\n\r\n", framing.MissingHeaderColon, 0},
	{"an empty name", get + ": b\r\n\r\n", framing.EmptyHeader, 0},
	{"Transfer_Encoding", post + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", framing.SuspiciousHeader, 2},
	{"ContentLength", post + "ContentLength: 5\r\n\r\n", framing.SuspiciousHeader, 2},
	{"Transfer-Encoding and a space", post + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", framing.SuspiciousHeader, 0},
	{"a Content-Length with a leading zero", post + "Content-Length: 010\r\n\r\n0123456789", framing.AmbiguousContentLength, 2},
	{"a Content-Length and a tab", post + "Content-Length: 5\t\r\n\r\nhello", framing.AmbiguousContentLength, 2},
	{"two equal Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", framing.DuplicateContentLength, 2},
	{"a GET with a body", get + "Content-Length: 5\r\n\r\nhello", framing.UndefinedContentLengthSemantics, 2},
	{"a GET with a request as its body", get + "Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", framing.UndefinedContentLengthSemantics, 2},
	{"CHUNKED", post + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", framing.AmbiguousTransferEncoding, 2},
	{"chunked after a tab", post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", framing.AmbiguousTransferEncoding, 2},
	{"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", framing.AmbiguousTransferEncoding, 0},
	{"gzip and chunked", post + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", framing.AmbiguousTransferEncoding, 0},
	{"chunked with HTTP/1.0 and keep-alive", "POST /first HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", framing.UndefinedTransferEncodingSemantics, 2},
	{"a chunked GET", get + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", framing.UndefinedTransferEncodingSemantics, 2},
	{"CL.TE", post + "Content-Length: 41\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", framing.BothTeClPresent, 3},
	{"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n", framing.BothTeClPresent, 2},

	{"a control byte in the method", "G\x01T /first HTTP/1.1\r\nHost: a\r\n\r\n", framing.BadMethod, 0},
	{"HTTP/2's PRI with headers", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n", framing.BadMethod, 2},
	{"no target", "GET\r\nHost: a\r\n\r\n", framing.MissingURI, 0},
	{"a NUL in the target", "GET /first\x00 HTTP/1.1\r\nHost: a\r\n\r\n", framing.BadURI, 0},
	{"GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", framing.BadURI, 2},
	{"HTTP/2.0", "GET /first HTTP/2.0\r\nHost: a\r\n\r\n", framing.BadVersion, 0},
	{"no version", "GET /first\r\nHost: a\r\n\r\n", framing.BadVersion, 0},
	{"a NUL in a value", get + "A: b\x00\r\n\r\n", framing.BadHeader, 0},
	{"a bare CR in a value", get + "A: b\rc\r\n\r\n", framing.BadHeader, 0},
	{"two CRs at the end of a header", get + "A: b\r\r\n\r\n", framing.BadHeader, 0},
	{"white space in front of the first header", "GET /first HTTP/1.1\r\n Host: a\r\n\r\n", framing.BadHeader, 0},
	{"a Content-Length with a plus", post + "Content-Length: +5\r\n\r\nhello", framing.BadContentLength, 0},
	{"a hexadecimal Content-Length", post + "Content-Length: 0x5\r\n\r\nhello", framing.BadContentLength, 0},
	{"a list of Content-Lengths", post + "Content-Length: 5,5\r\n\r\nhello", framing.BadContentLength, 0},
	{"a Content-Length with a space in it", post + "Content-Length: 5 5\r\n\r\nhello", framing.BadContentLength, 0},
	{"a huge Content-Length", post + "Content-Length: 18446744073709551621\r\n\r\nhello", framing.BadContentLength, 0},
	{"a folded Content-Length", post + "Content-Length:\r\n 5\r\n\r\nhello", framing.BadContentLength, 2},
	{"two different Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", framing.MultipleContentLength, 0},
	{"xchunked", post + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello", framing.BadTransferEncoding, 0},
	{"chunked after a vertical tab", post + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\nhello", framing.BadTransferEncoding, 0},
	{"chunked, identity", post + "Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n\r\nhello", framing.BadTransferEncoding, 0},
	{"identity", post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", framing.BadTransferEncoding, 0},
	{"a folded Transfer-Encoding", post + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", framing.BadTransferEncoding, 2},
	{"xchunked with HTTP/1.0 and keep-alive", "POST /first HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: xchunked\r\n\r\n", framing.BadTransferEncoding, 2},
	{"chunked on two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", framing.MultipleTransferEncodingChunked, 0},

	{"a chunk size with a plus", chunked + "+5\r\nhello\r\n0\r\n\r\n", framing.BadChunkSize, 0},
	{"a chunk size with 0x", chunked + "0x5\r\nhello\r\n0\r\n\r\n", framing.BadChunkSize, 0},
	{"a chunk size and a space", chunked + "5 \r\nhello\r\n0\r\n\r\n", framing.BadChunkSize, 2},
	{"a huge chunk size", chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n", framing.BadChunkSize, 0},
	{"a chunk size and a bare LF", chunked + "5\nhello\r\n0\r\n\r\n", framing.BadChunkSize, 0},
	{"an extension that is none", chunked + "5;\x01 =\r\nhello\r\n0\r\n\r\n", framing.BadChunkExtension, 2},
	{"an overlong extension", chunked + "5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n", framing.BadChunkExtension, 2},
	{"no CRLF after the data", chunked + "5\r\nhelloXX0\r\n\r\n", framing.BadChunkData, 0},
	{"a bare LF after the data", chunked + "5\r\nhello\n0\r\n\r\n", framing.BadChunkData, 0},
	{"a Content-Length in the trailers", chunked + "0\r\nContent-Length: 5\r\n\r\n", framing.BadTrailer, 2},
	{"trailers that end for net/http where others go on", chunked + "0\r\nA: b\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", framing.BadTrailer, 3},
}

func TestEveryClassInEveryMode(t *testing.T) {
	for _, mode := range []string{modeMonitor, modeDefensive, modeStrictest} {
		t.Run(mode, func(t *testing.T) { everyClass(t, mode) })
	}
}

func everyClass(t *testing.T, mode string) {
	g, b := run(t, mode)
	for _, tt := range cases {
		for _, size := range []int{1 << 20, 1} {
			name := tt.name
			if size == 1 {
				name += ", byte by byte"
			}
			t.Run(name, func(t *testing.T) {
				answer := exchange(t, g, tt.input+next, size)
				raw, complete := b.take()
				class := tt.reason.Class()
				inBody := tt.reason >= framing.BadChunkSize
				want := tt.stock
				switch {
				case mode == modeStrictest && class > framing.Compliant, mode == modeDefensive && class == framing.Severe:
					want = 0
				case mode == modeDefensive && class == framing.Ambiguous:
					want = min(want, 1)
				}
				if tt.name == "an empty line after a POST" && mode == modeStrictest {
					want = 1 // the POST itself
				}
				if len(complete) != want {
					t.Errorf("%d requests reached the backend, want %d: %q\nthe client got %q", len(complete), want, raw, answer)
				}
				if want < 2 && mode != modeMonitor && strings.Contains(raw, "/next") {
					t.Errorf("what came behind the request reached the backend: %q", raw)
				}
				if mode == modeStrictest && strings.Contains(raw, "/smuggled") {
					t.Errorf("smuggled: %q", raw)
				}
				if want == 0 && mode != modeMonitor && !inBody && !strings.HasPrefix(answer, "HTTP/1.1 400") && !strings.HasPrefix(answer, "HTTP/1.1 501") {
					t.Errorf("the client got %q", answer)
				}
			})
		}
	}
}

func TestEveryReasonOccursAmongTheCases(t *testing.T) {
	for r := range framing.Reasons {
		found := false
		for _, tt := range cases {
			found = found || tt.reason == r
		}
		if !found {
			t.Errorf("no case is %v", r)
		}
	}
}

func TestCountersSayWhatBecameOfEachRequest(t *testing.T) {
	for _, mode := range []string{modeMonitor, modeDefensive, modeStrictest} {
		t.Run(mode, func(t *testing.T) { everyCounter(t, mode) })
	}
}

func everyCounter(t *testing.T, mode string) {
	g, _ := run(t, mode)
	server := strings.TrimPrefix(g.URL, "http://")
	for _, tt := range cases {
		verdict := forwarded
		switch class := tt.reason.Class(); {
		case class == framing.Compliant:
		case mode == modeMonitor:
			verdict = monitored
		case mode == modeStrictest, class == framing.Severe:
			verdict = refused
		case class == framing.Ambiguous:
			verdict = closed
		}
		counter := requests.WithLabelValues(server, verdict, tt.reason.String())
		before := value(t, counter)
		exchange(t, g, tt.input+next, 1<<20)
		if tt.name == "an empty line in front" && mode != modeStrictest {
			continue // net/http refuses before it reads on
		}
		if got := value(t, counter) - before; got < 1 {
			t.Errorf("%s: %s: %s %v is counted %v times", mode, tt.name, verdict, tt.reason, got)
		}
	}
}

func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
