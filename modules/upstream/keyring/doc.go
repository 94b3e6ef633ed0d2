// Package keyring keeps the keys that identical gateways sign assertions with in
// the storage they share.
//
// A key signs for a day. Its successor is made and published a quarter of an hour
// before it is first used, so that whoever kept the key set for as long as it
// allows (TTL) knows it by then; and a key stays published for an hour after its
// successor took over, so that what it signed last, also at a gateway that has lost
// the storage meanwhile, verifies. The first key of all is used at once: nobody can
// have kept an older set.
//
// Keys are made under the storage's lock, by whichever gateway finds first that one
// is due; the others find it within a minute. The storage is never asked on a
// request. While it is away the known keys stay in use, past their day if need be;
// without a known key there is none. What is in the storage is all there is: deleting
// the value replaces every key within a minute, which is how a key that leaked is
// withdrawn.
//
// Whoever can read the storage can sign. storage redis encrypts it; elsewhere it
// lies beside the private keys of certificates.
//
// The package imports no Caddy package.
package keyring
