//go:build !outlast_flags

package outlast

// With the tag outlast_flags pkg-config is not asked: CGO_CFLAGS and CGO_LDFLAGS say where header and library are.

// #cgo pkg-config: outlast
import "C"
