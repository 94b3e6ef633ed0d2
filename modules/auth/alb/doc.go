// Package alb judges what AWS's Application Load Balancers say about the user whom
// they authenticated: the header X-Amzn-Oidc-Data. It imports no Caddy package.
//
// # What it is
//
// A JWT of its own kind. It is signed with ES256, its segments have the padding of
// base64, which is signed too, and exp, iss, client (of OAuth), signer (the ARN of
// the balancer) and kid stand in the header. There is no aud. The key is a PEM file
// by the name of the kid on a server that all balancers of a region share, those of
// other customers too: a signature alone says that some balancer signed. So the
// signer has to be one that is configured, byte for byte, and its region alone says
// which server is asked.
//
// # Keys
//
// They are fetched by id, the first time that an assertion names one, while the
// request waits. Only a trusted balancer can send assertions, so that what nobody
// else can cause may wait; all the same the number of keys that are kept, of
// fetches, of those at one time and of requests that wait is bounded. An id that
// cannot be one is never asked for. A server that says that it has no such key is
// believed for a minute. One that fails says nothing about the caller.
package alb
