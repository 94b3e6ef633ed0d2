// Package logtext takes credentials out of finished log entries: the bytes that
// a log encoder made, before they are written. It knows no Caddy and no zap.
//
// # What it masks
//
// An entry is JSON, text, or text with a JSON object in it (zap's console
// format). In each of them, REDACTED takes the place of
//
//   - values of JSON members, HTTP headers and name=value or name: value pairs
//     whose name is on the lists in lists.go, wherever they stand: in a header
//     object, a URL's query, path or fragment, a cookie, a form, a message, JSON
//     inside a JSON string;
//   - the userinfo of a URL, the parameter of an HTTP authentication scheme
//     (Bearer x), private keys in PEM;
//   - whatever the detectors find (package detect), whatever it is called.
//
// Names are compared without regard to case, '_' and '-', and many by their
// ending, so X-Reset-Token, resetToken and user[reset_token] are all found.
//
// Strings are judged as they stand and as they read with their escapes undone:
// JSON's (\u0041), percent (tok%65n) and both in nested layers, as in a URL
// inside a URL. A finding is masked in the original bytes; all others are kept.
//
// # What it leaves
//
// A secret that nothing marks: a path segment of its own (/reset/8f3a…), a word
// in a sentence, XML, base64 of something else. Log no request bodies.
//
// A JSON entry stays valid JSON with the same members; a masked number becomes
// a string, booleans and null stay. Work and memory are linear in the entry.
package logtext
