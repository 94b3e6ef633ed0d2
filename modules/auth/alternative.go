package auth

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/auth/clientcert"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
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

// tokens are the issuers whose tokens come from one source.
type tokens struct {
	verifier *jwt.Verifier
	forward  []bool // by issuer
}

func (t *tokens) verify(ctx context.Context, token string, _ netip.Addr, now time.Time) (*principal.Principal, bool, *decision.Reason, error) {
	verified, err := t.verifier.Verify(ctx, token, now)
	if err != nil {
		return nil, false, tokenReason(err), err
	}
	return verified.Principal, t.forward[verified.Issuer], nil, nil
}

func (*tokens) token() bool { return true }

// keys are the API keys of one file.
type keys struct {
	store   *apikey.Store
	forward bool
}

func (k *keys) verify(_ context.Context, key string, client netip.Addr, now time.Time) (*principal.Principal, bool, *decision.Reason, error) {
	who, err := k.store.Verify(key, client, now)
	if err != nil {
		return nil, false, keyReason(err), err
	}
	return who, k.forward, nil, nil
}

func (*keys) token() bool { return false }

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
// that we did not judge. A connection's certificate, which comes with each of its
// requests, speaks only for those that bring nothing of their own.
func judge(doors []door, certificates *clientcert.Verifier, r *http.Request, held http.Header, client netip.Addr, now time.Time) outcome {
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
		if certificates != nil {
			return judgeCertificate(certificates, r, now)
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
