// Package command collects the subcommands that modules contribute to
// `caddy sallyport`. The app, which owns that command, reads them when Caddy
// builds its command line, after every module's init.
package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

var commands []func() *cobra.Command

// Register adds a subcommand to `caddy sallyport`. Call it from init only.
//
// cobra prints help and exits with 0 for an unknown word behind a command that
// only groups others, which would let a mistyped script succeed: give such a
// parent the arguments of Group.
func Register(newCommand func() *cobra.Command) {
	commands = append(commands, newCommand)
}

// All returns a fresh instance of each registered subcommand.
func All() []*cobra.Command {
	made := make([]*cobra.Command, 0, len(commands))
	for _, newCommand := range commands {
		made = append(made, newCommand())
	}
	return made
}

// Group makes cmd a parent that does nothing itself: called without a known
// subcommand it fails.
func Group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return fmt.Errorf("%s needs a subcommand; see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
	return cmd
}
