package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

func TestOptionsOutOfJSONAreCheckedToo(t *testing.T) {
	var config caddy.Config
	if err := json.Unmarshal([]byte(`{"admin":{"disabled":true},"apps":{"sallyport":{"canonical":{"mode":"off","allow":["x","encoded_slash","y"]}}}}`), &config); err != nil {
		t.Fatal(err)
	}
	err := caddy.Validate(&config)
	for _, want := range []string{`mode "off"`, `allow[0]: unknown form "x"`, `allow[2]: unknown form "y"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s: %v", want, err)
		}
	}
}
