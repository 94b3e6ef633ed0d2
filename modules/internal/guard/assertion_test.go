package guard

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func TestAssertionsAreTakenInEverySpelling(t *testing.T) {
	config := new(suite.Config)
	a := assertionsOf(config)
	TakeAssertions(config, "x-gateway-proof")
	TakeAssertions(config, "X-Gateway-Proof")
	h := make(http.Header)
	for _, name := range []string{
		"Sallyport-Assertion", "sallyport_assertion", "SALLYPORT.ASSERTION", "X-Gateway_Proof", "x_gateway.proof", "X-Gateway-Proof",
		"Sallyport-Assertions", "X-Sallyport-Assertion", "Gateway-Proof",
	} {
		h.Add(name, name)
	}
	req := &Request{assertions: a.take(h)}
	if len(h) != 3 {
		t.Errorf("left: %v", h)
	}
	if got := req.Assertions("Sallyport-Assertion"); len(got) != 3 || got[0] != "Sallyport-Assertion" {
		t.Errorf("taken: %q", got)
	}
	if got := req.Assertions("X-Gateway-Proof"); len(got) != 3 {
		t.Errorf("taken: %q", got)
	}
	if a.take(make(http.Header)) != nil {
		t.Error("something was taken from nothing")
	}
	if n := len(*a.spellings.Load()); n != 3+9 {
		t.Errorf("%d spellings", n)
	}
}

func TestTheHeaderOfAssertionsIsOneOfItsOwn(t *testing.T) {
	for _, name := range []string{"", "Host", "Cookie", "X Proof", "X_Proof", "X-Proof.2", "X-A-B-C-D-E", "X-Ü"} {
		if CheckAssertionHeader(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{AssertionHeader, "X-Proof", "x-a-b-c-d"} {
		if err := CheckAssertionHeader(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := Spellings("X-A"); !slices.Equal(got, []string{"X-A", "X_a", "X.a"}) {
		t.Errorf("got %q", got)
	}
}
