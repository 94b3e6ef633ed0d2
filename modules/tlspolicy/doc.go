// Package tlspolicy is TLS of the gateway's own.
package tlspolicy
