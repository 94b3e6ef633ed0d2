// Package jwks keeps an issuer's key set up to date from its URL or a file, in the
// background: no request ever waits for a fetch or causes one directly.
//
// # URLs
//
// When it fetches: once at the start; then when the response's max-age has passed
// (at least one minute, at most one hour, 15 minutes if it does not say), a little
// earlier by chance, so that identical gateways do not call in step; after a
// failure, from two seconds on in doubling steps up to five minutes. A token that
// names an unknown key, or does not verify, or finds no keys at all, brings the
// next fetch forward, but not within 15 seconds of the last one: a flood of random
// key ids causes four fetches a minute, and a new key is found within those 15
// seconds while the flood lasts.
//
// What it accepts: 200 with a JWK set of at most 512 KiB within ten seconds, over
// https, from the host it asked. Redirects to another host or scheme are not
// followed. Plain http is accepted for loopback addresses and localhost only,
// for tests and demonstrations. Proxies are taken from the environment
// (HTTPS_PROXY, NO_PROXY).
//
// How it fails: the last good keys stay in force for 24 hours, whatever the URL
// answers. Then, and before the first success, there are none, and callers have to
// answer 503: a valid token must not be called invalid because we could not look.
//
// # Files
//
// A file is read when it is opened, which refuses a bad one, and looked at once a
// second. A file that went missing or bad later never replaces the keys in force,
// for as long as it is so: whoever edits it is told in the log.
//
// The package imports no Caddy package.
package jwks
