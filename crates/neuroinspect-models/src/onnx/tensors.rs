//! The values of a file's tensors, within it or in files beside it.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use burn::tensor::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use prost::bytes::Bytes;

use super::{
    host::{Host, Size},
    proto::TensorProto,
};

/// onnx.proto's `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// The files that hold the values of tensors of an ONNX file, all in its folder.
#[derive(Debug, Default)]
pub(super) struct Beside {
    folder: PathBuf,
    /// What was read, by the location that tensors give.
    files: BTreeMap<String, Bytes>,
}

impl Beside {
    /// Those beside this file.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            folder: match file.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
                _ => PathBuf::from("."),
            },
            files: BTreeMap::new(),
        }
    }

    /// The bytes of all files that were read, in the order of their names.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Bytes> {
        self.files.values()
    }

    /// A file, read once.
    fn file(&mut self, location: &str) -> Result<Bytes, String> {
        if let Some(bytes) = self.files.get(location) {
            return Ok(bytes.clone());
        }
        let path = Path::new(location);
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let outside = || format!("expected external data in the file's folder, found '{location}'");
        if !inside || location.is_empty() {
            return Err(outside());
        }
        let path = self.folder.join(path);
        let unreadable = |error: std::io::Error| format!("external data '{location}': {error}");
        // A link may lead anywhere.
        let folder = self.folder.canonicalize().map_err(unreadable)?;
        let path = path.canonicalize().map_err(unreadable)?;
        if !path.starts_with(&folder) {
            return Err(outside());
        }
        let bytes = super::read_regular(&path).map_err(unreadable)?;
        self.files.insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// The bytes of a tensor whose values are in another file.
    pub(super) fn bytes(&mut self, tensor: &TensorProto) -> Result<Option<Bytes>, String> {
        if tensor.data_location != Some(EXTERNAL) {
            return Ok(None);
        }
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            let entry = entries.find(|entry| entry.key.as_deref() == Some(key));
            entry.and_then(|entry| entry.value.as_deref())
        };
        let number = |key: &str| match entry(key) {
            Some(text) => text.parse::<usize>().map(Some).map_err(|_| {
                format!("expected a number as {key} of external data, found '{text}'")
            }),
            None => Ok(None),
        };
        let location = entry("location").ok_or("its external data have no location")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let end = match length {
            Some(length) => offset.checked_add(length),
            None => Some(file.len()),
        };
        match end {
            Some(end) if offset <= end && end <= file.len() => Ok(Some(file.slice(offset..end))),
            _ => Err(format!(
                "expected external data within the {} bytes of '{location}', found {length:?} from {offset}",
                file.len()
            )),
        }
    }

    /// A tensor's values: floats of any format as `f32`, integers of any as `i64`.
    pub(super) fn read(&mut self, tensor: &TensorProto) -> Result<Host, String> {
        let shape = tensor.dims.iter().map(|&size| usize::try_from(size));
        let shape: Vec<usize> = shape
            .collect::<Result<_, _>>()
            .map_err(|_| format!("expected sizes of at least 0, found {:?}", tensor.dims))?;
        let elements = shape
            .iter()
            .try_fold(1usize, |all, &size| all.checked_mul(size));
        let raw = match self.bytes(tensor)? {
            Some(bytes) => Some(bytes),
            None => tensor.raw_data.clone().filter(|bytes| !bytes.is_empty()),
        };
        let raw = raw.as_deref();
        let kind = tensor.data_type.unwrap_or_default();
        let small = || tensor.int32_data.iter();
        macro_rules! values {
            ($type:ty, $typed:expr, $convert:expr) => {{
                let convert = $convert;
                match raw {
                    Some(raw) => {
                        let (numbers, rest) = raw.as_chunks::<{ size_of::<$type>() }>();
                        if !rest.is_empty() {
                            return Err(format!(
                                "expected numbers of {} bytes, found {} bytes",
                                size_of::<$type>(),
                                raw.len()
                            ));
                        }
                        let numbers = numbers.iter();
                        numbers
                            .map(|bytes| convert(<$type>::from_le_bytes(*bytes)))
                            .collect()
                    }
                    None => $typed,
                }
            }};
        }
        let fixed = |value: i64| Size::fixed(value);
        let typed_ints = || small().map(|&x| fixed(x.into())).collect::<Vec<_>>();
        let unfit = |found: usize| {
            format!(
                "expected values for the shape {:?}, found {found}",
                tensor.dims
            )
        };
        macro_rules! host {
            ($kind:ident, $values:expr) => {{
                let values: Vec<_> = $values;
                if Some(values.len()) != elements {
                    return Err(unfit(values.len()));
                }
                let found = values.len();
                ArrayD::from_shape_vec(IxDyn(&shape), values)
                    .map(Host::$kind)
                    .map_err(|_| unfit(found))
            }};
        }
        // onnx.proto's `TensorProto.DataType`.
        match kind {
            1 => host!(Floats, values!(f32, tensor.float_data.clone(), |x| x)),
            10 => host!(
                Floats,
                values!(
                    f16,
                    small()
                        .map(|&x| f16::from_bits(x as u16).to_f32())
                        .collect(),
                    f16::to_f32
                )
            ),
            16 => host!(
                Floats,
                values!(
                    bf16,
                    small()
                        .map(|&x| bf16::from_bits(x as u16).to_f32())
                        .collect(),
                    bf16::to_f32
                )
            ),
            11 => host!(
                Floats,
                values!(
                    f64,
                    tensor.double_data.iter().map(|&x| x as f32).collect(),
                    |x: f64| x as f32
                )
            ),
            7 => host!(
                Ints,
                values!(
                    i64,
                    tensor.int64_data.iter().map(|&x| fixed(x)).collect(),
                    fixed
                )
            ),
            6 => host!(Ints, values!(i32, typed_ints(), |x: i32| fixed(x.into()))),
            2 => host!(Ints, values!(u8, typed_ints(), |x: u8| fixed(x.into()))),
            3 => host!(Ints, values!(i8, typed_ints(), |x: i8| fixed(x.into()))),
            9 => host!(
                Bools,
                values!(u8, small().map(|&x| x != 0).collect(), |x| x != 0)
            ),
            other => Err(format!(
                "expected floats, integers or truth values, found the data type {other} of onnx.proto"
            )),
        }
    }
}
