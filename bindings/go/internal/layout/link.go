//go:build !outlast_flags

package layout

// #cgo pkg-config: outlast
import "C"
