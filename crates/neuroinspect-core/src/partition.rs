//! Samples in named groups and named parts.

use std::collections::{BTreeMap, HashSet};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{ClassId, Error, Result, Seed};

/// What the two kinds of partition are kept as; valid in itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
struct Partition {
    names: Vec<String>,
    of_sample: Vec<usize>,
}

/// A partition as it is read.
#[derive(Deserialize)]
struct Unchecked {
    names: Vec<String>,
    of_sample: Vec<usize>,
}

impl TryFrom<Unchecked> for Partition {
    type Error = Error;

    fn try_from(Unchecked { names, of_sample }: Unchecked) -> Result<Self> {
        Self::new("groups or parts", names, of_sample)
    }
}

impl Partition {
    fn new(what: &'static str, names: Vec<String>, of_sample: Vec<usize>) -> Result<Self> {
        let mut known = HashSet::new();
        if let Some(name) = names.iter().find(|&name| !known.insert(name)) {
            let name = name.clone();
            return Err(Error::DuplicateName { what, name });
        }
        let length = names.len();
        match of_sample.iter().position(|&index| index >= length) {
            None => Ok(Self { names, of_sample }),
            Some(sample) => Err(Error::Assignment {
                what,
                sample,
                index: of_sample[sample],
                length,
            }),
        }
    }

    fn select(&self, samples: &[usize]) -> Result<Self> {
        let length = self.of_sample.len();
        let of_sample = samples.iter().map(|&index| {
            let found = self.of_sample.get(index).copied();
            found.ok_or_else(|| Error::sample(index, length))
        });
        Ok(Self {
            names: self.names.clone(),
            of_sample: of_sample.collect::<Result<_>>()?,
        })
    }
}

/// The group of each sample, beside its class: e.g. class and background together.
///
/// Every sample is in one group, each group has a name of its own, and a group may be empty.
///
/// ```
/// use neuroinspect_core::Groups;
///
/// let groups = Groups::new(vec!["on water".into(), "on land".into()], vec![0, 1, 1])?;
/// assert_eq!(groups.names()[groups.of_sample()[2]], "on land");
/// assert!(Groups::new(vec!["on water".into()], vec![0, 1]).is_err());
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Groups(Partition);

/// The part of a data set each sample is in: training, validation, test, or whatever they are called.
///
/// Every sample is in one part, and each part has a name of its own.
///
/// ```
/// use neuroinspect_core::{ClassId, Seed, Split};
///
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1].map(ClassId);
/// let split = Split::stratified(&labels, &[("train", 0.5), ("test", 0.5)], Seed(0))?;
/// assert_eq!(split.samples_of("train")?.len(), 4);
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split(Partition);

impl Groups {
    /// Groups by their names and, for each sample, the index of its group.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateName`] for two groups of one name, [`Error::Assignment`] for a sample whose
    /// group has no name.
    pub fn new(names: Vec<String>, of_sample: Vec<usize>) -> Result<Self> {
        Ok(Self(Partition::new("groups", names, of_sample)?))
    }

    /// Name of each group.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// For each sample, the index of its group.
    pub fn of_sample(&self) -> &[usize] {
        &self.0.of_sample
    }

    /// The groups of some samples, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist.
    pub fn select(&self, samples: &[usize]) -> Result<Self> {
        self.0.select(samples).map(Self)
    }
}

impl Split {
    /// Parts by their names and, for each sample, the index of its part.
    ///
    /// # Errors
    ///
    /// As [`Groups::new`].
    pub fn new(names: Vec<String>, of_sample: Vec<usize>) -> Result<Self> {
        Ok(Self(Partition::new("parts of a split", names, of_sample)?))
    }

    /// Splits samples at random, class by class: each part gets its share of every class, rounded,
    /// and the last one what is left. Groups are not looked at: a small one may fall unevenly.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when the shares are not from 0 to 1 or do not add up to 1,
    /// [`Error::DuplicateName`] for two parts of one name.
    pub fn stratified(labels: &[ClassId], parts: &[(&str, f64)], seed: Seed) -> Result<Self> {
        let in_range = parts.iter().all(|(_, share)| (0.0..=1.0).contains(share));
        let total: f64 = parts.iter().map(|(_, share)| share).sum();
        if !in_range || (total - 1.0).abs() > 1e-6 {
            return Err(Error::InvalidOption {
                option: "shares of a split",
                value: format!("{:?}", parts.iter().map(|part| part.1).collect::<Vec<_>>()),
                expected: "numbers from 0 to 1 that add up to 1",
            });
        }
        let mut by_class = BTreeMap::<usize, Vec<usize>>::new();
        for (sample, label) in labels.iter().enumerate() {
            by_class.entry(label.0).or_default().push(sample);
        }
        let mut of_sample = vec![parts.len().saturating_sub(1); labels.len()];
        for (class, mut samples) in by_class {
            samples.shuffle(&mut seed.rng("split", &[class as u64]));
            let mut share_so_far = 0.0;
            let mut taken = 0;
            for (part, (_, share)) in parts.iter().enumerate() {
                share_so_far += share;
                let end = (samples.len() as f64 * share_so_far).round() as usize;
                let end = end.clamp(taken, samples.len());
                for &sample in &samples[taken..end] {
                    of_sample[sample] = part;
                }
                taken = end;
            }
        }
        let names = parts.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self::new(names, of_sample)
    }

    /// Name of each part.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// For each sample, the index of its part.
    pub fn of_sample(&self) -> &[usize] {
        &self.0.of_sample
    }

    /// The samples of a part, in order.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPart`].
    pub fn samples_of(&self, name: &str) -> Result<Vec<usize>> {
        let Some(part) = self.0.names.iter().position(|known| known == name) else {
            return Err(Error::UnknownPart {
                name: name.to_owned(),
                known: self.0.names.join(", "),
            });
        };
        let of_sample = self.of_sample();
        Ok((0..of_sample.len())
            .filter(|&sample| of_sample[sample] == part)
            .collect())
    }

    /// The parts of some samples, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist.
    pub fn select(&self, samples: &[usize]) -> Result<Self> {
        self.0.select(samples).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn groups_that_do_not_hold_together_are_refused() {
        for (names, of_sample, message) in [
            (
                names(&["a", "a"]),
                vec![0],
                "groups: the name 'a' is there twice; name each differently",
            ),
            (
                names(&["a"]),
                vec![0, 1],
                "groups: sample 1 is assigned to number 1, but there are 1",
            ),
        ] {
            let error = Groups::new(names.clone(), of_sample.clone()).unwrap_err();
            assert_eq!(error.to_string(), message);
            let json = serde_json::json!({ "names": names, "of_sample": of_sample });
            assert!(serde_json::from_value::<Groups>(json).is_err());
        }
    }

    #[test]
    fn every_sample_falls_into_one_part_of_its_share() {
        let labels: Vec<_> = (0..100)
            .map(|i| ClassId(usize::from(i % 10 == 0)))
            .collect();
        let parts = [("train", 0.6), ("validation", 0.2), ("test", 0.2)];
        let split = Split::stratified(&labels, &parts, Seed(1)).unwrap();
        let sizes = parts.map(|(name, _)| split.samples_of(name).unwrap().len());
        assert_eq!(sizes, [60, 20, 20]);
        for (name, share) in parts {
            let rare = split.samples_of(name).unwrap();
            let rare = rare.iter().filter(|&&sample| labels[sample].0 == 1).count();
            assert_eq!(rare as f64, 10.0 * share);
        }
        assert_ne!(Split::stratified(&labels, &parts, Seed(2)).unwrap(), split);
        assert!(matches!(
            split.samples_of("tset"),
            Err(Error::UnknownPart { .. })
        ));
    }

    #[test]
    fn samples_are_selected_in_the_order_given() {
        let groups = Groups::new(names(&["a", "b"]), vec![0, 1, 1]).unwrap();
        assert_eq!(groups.select(&[2, 0]).unwrap().of_sample(), [1, 0]);
        let error = groups.select(&[3]).unwrap_err().to_string();
        assert_eq!(
            error,
            "sample 3 is out of range: there are 3, counted from 0"
        );
    }

    #[test]
    fn a_label_however_large_takes_no_room() {
        let labels = [usize::MAX, 7, usize::MAX, 7].map(ClassId);
        let split = Split::stratified(&labels, &[("a", 0.5), ("b", 0.5)], Seed(0)).unwrap();
        for part in ["a", "b"] {
            assert_eq!(split.samples_of(part).unwrap().len(), 2);
        }
    }

    #[test]
    fn shares_that_do_not_add_up_are_refused() {
        for parts in [
            [("a", 0.5), ("b", 0.6)],
            [("a", -0.5), ("b", 1.5)],
            [("a", f64::NAN), ("b", 0.5)],
        ] {
            assert!(Split::stratified(&[ClassId(0)], &parts, Seed(0)).is_err());
        }
    }
}
