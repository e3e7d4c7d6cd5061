//! Writes what fuzzing begins with: `seeds FOLDER`.

// Its runtime has what code that counts its coverage calls.
use libfuzzer_sys as _;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("a folder");
    neuroinspect_fuzz::write_seeds(folder.as_ref())
}
