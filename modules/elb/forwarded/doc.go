// Package forwarded reads what load balancers write about a request into header
// fields, and nothing else: it takes one notation for each thing, says no to all
// others, and never goes on to the next value when one cannot be read.
//
// It knows neither Caddy nor which balancer is asked; its functions are pure and
// safe for concurrent use.
package forwarded
