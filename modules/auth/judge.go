package auth

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// verifier judges the credentials of one source.
type verifier interface {
	// verify returns who calls, and whether the credential stays in the
	// request; or why it is refused, and the cause for the debug log.
	verify(ctx context.Context, credential string, client netip.Addr, now time.Time) (who *principal.Principal, forward bool, reason *decision.Reason, cause error)
	// token says whether the credentials are tokens in the sense of RFC 6750.
	token() bool
}

// door is one source of credentials and who judges them. A handler has one for
// each source, so that the place where a credential stands decides who judges it.
type door struct {
	source   source
	verifier verifier
}

// standing is a credential that no caller attaches to a request: it comes with each
// one of a connection, or a balancer adds it.
type standing interface {
	// judge returns who calls; reasonNone if the request has none of its kind.
	judge(r *http.Request, held http.Header, now time.Time) outcome
}

// outcome is what a handler found out about one request.
type outcome struct {
	who     *principal.Principal
	forward bool
	door    *door // where the credential was, if there was exactly one in the request
	reason  *decision.Reason
	cause   error
}

// judge finds the request's credential and has it judged. Exactly one is
// accepted in the whole request: with two, the backend might act for the one
// that we did not judge. Standing credentials speak only for requests that bring
// nothing of their own; the first there is decides.
func judge(doors []door, others []standing, r *http.Request, held http.Header, client netip.Addr, now time.Time) outcome {
	var found *door
	var credential string
	total := 0
	for i := range doors {
		value, n := doors[i].source.find(r, held)
		if n > 0 {
			found, credential = &doors[i], value
		}
		total += n
	}
	switch total {
	case 0:
		for _, s := range others {
			if o := s.judge(r, held, now); o.reason != reasonNone {
				return o
			}
		}
		return outcome{reason: reasonNone}
	case 1:
	default:
		return outcome{reason: reasonSeveral}
	}
	o := outcome{door: found}
	o.who, o.forward, o.reason, o.cause = found.verifier.verify(r.Context(), credential, client, now)
	return o
}
