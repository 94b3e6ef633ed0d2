package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// rsaBits is the size of new RSA keys: NIST's 128-bit level.
const rsaBits = 3072

func newTokenKeygenCommand() *cobra.Command {
	var out, public, algorithm string
	cmd := &cobra.Command{
		Use:   "keygen --out FILE [--public FILE]",
		Short: "Make a private key for `token sign`",
		Long: `Make a private key (PKCS #8 in PEM, readable for you only), and with --public the
public key that a jwt block takes as its key_file. Existing files are never
overwritten.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return errors.New("--out is needed")
			}
			key, err := generateKey(algorithm)
			if err != nil {
				return err
			}
			if err := writeKeyPair(key, out, public); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Private key: %s\n", out)
			if public != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "Public key: %s\n", public)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "the `FILE` for the private key (required)")
	f.StringVar(&public, "public", "", "the `FILE` for the public key")
	f.StringVar(&algorithm, "algorithm", "ES256", "the `ALGORITHM` the key is to sign with: ES256, ES384, ES512, EdDSA, RS256 … PS512")
	return cmd
}

func generateKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("--algorithm %q is none of ES256, ES384, ES512, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512", algorithm)
}

// writeKeyPair writes both files or none.
func writeKeyPair(key crypto.Signer, out, public string) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeNewPEM(out, "PRIVATE KEY", private, 0o600); err != nil {
		return err
	}
	if public == "" {
		return nil
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err == nil {
		err = writeNewPEM(public, "PUBLIC KEY", spki, 0o644)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out))
	}
	return nil
}

// writeNewPEM writes a file that did not exist before.
func writeNewPEM(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
