package app_test

import (
	"encoding/json"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

func TestTheStandardLibraryLogsToTheDefaultLog(t *testing.T) {
	file := t.TempDir() + "/default.log"
	globals := strings.Replace(gatetest.Globals, "output discard", "output file "+file, 1)
	g := gatetest.Run(t, globals+"{$ADDR} {\n\trespond ok\n}\n"+"http://127.0.0.1:0 {\n\tallowlist {\n\t\tdeny 192.0.2.1\n\t}\n}\n")
	for _, line := range []string{"before a reload", "after a reload"} {
		log.Print(line)
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), line) {
			t.Errorf("%q is not in the log: %v\n%s", line, err, content)
		}
		if err := g.Reload(t, globals+"{$ADDR} {\n\trespond again\n}\n"+"http://127.0.0.1:0 {\n\tallowlist {\n\t\tdeny 192.0.2.1\n\t}\n}\n"); err != nil {
			t.Fatal(err)
		}
	}
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
