//! Arrays of numbers in MATLAB's files of version 5 (`.mat`).
//!
//! The format: MathWorks, "MAT-File Format", chapter 1, "Level 5 MAT-File Format".

use std::{collections::BTreeMap, io::Read};

use flate2::read::ZlibDecoder;

/// Most bytes that the arrays of a file are expanded to, all together.
const MOST_BYTES: u64 = 64 << 20;

// Types of elements.
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// The real arrays of numbers in a file, each as a list in MATLAB's order, column by column. Other arrays
/// are passed over.
pub(super) fn arrays(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f64>>, String> {
    let header = bytes.get(..128).ok_or("it is shorter than its header")?;
    if header[124..] != *b"\x00\x01IM" {
        return Err("its header is not that of version 5, little-endian".to_owned());
    }
    let mut arrays = BTreeMap::new();
    let mut left = MOST_BYTES;
    let mut rest = &bytes[128..];
    while !rest.is_empty() {
        match element(&mut rest)? {
            (COMPRESSED, data) => {
                let mut expanded = Vec::new();
                let mut decoder = ZlibDecoder::new(data).take(left + 1);
                let read = decoder.read_to_end(&mut expanded);
                read.map_err(|error| format!("its compressed data is damaged: {error}"))?;
                left = left
                    .checked_sub(expanded.len() as u64)
                    .ok_or_else(|| format!("its arrays expand to more than {MOST_BYTES} bytes"))?;
                if let (MATRIX, data) = element(&mut expanded.as_slice())? {
                    arrays.extend(array(data)?);
                }
            }
            (MATRIX, data) => arrays.extend(array(data)?),
            _ => {}
        }
    }
    Ok(arrays)
}

/// The next element: its type and its data.
fn element<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), String> {
    let ends = "it ends in the middle of an array";
    let word = |at: usize| -> Result<u32, String> {
        let bytes = rest.get(at..).and_then(<[u8]>::first_chunk);
        bytes
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or_else(|| ends.to_owned())
    };
    let first = word(0)?;
    // A small element has its length in the upper half, and its data within eight bytes.
    let (kind, start, length, next) = match first >> 16 {
        0 => {
            let length = word(4)? as usize;
            let padded = match first {
                COMPRESSED => length,
                _ => length.next_multiple_of(8),
            };
            (first, 8, length, 8 + padded)
        }
        length => (first & 0xffff, 4, length as usize, 8),
    };
    let data = rest.get(start..start + length).ok_or(ends)?;
    // The padding of the last element may be left out.
    *rest = rest.get(next..).unwrap_or_default();
    Ok((kind, data))
}

/// The name and the numbers of an array, if it is one of real numbers.
fn array(mut data: &[u8]) -> Result<Option<(String, Vec<f64>)>, String> {
    let (_, flags) = element(&mut data)?;
    let class = *flags.first().ok_or("an array has no flags")?;
    let complex = flags.get(1).is_some_and(|flags| flags & 0x08 != 0);
    let (_, dimensions) = element(&mut data)?;
    let (_, name) = element(&mut data)?;
    // 6 to 15 are double, single and the integers.
    if complex || !(6..=15).contains(&class) {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(name).into_owned();
    let count = dimensions.chunks_exact(4).fold(1_usize, |count, bytes| {
        let size = bytes
            .first_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes));
        count.saturating_mul(size as usize)
    });
    let (kind, values) = element(&mut data)?;
    let values = numbers(kind, values)?;
    match values.len() == count {
        true => Ok(Some((name, values))),
        false => Err(format!(
            "array '{name}' has {} numbers, and {count} by its dimensions",
            values.len()
        )),
    }
}

fn numbers(kind: u32, data: &[u8]) -> Result<Vec<f64>, String> {
    fn all<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let chunks = data.chunks_exact(N).filter_map(<[u8]>::first_chunk);
        chunks.map(|bytes| number(*bytes)).collect()
    }
    Ok(match kind {
        INT8 => all(data, |[byte]| f64::from(byte.cast_signed())),
        UINT8 => all(data, |[byte]| f64::from(byte)),
        INT16 => all(data, |bytes| i16::from_le_bytes(bytes).into()),
        UINT16 => all(data, |bytes| u16::from_le_bytes(bytes).into()),
        INT32 => all(data, |bytes| i32::from_le_bytes(bytes).into()),
        UINT32 => all(data, |bytes| u32::from_le_bytes(bytes).into()),
        SINGLE => all(data, |bytes| f32::from_le_bytes(bytes).into()),
        DOUBLE => all(data, f64::from_le_bytes),
        other => return Err(format!("numbers of type {other} are not read")),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use flate2::{Compression, read::ZlibEncoder};

    use super::*;

    /// What `scipy.io.savemat` writes after the header of `labels = uint8([77, 1, 102])` and a text, both
    /// compressed.
    const COMPRESSED_FILE: &str = "0f0000002f000000789ce3636060b000623620e600624e06086085f2198198194a83d4e42426a5e61433303001457d19d31\
        8003b7e03a20f0000002a000000789ce3636060b000623620e600621606086085f219913048ac3cbf28a518480b00451281340037df030f";
    /// `trnid = uint16([1, 6765])`, not compressed, in a small element.
    const PLAIN: &str = "0e0000003800000006000000080000000b0000000000000005000000080000000100000002000000010000000500000074726e6\
        9640000000400040001006d1a";

    fn file(content: &str) -> Vec<u8> {
        let mut bytes = vec![b' '; 124];
        bytes.extend(b"\x00\x01IM");
        let digits = content.as_bytes().chunks_exact(2);
        bytes.extend(
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
        bytes
    }

    #[test]
    fn arrays_are_read_as_scipy_writes_them() {
        let arrays_of = |content| arrays(&file(content)).unwrap();
        assert_eq!(
            arrays_of(COMPRESSED_FILE),
            BTreeMap::from([("labels".into(), vec![77.0, 1.0, 102.0])])
        );
        assert_eq!(
            arrays_of(PLAIN),
            BTreeMap::from([("trnid".into(), vec![1.0, 6765.0])])
        );
    }

    #[test]
    fn damaged_files_are_refused() {
        assert_eq!(
            arrays(b"MATLAB").unwrap_err(),
            "it is shorter than its header"
        );
        let mut other = file(PLAIN);
        other[126..128].copy_from_slice(b"MI");
        assert!(arrays(&other).unwrap_err().contains("little-endian"));
        // Any end within the array, and any byte changed: an error or another array, never a panic.
        for content in [PLAIN, COMPRESSED_FILE] {
            let good = file(content);
            for end in 129..129 + 40 {
                assert!(arrays(&good[..end]).is_err(), "{end}");
            }
            for at in 128..good.len() {
                for changed in [0, 1, 0x7f, 0xff] {
                    let mut bytes = good.clone();
                    bytes[at] = changed;
                    let _ = arrays(&bytes);
                }
            }
        }
        // Each of these arrays is within the bound, and both are not.
        let mut data = Vec::new();
        let zeros = io::repeat(0).take(MOST_BYTES / 2 + 1);
        let mut encoder = ZlibEncoder::new(zeros, Compression::best());
        encoder.read_to_end(&mut data).unwrap();
        let mut bomb = file("");
        for _ in 0..2 {
            bomb.extend(COMPRESSED.to_le_bytes());
            bomb.extend((data.len() as u32).to_le_bytes());
            bomb.extend(&data);
        }
        assert_eq!(
            arrays(&bomb).unwrap_err(),
            "its arrays expand to more than 67108864 bytes"
        );
        let mut longer = file(PLAIN);
        // Two by two numbers, of which two are there.
        longer[128 + 32] = 2;
        assert_eq!(
            arrays(&longer).unwrap_err(),
            "array 'trnid' has 2 numbers, and 4 by its dimensions"
        );
    }
}
