//! Files and texts of strangers: whatever a reader is given, it answers with a value or an error. It does
//! not panic, takes no longer than [`LONGEST`], and asks for no more memory than is stated beside it.
//!
//! Inputs are valid ones, changed at random: the seed and the number of a case are all that it takes to
//! make it again. A run tries [`CASES`] of each reader; a campaign sets `NEUROINSPECT_MUTATIONS` to
//! more, and `NEUROINSPECT_MUTATION_SEED` to another number than 0. What is found is written into
//! `neuroinspect-mutations` in the folder for temporary files. A file in `tests/mutated/found/READER` is one
//! that was found so, or by fuzzing, and is tried as it is in every run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod change;
mod readers;
mod seeds;

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use neuroinspect::core::Seed;
use neuroinspect_testing::{files::Folder, pages::root};
use peak_alloc::PeakAlloc;

use crate::{
    readers::{Reader, for_each_reader},
    seeds::Input,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Cases of each reader unless a campaign says otherwise.
const CASES: u64 = 1000;
/// The longest that one case may take, on a machine that has other work to do.
const LONGEST: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// Memory is counted for the whole program: one reader at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Tries a reader with its valid inputs, with those that were found before, and with changed ones.
fn try_out(reader: fn() -> Reader) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let reader = reader();
    let number = |name: &str, default| {
        env::var(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let cases = number("NEUROINSPECT_MUTATIONS", CASES);
    let seed = number("NEUROINSPECT_MUTATION_SEED", 0);
    let folder = Folder::new();
    for file in &reader.beside {
        folder.write(&file.name, &file.bytes);
    }
    let attempt = Attempt::new(reader, folder);
    let seeds = &attempt.reader.seeds;
    for input in seeds {
        assert!(
            attempt.with(input),
            "{}: {} is valid",
            attempt.reader.name,
            input.name
        );
    }
    for input in found(attempt.reader.name) {
        attempt.with(&input);
    }
    let mut accepted = 0;
    for case in 0..cases {
        let mut rng = Seed(seed).rng(attempt.reader.name, &[case]);
        let changed = change::changed(seeds, &mut rng);
        accepted += u64::from(attempt.with(&changed));
    }
    println!(
        "{}: {cases} cases, {accepted} of them still valid",
        attempt.reader.name
    );
    assert!(
        accepted < cases,
        "{}: nothing was refused",
        attempt.reader.name
    );
}

macro_rules! tests {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                try_out(readers::$name);
            }
        )*
    };
}
for_each_reader!(tests);

/// Inputs that a campaign found.
fn found(reader: &str) -> Vec<Input> {
    let folder = root().join("tests/mutated/found").join(reader);
    let files = fs::read_dir(folder).into_iter().flatten();
    let inputs = files.map(|file| {
        let path = file.unwrap().path();
        Input {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            bytes: fs::read(path).unwrap(),
        }
    });
    inputs.collect()
}

/// A reader at work, in a thread that can be given up.
struct Attempt {
    reader: Arc<Reader>,
    folder: Arc<Folder>,
}

impl Attempt {
    fn new(reader: Reader, folder: Folder) -> Self {
        Self {
            reader: Arc::new(reader),
            folder: Arc::new(folder),
        }
    }

    /// Whether an input is read as a valid one.
    fn with(&self, input: &Input) -> bool {
        let path = self.folder.write(&input.name, &input.bytes);
        let (reader, folder) = (Arc::clone(&self.reader), Arc::clone(&self.folder));
        let (sender, receiver) = channel();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| (reader.read)(&path)));
            drop(folder);
            let _ = sender.send(outcome.ok());
        });
        let outcome = match receiver.recv_timeout(LONGEST) {
            Ok(Some(valid)) => Ok(valid),
            Ok(None) => Err("it panics".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("its thread ended".to_owned()),
            Err(RecvTimeoutError::Timeout) => Err(format!("it takes more than {LONGEST:?}")),
        };
        let peak = MEMORY.peak_usage().saturating_sub(before) / MIB;
        let outcome = outcome.and_then(|valid| match peak <= self.reader.most_mib {
            true => Ok(valid),
            false => Err(format!("it asks for {peak} MiB")),
        });
        outcome.unwrap_or_else(|what| {
            let kept = self.keep(input);
            panic!("{}: {what} for '{}'", self.reader.name, kept.display());
        })
    }

    /// Writes an input where it outlives the test.
    fn keep(&self, input: &Input) -> PathBuf {
        let folder = env::temp_dir()
            .join("neuroinspect-mutations")
            .join(self.reader.name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(&input.name);
        fs::write(&path, &input.bytes).unwrap();
        path
    }
}
