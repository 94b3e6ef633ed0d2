// Package jsonscan checks that a body is one JSON text (RFC 8259) that every
// parser reads the same way, in one pass over parts of any size. It imports no
// Caddy package and keeps nothing of the text but the names of the objects that
// are open.
//
// It is stricter than encoding/json, which repairs what it reads: bytes that are
// no UTF-8, halves of surrogate pairs, a byte order mark, numbers that no binary64
// holds, and a name that occurs twice in one object, compared after its escapes
// are read, are refused. RFC 8259 leaves to each parser what these mean, which is
// how a gate and the backend behind it come to see two values in one text.
package jsonscan
