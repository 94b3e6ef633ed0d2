// Package proxyheader reads the PROXY protocol header that a load balancer puts
// in front of a connection's bytes, versions 1 and 2 of
// https://www.haproxy.org/download/3.4/doc/proxy-protocol.txt, strictly: what the
// balancer does not send is refused, not repaired. It imports no Caddy package.
//
// Parse reads one header that is complete, Length says when it is, and Conn does
// both for a connection, on the goroutine that first uses it.
package proxyheader
