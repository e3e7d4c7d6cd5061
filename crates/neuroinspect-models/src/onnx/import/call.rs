//! One operator as it stands in the file.

use crate::onnx::{
    host::Host,
    proto::{AttributeProto, NodeProto, TensorProto},
};

use super::Value;

/// A node with the values that it reads.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    /// Its place in the file's list.
    pub(super) place: usize,
    /// The values; none where one that may be left out is.
    pub(super) inputs: Vec<Option<Value>>,
    /// Of each input, whether nothing else reads it.
    pub(super) read_once: Vec<bool>,
    /// Version of the operators.
    pub(super) opset: i64,
    /// Whether its first output, and nothing else of the graph, becomes the logits.
    pub(super) gives_logits: bool,
    /// Whether the logits go through it on the way to the output, and nothing else does.
    pub(super) is_after_logits: bool,
}

impl Call<'_> {
    /// The value it reads at a place.
    pub(super) fn input(&self, index: usize) -> Result<Value, String> {
        let input = self.inputs.get(index).cloned().flatten();
        input.ok_or_else(|| format!("its input {index} is missing"))
    }

    /// The value at a place, if there is one.
    pub(super) fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index)?.as_ref()
    }

    /// A value that must be known before an image is.
    pub(super) fn host(&self, index: usize) -> Result<&Host, String> {
        match self.optional(index) {
            Some(Value::Host(host)) => Ok(&host.tensor),
            Some(Value::Graph(_)) => Err(format!(
                "its input {index} depends on the images, where a constant is expected"
            )),
            None => Err(format!("its input {index} is missing")),
        }
    }

    /// Integers that are an input or, in older versions, an attribute.
    pub(super) fn numbers(
        &self,
        index: usize,
        attribute: &str,
    ) -> Result<Option<Vec<i64>>, String> {
        match self.optional(index) {
            Some(_) => self.host(index)?.numbers().map(Some),
            None => Ok(self.ints(attribute)),
        }
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        let mut attributes = self.node.attribute.iter();
        attributes.find(|attribute| attribute.name.as_deref() == Some(name))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|it| it.i).unwrap_or(default)
    }

    pub(super) fn float(&self, name: &str, default: f64) -> f64 {
        let value = self.attribute(name).and_then(|it| it.f);
        value.map_or(default, f64::from)
    }

    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|it| it.ints.clone())
    }

    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|it| &it.floats[..])
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// A word, as it is in the file, or a default.
    pub(super) fn word<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        let word = self.attribute(name).and_then(|it| it.s.as_ref());
        word.and_then(|word| std::str::from_utf8(word).ok())
            .unwrap_or(default)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|it| it.t.as_ref())
    }

    /// Exactly so many numbers of at least `least`.
    pub(super) fn fixed<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], String> {
        let Some(values) = self.ints(name) else {
            return Ok(default);
        };
        let wrong = || format!("expected {N} numbers of at least 0 as '{name}', found {values:?}");
        let sizes = values.iter().map(|&value| usize::try_from(value));
        let sizes: Vec<usize> = sizes.collect::<Result<_, _>>().map_err(|_| wrong())?;
        sizes.try_into().map_err(|_| wrong())
    }
}

/// An axis, counted from the end where it is negative.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let wrong = || format!("expected an axis of {rank}, found {axis}");
    let signed = i64::try_from(rank).map_err(|_| wrong())?;
    let axis = if axis < 0 {
        axis.checked_add(signed)
    } else {
        Some(axis)
    };
    let axis = axis.filter(|axis| (0..signed).contains(axis));
    axis.and_then(|axis| usize::try_from(axis).ok())
        .ok_or_else(wrong)
}
