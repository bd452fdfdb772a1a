package outlast

// #include "shim.h"
import "C"

import "time"

// Progress is how far an upload is. Sizes are bytes.
type Progress struct {
	// Total is -1 while a stream goes on.
	Total int64
	// Stored parts' bytes.
	Stored int64
	// InFlight bytes are sent but not acknowledged.
	InFlight int64
	// PartsTotal are planned so far.
	PartsTotal, PartsStored int
	// PartsReused of the stored ones were kept from an earlier run.
	PartsReused   int
	PartsInFlight int
	// Retries are attempts beyond the first.
	Retries int
	// Refusals are parts sent again because their credential was refused.
	Refusals int
	// Parked: the session waits for somebody to sign in.
	Parked bool
	// Paused by the caller.
	Paused bool
	// BytesPerSecond over the last half minute or so; 0 while unknown.
	BytesPerSecond float64
	// ETA is the time to the end at that rate; -1 while unknown.
	ETA time.Duration
}

// Sent is bytes stored or sent: what a progress bar shows.
func (p Progress) Sent() int64 { return p.Stored + p.InFlight }

func newProgress(raw *C.outlast_progress) Progress {
	progress := Progress{
		Total:          int64(raw.total_bytes),
		Stored:         int64(raw.stored_bytes),
		InFlight:       int64(raw.in_flight_bytes),
		PartsTotal:     int(raw.parts_total),
		PartsStored:    int(raw.parts_stored),
		PartsReused:    int(raw.parts_reused),
		PartsInFlight:  int(raw.parts_in_flight),
		Retries:        int(raw.retries),
		Refusals:       int(raw.refusals),
		Parked:         raw.parked != 0,
		Paused:         raw.paused != 0,
		BytesPerSecond: float64(raw.bytes_per_second),
		ETA:            -1,
	}
	if raw.eta_ms >= 0 {
		progress.ETA = time.Duration(raw.eta_ms) * time.Millisecond
	}
	return progress
}

// Result is an object that was made. Texts are as the service sent them, empty where it sent none.
type Result struct {
	// Size of the object, bytes.
	Size int64
	// Parts of it; 0 for a single request.
	Parts int
	// PartsReused of these were kept from an earlier run.
	PartsReused int
	// Retries are attempts beyond the first; refusals not counted.
	Retries int
	// Refusals are parts sent again because their credential was refused.
	Refusals int
	// Verified: our checksums were compared with the object's.
	Verified bool

	ETag string
	// UploadID is the service's; empty for a single request.
	UploadID     string
	VersionID    string
	LastModified string
	// ContentMD5 of a single request, MultipartMD5 of one in parts, base64.
	ContentMD5, MultipartMD5 string
	CRC32C                   string
	SHA256, SHA384           string
	MultipartSHA256          string
	MultipartSHA384          string
}

func newResult(raw *C.outlast_upload_result) *Result {
	stress()
	return &Result{
		Size:            int64(raw.object_bytes),
		Parts:           int(raw.parts),
		PartsReused:     int(raw.parts_reused),
		Retries:         int(raw.retries),
		Refusals:        int(raw.refusals),
		Verified:        raw.verified != 0,
		ETag:            goText(raw.etag),
		UploadID:        goText(raw.upload_id),
		VersionID:       goText(raw.version_id),
		LastModified:    goText(raw.last_modified),
		ContentMD5:      goText(raw.content_md5),
		MultipartMD5:    goText(raw.multipart_md5),
		CRC32C:          goText(raw.crc32c),
		SHA256:          goText(raw.sha256),
		SHA384:          goText(raw.sha384),
		MultipartSHA256: goText(raw.multipart_sha256),
		MultipartSHA384: goText(raw.multipart_sha384),
	}
}
