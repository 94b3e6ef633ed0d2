package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "time/tzdata"

	// plug in Caddy modules here
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/sallyport-gateway/sallyport"
)

func main() {
	caddycmd.Main()
}
