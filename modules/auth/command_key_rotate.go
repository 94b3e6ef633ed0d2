package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
)

const (
	defaultOverlap = "24h"
	// never is the value of --expires for a key without an end.
	never = "never"
)

func newKeyRotateCommand() *cobra.Command {
	var (
		file, pepperFile, pepperEnv, overlap, expires string
		asJSON                                        bool
		how                                           apikey.Rotation
	)
	cmd := &cobra.Command{
		Use:   "rotate ID (--pepper-file FILE | --pepper-env NAME)",
		Short: "Replace an API key and print the new one, once",
		Long: `Make a key that takes the place of the one with this id, and print it on stdout.

It has the owner, scopes, roles, tier and addresses of the old one, which goes on
working for the overlap, unless it expires before. A key that expires is followed
by one of which you say when it does, or that it never does.`,
		Example: `  caddy sallyport key rotate k7f3a --overlap 24h --expires 90d --pepper-file pepper`,
		Args:    oneID("rotate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs [3]error
			how.Overlap, errs[0] = parseOverlap(overlap)
			if how.Never = expires == never; !how.Never {
				how.Expires, errs[1] = parseMoment(expires, time.Now())
			}
			var pepper string
			pepper, errs[2] = resolveSecret(cmd, "pepper", pepperFile, pepperEnv)
			if err := errors.Join(errs[:]...); err != nil {
				return err
			}
			key, old, created, err := apikey.Rotate(file, []byte(pepper), args[0], how)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]keyView{"old": {Record: old}, "new": {Key: key, Record: created}})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Key %s is %s.\nKey %s of %s takes its place, %s. It is shown only now:\n",
				old.ID, expiry(old), created.ID, created.Owner, expiry(created))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
	addKeyFlags(cmd, &file, &pepperFile, &pepperEnv)
	f := cmd.Flags()
	f.StringVar(&how.ID, "id", "", "the new key's `ID`: lower-case letters and digits (default: a random one)")
	f.StringVar(&overlap, "overlap", defaultOverlap, "how `LONG` the old key stays good; 0 ends it now")
	f.StringVar(&expires, "expires", "", "`WHEN` the new key ends: a duration such as 90d, a moment (RFC 3339) or never (default: never, if the old one never does)")
	f.BoolVar(&asJSON, "json", false, "print the key and both records as JSON")
	return cmd
}

func parseOverlap(s string) (time.Duration, error) {
	d, err := caddy.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--overlap %q is no duration such as 24h", s)
	}
	return d, nil
}

// oneID wants one id, which is not repeated in the error: it may be a key.
func oneID(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return errors.New(command + " takes one id")
		}
		return nil
	}
}
