// Package scrub takes members and values out of bodies as they stream by: JSON,
// server-sent events, plain text. It imports no Caddy package.
//
// What a rule does not name is copied byte for byte: order, white space, repeated
// members, the spelling of numbers. Valid JSON stays valid. However a body is cut
// into chunks, the output is the same, and no byte leaves that a rule may still
// turn out to cover; memory is bounded at any size of a body.
package scrub
