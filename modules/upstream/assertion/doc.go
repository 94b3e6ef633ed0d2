// Package assertion is the proof that a gateway let a request through: a signed
// statement about one request to one service, for seconds, and for one use.
//
// It is a JWT (RFC 7519) of type sallyport-assertion+jwt, signed with ES256:
//
//	iss      who made it
//	aud      the service it is for, one string
//	iat, nbf when it was made, in whole seconds
//	exp      at most 30 seconds later
//	jti      random, 128 bits
//	htm      the method, as sent to the service (as in RFC 9449)
//	path     the path, as sent: percent-encoded, byte for byte
//	qh       SHA-256 of the query as sent, without '?', in base64url
//	rid      the gateway's id of the request; not in health checks
//	sub      who calls; not for anonymous callers and health checks
//	sub_iss  who vouches for sub; if somebody does
//	auth     how sub was authenticated: jwt, api_key
//	scope    what sub was granted, words between spaces
//	roles    what sub is, an array
//	tier     sub's class of service
//
// The body, the header and the host are not bound: whoever can read a request to
// the service and is faster than it can send another body with it, once, within
// the time. Use TLS between them.
//
// Signatures are checked by package jwt and by its strictness; the package imports
// no Caddy package and keeps no goroutines.
package assertion
