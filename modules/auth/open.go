package auth

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// builder makes of a handler's alternatives what judges requests. The handler gets
// what was opened, and closes it, also if building fails.
type builder struct {
	*Handler
	ctx    caddy.Context
	tokens map[source]*tokens
	leaf   leaf // whose method is being opened

	revocations jwt.Revocations
	judged      bool // something asked for revocations
}

// open makes a door of each source of credentials, and of each alternative what it
// needs.
func (h *Handler) open(ctx caddy.Context) error {
	b := &builder{Handler: h, ctx: ctx, tokens: make(map[source]*tokens)}
	h.tree.branches = make([]branch, len(h.Alternatives))
	errs := []error{b.openRevocations()}
	methods, leaves := h.leaves()
	for i, m := range methods {
		b.leaf = leaves[i]
		b.branch().group = h.Alternatives[b.leaf.alternative].All != nil
		errs = append(errs, m.open(b))
	}
	for _, t := range b.tokens {
		errs = append(errs, t.compile())
	}
	if h.Revocation != nil && !b.judged {
		errs = append(errs, errors.New("revocation: auth has no tokens that could be revoked"))
	}
	if len(h.tree.doors) > maxDoors {
		errs = append(errs, fmt.Errorf("credentials from more than %d places", maxDoors))
	}
	return errors.Join(errs...)
}

// door lets the alternative whose method is being opened have credentials from s,
// which v judges. v may be nil if s has a door already.
func (b *builder) door(s source, v verifier) {
	i := slices.IndexFunc(b.tree.doors, func(d door) bool { return d.source == s })
	if i < 0 {
		i = len(b.tree.doors)
		b.tree.doors = append(b.tree.doors, door{s, v})
	}
	b.branch().doors |= 1 << i
	if b.branch().group {
		b.tree.grouped |= 1 << i
	}
}

// attach makes s a credential of the alternative whose method is being opened.
func (b *builder) attach(s standing) {
	b.branch().standing = append(b.branch().standing, member{s, b.leaf.member})
}

// branch is the alternative whose method is being opened.
func (b *builder) branch() *branch { return &b.tree.branches[b.leaf.alternative] }

// hold keeps c until the handler's end. It may be nil.
func (b *builder) hold(c io.Closer) {
	if c != nil {
		b.held = append(b.held, c)
	}
}
