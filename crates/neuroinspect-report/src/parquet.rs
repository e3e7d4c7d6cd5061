//! The index of an atlas as a table in Parquet: a row for each unit and class.

use std::sync::Arc;

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

use crate::{AtlasEntry, AtlasIndex, Result, UnitPicture};

const SCHEMA: &str = "
    message atlas {
        required binary layer (UTF8);
        required binary unit (UTF8);
        required int32 channel;
        optional int32 class;
        optional binary class_name (UTF8);
        optional float activation;
        optional float logit;
        optional float probability;
        optional float clip_similarity;
        optional int32 steps;
        optional binary picture (UTF8);
        optional binary masked_picture (UTF8);
        required binary device (UTF8);
        required group labels (LIST) { repeated group list { required binary element (UTF8); } }
    }
";

/// The file's bytes, in one group of rows, without compression.
pub(crate) fn table(index: &AtlasIndex) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_created_by(concat!("neuroinspect ", env!("CARGO_PKG_VERSION")).to_owned());
    let properties = Arc::new(properties.build());
    let mut file = SerializedFileWriter::new(&mut bytes, schema, properties)?;
    write(index, file.next_row_group()?)?;
    file.close()?;
    Ok(bytes)
}

/// The columns, in the order of the schema.
fn write<W: std::io::Write + Send>(
    index: &AtlasIndex,
    group: SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    let mut rows = Rows {
        entries: &index.entries,
        group,
    };
    let picture = |entry: &AtlasEntry| entry.found.picture.clone();
    let of_picture = |read: fn(UnitPicture) -> Option<f32>| {
        move |entry: &AtlasEntry| picture(entry).and_then(read)
    };
    rows.required::<ByteArrayType>(|_| text(&index.layer))?;
    rows.required::<ByteArrayType>(|entry| text(&entry.found.unit.kind.to_string()))?;
    rows.required::<Int32Type>(|entry| number(entry.found.unit.kind.channel()))?;
    rows.optional::<Int32Type>(|entry| entry.found.class.map(|class| number(class.0)))?;
    rows.optional::<ByteArrayType>(|entry| {
        let name = |class: neuroinspect_core::ClassId| index.class_names.get(class.0);
        entry.found.class.and_then(name).map(|name| text(name))
    })?;
    rows.optional::<FloatType>(of_picture(|picture| Some(picture.activation)))?;
    rows.optional::<FloatType>(of_picture(|picture| picture.logit))?;
    rows.optional::<FloatType>(of_picture(|picture| picture.probability))?;
    rows.optional::<FloatType>(of_picture(|picture| picture.clip_similarity))?;
    rows.optional::<Int32Type>(|entry| picture(entry).map(|picture| number(picture.steps)))?;
    rows.optional::<ByteArrayType>(|entry| picture(entry).map(|picture| text(&picture.file)))?;
    rows.optional::<ByteArrayType>(|entry| {
        let masked = picture(entry).and_then(|picture| picture.masked_file);
        masked.map(|file| text(&file))
    })?;
    rows.required::<ByteArrayType>(|entry| text(&entry.device.to_string()))?;
    rows.labels()?;
    rows.group.close()?;
    Ok(())
}

fn text(text: &str) -> ByteArray {
    text.as_bytes().to_vec().into()
}

/// Layers, classes and steps are far fewer than what 31 bits count.
fn number(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Writes a column after the other, in the order of the schema.
struct Rows<'e, 'g, W: std::io::Write + Send> {
    entries: &'e [AtlasEntry],
    group: SerializedRowGroupWriter<'g, W>,
}

impl<W: std::io::Write + Send> Rows<'_, '_, W> {
    fn required<T: DataType>(
        &mut self,
        value: impl Fn(&AtlasEntry) -> T::T,
    ) -> Result<(), ParquetError> {
        let values: Vec<T::T> = self.entries.iter().map(value).collect();
        self.column::<T>(&values, None, None)
    }

    fn optional<T: DataType>(
        &mut self,
        value: impl Fn(&AtlasEntry) -> Option<T::T>,
    ) -> Result<(), ParquetError> {
        let values: Vec<Option<T::T>> = self.entries.iter().map(value).collect();
        let levels: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
        let values: Vec<T::T> = values.into_iter().flatten().collect();
        self.column::<T>(&values, Some(&levels), None)
    }

    /// Lists of texts: a level says whether there is an item, another whether it goes on a list.
    fn labels(&mut self) -> Result<(), ParquetError> {
        let (mut values, mut there, mut goes_on) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.entries {
            for (index, label) in entry.labels.iter().enumerate() {
                values.push(text(label));
                there.push(1);
                goes_on.push((index > 0).into());
            }
            if entry.labels.is_empty() {
                there.push(0);
                goes_on.push(0);
            }
        }
        self.column::<ByteArrayType>(&values, Some(&there), Some(&goes_on))
    }

    fn column<T: DataType>(
        &mut self,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        let missing = || ParquetError::General("fewer columns than the schema has".to_owned());
        let mut column = self.group.next_column()?.ok_or_else(missing)?;
        let writer = column.typed::<T>();
        writer.write_batch(values, definition, repetition)?;
        column.close()
    }
}

#[cfg(test)]
mod tests {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };

    use super::*;
    use crate::atlas::tests::index;

    #[test]
    fn a_row_is_a_unit_within_a_class() {
        let bytes = table(&index()).unwrap();
        assert_eq!(
            bytes,
            table(&index()).unwrap(),
            "equal content is equal bytes"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let reader = SerializedFileReader::new(file.reopen().unwrap()).unwrap();
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 4);
        let of = |row: usize, name: &str| {
            let mut columns = rows[row].get_column_iter();
            let found = columns.find(|(column, _)| *column == name);
            found.unwrap().1.clone()
        };
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(of(0, "layer"), text("pool"));
        assert_eq!(of(0, "unit"), text("neuron 0"));
        assert_eq!(of(3, "channel"), Field::Int(1));
        assert_eq!(of(3, "class_name"), text("dog"));
        assert_eq!(of(3, "activation"), Field::Float(2.5));
        assert_eq!(of(2, "activation"), Field::Null);
        assert_eq!(of(2, "picture"), Field::Null);
        assert_eq!(of(1, "clip_similarity"), Field::Null);
        assert_eq!(of(1, "device"), text("flex"));
        let Field::ListInternal(labels) = of(1, "labels") else {
            panic!("{:?}", of(1, "labels"));
        };
        let expected = ["water", "a </script> & more"].map(text);
        assert_eq!(labels.elements(), expected);
        let Field::ListInternal(labels) = of(2, "labels") else {
            panic!("{:?}", of(2, "labels"));
        };
        assert!(labels.elements().is_empty());
    }
}
