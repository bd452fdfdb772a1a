package layout_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"outlast.example/go/internal/cloudtest"
	"outlast.example/go/internal/layout"
)

var (
	comment = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	structs = regexp.MustCompile(`(?s)typedef struct (\w+) \{(.*?)\} \w+;`)
	field   = regexp.MustCompile(`(\w+);`)
)

// The repository's header, the C compiler and cgo agree: on which structs there are, on their fields, on where these are.
func TestLayoutsAreThoseOfTheCompiler(t *testing.T) {
	header, err := filepath.Abs("../../../../include/outlast.h")
	cloudtest.Check(t, err)
	text, err := os.ReadFile(header)
	cloudtest.Check(t, err)
	ours := layout.Structs()
	var program, want strings.Builder
	program.WriteString("#include <stdio.h>\n#include \"outlast.h\"\nint main(void) {\n")
	var names []string
	for _, found := range structs.FindAllStringSubmatch(comment.ReplaceAllString(string(text), ""), -1) {
		name := found[1]
		names = append(names, name)
		kind, known := ours[name]
		if !known {
			continue
		}
		fmt.Fprintf(&program, "  printf(\"%s %%zu\\n\", sizeof(%s));\n", name, name)
		fmt.Fprintf(&want, "%s %d\n", name, kind.Size())
		for _, found := range field.FindAllStringSubmatch(found[2], -1) {
			member, known := kind.FieldByName(found[1])
			if !known {
				t.Errorf("cgo does not know %s.%s", name, found[1])
			}
			fmt.Fprintf(&program, "  printf(\"%s.%s %%zu %%zu\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n",
				name, found[1], name, found[1], name, found[1])
			fmt.Fprintf(&want, "%s.%s %d %d\n", name, found[1], member.Offset, member.Type.Size())
		}
	}
	program.WriteString("  return 0;\n}\n")
	slices.Sort(names)
	if known := slices.Sorted(maps.Keys(ours)); !slices.Equal(names, known) {
		t.Fatalf("the header has %v, we know %v", names, known)
	}
	source := filepath.Join(t.TempDir(), "layout.c")
	cloudtest.Check(t, os.WriteFile(source, []byte(program.String()), 0o600))
	binary := strings.TrimSuffix(source, ".c")
	if said, err := exec.Command("cc", "-I", filepath.Dir(header), source, "-o", binary).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	got, err := exec.Command(binary).Output()
	cloudtest.Check(t, err)
	if string(got) != want.String() {
		t.Errorf("the compiler says\n%s\ncgo says\n%s", got, want.String())
	}
	if strings.Count(want.String(), "\n") < 150 {
		t.Errorf("only %d facts were compared", strings.Count(want.String(), "\n"))
	}
}
