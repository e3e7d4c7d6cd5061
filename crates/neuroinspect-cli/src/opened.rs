//! What pictures are made with, as the command line names it.

use std::{borrow::Borrow, path::Path};

use anyhow::{Result, bail};
use neuroinspect::{
    ClassTexts,
    core::{ClassId, DecisionLayer, class_by_name_or_index},
    datasets::ImageDataset,
};

use crate::{
    args::{ClipArgs, ReadingArgs},
    images::{self, Reading},
    inputs::ModelSetup,
    model::TextGuide,
    options::Options,
};

/// What pictures are made with: a [`ModelSetup`], or one with a folder of its own, and what goes with it.
pub(crate) struct Opened<S> {
    pub(crate) setup: S,
    pub(crate) dataset: Option<Box<dyn ImageDataset>>,
    /// Of the classes.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) guide: Option<TextGuide>,
}

/// What the command line names beside the model.
pub(crate) struct Named<'n> {
    pub(crate) data: Option<&'n Path>,
    /// Where results are written.
    pub(crate) out: &'n Path,
    pub(crate) reading: &'n ReadingArgs,
    pub(crate) clip: &'n ClipArgs,
    /// A class, by name or index.
    pub(crate) class: Option<&'n str>,
}

impl<S> Opened<S> {
    /// Opens all of it; images and names first, which is soon done.
    pub(crate) fn open<'a>(
        options: &Options,
        named: &Named<'_>,
        setup: impl FnOnce() -> Result<S>,
    ) -> Result<Self>
    where
        S: Borrow<ModelSetup<'a>>,
    {
        let open = |reading: Reading<'_>| {
            let path = named.data;
            path.map(|path| images::open(path, reading)).transpose()
        };
        let reading = Reading::new(named.reading, named.out, options.seed);
        let mut dataset = open(reading)?;
        let listed = images::classes(named.reading)?;
        // Before anything is downloaded, where no names of the model's own can take the place of these.
        if let (Some(class), Some(names)) = (named.class, &listed) {
            // The lines of a list may be folders, which are called otherwise.
            let names = dataset
                .as_ref()
                .map_or(&names[..], |dataset| dataset.class_names());
            class_by_name_or_index(names, class)?;
        }
        let setup = setup()?;
        let model: &ModelSetup<'_> = setup.borrow();
        if !model.class_names.is_empty() {
            dataset = open(reading.of_model(&model.class_names))?;
        }
        let of_model = Some(model.class_names.clone()).filter(|names| !names.is_empty());
        let names = match &dataset {
            Some(dataset) => Some(dataset.class_names().to_vec()),
            None => listed.or(of_model),
        };
        let classifier = model.loaded.model.as_ref();
        let layer = classifier.decision_layer()?;
        if let Some(names) = &names
            && names.len() != layer.classes()
        {
            let (model, classes) = (classifier.name(), layer.classes());
            bail!(
                "{} classes are named, but {model} decides between {classes}; --classes FILE is to name \
                 all of them, in the model's order",
                names.len(),
            );
        }
        let guide = TextGuide::load(model, named.clip, named.data)?;
        if guide.is_some() && names.is_none() {
            bail!("CLIP needs the names of the classes: give --data DIR or --classes FILE");
        }
        Ok(Self {
            setup,
            dataset,
            names,
            guide,
        })
    }

    /// The texts that guide pictures, to be embedded as they are needed.
    pub(crate) fn texts(&self) -> Option<ClassTexts<'_>> {
        let guide = self.guide.as_ref()?;
        Some(guide.texts(self.names.as_deref()?))
    }

    /// The names of all `count` classes, which are their numbers where nothing names them.
    pub(crate) fn names_of_all(&self, count: usize) -> Vec<String> {
        let numbers = || (0..count).map(|class| class.to_string()).collect();
        self.names.clone().unwrap_or_else(numbers)
    }

    /// Name of the images.
    pub(crate) fn data(&self) -> &str {
        let dataset = self.dataset.as_ref();
        dataset.map_or("no images", |dataset| dataset.name())
    }
}

/// The class by its name, where there are names, or by its index in the model.
pub(crate) fn class_id(
    text: &str,
    layer: &DecisionLayer,
    names: Option<&[String]>,
) -> Result<ClassId> {
    if let Some(names) = names {
        let class = class_by_name_or_index(names, text)?;
        layer.check_class(class)?;
        return Ok(class);
    }
    let Ok(index) = text.strip_prefix("index:").unwrap_or(text).parse() else {
        bail!(
            "nothing names class '{text}': give an index, --data DIR, whose folders do, or \
             --classes FILE"
        );
    };
    layer.check_class(ClassId(index))?;
    Ok(ClassId(index))
}
