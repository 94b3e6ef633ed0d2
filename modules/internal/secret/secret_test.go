package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"pepper": "hot\r\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SALLYPORT_TEST_SECRET", "from the environment")
	t.Setenv("SALLYPORT_TEST_EMPTY", "")
	tests := []struct{ name, written, value, err string }{
		{"file, without its line break", "{file." + dir + "/pepper}", "hot", ""},
		{"environment", "{env.SALLYPORT_TEST_SECRET}", "from the environment", ""},
		{"literal", "hunter2", "", "write a secret as"},
		{"literal around a placeholder", "x{env.SALLYPORT_TEST_SECRET}", "", "write a secret as"},
		{"two placeholders", "{env.A}{env.B}", "", "write a secret as"},
		{"another placeholder", "{http.request.header.X}", "", "write a secret as"},
		{"what Caddy makes of {file.pepper}", "{http.request.uri.path.file.pepper}", "", "write {file../NAME}"},
		{"missing file", "{file." + dir + "/none}", "", "none"},
		{"empty file", "{file." + dir + "/empty}", "", "is empty"},
		{"unset variable", "{env.SALLYPORT_TEST_UNSET}", "", "is not set"},
		{"empty variable", "{env.SALLYPORT_TEST_EMPTY}", "", "is empty"},
		{"nothing", "", "", "write a secret as"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, err := Resolve(tt.written)
			if value != tt.value || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v; want %q, %q", value, err, tt.value, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error shows the value")
			}
		})
	}
}
