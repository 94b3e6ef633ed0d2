package auth

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

// defaultKeyFile is the key file of the reference configuration.
const defaultKeyFile = "keys.json"

// newKeyCommand is `caddy sallyport key`.
func newKeyCommand() *cobra.Command {
	cmd := command.Group(&cobra.Command{
		Use:   "key",
		Short: "Create, rotate, revoke, list and import API keys",
		Long: `Create, rotate, revoke, list and import the API keys in the file of an api_key block.

The file holds hashes of the keys, never keys. A running gateway rereads it
within about a second; no reload is needed. The file with .lock behind its name
keeps two of these commands from writing at once; it stays, empty.`,
	})
	cmd.AddCommand(newKeyCreateCommand(), newKeyRotateCommand(), newKeyRevokeCommand(), newKeyListCommand(), newKeyImportCommand())
	return cmd
}

// keyView is a key for a program to read: the record without its hash.
type keyView struct {
	Key string `json:"key,omitempty"` // only when it was just created
	apikey.Record
	// Hash takes the place of the record's, which is of no use outside the file.
	Hash string `json:"hash,omitempty"`
	// State is what a use of the key would run into: active, expired, not yet or
	// revoked.
	State string `json:"state,omitempty"`
}

// views shows records as they are now.
func views(records []apikey.Record, now time.Time) []keyView {
	list := make([]keyView, len(records))
	for i, r := range records {
		list[i] = keyView{Record: r, State: stateAt(r, now)}
	}
	return list
}

// addKeyFlags adds the flags of all commands that make hashes.
func addKeyFlags(cmd *cobra.Command, file, pepperFile, pepperEnv *string) {
	f := cmd.Flags()
	f.StringVar(file, "file", defaultKeyFile, "the key `FILE`")
	f.StringVar(pepperFile, "pepper-file", "", "a `FILE` with the pepper, or - for stdin")
	f.StringVar(pepperEnv, "pepper-env", "", "the `NAME` of the environment variable with the pepper")
}

func newKeyCreateCommand() *cobra.Command {
	var (
		file, pepperFile, pepperEnv, expires, notBefore string
		asJSON                                          bool
		r                                               apikey.Record
	)
	cmd := &cobra.Command{
		Use:   "create --owner NAME (--pepper-file FILE | --pepper-env NAME)",
		Short: "Create an API key and print it, once",
		Long: `Create an API key, add its hash to the key file, and print the key on stdout.

This is the only time the key can be seen. The file is created if it does not
exist, readable for you only; an existing one keeps its owner, its group and who may read it.`,
		Example: `  caddy sallyport key create --owner acme --scope orders:read --expires 90d --pepper-file pepper`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var errs [4]error
			now := time.Now()
			r.Expires, errs[0] = parseMoment(expires, now)
			r.NotBefore, errs[1] = parseMoment(notBefore, now)
			errs[2] = listed("scope", r.Scopes)
			var pepper string
			pepper, errs[3] = resolveSecret(cmd, "pepper", pepperFile, pepperEnv)
			if err := errors.Join(errs[:]...); err != nil {
				return err
			}
			key, created, err := apikey.Create(file, []byte(pepper), r)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), keyView{Key: key, Record: created})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Key %s of %s, %s. It is shown only now:\n", created.ID, created.Owner, expiry(created))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
	addKeyFlags(cmd, &file, &pepperFile, &pepperEnv)
	f := cmd.Flags()
	f.StringVar(&r.ID, "id", "", "the key's `ID`: lower-case letters and digits (default: a random one)")
	f.StringVar(&r.Owner, "owner", "", "the `NAME` of who the key is for: the principal's id (required)")
	f.StringArrayVar(&r.Scopes, "scope", nil, "a `SCOPE` of the key; repeat for more")
	f.StringArrayVar(&r.Roles, "role", nil, "a `ROLE` of the key; repeat for more")
	f.StringVar(&r.Tier, "tier", "", "the `TIER`: the class of service, for quotas")
	f.StringArrayVar(&r.Allow, "allow", nil, "an address or `PREFIX` the key may be used from; repeat for more (default: any)")
	f.StringVar(&expires, "expires", "", "`WHEN` the key ends: a duration such as 90d or a moment (RFC 3339) (default: never)")
	f.StringVar(&notBefore, "not-before", "", "`WHEN` the key begins: a moment (RFC 3339) or a duration from now (default: now)")
	f.BoolVar(&asJSON, "json", false, "print the key and its record as JSON")
	return cmd
}

func expiry(r apikey.Record) string {
	if r.Expires.IsZero() {
		return "which never expires"
	}
	return "good until " + r.Expires.Format(time.RFC3339)
}

func newKeyListCommand() *cobra.Command {
	var (
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys of a file",
		Long:  "List the API keys of a file, without secrets and hashes.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			records, err := apikey.List(file)
			if err != nil {
				return err
			}
			if !asJSON {
				return writeTable(cmd.OutOrStdout(), records, time.Now())
			}
			return writeJSON(cmd.OutOrStdout(), map[string]any{"keys": views(records, time.Now())})
		},
	}
	cmd.Flags().StringVar(&file, "file", defaultKeyFile, "the key `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writeTable(w io.Writer, records []apikey.Record, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tOWNER\tSTATUS\tTIER\tSCOPES\tROLES\tALLOW\tNOT BEFORE\tEXPIRES\tLEFT\tROTATED TO")
	for _, r := range records {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Owner, stateAt(r, now), cmp.Or(r.Tier, "-"),
			joined(r.Scopes), joined(r.Roles), joined(r.Allow), moment(r.NotBefore), moment(r.Expires), left(r, now), cmp.Or(r.RotatedTo, "-"))
	}
	return t.Flush()
}

// stateAt says what a use of the key would run into.
func stateAt(r apikey.Record, now time.Time) string {
	switch {
	case r.Status == apikey.Active && !r.Expires.IsZero() && !now.Before(r.Expires):
		return "expired"
	case r.Status == apikey.Active && now.Before(r.NotBefore):
		return "not yet"
	}
	return string(r.Status)
}

// left says how long a key that is not revoked stays good, roughly: in days, hours
// or minutes, and never too long.
func left(r apikey.Record, now time.Time) string {
	rest := r.Expires.Sub(now)
	switch {
	case r.Expires.IsZero() || r.Status == apikey.Revoked || rest <= 0:
		return "-"
	case rest >= 48*time.Hour:
		return fmt.Sprintf("%dd", rest/(24*time.Hour))
	case rest >= 2*time.Hour:
		return fmt.Sprintf("%dh", rest/time.Hour)
	}
	return fmt.Sprintf("%dm", rest/time.Minute)
}

func joined(list []string) string { return cmp.Or(strings.Join(list, ","), "-") }

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func newKeyRevokeCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an API key",
		Long: `Revoke the API key with this id: of sp_k7f3a_…, the id is k7f3a.

A running gateway refuses it within about a second. The entry stays in the file,
so that the id is not given out again.`,
		Args: oneID("revoke"),
		RunE: func(cmd *cobra.Command, args []string) error {
			changed, err := apikey.Revoke(file, args[0])
			if err != nil {
				return err
			}
			if !changed {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %s was revoked before.\n", args[0])
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %s is revoked.\n", args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&file, "file", defaultKeyFile, "the key `FILE`")
	return cmd
}
