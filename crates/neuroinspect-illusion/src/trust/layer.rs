//! What real images make of a layer, and how like a picture they are in it.

use ndarray::{Array2, ArrayView1};

use super::LayerLikeness;
use crate::likeness::{chance_of_higher, ranks, ranks_of_rows};

/// What real images make of a layer.
#[derive(Debug)]
pub(super) struct Layer {
    /// Of each channel.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Of the standardised values, of length 1: `[N, C]`.
    ranks: Array2<f32>,
    /// The values' own ranks, likewise.
    pub(super) plain_ranks: Array2<f32>,
}

impl Layer {
    pub(super) fn new(values: Array2<f32>) -> Self {
        let columns = || values.columns().into_iter();
        let mean: Vec<f32> = columns().map(|it| it.mean().unwrap_or(0.0)).collect();
        let std: Vec<f32> = columns().map(|it| it.std(0.0)).collect();
        let plain_ranks = ranks_of_rows(&values);
        let mut layer = Self {
            mean,
            std,
            ranks: Array2::zeros((0, 0)),
            plain_ranks,
        };
        let mut standardised = values;
        for mut row in standardised.rows_mut() {
            let values = layer.standardised(&row.to_vec());
            row.assign(&ArrayView1::from(&values));
        }
        layer.ranks = ranks_of_rows(&standardised);
        layer
    }

    /// A channel that real images do not move says nothing.
    fn standardised(&self, values: &[f32]) -> Vec<f32> {
        let of_real = self.mean.iter().zip(&self.std);
        let values = values.iter().zip(of_real);
        values
            .map(|(value, (mean, std))| {
                if *std > 0.0 {
                    (value - mean) / std
                } else {
                    0.0
                }
            })
            .collect()
    }

    /// How like an image each real one is, but for what one channel has in it: `[N]`.
    pub(super) fn likenesses(&self, values: &[f32], but: Option<usize>) -> Vec<f32> {
        let ranks = ranks(&self.standardised(values));
        self.like(&ranks, but)
    }

    fn like(&self, ranks: &[f32], but: Option<usize>) -> Vec<f32> {
        let all = self.ranks.dot(&ArrayView1::from(ranks));
        match but {
            Some(channel) => {
                let rank = ranks[channel];
                let of_channel = self.ranks.column(channel);
                let rest = all
                    .iter()
                    .zip(of_channel)
                    .map(|(all, own)| all - own * rank);
                rest.collect()
            }
            None => all.to_vec(),
        }
    }

    /// How like an image the strongest images are, against the others.
    pub(super) fn compare(
        &self,
        name: &str,
        values: &[f32],
        strongest: &[usize],
        but: Option<usize>,
    ) -> LayerLikeness {
        let likenesses = self.likenesses(values, but);
        let mean = |numbers: &mut dyn Iterator<Item = f32>| {
            let (sum, count) = numbers.fold((0.0, 0), |(sum, count), it| (sum + it, count + 1));
            sum / count.max(1) as f32
        };
        let to_picture = mean(&mut strongest.iter().map(|&index| likenesses[index]));
        let (mut among, mut to_others) = (Vec::new(), Vec::new());
        for &one in strongest {
            let like = self.like(&self.ranks.row(one).to_vec(), but);
            for (other, like) in like.into_iter().enumerate() {
                match strongest.contains(&other) {
                    true if other == one => {}
                    true => among.push(like),
                    false => to_others.push(like),
                }
            }
        }
        let (most, least) = (
            mean(&mut among.into_iter()),
            mean(&mut to_others.into_iter()),
        );
        let normalised = (to_picture - least) / (most - least);
        LayerLikeness {
            layer: name.to_owned(),
            chance: chance_of_higher(&likenesses, strongest),
            normalised: normalised.is_finite().then_some(normalised),
        }
    }
}
