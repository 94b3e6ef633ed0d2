// Package desync refuses HTTP/1 requests that two servers may read as two
// different requests.
//
//	servers {
//		listener_wrappers {
//			tls
//			desync [monitor | defensive | strictest]
//		}
//	}
//
// net/http repairs what it can: a request with a Content-Length and a
// Transfer-Encoding, a folded header or a bare LF looks ordinary to every
// handler, whatever the load balancer in front made of it. So this wrapper reads
// the bytes before net/http does. It stands after tls, once; without tls among the
// wrappers it stands behind it by itself. HTTP/2 passes untouched, and so does
// what follows a switch of protocols. HTTP/3 does not come through listener
// wrappers at all.
//
// A switch of protocols begins with its 101. What a client sends earlier is judged
// as HTTP, and may be so a moment longer where an interim answer preceded the 101.
//
// What was judged as a body is never served as a request: where reading a body
// ends early, because it is too slow for instance, the connection ends with it.
//
// Modes and classes are those of AWS's desync mitigation mode:
//
//	class       strictest  defensive                          monitor
//	compliant   forwarded  forwarded                          forwarded
//	acceptable  refused    forwarded                          forwarded
//	ambiguous   refused    forwarded alone, connection closes forwarded
//	severe      refused    refused                            forwarded
//
// The default is defensive. A refused request is answered with 400 by net/http,
// in text/plain, without an access log line, and its connection closes. What is
// forwarded net/http may still refuse: that is the case for most of what has no
// sensible meaning. Where the framing of a body breaks, part of it is at the
// backend already: its request is aborted, in defensive and in strictest.
//
// Reasons, with AWS's codes where it has one:
//
//	acceptable  LeadingEmptyLine SpaceInUri NonCompliantVersion NonCompliantHeader
//	            GetHeadZeroContentLength
//	ambiguous   AmbiguousUri AbsoluteFormUri ConnectMethod NonCrLfLineTermination
//	            MultilineHeader MissingHeaderColon EmptyHeader SuspiciousHeader
//	            AmbiguousContentLength DuplicateContentLength
//	            UndefinedContentLengthSemantics AmbiguousTransferEncoding
//	            UndefinedTransferEncodingSemantics BothTeClPresent
//	severe      BadMethod MissingUri BadUri BadVersion BadHeader BadContentLength
//	            MultipleContentLength BadTransferEncoding
//	            MultipleTransferEncodingChunked BadChunkSize BadChunkExtension
//	            BadChunkData BadTrailer
//
// Stricter than AWS: a bare LF is ambiguous, not acceptable, and so are a
// Content-Length with a leading zero, "Chunked", a tab or trailing space in either
// of both headers, an absolute target, CONNECT, and a list of codings; a request
// line without a target is severe. As with AWS, strictest refuses a GET with a
// body, a GET with a Content-Length of 0 and bytes over 0x7f in header values.
//
// Metrics: sallyport_desync_requests_total{server,verdict,reason}, where the
// verdict is forwarded, closed, refused or monitored, and the reason of a compliant
// request Compliant. A request whose body breaks is counted once more. In monitor,
// counting ends on a connection with the first severe request: nobody can say
// where the next one begins. An acceptable or ambiguous request that net/http refuses
// before the end of its head may not be counted. Log lines are written at debug
// only, so that no caller fills a log.
//
// It fails closed: what it cannot follow is refused. A server on which it stands in
// front of tls, or twice, is refused.
package desync
