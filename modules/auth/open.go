package auth

import (
	"errors"
	"io"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// builder makes of a handler's alternatives what judges requests. The handler gets
// what was opened, and closes it, also if building fails.
type builder struct {
	*Handler
	ctx    caddy.Context
	tokens map[source]*tokens

	revocations jwt.Revocations
	judged      bool // something asked for revocations
}

// open makes a door of each source of credentials.
func (h *Handler) open(ctx caddy.Context) error {
	b := &builder{Handler: h, ctx: ctx, tokens: make(map[source]*tokens)}
	errs := []error{b.openRevocations()}
	for _, m := range h.given() {
		errs = append(errs, m.open(b))
	}
	for _, t := range b.tokens {
		errs = append(errs, t.compile())
	}
	if h.Revocation != nil && !b.judged {
		errs = append(errs, errors.New("revocation: auth has no tokens that could be revoked"))
	}
	return errors.Join(errs...)
}

func (b *builder) door(s source, v verifier) { b.doors = append(b.doors, door{s, v}) }

// hold keeps c until the handler's end. It may be nil.
func (b *builder) hold(c io.Closer) {
	if c != nil {
		b.held = append(b.held, c)
	}
}
