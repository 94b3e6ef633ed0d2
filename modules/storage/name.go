package storage

import (
	"path"
	"slices"
	"strings"
)

// clean returns the one form of a name: without leading and trailing slashes and
// empty, "." and ".." parts, as a file system reads it. The root is "".
func clean(name string) string {
	if name == "" {
		return ""
	}
	return path.Clean("/" + name)[1:]
}

// withDirectories adds to the sorted names of files below dir the directories
// between, each in front of what is in it, as a walk finds them.
func withDirectories(dir string, files []string) []string {
	base := 0
	if dir != "" {
		base = len(dir) + 1
	}
	out := make([]string, 0, len(files))
	seen := make(map[string]bool)
	for _, file := range files {
		for i := base; i < len(file); i++ {
			if file[i] == '/' && !seen[file[:i]] {
				seen[file[:i]] = true
				out = append(out, file[:i])
			}
		}
		out = append(out, file)
	}
	slices.SortFunc(out, compare)
	return out
}

// compare orders names part by part, as a walk does: what is in "a" comes before
// "a-b", although '-' sorts before '/'.
func compare(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

// below returns found, a clean name below dir, as the caller who asked for dir as
// written names it.
func below(written, dir, found string) string {
	return path.Join(written, strings.TrimPrefix(strings.TrimPrefix(found, dir), "/"))
}
