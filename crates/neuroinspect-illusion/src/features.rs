//! What a prepared classifier makes of finished pictures.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, ArrayView3};
use neuroinspect_core::read_back;

use crate::{Error, PreparedClassifier, Result, adapter::InputAdapter};

/// Pictures looked at in one go.
const BATCH: usize = 16;

impl PreparedClassifier {
    /// Features of pictures as they are, without augmentation: of those it was optimised on, of another
    /// classifier's, or of real images. Each is resized to this classifier's input.
    ///
    /// # Shapes
    ///
    /// `N` pictures `[3, S, S]` in `[0, 1]`, of any sides `S`, to `[N, D]`.
    ///
    /// # Errors
    ///
    /// When a picture is not square or has other than three channels, or the device fails.
    pub fn features_of(&self, pictures: &[ArrayView3<'_, f32>]) -> Result<Array2<f32>> {
        let neurons = self.decision_layer().neurons();
        let mut all = Vec::with_capacity(pictures.len() * neurons);
        for same_size in pictures.chunk_by(|a, b| a.dim() == b.dim()) {
            let side = same_size[0].dim().1;
            if same_size[0].dim() != (3, side, side) || side == 0 {
                let expected = ["3", "side", "side"];
                let found = same_size[0].shape();
                return Err(Error::shape("a picture to look at", expected, found));
            }
            let input = InputAdapter::new(self.input(), side, self.device());
            for batch in same_size.chunks(BATCH) {
                let pixels: Vec<f32> = batch.iter().flatten().copied().collect();
                let pixels = TensorData::new(pixels, [batch.len(), 3, side, side]);
                let images = input.apply(Tensor::from_data(pixels, self.device()));
                let features = self.activations(images).features;
                all.extend(read_back(features, "the features")?);
            }
        }
        let (shape, found) = ((pictures.len(), neurons), all.len());
        Array2::from_shape_vec(shape, all)
            .map_err(|_| Error::shape("features read back", shape, found))
    }
}
