package outlast_test

import (
	"testing"

	"outlast.example/go/internal/cloudtest"
)

func TestEveryExampleOfTheReadme(t *testing.T) {
	cloudtest.RunExamples(t, "README.md", "go", 7)
	for _, name := range []string{"db.tar", "dump.gz", "with-progress", "watched", "supplied"} {
		if !cloudtest.Start(t).HasIn("backups", name) {
			t.Errorf("no example made %s", name)
		}
	}
}
