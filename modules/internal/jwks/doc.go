// Package jwks keeps an issuer's key set up to date from its URL, its metadata or a
// file, in the background.
//
// # When it fetches
//
// Once at the start; then when the response's max-age, less its Age, has passed (at
// least one minute, at most one hour unless configured, 15 minutes if it does not say,
// and twice before the keys are too old), a little earlier by chance, so that identical
// gateways do not call in step; after a failure, from two seconds on in doubling steps
// up to five minutes.
//
// A token that names an unknown key, or does not verify, or finds no keys at all,
// causes a fetch and waits for it: at most three seconds, 256 tokens at once, and not
// longer than its client. Where other keys come that lack its own as well, as the stored
// ones at a start, it may wait once more. Tokens cause one fetch in 15 seconds (or in the shortest
// refresh, if that is shorter); fetches that are due anyway do not count. In between
// nobody waits and the next fetch is brought forward: a flood of random key ids causes
// four fetches a minute, and a new key is found within those 15 seconds while the
// flood lasts. While the last fetch failed, nobody can say which keys the issuer has:
// an unknown key id is then no reason to call a token invalid. Tokens that verify never
// wait.
//
// # Issuers that are discovered
//
// The URL is then that of metadata (OpenID Connect Discovery 1.0, RFC 8414), read as
// strictly as a token: their issuer is the configured one byte for byte, and jwks_uri
// is a URL of a key set as below; it may be on another host. They are read again when
// they are as old as their Cache-Control says, within the same bounds, and with every
// fetch that a token causes or that follows a failure. While they cannot be fetched,
// the last jwks_uri is good for as long as keys are; metadata of somebody else count as
// a failure.
//
// # Whom it asks
//
// It accepts 200 with a JWK set of at most 512 KiB within ten seconds, over https, from
// the host it asked. Redirects to another host or scheme are not followed. Without
// AllowPrivate no connection is opened to an address that is not of the internet
// (loopback, private, link-local, carriers', unique local, metadata services, and what
// embeds one): that is checked on the address itself when the connection is opened,
// so a name that changes its meaning is of no use. A loopback address or localhost that
// the configured URL itself names is accepted, and plain http only there, for tests and
// demonstrations.
//
// Hosts are ASCII, internationalized ones in their xn-- form.
//
// Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY). A proxy's own address
// is the operator's and not checked. Behind one the proxy resolves names: only
// addresses that are written in URLs are checked then, and the rest is the proxy's
// to refuse.
//
// A trust pool replaces the system's authorities. It is part of the configuration and
// not read again.
//
// # How it fails
//
// The last good keys stay in force for 24 hours unless configured, whatever the URL
// answers. Then, and before the first success, there are none, and callers have to
// answer 503: a valid token must not be called invalid because we could not look.
//
// With a storage, the last good key set is stored when it changes, and every five
// minutes for its date; at a start it is in force until one is fetched, for as long as
// it would have been. It is read as strictly as a fetched one. Who can write to the
// storage can write keys there, as they can certificates. A storage that fails or hangs
// is logged and blocks nothing.
//
// # Files
//
// A file is read when it is opened, which refuses a bad one, and looked at once a
// second. A file that went missing or bad later never replaces the keys in force,
// for as long as it is so: whoever edits it is told in the log.
//
// The package imports no Caddy package.
package jwks
