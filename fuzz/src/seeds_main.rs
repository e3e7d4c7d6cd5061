//! Writes what fuzzing begins with: `seeds FOLDER`.

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("a folder");
    neuroinspect_fuzz::write_seeds(folder.as_ref())
}
