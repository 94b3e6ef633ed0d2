package auth

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
)

// importFormats are the values of --format.
var importFormats = map[string]func(io.Reader, bool) ([]apikey.Imported, error){
	"jsonl": apikey.ReadJSONLines,
	"csv":   apikey.ReadCSV,
}

func newKeyImportCommand() *cobra.Command {
	var (
		file, pepperFile, pepperEnv, format string
		plain, asJSON                       bool
	)
	cmd := &cobra.Command{
		Use:   "import (--pepper-file FILE | --pepper-env NAME) < KEYS",
		Short: "Import API keys that were made elsewhere, by their hash",
		Long: `Import keys that were made elsewhere, so that clients can go on using them. They are
read from stdin: all are imported, or none. Their ids are printed on stdout.

Each has id, hash, owner, scopes, roles, tier, allow, not_before, expires and status
as in the key file; only hash and owner are required. The hash is "sha256:" and 64
hexadecimal digits: the SHA-256 of the whole key. The key itself is not needed; the
key file gets another hash, under the pepper. Slow and salted hashes (bcrypt, argon2)
cannot be imported: a key could not be found by what a client sends.

Import only keys that a machine made at random. How long a key is cannot be seen in
its hash, so a key of fewer than 16 or more than 256 bytes is imported and never works.

The format jsonl is a JSON object a line. The format csv has the names in its first
line, and spaces between scopes, roles and addresses.

With --from-plain, key stands in place of hash, with the key itself. It is not stored.
A key of this gateway's own form, sp_<id>_…, keeps its id: this is how keys come
under another pepper.`,
		Example: `  caddy sallyport key import --format csv --pepper-file pepper < keys.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // not repeated: it may be a key
				return errors.New("import takes no arguments: the keys are read from stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			read, ok := importFormats[format]
			if !ok {
				return fmt.Errorf("--format %q is neither jsonl nor csv", format)
			}
			if pepperFile == standardInput {
				return errors.New("the keys are read from stdin: give the pepper in a file or a variable")
			}
			pepper, err := resolveSecret(cmd, "pepper", pepperFile, pepperEnv)
			if err != nil {
				return err
			}
			keys, err := read(cmd.InOrStdin(), plain)
			if err != nil {
				return fmt.Errorf("stdin: %w", err)
			}
			added, err := apikey.Import(file, []byte(pepper), keys)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"keys": views(added, time.Now())})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Keys imported: %d. Their ids:\n", len(added))
			for _, r := range added {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), r.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
	addKeyFlags(cmd, &file, &pepperFile, &pepperEnv)
	f := cmd.Flags()
	f.StringVar(&format, "format", "jsonl", "the `FORMAT` on stdin: jsonl or csv")
	f.BoolVar(&plain, "from-plain", false, "stdin has the keys themselves, and not their hashes")
	f.BoolVar(&asJSON, "json", false, "print the records as JSON")
	return cmd
}
