//! How ordered pictures are made.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use neuroinspect::{
    GuideSource,
    core::{ClassId, Error as CoreError, Observer, Progress},
    illusion::{Illusion, Networks, Recipe},
};

use super::{Picture, PictureOrder};
use crate::{
    jobs::{Failure, Running},
    studio::Studio,
};

/// The pictures of one request, within the folder of a run. They are there for as long as it takes to make them;
/// what comes of them is in the store.
const UNDER_WAY: &str = "studio";

/// Makes the pictures of an order that are not there yet, seed by seed, and keeps each as it is finished. What was
/// under way when the process ended goes on where it was.
pub(crate) fn make(
    studio: &Studio,
    order: &PictureOrder,
    running: &mut Running<'_>,
) -> Result<(), Failure> {
    let opened = &studio.opened;
    let ordered = order.pictures();
    let mut missing = Vec::new();
    for picture in &ordered {
        let key = picture.key(studio)?;
        match studio.pictures.get(&key) {
            Some(_) => running.made(),
            None => missing.push((key, picture)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let texts = opened
        .texts()
        .filter(|_| order.recipe.objective.needs_guide());
    let classes: Vec<ClassId> = missing.iter().filter_map(|(_, it)| it.class).collect();
    let guide = texts.as_ref().map(|texts| texts.guide(&classes, running));
    let guide = guide.transpose()?;
    let networks = Networks::new(
        opened.classifier.as_ref(),
        guide.as_ref(),
        &opened.device(),
        order.recipe.precision,
    )?;
    let mut of_seeds: Vec<(Recipe, Vec<(String, &Picture)>)> = Vec::new();
    for (key, picture) in missing {
        match of_seeds
            .last_mut()
            .filter(|(recipe, _)| *recipe == picture.recipe)
        {
            Some((_, pictures)) => pictures.push((key, picture)),
            None => of_seeds.push((picture.recipe.clone(), vec![(key, picture)])),
        }
    }
    let mut diverged = Vec::new();
    let seeds = of_seeds.len();
    for (before, (recipe, pictures)) in of_seeds.iter().enumerate() {
        let part = Part {
            studio,
            networks: &networks,
            recipe,
            pictures,
            seeds: (before, seeds),
        };
        diverged.extend(part.make(running)?);
    }
    match diverged.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} of the pictures: {first}", diverged.len()).into()),
    }
}

/// The pictures of one seed.
struct Part<'a> {
    studio: &'a Studio,
    networks: &'a Networks,
    recipe: &'a Recipe,
    /// With their names.
    pictures: &'a [(String, &'a Picture)],
    /// How many seeds are done, and how many there are.
    seeds: (usize, usize),
}

impl Part<'_> {
    /// Makes them; why there are none of some.
    fn make(&self, running: &mut Running<'_>) -> Result<Vec<String>, Failure> {
        let opened = &self.studio.opened;
        let pictures: Vec<_> = self.pictures.iter().map(|(_, picture)| *picture).collect();
        let request = Picture::request(&pictures, self.recipe);
        let request = request.with_execution(opened.config.execution);
        let folder = opened.folder.pictures(UNDER_WAY, opened.origin.clone());
        let running = RefCell::new(running);
        let stop = Cell::new(false);
        let (before, seeds) = self.seeds;
        let mut observer = |progress: Progress<'_>| {
            let all = Progress {
                done: before * progress.total + progress.done,
                total: seeds * progress.total,
                ..progress
            };
            let flow = running.borrow_mut().update(all);
            match stop.get() {
                true => ControlFlow::Break(()),
                false => flow,
            }
        };
        let mut unwritten = Ok(());
        let mut keep = |batch: Vec<Illusion>| {
            for illusion in batch {
                if unwritten.is_ok() {
                    unwritten = self.keep(&illusion, &running);
                }
            }
            // There is no sense in pictures that cannot be kept.
            stop.set(unwritten.is_err());
        };
        let kept = folder.visualize(self.networks, &request, &mut observer, &mut keep)?;
        unwritten?;
        if kept.shortfall.interrupted {
            return Err(CoreError::cancelled("visualizing").into());
        }
        let diverged = kept.shortfall.diverged.iter();
        Ok(diverged.map(ToString::to_string).collect())
    }

    fn keep(
        &self,
        illusion: &Illusion,
        running: &RefCell<&mut Running<'_>>,
    ) -> neuroinspect::Result<()> {
        let is_own =
            |class: Option<ClassId>| class.is_none_or(|class| class == illusion.pair.class);
        let own = self
            .pictures
            .iter()
            .find(|(_, picture)| is_own(picture.class));
        // One that was stopped before its last step is not finished.
        if let Some((key, picture)) = own.filter(|_| illusion.steps == self.recipe.steps) {
            self.studio.pictures.add(key, picture, illusion)?;
            running.borrow_mut().made();
        }
        Ok(())
    }
}
