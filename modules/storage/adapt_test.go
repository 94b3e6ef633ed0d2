package storage_test

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"

	_ "github.com/sallyport-gateway/sallyport/modules/storage"
)

func TestAdapt(t *testing.T) { gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest") }
