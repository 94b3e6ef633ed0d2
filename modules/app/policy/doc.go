// Package policy looks at a configuration as a policy that is rolled out: what it
// is (Digest), whether gateways run it (Ask), and what in it is likely a mistake
// (Lint). It works on the configuration as JSON and imports no Caddy.
package policy
