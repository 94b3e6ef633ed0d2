package logtext

// The names that are secret without any configuration. They are compared as
// normalise leaves them: lower case, without '_' and '-'. They are written
// here in their usual spelling.

// secretEndings make every name secret that ends in one of them, digits behind
// it not counted (X-Hub-Signature-256, token2). They are
// words that hardly ever end the name of something harmless.
var secretEndings = []string{
	"token", "secret", "secrets", "password", "passwords", "passwd", "pwd", "passphrase", "passcode",
	"password_confirmation", "password_confirm", "password_again", "password_repeat", "password_hash", "password_digest",
	"auth_code", "authorization_code", "csrf", "xsrf", "credential", "credentials", "authorization", "assertion", "jwt",
	"cookie", "cookies", "session_id", "sessid", "signature", "hmac_sha",
	"api_key", "api_keys", "app_key", "access_key", "access_keys", "account_key", "auth_key", "encryption_key",
	"functions_key", "license_key", "master_key", "priv_key", "private_key", "private_keys",
	"secret_key", "secret_keys", "session_key", "shared_key", "signing_key", "subscription_key",
}

// queryEndings are endings that hold in URLs, forms and cookies only.
var queryEndings = []string{"session"}

// harmlessNames end like a secret and are none.
var harmlessNames = []string{
	"Access-Control-Allow-Credentials",
	"page_token", "next_page_token", "continuation_token", // cursors
}

// secretHeaders are header names that no ending covers. In text, the value of
// a header runs to the end of its line.
var secretHeaders = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Cookie2", "Set-Cookie", "Set-Cookie2",
	"Authentication", "X-Auth", "X-Api-Key", "X-Auth-Token", "X-Access-Token", "X-Csrf-Token",
	"Sec-WebSocket-Protocol", // browsers cannot set headers there: tokens travel as subprotocols
	"DPoP",
	// What load balancers say about the user they logged in.
	"X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Oidc-Identity",
	"X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Leaf", "X-Amzn-Lattice-Identity",
	"X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id",
	"X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Ms-Client-Principal-Name",
	"Cf-Access-Jwt-Assertion", "X-Forwarded-Client-Cert", "Client-Cert",
	// Signatures that no ending covers.
	"Paypal-Transmission-Sig",
}

// secretKeys are names of JSON members and of pairs in text, beside endings.
var secretKeys = []string{
	"pass", "tokens", "auth", "otp", "totp", "pin", "cvv", "cvc", "security_code", "session",
	"mfa_code", "verification_code", "one_time_code", "user_code", "device_code", "code_verifier",
	"recovery_codes", "backup_codes", "mnemonic", "seed_phrase", "connection_string",
}

// secretQuery are names of URL and form parameters, beside endings and keys:
// words that mean something else as the member of a JSON object.
var secretQuery = []string{
	"code", "key", "sid", "sig", "sign", "ticket", "hmac", "oauth_verifier",
	"SAMLResponse", "SAMLart", "wresult",
	"AWSAccessKeyId", "OSSAccessKeyId", "hdnea", "hdnts", "hdntl",
}

// containerNames are secret as the name of a value, not of an object: an
// object called session describes one.
var containerNames = []string{"auth", "session"}

// proseWords follow a colon in messages like "checking token: not signed".
// They are no values.
var proseWords = []string{
	"a", "an", "and", "are", "at", "bad", "be", "been", "but", "by", "can", "cannot", "contains", "could", "decode", "decoding",
	"did", "do", "does", "empty", "error", "exceeded", "expected", "expired", "fail", "failed", "failure", "file",
	"for", "forbidden", "found", "from", "get", "got", "had", "has", "have", "header", "if", "illegal", "in", "incorrect",
	"invalid", "is", "it", "its", "key", "keys", "length", "loading", "malformed", "mismatch", "missing", "must", "neither", "nil",
	"no", "none", "not", "null", "of", "on", "only", "open", "opening", "or", "out", "parse", "parsing", "permission",
	"read", "reading", "rejected", "required", "revoked", "signature", "signed", "such", "that", "the",
	"there", "this", "timeout", "to", "token", "tokens", "too", "type", "unable", "unauthorized", "undefined",
	"unexpected", "unknown", "unsupported", "unverifiable", "use", "used", "using", "value", "verification",
	"verify", "verifying", "was", "were", "when", "which", "while", "with", "wrong",
}

// nouns are proseWords that are names of authentication schemes as well:
// "Authorization: token abc". They are prose if prose follows.
var nouns = []string{"header", "key", "keys", "signature", "token", "tokens", "value"}

// schemes are names of authentication schemes, in front of the credential in
// the value of a secret name.
var schemes = []string{
	"apikey", "aws4-hmac-sha256", "basic", "bearer", "bot", "digest", "dpop", "gnap", "hawk", "hmac", "hoba", "jwt", "key", "mac",
	"mutual", "negotiate", "ntlm", "oauth", "privatetoken", "scram-sha-1", "scram-sha-256", "sharedaccesssignature", "sharedkey",
	"signature", "token", "vapid",
}

// challengeWords follow the name of an authentication scheme in challenges
// ("Bearer realm=") and in prose ("basic authentication").
var challengeWords = []string{
	"algs", "auth", "authentication", "authorization", "challenge", "charset", "credentials", "error",
	"error_description", "error_uri", "max_age", "realm", "resource_metadata", "scheme", "scope",
}
