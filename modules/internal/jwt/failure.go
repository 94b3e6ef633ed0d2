package jwt

// Kind is why a token was refused, in the words that metrics and logs use. It is
// never shown to the caller: RFC 6750 has one word for all of them.
type Kind uint8

// The kinds of refusal. Two are no fault of the token: KeysUnavailable, as the
// issuer's keys have not been fetched yet or not for too long, and
// RevocationUnknown.
const (
	Malformed Kind = iota
	UnsupportedHeader
	IssuerUnknown
	AlgorithmRefused
	KeysUnavailable
	KeyUnknown
	SignatureInvalid
	ClaimsInvalid
	AudienceMismatch
	Expired
	NotYetValid
	Revoked
	RevocationUnknown
	// Kinds is how many kinds there are.
	Kinds
)

// Failure is the error that Verify returns. All of them are package variables:
// refusing costs no allocation, which matters under a flood, and the detail never
// holds anything of the token.
type Failure struct {
	Kind   Kind
	Detail string
}

// Error returns the detail.
func (f *Failure) Error() string { return f.Detail }

var (
	errTooLong   = &Failure{Malformed, "token is too long"}
	errSegments  = &Failure{Malformed, "token does not have three segments"}
	errBase64    = &Failure{Malformed, "segment is not strict base64url"}
	errHeader    = &Failure{Malformed, "header is too long"}
	errJSON      = &Failure{Malformed, "not a JSON object"}
	errUTF8      = &Failure{Malformed, "not valid UTF-8"}
	errDuplicate = &Failure{Malformed, "member name occurs twice"}
	errDepth     = &Failure{Malformed, "nested too deep"}
	errTrailing  = &Failure{Malformed, "data after the JSON object"}
	errAlgType   = &Failure{Malformed, "alg is missing or not a string"}
	errTypType   = &Failure{Malformed, "typ is not a string"}
	errMembers   = &Failure{Malformed, "header has too many parameters"}
	errKidType   = &Failure{Malformed, "kid is not a string of reasonable length"}

	errCritical  = &Failure{UnsupportedHeader, "header has crit"}
	errUnencoded = &Failure{UnsupportedHeader, "header has b64"}
	errType      = &Failure{UnsupportedHeader, "typ is not the expected one"}
	errNoKid     = &Failure{UnsupportedHeader, "kid is missing"}

	errIssuer    = &Failure{IssuerUnknown, "iss is not a configured issuer"}
	errAlgorithm = &Failure{AlgorithmRefused, "alg is not in the issuer's list"}
	errNoKeys    = &Failure{KeysUnavailable, "the issuer's keys are not available"}
	errKey       = &Failure{KeyUnknown, "no key with this kid for this algorithm"}
	errAmbiguous = &Failure{KeyUnknown, "too many keys fit a token without kid"}
	errSignature = &Failure{SignatureInvalid, "signature does not verify"}

	errSubject    = &Failure{ClaimsInvalid, "the claim that names the caller is missing or not a plain string"}
	errDate       = &Failure{ClaimsInvalid, "exp is missing, or a date is not a finite number"}
	errNamed      = &Failure{ClaimsInvalid, "jti, sub or sid is neither a string nor a number"}
	errMapped     = &Failure{ClaimsInvalid, "a scopes, roles or tier claim has an unexpected type"}
	errRequired   = &Failure{ClaimsInvalid, "a required claim is missing or has another value"}
	errIncomplete = &Failure{ClaimsInvalid, "a claim that tokens of this type need is missing"}
	errParty      = &Failure{ClaimsInvalid, "azp does not name an expected audience, or is missing beside several"}
	errEvent      = &Failure{ClaimsInvalid, "a security event or logout token is no credential"}
	errAudience   = &Failure{AudienceMismatch, "aud does not name an expected audience"}
	errExpired    = &Failure{Expired, "exp has passed"}
	errNotYet     = &Failure{NotYetValid, "nbf is in the future"}
	errFuture     = &Failure{NotYetValid, "iat is in the future"}
)
