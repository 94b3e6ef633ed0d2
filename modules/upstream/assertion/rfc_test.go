package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"testing"
)

// The key of RFC 9449 section 4.2, whose thumbprint (RFC 7638) section 6.1 tells.
func TestTheIDOfAKeyIsItsThumbprint(t *testing.T) {
	point := []byte{4}
	for _, coordinate := range []string{"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"} {
		b, err := base64.RawURLEncoding.DecodeString(coordinate)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	// The private part is not told, and not looked at for the id.
	k, err := NewKey(&ecdsa.PrivateKey{PublicKey: *public})
	if err != nil {
		t.Fatal(err)
	}
	if want := "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"; k.ID() != want {
		t.Errorf("got %s, want %s", k.ID(), want)
	}
}
