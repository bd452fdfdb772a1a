package outlast

// #include "shim.h"
import "C"

import (
	"math"
	"slices"
	"time"
	"unsafe"
)

// OnFailure says what becomes of the stored parts of an upload that fails or is cancelled.
type OnFailure string

// The choices; "" is Retain.
const (
	// Retain keeps them at the service: the same call, made again, goes on.
	Retain OnFailure = "retain"
	// Abort removes them.
	Abort OnFailure = "abort"
)

// Integrity says whether checksums are computed while sending, and compared with the service's.
type Integrity string

// The choices; "" is IntegrityVerify.
const (
	IntegrityVerify Integrity = "verify"
	IntegrityOff    Integrity = "off"
)

// Checksum is an algorithm.
type Checksum string

// The algorithms; "" is CRC32C.
const (
	CRC32C Checksum = "CRC32C"
	SHA256 Checksum = "SHA256"
	SHA384 Checksum = "SHA384"
)

var (
	onFailures  = map[OnFailure]C.uint32_t{Retain: C.OUTLAST_ON_FAILURE_RETAIN, Abort: C.OUTLAST_ON_FAILURE_ABORT}
	integrities = map[Integrity]C.uint32_t{IntegrityVerify: C.OUTLAST_INTEGRITY_VERIFY, IntegrityOff: C.OUTLAST_INTEGRITY_OFF}
	checksums   = map[Checksum]C.uint32_t{
		CRC32C: C.OUTLAST_CHECKSUM_CRC32C, SHA256: C.OUTLAST_CHECKSUM_SHA256, SHA384: C.OUTLAST_CHECKSUM_SHA384,
	}
)

// ParallelAuto, as ParallelUploadCount, has the engine find out how many requests the link can use.
const ParallelAuto = math.MinInt

// NoProgress, as ProgressInterval, has no progress told.
const NoProgress time.Duration = math.MaxInt64

// UploadOptions says where an object goes and how. Zero means default; names are those of the command line's flags.
type UploadOptions struct {
	// Namespace; "": asked of the service, once.
	Namespace string
	// BucketName is needed.
	BucketName string
	// Name of the object; "": the last piece of the file's path.
	Name string
	// PartSize in bytes; 0: 128 MiB. Raised by itself when the source would need more than 10,000 parts.
	PartSize int64
	// ParallelUploadCount is how many requests are under way at most, 1 to 1,000; 0: 10. [ParallelAuto]: as many as the link
	// turns out to use, at most 100.
	ParallelUploadCount int
	// NoMultipart makes it one request whatever the size.
	NoMultipart bool
	Integrity   Integrity
	// OpcChecksumAlgorithm is the additional checksum asked of the service.
	OpcChecksumAlgorithm Checksum
	// VerifyChecksum compares MD5 of every part as well, at the price of computing it.
	VerifyChecksum bool
	// NoOverwrite fails with [ErrPrecondition] if the object exists.
	NoOverwrite bool
	// IfMatch fails with [ErrPrecondition] unless the object has this etag.
	IfMatch            string
	ContentType        string
	ContentLanguage    string
	ContentEncoding    string
	ContentDisposition string
	CacheControl       string
	// StorageTier: Standard, InfrequentAccess or Archive; "": the bucket's.
	StorageTier string
	// OpcSSEKMSKeyID is the OCID of the master key that the service encrypts the object with.
	OpcSSEKMSKeyID string
	// EncryptionKey is what --encryption-key-file holds: base64 of a customer's 32 bytes, EncryptionKeySHA256 that of their SHA-256.
	EncryptionKey       string
	EncryptionKeySHA256 string
	// ContentMD5 is base64 of the MD5 that the object must have: the service stores nothing else, and the upload fails with
	// [ErrIntegrity]. It goes with a single put only; an object that is sent in parts is refused with [ErrInvalid].
	ContentMD5 string
	// OpcContentCRC32C, OpcContentSHA256 and OpcContentSHA384 are the same of other checksums; at most one of them is given.
	OpcContentCRC32C string
	OpcContentSHA256 string
	OpcContentSHA384 string
	// Metadata by names without "opc-meta-".
	Metadata  map[string]string
	OnFailure OnFailure
	// MaxRetries of one part or request before its failure is final; 0: 59. Refusals (401) do not count.
	MaxRetries int
	// NoRetry sends every request once; refused credentials are still replaced.
	NoRetry bool
	// Restart aborts what an earlier run left and begins anew.
	Restart bool
	// SourceName names a source that is no path in messages, and by it an interrupted upload is found again: the same name
	// for the same bytes.
	SourceName string
	// ProgressInterval is the shortest time between two calls of Progress; 0: 250 ms.
	ProgressInterval time.Duration
	// Progress is told how far the upload is, by the goroutine that waits for it, one call at a time; the last call follows the end.
	Progress func(Progress)
}

func (o *UploadOptions) write(fields *fields, namespace string, user uintptr) *C.outlast_upload_options {
	raw := structOf[C.outlast_upload_options](fields)
	raw.size = C.sizeof_outlast_upload_options
	raw.namespace_name = fields.text(namespace)
	raw.bucket_name = fields.text(o.BucketName)
	raw.name = fields.text(o.Name)
	raw.file = fields.text(o.SourceName)
	raw.part_size_bytes = fields.u64("PartSize", o.PartSize)
	if o.ParallelUploadCount == ParallelAuto {
		raw.parallel_upload_count = C.OUTLAST_PARALLEL_AUTO
	} else {
		raw.parallel_upload_count = fields.u32("ParallelUploadCount", o.ParallelUploadCount)
	}
	raw.no_multipart = fields.flag(o.NoMultipart)
	raw.integrity = choice(fields, "Integrity", o.Integrity, integrities)
	raw.opc_checksum_algorithm = choice(fields, "OpcChecksumAlgorithm", o.OpcChecksumAlgorithm, checksums)
	raw.verify_checksum = fields.flag(o.VerifyChecksum)
	raw.no_overwrite = fields.flag(o.NoOverwrite)
	raw.on_failure = choice(fields, "OnFailure", o.OnFailure, onFailures)
	raw.max_retries = fields.u32("MaxRetries", o.MaxRetries)
	raw.no_retry = fields.flag(o.NoRetry)
	raw.restart = fields.flag(o.Restart)
	raw.if_match = fields.text(o.IfMatch)
	raw.content_type = fields.text(o.ContentType)
	raw.content_language = fields.text(o.ContentLanguage)
	raw.content_encoding = fields.text(o.ContentEncoding)
	raw.content_disposition = fields.text(o.ContentDisposition)
	raw.cache_control = fields.text(o.CacheControl)
	raw.storage_tier = fields.text(o.StorageTier)
	raw.opc_sse_kms_key_id = fields.text(o.OpcSSEKMSKeyID)
	raw.encryption_key = fields.text(o.EncryptionKey)
	raw.encryption_key_sha256 = fields.text(o.EncryptionKeySHA256)
	raw.content_md5 = fields.text(o.ContentMD5)
	raw.opc_content_crc32c = fields.text(o.OpcContentCRC32C)
	raw.opc_content_sha256 = fields.text(o.OpcContentSHA256)
	raw.opc_content_sha384 = fields.text(o.OpcContentSHA384)
	raw.metadata, raw.metadata_count = o.pairs(fields)
	raw.progress_interval_ms = C.uint32_t(min(fields.millis("ProgressInterval", o.ProgressInterval), math.MaxUint32))
	setNumber(&raw.user_data, user)
	return raw
}

func (o *UploadOptions) pairs(fields *fields) (*C.outlast_pair, C.size_t) {
	if len(o.Metadata) == 0 {
		return nil, 0
	}
	names := make([]string, 0, len(o.Metadata))
	for name := range o.Metadata {
		names = append(names, name)
	}
	slices.Sort(names)
	memory := (*C.outlast_pair)(fields.alloc(uintptr(len(names)) * C.sizeof_outlast_pair))
	pairs := unsafe.Slice(memory, len(names))
	for index, name := range names {
		pairs[index] = C.outlast_pair{name: fields.text(name), value: fields.text(o.Metadata[name])}
	}
	return memory, C.size_t(len(names))
}
