package ociauth_test

import (
	"testing"

	"outlast.example/go/internal/cloudtest"
)

func TestTheExampleOfTheReadme(t *testing.T) {
	cloudtest.RunExamples(t, "../README.md", "go ociauth", 1)
}
