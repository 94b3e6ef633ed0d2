package store

import (
	"context"
	"strings"

	"go.uber.org/zap"
)

// longestPolicy is more than any name of a policy has.
const longestPolicy = 64

// warnOfEviction logs once that the server may drop what it was given, if it says
// so. A user need not be allowed to ask.
func (c *Client) warnOfEviction(inner *connection) {
	ctx, cancel := context.WithTimeout(c.end, connectTimeout)
	defer cancel()
	policy := inner.evicts(ctx)
	c.mu.Lock()
	news := policy != "" && policy != c.evicts
	if news {
		c.evicts = policy
	}
	c.mu.Unlock()
	if news {
		c.logger().Warn("the store drops values and locks when its memory is full: set its maxmemory-policy to noeviction",
			zap.String("store", c.name), zap.String("maxmemory_policy", policy))
	}
}

// evicts returns the first policy of a server that is not noeviction, or "" if
// there is none or none is told.
func (c *connection) evicts(ctx context.Context) string {
	for _, client := range c.Nodes() {
		node := &connection{Client: client, life: c.life}
		info, err := node.await(ctx, node.B().Info().Section("memory").Build(), nil).ToString()
		if err != nil {
			continue
		}
		for line := range strings.Lines(info) {
			policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
			if ok && policy != "noeviction" && policy != "" && len(policy) <= longestPolicy {
				return policy
			}
		}
	}
	return ""
}
