// Package clientcert names the caller by the certificate with which it opened its
// connection. It imports no Caddy package.
//
// # What counts
//
// Only what crypto/tls verified against the listener's trust pool, for the use as
// a client's certificate. The dates of the whole chain are judged again on every
// request, because connections outlive them. A certificate that was only shown, as
// with Caddy's client_auth modes request and require, is nobody's.
//
// # Who it names
//
// The common name is no identity (RFC 9525 section 2). By default the caller is
// the certificate's URI (as SPIFFE has it); if there is none, its DNS name; if
// there is none, its whole subject as RFC 4514 writes it. These three cannot be
// mistaken for each other: a URI has a colon behind its scheme, a DNS name has
// neither colon nor equals sign, a subject begins with an attribute and an equals
// sign. With several URIs, or no URI and several DNS names, none of them is the
// caller's name, and the certificate is refused: choose another one of Names.
//
// The issuer is the subject of the certificate in the trust pool to which the
// chain leads. What stands between it and the client's certificate is named by
// whoever it was issued to: an authority could name one of its own after another.
// Two certificates with the same names under two authorities are two callers.
// Only the operator can put two authorities of one name into one pool; they are
// one issuer then, which is what a renewed authority needs.
package clientcert
