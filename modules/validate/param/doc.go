// Package param checks the query parameters of a request against rules that were
// compiled once. It imports no Caddy package. It reads the query as it was sent,
// pair by pair, and not through url.Query, which drops the pairs it cannot read
// while the backend may see them.
//
// What it returns names a rule, never a name or a value of the request.
package param
