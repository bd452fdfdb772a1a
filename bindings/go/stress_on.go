//go:build outlast_gcstress

package outlast

import (
	"runtime"
	"sync/atomic"
)

// collections counts how often stress collected.
var collections atomic.Int64

// stress collects garbage: whatever only the library refers to, and should have been kept alive, is gone now.
func stress() {
	collections.Add(1)
	runtime.GC()
}
