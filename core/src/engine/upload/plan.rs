//! How an object is cut into parts.

use crate::engine::error::{Error, ErrorKind};
use crate::engine::wire::oci::{MAX_OBJECT_BYTES as MAX_OBJECT, MAX_PART_BYTES as MAX_PART, MAX_PARTS};

const MIB: u64 = 1 << 20;
/// A stream's part size doubles after this many parts: 10,000 parts that begin at 10 MiB hold 9.75 TiB.
const STREAM_STEP: u32 = 1_000;

/// The cut of a source of known size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Object size, bytes.
    pub size: u64,
    /// Size of all parts but the last, bytes.
    pub part_size: u64,
    /// Number of parts, 1 to 10,000; an empty object has one empty part.
    pub parts: u32,
}

impl Plan {
    /// Cuts `size` bytes into parts of `wanted` bytes, or larger ones (whole MiB) where 10,000 parts would not do.
    ///
    /// Errors: `InvalidInput` when the object or a part would exceed the service's limits.
    pub fn new(size: u64, wanted: u64) -> Result<Plan, Error> {
        if size > MAX_OBJECT {
            return Err(invalid(format!(
                "the source has {size} bytes; the service takes objects up to 10 TiB"
            )));
        }
        check_part_size(wanted)?;
        let part_size = if size.div_ceil(wanted) > u64::from(MAX_PARTS) {
            size.div_ceil(u64::from(MAX_PARTS)).div_ceil(MIB) * MIB
        } else {
            wanted
        };
        let parts = u32::try_from(size.div_ceil(part_size).max(1)).expect("at most 10,000 by construction");
        Ok(Plan { size, part_size, parts })
    }

    /// Offset and length of a part; `number` from 1 to `parts`.
    pub fn range(&self, number: u32) -> (u64, u64) {
        let offset = u64::from(number - 1) * self.part_size;
        (offset, self.part_size.min(self.size - offset))
    }
}

/// Refuses part sizes the service cannot take.
pub fn check_part_size(bytes: u64) -> Result<(), Error> {
    if bytes == 0 {
        return Err(invalid(
            "the part size is 0; it must be at least 1 byte (the CLI takes whole MiB)".into(),
        ));
    }
    if bytes > MAX_PART {
        return Err(invalid(format!(
            "the part size of {} MiB is over the service's limit of 50 GiB",
            bytes / MIB
        )));
    }
    Ok(())
}

/// Size of part `number` of a stream whose length is unknown.
pub fn stream_part_size(base: u64, number: u32) -> u64 {
    base.saturating_mul(1 << ((number - 1) / STREAM_STEP).min(20)).min(MAX_PART)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_every_byte_once() {
        for (size, wanted) in
            [(0, 10), (1, 10), (10, 10), (11, 10), (180_000_000_000, 128 << 20), (MAX_OBJECT, MIB)]
        {
            let plan = Plan::new(size, wanted).unwrap();
            assert!(plan.parts <= MAX_PARTS);
            let mut end = 0;
            for number in 1..=plan.parts {
                let (offset, len) = plan.range(number);
                assert_eq!(offset, end);
                assert!(len == plan.part_size || number == plan.parts);
                end += len;
            }
            assert_eq!(end, size);
        }
    }

    #[test]
    fn the_field_report_has_1463_parts_after_its_own_count() {
        // 1,463 parts of 128 MiB: between 182.75 and 182.875 GiB.
        let plan = Plan::new(1462 * (128 << 20) + 1, 128 << 20).unwrap();
        assert_eq!((plan.parts, plan.range(1463)), (1463, (1462 * (128 << 20), 1)));
    }

    #[test]
    fn raises_the_part_size_in_whole_mib() {
        let plan = Plan::new(100_001 * MIB, 10 * MIB).unwrap();
        assert_eq!((plan.part_size, plan.parts), (11 * MIB, 9091));
    }

    #[test]
    fn refuses_what_the_service_cannot_take() {
        assert!(Plan::new(MAX_OBJECT + 1, MIB).is_err());
        assert!(Plan::new(1, 0).is_err());
        assert!(Plan::new(1, MAX_PART + 1).is_err());
    }

    #[test]
    fn streams_reach_the_largest_object() {
        let reach: u64 = (1..=MAX_PARTS).map(|number| stream_part_size(10 * MIB, number)).sum();
        assert!(reach >= MAX_OBJECT / 2, "{reach}");
        assert_eq!(stream_part_size(10 * MIB, 1000), 10 * MIB);
        assert_eq!(stream_part_size(10 * MIB, 1001), 20 * MIB);
    }
}
