package app

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "sallyport",
		Short: "Keys, tokens and checks for the Sallyport gateway",
		CobraFunc: func(cmd *cobra.Command) {
			command.Group(cmd)
			cmd.AddCommand(command.All()...)
		},
	})
}
