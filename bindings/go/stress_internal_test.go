//go:build outlast_gcstress

package outlast

import "testing"

// The tag is worth something only if it does what it says.
func TestTheTagCollects(t *testing.T) {
	before := collections.Load()
	HasFeature("upload.path")
	if collections.Load() == before {
		t.Error("nothing was collected")
	}
}
