package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

// newTokenCommand is `caddy sallyport token`.
func newTokenCommand() *cobra.Command {
	cmd := command.Group(&cobra.Command{
		Use:   "token",
		Short: "Make keys and signed tokens for development and smoke tests",
		Long: `Make signing keys and tokens (JWT) for development and smoke tests.

In production tokens come from an issuer; the gateway never needs a private key.`,
	})
	cmd.AddCommand(newTokenSignCommand(), newTokenKeygenCommand())
	return cmd
}

// tokenFlags are the flags of `token sign`.
type tokenFlags struct {
	key, algorithm, kid      string
	issuer, subject, expires string
	audience, scopes, roles  []string
	rolesClaim               string
	claims                   []string
}

func newTokenSignCommand() *cobra.Command {
	var t tokenFlags
	cmd := &cobra.Command{
		Use:   "sign --key FILE --issuer URL --subject ID --audience NAME",
		Short: "Sign a token with a private key and print it",
		Example: `  caddy sallyport token sign --key dev.pem --issuer https://issuer.example --subject alice \
    --audience https://api.example.com --scope orders:read --claim mfa=true`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := t.sign(cmd, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.key, "key", "", "a PEM `FILE` with the private key (RSA, EC, Ed25519; PKCS #8, PKCS #1, SEC 1), or - for stdin (required)")
	f.StringVar(&t.algorithm, "algorithm", "", "the signature `ALGORITHM` (default: RS256, ES256, ES384, ES512 or EdDSA, by the key)")
	f.StringVar(&t.kid, "kid", "", "the key `ID` in the token's header")
	f.StringVar(&t.issuer, "issuer", "", "iss, a `URL`: who issues the token (required)")
	f.StringVar(&t.subject, "subject", "", "sub, an `ID`: who the token is about (required)")
	f.StringArrayVar(&t.audience, "audience", nil, "aud, a `NAME`: who the token is for; repeat for more (required)")
	f.StringArrayVar(&t.scopes, "scope", nil, "a `SCOPE`; repeat for more")
	f.StringArrayVar(&t.roles, "role", nil, "a `ROLE`; repeat for more")
	f.StringVar(&t.rolesClaim, "roles-claim", "roles", "the `CLAIM` for roles; dots lead into objects, as in realm_access.roles")
	f.StringVar(&t.expires, "expires", "10m", "exp: a `DURATION` from now; negative for a token that has expired")
	f.StringArrayVar(&t.claims, "claim", nil, "another claim as `NAME=VALUE`, where VALUE is JSON or else a text; repeat for more")
	return cmd
}

func (t *tokenFlags) sign(cmd *cobra.Command, now time.Time) (string, error) {
	claims, err := t.payload(now)
	errs := []error{err}
	for _, required := range [][2]string{{"key", t.key}, {"issuer", t.issuer}, {"subject", t.subject}, {"audience", strings.Join(t.audience, "")}} {
		if required[1] == "" {
			errs = append(errs, fmt.Errorf("--%s is needed", required[0]))
		}
	}
	errs = append(errs, listed("scope", t.scopes), listed("audience", t.audience))
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	key, err := readPrivateKey(cmd.InOrStdin(), t.key)
	if err != nil {
		return "", err
	}
	method, err := signingMethod(key, t.algorithm)
	if err != nil {
		return "", err
	}
	token := golangjwt.NewWithClaims(method, claims)
	if t.kid != "" {
		token.Header["kid"] = t.kid
	}
	return token.SignedString(key)
}

// payload makes the claims. A claim has one source: one given twice is refused.
func (t *tokenFlags) payload(now time.Time) (golangjwt.MapClaims, error) {
	lifetime, err := caddy.ParseDuration(t.expires)
	if err != nil {
		return nil, fmt.Errorf("--expires %q is not a duration", t.expires)
	}
	claims := golangjwt.MapClaims{
		"iss": t.issuer, "sub": t.subject, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "jti": rand.Text(),
	}
	if lifetime < 0 {
		claims["iat"] = now.Add(lifetime - time.Minute).Unix()
	}
	switch len(t.audience) {
	case 0:
	case 1:
		claims["aud"] = t.audience[0]
	default:
		claims["aud"] = t.audience
	}
	if len(t.scopes) > 0 {
		claims["scope"] = strings.Join(t.scopes, " ") // RFC 8693 section 4.2
	}
	var errs []error
	if len(t.roles) > 0 {
		errs = append(errs, setPath(claims, t.rolesClaim, t.roles))
	}
	for _, c := range t.claims {
		errs = append(errs, setClaim(claims, c))
	}
	return claims, errors.Join(errs...)
}

// setPath sets a claim by its path, and makes the objects on the way.
func setPath(claims map[string]any, path string, value any) error {
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		inner, exists := claims[step].(map[string]any)
		if !exists {
			if claims[step] != nil {
				return fmt.Errorf("--roles-claim %s: the claim %s is no object", path, step)
			}
			inner = make(map[string]any)
			claims[step] = inner
		}
		claims = inner
	}
	last := steps[len(steps)-1]
	if last == "" || claims[last] != nil {
		return fmt.Errorf("--roles-claim %q names no claim of its own", path)
	}
	claims[last] = value
	return nil
}

func setClaim(claims map[string]any, flag string) error {
	name, text, ok := strings.Cut(flag, "=")
	if !ok || name == "" {
		return fmt.Errorf("--claim %q is not NAME=VALUE", flag)
	}
	if _, exists := claims[name]; exists {
		return fmt.Errorf("--claim %s: the claim is set already", name)
	}
	var value any = text
	if json.Valid([]byte(text)) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber() // a number stays as it is written
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("--claim %s: %w", name, err)
		}
	} else if strings.ContainsAny(text[:min(1, len(text))], `{["`) {
		return fmt.Errorf("--claim %s: the value begins like JSON, but is none", name)
	}
	claims[name] = value
	return nil
}

// readPrivateKey reads the first private key of a PEM file. Errors never repeat
// what is in it.
func readPrivateKey(stdin io.Reader, path string) (crypto.Signer, error) {
	var (
		data []byte
		err  error
	)
	if path == standardInput {
		path = "stdin"
		data, err = io.ReadAll(io.LimitReader(stdin, 1<<20))
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var key any
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, fmt.Errorf("%s: the private key is encrypted, which is not supported", path)
		default:
			continue // parameters of a curve, certificates
		}
		if signer, ok := key.(crypto.Signer); ok && err == nil {
			return signer, nil
		}
		return nil, fmt.Errorf("%s: the private key cannot be read", path)
	}
	return nil, fmt.Errorf("%s: no private key in PEM form", path)
}

// signingMethods are the algorithms by key type; the first is the default.
var signingMethods = map[string][]string{
	"RSA": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
	"256": {"ES256"}, "384": {"ES384"}, "521": {"ES512"},
	"Ed25519": {"EdDSA"},
}

func signingMethod(key crypto.Signer, algorithm string) (golangjwt.SigningMethod, error) {
	kind := "Ed25519"
	switch k := key.(type) {
	case *rsa.PrivateKey:
		kind = "RSA"
	case *ecdsa.PrivateKey:
		kind = fmt.Sprint(k.Curve.Params().BitSize)
	case ed25519.PrivateKey:
	default:
		kind = ""
	}
	fitting := signingMethods[kind]
	switch {
	case len(fitting) == 0:
		return nil, errors.New("the private key is of a kind that signs no tokens")
	case algorithm == "":
		algorithm = fitting[0]
	case !slices.Contains(fitting, algorithm):
		return nil, fmt.Errorf("--algorithm %s does not fit the key: %s", algorithm, strings.Join(fitting, ", "))
	}
	return golangjwt.GetSigningMethod(algorithm), nil
}
