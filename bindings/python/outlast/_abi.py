"""The C ABI as ctypes sees it. Generated from include/outlast.h by tools/abi.py; change it there."""

# fmt: off
# mypy: ignore-errors
from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint8,
                    c_uint32, c_uint64, c_void_p)

ABI_VERSION = 1
OK = 0
E_INVALID = -2
E_CONFIG = -3
E_SIGN_IN_NEEDED = -4
E_AUTH = -5
E_PERMISSION = -6
E_NOT_FOUND = -7
E_PRECONDITION = -8
E_INTEGRITY = -9
E_SOURCE_CHANGED = -10
E_SOURCE = -11
E_NETWORK = -12
E_SERVICE = -13
E_TIMEOUT = -14
E_STATE = -15
E_BUSY = -16
E_CANCELLED = -17
E_PROTOCOL = -18
E_INTERNAL = -19
E_PANIC = -90
E_FORKED = -91
E_BUFFER = -92
RETRY_NEVER = 0
RETRY_LATER = 1
RETRY_AFTER_SIGN_IN = 2
RETRY_EXHAUSTED = 3
EVENT_REFRESHED = 1
EVENT_REJECTED = 2
EVENT_REFRESH_FAILED = 3
EVENT_HORIZON_LEARNED = 4
EVENT_EXPIRING = 5
EVENT_WILL_OUTLIVE_SESSION = 6
EVENT_PARKED = 7
EVENT_RESUMED = 8
EVENT_CLOCK_SKEW = 9
EVENT_CREDENTIAL_WANTED = 10
EVENT_CHAIN_ENDED = 11
EVENT_HANDED_OVER = 12
EVENT_STARTED = 20
EVENT_PART_STARTED = 21
EVENT_PART_STORED = 22
EVENT_RETRYING = 23
EVENT_PART_HELD = 24
EVENT_REMARK = 25
EVENT_PAUSED = 26
EVENT_UNPAUSED = 27
EVENT_PROGRESS = 28
EVENT_FINISHED = 29
EVENT_CLOSED = 40
FLAG_REUSED = 1
FLAG_RESUMABLE = 2
FLAG_EXCHANGED = 4
SESSION_EMPTY = 0
SESSION_FRESH = 1
SESSION_ADVISORY = 2
SESSION_MANDATORY = 3
SESSION_PARKED = 4
SESSION_DEAD = 5
SOURCE_PATH = 1
SOURCE_FD = 2
SOURCE_BYTES = 3
SOURCE_READ = 4
SOURCE_WRITER = 5
INTEGRITY_VERIFY = 1
INTEGRITY_OFF = 2
PARALLEL_AUTO = 4294967295
CHECKSUM_CRC32C = 1
CHECKSUM_SHA256 = 2
CHECKSUM_SHA384 = 3
ON_FAILURE_RETAIN = 1
ON_FAILURE_ABORT = 2


class outlast_str(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class outlast_event(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("kind", c_uint32),
        ("flags", c_uint32),
        ("time_unix_ms", c_int64),
        ("session", c_uint64),
        ("upload", c_uint64),
        ("user_data", c_void_p),
        ("generation", c_uint64),
        ("request", c_uint64),
        ("bytes", c_uint64),
        ("total", c_uint64),
        ("part", c_uint32),
        ("count", c_uint32),
        ("moment_unix_ms", c_int64),
        ("horizon_unix_ms", c_int64),
        ("delay_ms", c_int64),
        ("status", c_int32),
        ("reserved", c_uint32),
        ("text", outlast_str),
        ("principal", outlast_str),
        ("error", c_void_p),
        ("owned", c_void_p),
    ]


class outlast_client_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("workers", c_uint32),
        ("allow_http", c_uint32),
        ("connection_timeout_ms", c_uint64),
        ("read_timeout_ms", c_uint64),
        ("limit_rate", c_uint64),
        ("io_buffer_bytes", c_uint64),
        ("state_dir", outlast_str),
        ("cert_bundle", outlast_str),
        ("proxy", outlast_str),
        ("opc_client_request_id", outlast_str),
        ("debug_fn", c_void_p),
        ("debug_data", c_void_p),
        ("debug_free_fn", c_void_p),
    ]


class outlast_token(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("len", c_size_t),
        ("generation", c_uint64),
        ("expires_unix_ms", c_int64),
    ]


class outlast_request(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("method", outlast_str),
        ("url", outlast_str),
        ("sign_body", c_uint32),
        ("reserved", c_uint32),
        ("content_type", outlast_str),
        ("body", outlast_str),
    ]


class outlast_session_status(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("state", c_uint32),
        ("reserved", c_uint32),
        ("generation", c_uint64),
        ("issued_unix_ms", c_int64),
        ("expires_unix_ms", c_int64),
        ("horizon_unix_ms", c_int64),
        ("refreshes", c_uint64),
    ]


class outlast_oci_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("config_file", outlast_str),
        ("profile", outlast_str),
        ("cli_rc_file", outlast_str),
        ("auth", outlast_str),
        ("region", outlast_str),
        ("endpoint", outlast_str),
        ("auth_endpoint", outlast_str),
        ("namespace_name", outlast_str),
        ("passphrase", outlast_str),
        ("wait_for_login_ms", c_uint64),
        ("timer", c_uint32),
        ("read_only", c_uint32),
        ("mint_session_minutes", c_uint32),
        ("realm_specific_endpoint", c_uint32),
        ("enable_dual_stack", c_uint32),
        ("reserved", c_uint32),
        ("user_data", c_void_p),
    ]


class outlast_defined_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", outlast_str),
        ("sessions_file", outlast_str),
        ("endpoint", outlast_str),
        ("wait_for_login_ms", c_uint64),
        ("timer", c_uint32),
        ("reserved", c_uint32),
        ("user_data", c_void_p),
    ]


class outlast_supplied_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("endpoint", outlast_str),
        ("title", outlast_str),
        ("supply_timeout_ms", c_uint64),
        ("wait_for_login_ms", c_uint64),
        ("timer", c_uint32),
        ("reserved", c_uint32),
        ("user_data", c_void_p),
    ]


class outlast_service_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("profile", POINTER(outlast_oci_options)),
        ("name", outlast_str),
        ("sessions_file", outlast_str),
        ("principal", outlast_str),
        ("audit_file", outlast_str),
    ]


class outlast_credential(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("token", outlast_str),
        ("token_type", outlast_str),
        ("key_id", outlast_str),
        ("private_key", outlast_str),
        ("passphrase", outlast_str),
        ("expires_unix_ms", c_int64),
        ("horizon_unix_ms", c_int64),
    ]


class outlast_pair(Structure):
    _fields_ = [
        ("name", outlast_str),
        ("value", outlast_str),
    ]


class outlast_upload_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("namespace_name", outlast_str),
        ("bucket_name", outlast_str),
        ("name", outlast_str),
        ("source", c_uint32),
        ("fd", c_int32),
        ("file", outlast_str),
        ("bytes", outlast_str),
        ("read_fn", c_void_p),
        ("source_data", c_void_p),
        ("free_fn", c_void_p),
        ("writer", c_void_p),
        ("part_size_bytes", c_uint64),
        ("parallel_upload_count", c_uint32),
        ("no_multipart", c_uint32),
        ("integrity", c_uint32),
        ("opc_checksum_algorithm", c_uint32),
        ("verify_checksum", c_uint32),
        ("no_overwrite", c_uint32),
        ("on_failure", c_uint32),
        ("max_retries", c_uint32),
        ("no_retry", c_uint32),
        ("restart", c_uint32),
        ("progress_interval_ms", c_uint32),
        ("reserved", c_uint32),
        ("if_match", outlast_str),
        ("content_type", outlast_str),
        ("content_language", outlast_str),
        ("content_encoding", outlast_str),
        ("content_disposition", outlast_str),
        ("cache_control", outlast_str),
        ("storage_tier", outlast_str),
        ("opc_sse_kms_key_id", outlast_str),
        ("encryption_key", outlast_str),
        ("encryption_key_sha256", outlast_str),
        ("content_md5", outlast_str),
        ("opc_content_crc32c", outlast_str),
        ("opc_content_sha256", outlast_str),
        ("opc_content_sha384", outlast_str),
        ("metadata", POINTER(outlast_pair)),
        ("metadata_count", c_size_t),
        ("events", c_void_p),
        ("user_data", c_void_p),
    ]


class outlast_upload_result(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("object_bytes", c_uint64),
        ("parts", c_uint32),
        ("parts_reused", c_uint32),
        ("retries", c_uint32),
        ("refusals", c_uint32),
        ("verified", c_uint32),
        ("reserved", c_uint32),
        ("etag", outlast_str),
        ("upload_id", outlast_str),
        ("version_id", outlast_str),
        ("last_modified", outlast_str),
        ("content_md5", outlast_str),
        ("multipart_md5", outlast_str),
        ("crc32c", outlast_str),
        ("sha256", outlast_str),
        ("sha384", outlast_str),
        ("multipart_sha256", outlast_str),
        ("multipart_sha384", outlast_str),
    ]


class outlast_progress(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("total_bytes", c_int64),
        ("stored_bytes", c_uint64),
        ("in_flight_bytes", c_uint64),
        ("parts_total", c_uint32),
        ("parts_stored", c_uint32),
        ("parts_reused", c_uint32),
        ("parts_in_flight", c_uint32),
        ("retries", c_uint32),
        ("refusals", c_uint32),
        ("parked", c_uint32),
        ("paused", c_uint32),
        ("bytes_per_second", c_double),
        ("eta_ms", c_int64),
    ]


outlast_debug_fn = CFUNCTYPE(None, outlast_str, c_void_p)
outlast_free_fn = CFUNCTYPE(None, c_void_p)
outlast_event_fn = CFUNCTYPE(None, POINTER(outlast_event), c_void_p)
outlast_read_fn = CFUNCTYPE(c_int64, c_void_p, c_size_t, c_void_p)


# name: result, arguments
FUNCTIONS = {
    "outlast_abi_version": (c_uint32, []),
    "outlast_version": (c_char_p, []),
    "outlast_has_feature": (c_int32, [outlast_str]),
    "outlast_status_name": (c_char_p, [c_int32]),
    "outlast_error_code": (c_int32, [c_void_p]),
    "outlast_error_message": (outlast_str, [c_void_p]),
    "outlast_error_retry": (c_int32, [c_void_p]),
    "outlast_error_retry_after_ms": (c_int64, [c_void_p]),
    "outlast_error_http_status": (c_int32, [c_void_p]),
    "outlast_error_service_code": (outlast_str, [c_void_p]),
    "outlast_error_request_id": (outlast_str, [c_void_p]),
    "outlast_error_part_number": (c_uint32, [c_void_p]),
    "outlast_error_free": (None, [c_void_p]),
    "outlast_event_clear": (None, [POINTER(outlast_event)]),
    "outlast_queue_new": (c_int32, [POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_queue_fd": (c_int32, [c_void_p]),
    "outlast_queue_next": (c_int32, [c_void_p, c_int64, POINTER(outlast_event), POINTER(c_void_p)]),
    "outlast_queue_lost": (c_uint64, [c_void_p]),
    "outlast_queue_free": (None, [c_void_p]),
    "outlast_client_new": (c_int32, [POINTER(outlast_client_options), c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_client_close": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "outlast_client_free": (None, [c_void_p]),
    "outlast_client_lifeline": (c_int32, [c_void_p, POINTER(c_int32), POINTER(c_void_p)]),
    "outlast_client_limit_rate": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "outlast_client_on_event": (c_int32, [c_void_p, outlast_event_fn, c_void_p, outlast_free_fn, POINTER(c_void_p)]),
    "outlast_session_number": (c_uint64, [c_void_p]),
    "outlast_session_token": (c_int32, [c_void_p, c_int64, c_void_p, c_size_t, POINTER(outlast_token), POINTER(c_void_p)]),
    "outlast_session_sign": (c_int32, [c_void_p, POINTER(outlast_request), c_int64, POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_session_sign_digest": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_uint64), POINTER(c_void_p)]),
    "outlast_session_reject": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "outlast_session_accept": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "outlast_session_refresh": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "outlast_session_look": (c_int32, [c_void_p, POINTER(outlast_session_status), POINTER(c_void_p)]),
    "outlast_session_hold": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_session_release": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_session_touch": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_session_namespace": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_void_p)]),
    "outlast_session_free": (None, [c_void_p]),
    "outlast_session_open_oci": (c_int32, [c_void_p, POINTER(outlast_oci_options), POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_session_open_defined": (c_int32, [c_void_p, POINTER(outlast_defined_options), POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_session_open_supplied": (c_int32, [c_void_p, POINTER(outlast_supplied_options), POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_session_service": (c_int32, [c_void_p, POINTER(outlast_service_options), POINTER(c_void_p)]),
    "outlast_session_supply": (c_int32, [c_void_p, c_uint64, POINTER(outlast_credential), POINTER(c_void_p)]),
    "outlast_session_supply_failed": (c_int32, [c_void_p, c_uint64, c_uint32, c_uint64, outlast_str, POINTER(c_void_p)]),
    "outlast_headers_count": (c_size_t, [c_void_p]),
    "outlast_headers_name": (outlast_str, [c_void_p, c_size_t]),
    "outlast_headers_value": (outlast_str, [c_void_p, c_size_t]),
    "outlast_headers_generation": (c_uint64, [c_void_p]),
    "outlast_headers_free": (None, [c_void_p]),
    "outlast_upload_start": (c_int32, [c_void_p, c_void_p, POINTER(outlast_upload_options), POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_upload_wait": (c_int32, [c_void_p, c_int64, POINTER(outlast_upload_result), POINTER(c_void_p)]),
    "outlast_upload_progress": (c_int32, [c_void_p, POINTER(outlast_progress), POINTER(c_void_p)]),
    "outlast_upload_pause": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_upload_resume": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_upload_cancel": (c_int32, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "outlast_upload_is_resumable": (c_int32, [c_void_p]),
    "outlast_upload_number": (c_uint64, [c_void_p]),
    "outlast_upload_free": (None, [c_void_p]),
    "outlast_writer_new": (c_int32, [POINTER(c_void_p), POINTER(c_void_p)]),
    "outlast_writer_write": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, POINTER(c_size_t), POINTER(c_void_p)]),
    "outlast_writer_finish": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_writer_abandon": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "outlast_writer_free": (None, [c_void_p]),
}


def bind(path):
    """Loads the library at `path` and gives its functions their types."""
    library = CDLL(path)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
