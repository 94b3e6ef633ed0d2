package framing

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verdict is what a Scanner says of a whole input.
type verdict struct {
	heads  []Reason // of each request whose head ended
	bodies []string // of each of them, as far as it came
	refuse Reason   // None: nothing was refused
	at     int      // where: the index of the first byte that may not pass
}

// judge runs input through a Scanner in pieces of the sizes that split returns.
func judge(limit Class, input string, split func() int) verdict {
	s := New(limit)
	var v verdict
	for at := 0; at < len(input); {
		end := min(at+max(split(), 1), len(input))
		for at < end {
			if s.state == inBody || s.state == inChunkData {
				n := min(int(min(s.left, uint64(len(input)))), end-at)
				v.bodies[len(v.bodies)-1] += input[at : at+n]
				end = at + n
			} else if s.state >= atChunk {
				end = at + 1 // one byte after the other, to see bodies begin
			} else if s.state == afterHead {
				end = at + 1
			}
			n, event := s.Scan([]byte(input[at:end]))
			at += n
			switch event {
			case Head:
				v.heads = append(v.heads, s.Reason())
				v.bodies = append(v.bodies, "")
			case Refuse:
				v.refuse, v.at = s.Reason(), at
				return v
			}
		}
	}
	return v
}

func whole() int   { return 1 << 20 }
func oneByte() int { return 1 }

const (
	get     = "GET / HTTP/1.1\r\nHost: a\r\n"
	post    = "POST / HTTP/1.1\r\nHost: a\r\n"
	chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
)

// cases are inputs and what is wrong with their first request.
var cases = []struct {
	name, input string
	want        Reason
}{
	{"a plain GET", get + "\r\n", None},
	{"HTTP/1.0 without a Host", "GET / HTTP/1.0\r\n\r\n", None},
	{"a body with a Content-Length", post + "Content-Length: 5\r\n\r\nhello", None},
	{"a Content-Length of 0", post + "Content-Length: 0\r\n\r\n", None},
	{"a Content-Length in capitals", post + "CONTENT-LENGTH:5\r\n\r\nhello", None},
	{"a Content-Length of 2^63-1", post + "Content-Length: 9223372036854775807\r\n\r\n", None},
	{"a Content-Length written with %6d", post + "Content-Length:      5\r\n\r\nhello", None},
	{"a chunked body", chunked + "5\r\nhello\r\n0\r\n\r\n", None},
	{"chunk sizes with leading zeros and in both cases", chunked + "0005\r\nhello\r\na\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n", None},
	{"a chunk extension", chunked + "5;a=b;c=\"d \\\" e\";f\r\nhello\r\n0;g\r\n\r\n", None},
	{"a trailer", chunked + "0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n", None},
	{"a DELETE with a body", "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", None},
	{"an empty value, and a tab in front of one", get + "A:\r\nB:\tc\r\n\r\n", None},
	{"printable ASCII in the target", "GET /a|b{c}^\"<>`?[]\\ HTTP/1.1\r\nHost: a\r\n\r\n", None},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", None},
	{"names that only begin or end like framing fields", get + "Content-Length-Hint: 1\r\nX-Transfer-Encoding: x\r\nTransfer: x\r\n\r\n", None},
	{"a name longer than any that is known", get + strings.Repeat("content-length-", 90) + ": 1\r\n\r\n", None},
	{"a method longer than any that is known", "VERSION-CONTROL-GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", None},
	{"a method that ends like GET", "BASELINEGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", None},

	{"an empty line in front of the request", "\r\n" + get + "\r\n", LeadingEmptyLine},
	{"two of them", "\r\n\r\n" + get + "\r\n", LeadingEmptyLine},
	{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", SpaceInURI},
	{"a space in the target and then nearly the version", "GET /a HTTP HTTP/1.1\r\nHost: a\r\n\r\n", SpaceInURI},
	{"two spaces in front of the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", SpaceInURI},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", NonCompliantVersion},
	{"HTTP/0.9 with headers", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", NonCompliantVersion},
	{"a byte over 0x7f in a value", get + "A: \xe9\r\n\r\n", NonCompliantHeader},
	{"a control byte in a value", get + "A: b\x01\r\n\r\n", NonCompliantHeader},
	{"DEL in a value", get + "A: b\x7f\r\n\r\n", NonCompliantHeader},
	{"a space in front of a colon", get + "A : b\r\n\r\n", NonCompliantHeader},
	{"a control byte in a name", get + "A\x01: b\r\n\r\n", NonCompliantHeader},
	{"a byte over 0x7f in a name", get + "\xe9A: b\r\n\r\n", NonCompliantHeader},
	{"a slash in a name", get + "A/B: b\r\n\r\n", NonCompliantHeader},
	{"a GET with a Content-Length of 0", get + "Content-Length: 0\r\n\r\n", GetHeadZeroContentLength},
	{"a HEAD with a Content-Length of 0", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", GetHeadZeroContentLength},

	{"a tab in the target", "GET /a\tHTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousURI},
	{"a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousURI},
	{"a byte over 0x7f in the target", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousURI},
	{"a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousURI},
	{"an absolute target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", AbsoluteFormURI},
	{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", ConnectMethod},
	{"CONNECT to a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", ConnectMethod},
	{"a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", NonCRLFLineTermination},
	{"a bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", NonCRLFLineTermination},
	{"a bare LF as the empty line", get + "\n", NonCRLFLineTermination},
	{"a bare LF after a Content-Length", post + "Content-Length: 1\n\r\nx", NonCRLFLineTermination},
	{"a bare LF after a Transfer-Encoding", post + "Transfer-Encoding: chunked\n\r\n0\r\n\r\n", NonCRLFLineTermination},
	{"a bare LF in front of the request", "\n" + get + "\r\n", NonCRLFLineTermination},
	{"a continuation line", get + "A: b\r\n c\r\n\r\n", MultilineHeader},
	{"a continuation line of white space", get + "A: b\r\n\t\r\n\r\n", MultilineHeader},
	{"a continuation line that looks like a header", get + "A: b\r\n Transfer-Encoding: chunked\r\n\r\n", MultilineHeader},
	{"a line without a colon", get + "nothing\r\n\r\n", MissingHeaderColon},
	{"a line without a colon, with a bare LF", get + "nothing\n\r\n", MissingHeaderColon},
	{"an empty name", get + ": b\r\n\r\n", EmptyHeader},
	{"a name of nothing that counts", get + "\x01\x02: b\r\n\r\n", EmptyHeader},
	{"Transfer_Encoding", post + "Transfer_Encoding: chunked\r\n\r\n", SuspiciousHeader},
	{"Content_Length", post + "Content_Length: 5\r\n\r\n", SuspiciousHeader},
	{"Transfer.Encoding", post + "Transfer.Encoding: chunked\r\n\r\n", SuspiciousHeader},
	{"ContentLength", post + "ContentLength: 5\r\n\r\n", SuspiciousHeader},
	{"Trans-ferEncoding", post + "Trans-ferEncoding: chunked\r\n\r\n", SuspiciousHeader},
	{"Transfer---Encoding", post + "Transfer---Encoding: chunked\r\n\r\n", SuspiciousHeader},
	{"-Content-Length", post + "-Content-Length: 5\r\n\r\n", SuspiciousHeader},
	{"Content-Length with a space in front of the colon", post + "Content-Length : 5\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding with a tab in front of the colon", post + "Transfer-Encoding\t: chunked\r\n\r\n", SuspiciousHeader},
	{"Transfer- Encoding", post + "Transfer- Encoding: chunked\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding and a word", post + "Transfer-Encoding XY: chunked\r\n\r\n", SuspiciousHeader},
	{"a control byte in front of Content-Length", post + "\x01Content-Length: 5\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding and a byte over 0x7f", post + "Transfer-Encoding\x88: chunked\r\n\r\n", SuspiciousHeader},
	{"a no-break space in front of Content-Length", post + "\xa0Content-Length: 5\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding with a long s", post + "Tranſfer-Encoding: chunked\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding with a dotless i", post + "Transfer-Encodıng: chunked\r\n\r\n", SuspiciousHeader},
	{"Transfer-Encoding with a dotted I", post + "TRANSFER-ENCODİNG: chunked\r\n\r\n", SuspiciousHeader},
	{"Content-Length in full width", post + "Ｃｏｎｔｅｎｔ-Ｌｅｎｇｔｈ: 5\r\n\r\n", SuspiciousHeader},
	{"a Content-Length with a leading zero", post + "Content-Length: 05\r\n\r\nhello", AmbiguousContentLength},
	{"a Content-Length of 00", post + "Content-Length: 00\r\n\r\n", AmbiguousContentLength},
	{"a Content-Length after a tab", post + "Content-Length:\t5\r\n\r\nhello", AmbiguousContentLength},
	{"a Content-Length and a space", post + "Content-Length: 5 \r\n\r\nhello", AmbiguousContentLength},
	{"two equal Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", DuplicateContentLength},
	{"a GET with a body", get + "Content-Length: 5\r\n\r\nhello", UndefinedContentLengthSemantics},
	{"a HEAD with a body", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", UndefinedContentLengthSemantics},
	{"a Content-Length with HTTP/0.9", "POST / HTTP/0.9\r\nContent-Length: 5\r\n\r\nhello", UndefinedContentLengthSemantics},
	{"Chunked", post + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"chunked after a tab", post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"chunked and a space", post + "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"identity, chunked", post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"gzip and chunked on two lines", post + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", AmbiguousTransferEncoding},
	{"a Transfer-Encoding with HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", UndefinedTransferEncodingSemantics},
	{"a chunked GET", get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", UndefinedTransferEncodingSemantics},
	{"a chunked HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", UndefinedTransferEncodingSemantics},
	{"Content-Length and Transfer-Encoding", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BothTeClPresent},
	{"Transfer-Encoding and Content-Length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BothTeClPresent},

	{"a control byte in the method", "G\x01T / HTTP/1.1\r\n\r\n", BadMethod},
	{"a space in front of the method", " GET / HTTP/1.1\r\n\r\n", BadMethod},
	{"a NUL in front of the method", "\x00GET / HTTP/1.1\r\n\r\n", BadMethod},
	{"a CR in front of the method", "\rGET / HTTP/1.1\r\n\r\n", BadMethod},
	{"HTTP/2's PRI with headers", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n", BadMethod},
	{"a method alone", "GET\r\n\r\n", MissingURI},
	{"a method and a space", "GET \r\n\r\n", MissingURI},
	{"two spaces after the method", "GET  / HTTP/1.1\r\n\r\n", MissingURI},
	{"a NUL in the target", "GET /\x00 HTTP/1.1\r\n\r\n", BadURI},
	{"a CR in the target", "GET /\rHTTP/1.1\r\n\r\n", BadURI},
	{"an LF in the target", "GET /\nHost: a\r\n\r\n", BadURI},
	{"an authority as target", "GET a:80 HTTP/1.1\r\n\r\n", BadURI},
	{"a name as target", "GET a HTTP/1.1\r\n\r\n", BadURI},
	{"GET *", "GET * HTTP/1.1\r\n\r\n", BadURI},
	{"OPTIONS *a", "OPTIONS *a HTTP/1.1\r\n\r\n", BadURI},
	{"a target of a scheme and one slash", "GET http:/a HTTP/1.1\r\n\r\n", BadURI},
	{"a question mark as target", "GET ?a HTTP/1.1\r\n\r\n", BadURI},
	{"a NUL in CONNECT's target", "CONNECT \x00 HTTP/1.1\r\n\r\n", BadURI},
	{"no version", "GET /\r\n\r\n", BadVersion},
	{"HTTP/2.0", "GET / HTTP/2.0\r\n\r\n", BadVersion},
	{"HTTP/1.10", "GET / HTTP/1.10\r\n\r\n", BadVersion},
	{"HTTP/1", "GET / HTTP/1\r\n\r\n", BadVersion},
	{"HTTP/1,1", "GET / HTTP/1,1\r\n\r\n", BadVersion},
	{"two versions", "GET / HTTP/1.1 HTTP/1.1\r\n\r\n", BadVersion},
	{"a version and a space", "GET / HTTP/1.1 \r\n\r\n", BadVersion},
	{"a version and a CR", "GET / HTTP/1.1\r\r\n\r\n", BadVersion},
	{"a space in front of the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", BadHeader},
	{"a NUL in a name", get + "A\x00: b\r\n\r\n", BadHeader},
	{"a NUL in front of a name", get + "\x00A: b\r\n\r\n", BadHeader},
	{"a NUL in a value", get + "A: b\x00\r\n\r\n", BadHeader},
	{"a CR in a value", get + "A: b\rc\r\n\r\n", BadHeader},
	{"two CRs at the end of a line", get + "A: b\r\r\n\r\n", BadHeader},
	{"a CR in a name", get + "A\rB: c\r\n\r\n", BadHeader},
	{"a CR in front of a name", get + "\rA: b\r\n\r\n", BadHeader},
	{"a CR in front of the empty line", get + "\r\r\n\r\n", BadHeader},
	{"an empty Content-Length", post + "Content-Length: \r\n\r\n", BadContentLength},
	{"a Content-Length with a plus", post + "Content-Length: +5\r\n\r\n", BadContentLength},
	{"a negative Content-Length", post + "Content-Length: -5\r\n\r\n", BadContentLength},
	{"a hexadecimal Content-Length", post + "Content-Length: 0x5\r\n\r\n", BadContentLength},
	{"a list of equal Content-Lengths", post + "Content-Length: 5,5\r\n\r\n", BadContentLength},
	{"a list with a space", post + "Content-Length: 5, 5\r\n\r\n", BadContentLength},
	{"a Content-Length with a space in it", post + "Content-Length: 5 5\r\n\r\n", BadContentLength},
	{"a Content-Length with a fraction", post + "Content-Length: 5.0\r\n\r\n", BadContentLength},
	{"a Content-Length with an underscore", post + "Content-Length: 1_0\r\n\r\n", BadContentLength},
	{"a Content-Length with a control byte", post + "Content-Length: 5\x0b\r\n\r\n", BadContentLength},
	{"a Content-Length with a NUL", post + "Content-Length: 5\x00\r\n\r\n", BadContentLength},
	{"a Content-Length of 2^63", post + "Content-Length: 9223372036854775808\r\n\r\n", BadContentLength},
	{"a Content-Length of 2^64+5", post + "Content-Length: 18446744073709551621\r\n\r\n", BadContentLength},
	{"a continued Content-Length", post + "Content-Length: 5\r\n 5\r\n\r\n", BadContentLength},
	{"an empty Content-Length that is continued", post + "Content-Length:\r\n 5\r\n\r\n", BadContentLength},
	{"two different Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", MultipleContentLength},
	{"Content-Lengths of 0 and 5", post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", MultipleContentLength},
	{"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n", BadTransferEncoding},
	{"chunkedx", post + "Transfer-Encoding: chunkedx\r\n\r\n", BadTransferEncoding},
	{"chunked with a vertical tab in front", post + "Transfer-Encoding: \x0bchunked\r\n\r\n", BadTransferEncoding},
	{"chunked and a control byte", post + "Transfer-Encoding: chunked\x11\r\n\r\n", BadTransferEncoding},
	{"chunked and a NUL", post + "Transfer-Encoding: chunked\x00\r\n\r\n", BadTransferEncoding},
	{"chunked in quotes", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", BadTransferEncoding},
	{"chunked with a parameter", post + "Transfer-Encoding: chunked;a=b\r\n\r\n", BadTransferEncoding},
	{"chu nked", post + "Transfer-Encoding: chu nked\r\n\r\n", BadTransferEncoding},
	{"chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n", BadTransferEncoding},
	{"chunked and identity on two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", BadTransferEncoding},
	{"identity alone", post + "Transfer-Encoding: identity\r\n\r\n", BadTransferEncoding},
	{"gzip alone", post + "Transfer-Encoding: gzip\r\n\r\n", BadTransferEncoding},
	{"an empty Transfer-Encoding", post + "Transfer-Encoding:\r\n\r\n", BadTransferEncoding},
	{"an empty Transfer-Encoding that is continued", post + "Transfer-Encoding:\r\n chunked\r\n\r\n", BadTransferEncoding},
	{"a continued Transfer-Encoding", post + "Transfer-Encoding: chunked\r\n , x\r\n\r\n", BadTransferEncoding},
	{"an empty element in front", post + "Transfer-Encoding: ,chunked\r\n\r\n", BadTransferEncoding},
	{"an empty element at the end", post + "Transfer-Encoding: chunked,\r\n\r\n", BadTransferEncoding},
	{"a coding longer than any that is known", post + "Transfer-Encoding: chunkedchunked\r\n\r\n", BadTransferEncoding},
	{"chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", MultipleTransferEncodingChunked},
	{"chunked on two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", MultipleTransferEncodingChunked},

	{"a chunk size with a plus", chunked + "+5\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a negative chunk size", chunked + "-5\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a chunk size with 0x", chunked + "0x5\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a space in front of a chunk size", chunked + " 5\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a space after a chunk size", chunked + "5 \r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a tab between chunk size and extension", chunked + "5\t;a\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"no chunk size", chunked + "\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"no chunk size but an extension", chunked + ";a\r\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a chunk size with an underscore", chunked + "1_0\r\nhello", BadChunkSize},
	{"a chunk size of 2^63", chunked + "8000000000000000\r\nhello", BadChunkSize},
	{"a chunk size of 2^64+5", chunked + "10000000000000005\r\nhello", BadChunkSize},
	{"a chunk size of seventeen digits", chunked + "00000000000000005\r\nhello", BadChunkSize},
	{"a chunk size and a bare LF", chunked + "5\nhello\r\n0\r\n\r\n", BadChunkSize},
	{"a chunk size and a bare CR", chunked + "5\rhello\r\n0\r\n\r\n", BadChunkSize},
	{"a last chunk and a bare LF", chunked + "0\n\r\n", BadChunkSize},
	{"an extension with a bare LF", chunked + "5;a\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with an LF in quotes", chunked + "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with a CR in quotes", chunked + "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with an escaped LF", chunked + "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension without a name", chunked + "5;\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with a space", chunked + "5; a\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with two values", chunked + "5;a=b=c\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with a quoted name", chunked + "5;\"a\"\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with something after the quotes", chunked + "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension with a NUL", chunked + "5;a\x00\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"an extension longer than anybody needs", chunked + "5;" + strings.Repeat("a", maxExtension) + "\r\nhello\r\n0\r\n\r\n", BadChunkExtension},
	{"no CRLF after the data", chunked + "5\r\nhelloworld\r\n0\r\n\r\n", BadChunkData},
	{"a bare LF after the data", chunked + "5\r\nhello\n0\r\n\r\n", BadChunkData},
	{"a bare CR after the data", chunked + "5\r\nhello\r0\r\n\r\n", BadChunkData},
	{"a Transfer-Encoding in the trailers", chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n", BadTrailer},
	{"a Content-Length in the trailers", chunked + "0\r\ncontent-length: 5\r\n\r\n", BadTrailer},
	{"a Content_Length in the trailers", chunked + "0\r\nContent_Length: 5\r\n\r\n", BadTrailer},
	{"a Host in the trailers", chunked + "0\r\nHost: b\r\n\r\n", BadTrailer},
	{"a Connection in the trailers", chunked + "0\r\nConnection: close\r\n\r\n", BadTrailer},
	{"a bare LF in the trailers", chunked + "0\r\nA: b\n\r\n", BadTrailer},
	{"a bare LF instead of the trailers", chunked + "0\r\n\n", BadTrailer},
	{"a bare CR in the trailers", chunked + "0\r\nA: b\rc\r\n\r\n", BadTrailer},
	{"a continuation line in the trailers", chunked + "0\r\nA: b\r\n c\r\n\r\n", BadTrailer},
	{"a trailer without a name", chunked + "0\r\n: b\r\n\r\n", BadTrailer},
	{"a trailer without a colon", chunked + "0\r\nGET /\r\n\r\n", BadTrailer},
	{"a NUL in a trailer", chunked + "0\r\nA: \x00\r\n\r\n", BadTrailer},
	{"a request instead of the final CRLF", chunked + "0\r\nGET / HTTP/1.1\r\n\r\n", BadTrailer},
	{"a CR and something instead of the final CRLF", chunked + "0\r\n\rX", BadTrailer},
}

func TestEveryRequestHasTheReasonAndSoTheClassOfWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	named := make(map[Reason]bool)
	for _, tt := range cases {
		named[tt.want] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []Class{Acceptable, Ambiguous, Severe} {
				v := judge(limit, tt.input, whole)
				got, refused := v.refuse, v.refuse != None
				if !refused && len(v.heads) > 0 {
					got = v.heads[0]
				}
				// What is refused from a lower class on may go for something less, earlier.
				if earlier := refused && got.Class() >= limit && got.Class() < tt.want.Class(); got != tt.want && !earlier {
					t.Errorf("limit %v: %v (%v), want %v", limit, got, got.Class(), tt.want)
				}
				if refused != (tt.want.Class() >= limit) {
					t.Errorf("limit %v: refused is %t", limit, refused)
				}
				if refused && v.at >= len(tt.input) {
					t.Errorf("limit %v: everything had passed already", limit)
				}
				if tt.want == None && len(v.heads) != 1 {
					t.Errorf("limit %v: %d requests", limit, len(v.heads))
				}
			}
		})
	}
	for r := range Reasons {
		if !named[r] {
			t.Errorf("no case is %v", r)
		}
	}
}

func TestOneRequestAfterTheOtherIsJudgedByItself(t *testing.T) {
	t.Parallel()
	v := judge(Severe, get+"\r\n"+post+"Content-Length: 5\r\n\r\nGET /"+chunked+"3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n"+
		"\r\n"+get+"A: \xff\r\n\r\n"+get+"\r\n", oneByte)
	if want := []Reason{None, None, None, LeadingEmptyLine, None}; !slices.Equal(v.heads, want) || v.refuse != None {
		t.Errorf("heads %v, refused %v", v.heads, v.refuse)
	}
	if want := []string{"", "GET /", "abcde", "", ""}; !slices.Equal(v.bodies, want) {
		t.Errorf("bodies %q", v.bodies)
	}
}

func TestAnUpgradeIsNoticedInItsOwnHeadOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input string
		want        []bool
	}{
		{"an Upgrade", get + "Upgrade: websocket\r\n\r\n", []bool{true}},
		{"in another case, with a field behind it", get + "uPGRADE:h2c\r\nA: b\r\n\r\n", []bool{true}},
		{"an empty one", get + "Upgrade:\r\n\r\n", []bool{true}},
		{"none", get + "Connection: Upgrade\r\n\r\n", []bool{false}},
		{"names that are longer", get + "Upgrades: a\r\nUp-grade: a\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", []bool{false}},
		{"a name with a space", get + "Upgrade : websocket\r\n\r\n", []bool{false}},
		{"in the middle of three requests", get + "\r\n" + post + "Upgrade: a\r\nContent-Length: 5\r\n\r\nhello" + get + "\r\n", []bool{false, true, false}},
	} {
		var got []bool
		s := New(Severe)
		for p := []byte(tt.input); len(p) > 0; {
			n, event := s.Scan(p)
			if event == Head {
				got = append(got, s.Upgrade())
			}
			p = p[n:]
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestABodyIsSkippedNotRead(t *testing.T) {
	t.Parallel()
	bad := "GET / HTTP/9.9\r\n\x00 : \n"
	v := judge(Acceptable, post+"Content-Length: "+strconv.Itoa(len(bad))+"\r\n\r\n"+bad+get+"\r\n", whole)
	if len(v.heads) != 2 || v.bodies[0] != bad || v.refuse != None {
		t.Errorf("%+v", v)
	}
}

func TestScanningAllocatesNothing(t *testing.T) {
	input := []byte(chunked + "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n" + get + "\r\n")
	if n := testing.AllocsPerRun(100, func() {
		s := New(Acceptable)
		for p := input; len(p) > 0; {
			n, event := s.Scan(p)
			if event == Refuse {
				t.Fatal(s.Reason())
			}
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
