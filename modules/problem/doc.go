// Package problem answers errors with RFC 9457 problem documents, inside a
// site's handle_errors:
//
//	handle_errors {
//		problem
//	}
//
// The document says status, type, title and request id, and nothing of a token,
// a key, a body or a rule. Refusals get the same document without handle_errors:
// guards put a fallback in front of their server's error routes, which answers
// where a site's own routes write nothing. What types there are stands in
// TYPES.md.
package problem
