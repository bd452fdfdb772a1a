// Package layout shows how cgo sees the structs of outlast.h, for a test that asks the C compiler the same.
package layout

// #include <outlast.h>
import "C"

import "reflect"

// Structs are the types that cgo made, by their names in C.
func Structs() map[string]reflect.Type {
	return map[string]reflect.Type{
		"outlast_client_options":   reflect.TypeFor[C.outlast_client_options](),
		"outlast_credential":       reflect.TypeFor[C.outlast_credential](),
		"outlast_defined_options":  reflect.TypeFor[C.outlast_defined_options](),
		"outlast_event":            reflect.TypeFor[C.outlast_event](),
		"outlast_oci_options":      reflect.TypeFor[C.outlast_oci_options](),
		"outlast_pair":             reflect.TypeFor[C.outlast_pair](),
		"outlast_progress":         reflect.TypeFor[C.outlast_progress](),
		"outlast_request":          reflect.TypeFor[C.outlast_request](),
		"outlast_service_options":  reflect.TypeFor[C.outlast_service_options](),
		"outlast_session_status":   reflect.TypeFor[C.outlast_session_status](),
		"outlast_str":              reflect.TypeFor[C.outlast_str](),
		"outlast_supplied_options": reflect.TypeFor[C.outlast_supplied_options](),
		"outlast_token":            reflect.TypeFor[C.outlast_token](),
		"outlast_upload_options":   reflect.TypeFor[C.outlast_upload_options](),
		"outlast_upload_result":    reflect.TypeFor[C.outlast_upload_result](),
	}
}
