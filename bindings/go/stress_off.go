//go:build !outlast_gcstress

package outlast

// stress does nothing; with the tag outlast_gcstress it collects garbage. It is called where memory or handles cross
// between Go and the library.
func stress() {}
