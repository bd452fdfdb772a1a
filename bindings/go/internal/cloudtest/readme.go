package cloudtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What examples may use, by the name that stands before the dot.
var packages = map[string]string{
	"common":        "github.com/oracle/oci-go-sdk/v65/common",
	"context":       "context",
	"errors":        "errors",
	"fmt":           "fmt",
	"gzip":          "compress/gzip",
	"http":          "net/http",
	"httpauth":      "outlast.example/go/httpauth",
	"io":            "io",
	"objectstorage": "github.com/oracle/oci-go-sdk/v65/objectstorage",
	"ociauth":       "outlast.example/go/ociauth",
	"os":            "os",
	"outlast":       "outlast.example/go",
	"signal":        "os/signal",
}

// The region that examples name.
const region = "https://objectstorage.us-phoenix-1.oraclecloud.com"

// RunExamples builds all blocks of a README that begin with a fence, in the module of the current directory, and runs each
// against the loopback cloud, in a directory with what examples find there. They must number count.
func RunExamples(t *testing.T, readme, fence string, count int) {
	text, err := os.ReadFile(readme)
	Check(t, err)
	blocks := regexp.MustCompile("(?s)```"+fence+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != count {
		t.Fatalf("%d examples, not %d", len(blocks), count)
	}
	cloud := Start(t)
	var program strings.Builder
	imports := map[string]bool{"context": true, "fmt": true, "os": true}
	for _, block := range blocks {
		for _, used := range regexp.MustCompile(`\b([a-z0-9]+)\.[A-Z]`).FindAllStringSubmatch(block[1], -1) {
			if path, known := packages[used[1]]; known {
				imports[path] = true
			}
		}
	}
	program.WriteString("package main\n\nimport (\n")
	for path := range imports {
		fmt.Fprintf(&program, "\t%q\n", path)
	}
	program.WriteString(")\n\nvar examples = map[string]func(context.Context) error{\n")
	for number, block := range blocks {
		code := strings.ReplaceAll(block[1], region, cloud.Endpoint)
		// The SDK takes its address from the region only, and finds the home directory without asking the environment.
		code = strings.ReplaceAll(code, `Provider("", "LAB")`, `Provider(os.Getenv("HOME")+"/.oci/config", "LAB")`)
		code = strings.ReplaceAll(code, "ociauth.Attach(", fmt.Sprintf("client.Host = %q\nociauth.Attach(", cloud.Endpoint))
		fmt.Fprintf(&program, "\"%d\": func(ctx context.Context) error {\n%s\nreturn nil\n},\n", number+1, code)
	}
	program.WriteString("}\n\nfunc main() {\n\tif err := examples[os.Args[1]](context.Background()); err != nil {\n\t\tfmt.Println(err)\n\t\tos.Exit(1)\n\t}\n}\n")
	source := filepath.Join(t.TempDir(), "main.go")
	Check(t, os.WriteFile(source, []byte(program.String()), 0o600))
	binary := strings.TrimSuffix(source, ".go")
	if said, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, said, program.String())
	}
	cloud.Control("bucket", map[string]any{"name": "backups"})
	for number := range blocks {
		t.Run(fmt.Sprint(number+1), func(t *testing.T) { cloud.runExample(t, binary, number+1) })
	}
}

func (c *Cloud) runExample(t *testing.T, binary string, number int) {
	home := t.TempDir()
	Check(t, os.Mkdir(filepath.Join(home, ".oci"), 0o700))
	login := c.SignIn(time.Hour)
	config, err := os.ReadFile(login.ConfigFile)
	Check(t, err)
	// Examples call their profile LAB.
	config = []byte(strings.ReplaceAll(string(config), "["+login.Profile+"]", "[LAB]"))
	Check(t, os.WriteFile(filepath.Join(home, ".oci", "config"), config, 0o600))
	Check(t, os.WriteFile(filepath.Join(home, "db.tar"), Random(100_000), 0o600))
	for name, file := range map[string]string{"token": login.TokenFile, "oci_api_key.pem": login.KeyFile} {
		content, err := os.ReadFile(file)
		Check(t, err)
		Check(t, os.WriteFile(filepath.Join(home, name), content, 0o600))
	}
	command := exec.Command(binary, fmt.Sprint(number))
	command.Dir = home
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "OCI_") }),
		"HOME="+home, "XDG_STATE_HOME="+home, "OCI_CLI_ENDPOINT="+c.Endpoint)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}
