// Package jwt verifies signed JSON Web Tokens (RFC 7519) as a gateway has to:
// every caller is hostile until the signature says otherwise, and whoever signed
// the token may be sloppy.
//
// A Verifier knows several issuers. The token's iss claim chooses one of them,
// and only that issuer's keys, algorithms and audiences judge it. golang-jwt
// checks signatures; everything around them is done here, because libraries
// forgive what two readers of one token may understand differently: repeated
// members, spare base64 bits, trailing data, numbers that do not fit, claim
// names in another case, critical extensions.
//
// What is refused, and where that is written:
//
//   - anything but three base64url segments without padding, line breaks or
//     spare bits (RFC 7515 section 2); encrypted tokens
//   - header or claims that are not one JSON object in valid UTF-8 with unique
//     members at every level (RFC 7515 section 4, RFC 8725 section 3.7)
//   - the header parameters crit and b64 (RFC 7515 section 4.1.11, RFC 7797);
//     jwk, jku, x5u and x5c are never looked at (RFC 8725 section 3.10)
//   - algorithms that the issuer's list does not name, or that do not belong to
//     the type of the key (RFC 8725 sections 3.1, 3.2); "none" does not exist, and
//     HMAC only for issuers with secrets, which have no public keys
//   - tokens of another type than the issuer's, by typ and by claims
//     (RFC 8725 sections 3.11, 3.12)
//   - keys that are weak, for something else, or not on their curve
//   - tokens without sub or exp, with dates that are no finite numbers, or
//     whose audience is not one of the expected (RFC 8725 section 3.9)
//
// The signature is judged before the dates and the audience, so that an answer
// "expired" always speaks of a token that this issuer signed. Claims are read only
// then, but for iss: what nobody signed costs a signature check at most, and no
// memory to speak of.
//
// Tokens that are bound to a sender (RFC 8705, RFC 9449) are treated as bearer
// tokens: the binding is not checked.
//
// The package imports no Caddy package and keeps no goroutines.
package jwt
