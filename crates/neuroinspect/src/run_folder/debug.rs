//! Findings written into a run's folder as they come.

use std::{cell::Cell, ops::ControlFlow, time::Instant};

use neuroinspect_core::{ClassId, Observer, Progress, is_cancellation};
use neuroinspect_report::{Findings, Report, UnitFindings};

use super::RunFolder;
use crate::{DebugConfig, DebugInputs, Result, UnitsSeen, debug_each, images::ReadImages};

/// Writing takes at most this share of the time, as one to so many.
const REST: u32 = 10;

impl RunFolder {
    /// [`debug`](crate::debug()), its findings written into the folder as they come: page, JSON,
    /// pictures, and the edit where the inputs [say](DebugInputs::edit_file).
    ///
    /// What an earlier run left is cleared as soon as there is something in its place; when it cannot
    /// be cleared, the work stops and nothing is written. A run that is killed leaves what it has written. Real images that
    /// cannot be read stand among the findings' failures.
    ///
    /// # Errors
    ///
    /// As [`debug`](crate::debug()), and when the folder cannot be cleared or, at the end, written
    /// into.
    pub fn debug(
        &self,
        inputs: &DebugInputs<'_>,
        class: ClassId,
        config: &DebugConfig,
        observer: &mut dyn Observer,
    ) -> Result<Findings> {
        let mut cleared: Option<Result<()>> = None;
        let stop = Cell::new(false);
        let mut next = Instant::now();
        let mut read = ReadImages::default();
        let mut keep = |findings: &Findings| {
            if cleared
                .get_or_insert_with(|| self.clear_findings())
                .is_err()
            {
                stop.set(true);
                return;
            }
            let start = Instant::now();
            if findings.pictures.is_empty() || start >= next {
                // What cannot be written now is complained of at the end.
                let _ = self.write(inputs, findings, &mut read);
                next = Instant::now() + REST * start.elapsed();
            }
        };
        let mut watched = |progress: Progress<'_>| match stop.get() {
            true => ControlFlow::Break(()),
            false => observer.update(progress),
        };
        let mut findings = debug_each(inputs, class, config, &mut watched, &mut keep)?;
        cleared.unwrap_or(Ok(()))?;
        let images = inputs.real_images(&findings, &mut read)?;
        findings.failures.extend(images.failures);
        self.write(inputs, &findings, &mut read)?;
        Ok(findings)
    }

    /// Adds units of layers to findings that were made with these inputs: those that `look` hands over, as
    /// [`look_at_units`](crate::look_at_units) does, with pictures in the
    /// [folder](Findings::UNITS_FOLDER) for them. Page and JSON are written as they come, as by
    /// [`debug`](Self::debug). Returns how many pictures had been made by an earlier run.
    ///
    /// That looking fails is noted in the findings.
    ///
    /// # Errors
    ///
    /// When the findings are not of these inputs, or a file cannot be written.
    pub fn add_units(
        &self,
        inputs: &DebugInputs<'_>,
        findings: &mut Findings,
        look: impl FnOnce(&mut dyn FnMut(UnitFindings)) -> Result<UnitsSeen>,
    ) -> Result<usize> {
        let mut read = ReadImages::default();
        findings.interrupted = true;
        self.write(inputs, findings, &mut read)?;
        let (mut next, mut written) = (Instant::now(), Ok(()));
        let looked = look(&mut |unit| {
            if written.is_err() {
                return;
            }
            written = findings.add_unit(unit, self.path());
            let start = Instant::now();
            if start >= next {
                // What cannot be written now is complained of at the end.
                let _ = self.write(inputs, findings, &mut read);
                next = Instant::now() + REST * start.elapsed();
            }
        });
        written?;
        let mut reused = 0;
        match looked {
            Ok(seen) => {
                findings.interrupted = seen.interrupted;
                findings.failures.extend(seen.failures);
                reused = seen.reused;
            }
            Err(error) => {
                findings.interrupted = is_cancellation(&error);
                if !findings.interrupted {
                    findings.fail_with("looking at units", &error);
                }
            }
        }
        self.write(inputs, findings, &mut read)?;
        Ok(reused)
    }

    /// Writes what has been found.
    fn write(
        &self,
        inputs: &DebugInputs<'_>,
        findings: &Findings,
        read: &mut ReadImages,
    ) -> Result<()> {
        if let (Some(patch), Some(file)) = (&findings.patch, &findings.edit_file) {
            patch.save(self.join(&file.path))?;
        }
        let mut report: Report<'_> = inputs.report_with(findings, read)?;
        let known = &findings.failures;
        report
            .images
            .failures
            .retain(|failure| !known.contains(failure));
        Ok(report.write(self.path())?)
    }
}
