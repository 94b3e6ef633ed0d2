// Package openapi checks requests against an OpenAPI 3.0 or 3.1 document. It
// imports no Caddy package.
//
// kin-openapi loads the document, resolves its references and checks it; nothing
// outside of the file is read. All of it is then compiled into a plan of our own:
// a tree of path segments, decoders of parameters, and schemas whose patterns and
// formats are ready, so that a request compiles nothing, whichever version the
// document is of. The evaluation of a schema has a budget of steps: a small body
// can make combinations of recursive schemas exponentially dear.
//
// What a document may say and the plan cannot check is refused when it is loaded,
// not passed over: parameters that are objects (but for those with JSON content)
// or have the styles label, matrix and deepObject, servers of single paths and
// servers with variables in their path, several parameters in one path segment,
// and of JSON Schema $id, $anchor, $dynamicRef, unevaluatedItems,
// unevaluatedProperties, another $schema and keywords that are not known.
//
// Formats are asserted in both versions where they are known: date, date-time,
// uuid, ipv4, ipv6, email, byte, int32, int64, float. Others are annotations. Patterns are RE2,
// unanchored, as in JSON Schema. A property that is readOnly is refused in a
// request and not required of one. Bodies that are not JSON are admitted as the
// document lists them and are not looked into.
//
// Violations name documented parameters and point to documented properties; what
// a caller called something is in none of them.
package openapi
