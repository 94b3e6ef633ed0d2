// Package framing reads the bytes of an HTTP/1 connection in the direction of the
// server and judges each request: whether every server and proxy finds its end in
// the same place.
//
// [Scanner] goes byte by byte, keeps a constant amount of state however long a
// head is, allocates nothing, and gives the same verdict wherever the input is
// split. It follows keep-alive and pipelining over bodies with a Content-Length
// and chunked bodies with their trailers. It changes nothing and repairs nothing:
// its reader is told where a request has to be cut off.
//
// Classes and most reasons are those of AWS's desync mitigation mode, so that a
// figure here can be compared with an access log of the load balancer in front.
package framing
