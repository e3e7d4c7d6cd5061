//! What backends, decoders and tokenizers panic for, as an error.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs work and takes a panic for an error, whose text is the panic's message: Burn's backends panic where
/// a device fails, be it out of memory or gone, and some decoders at damaged files.
///
/// What the work has changed half is as it was left; it is not to be used again.
///
/// # Errors
///
/// The message of the panic.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason was given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        let failed: Result<(), String> = catch_panic(|| panic!("no memory for {} bytes", 8));
        assert_eq!(failed, Err("no memory for 8 bytes".to_owned()));
        let failed = catch_panic(|| std::panic::panic_any(3_u8));
        assert_eq!(failed, Err("no reason was given".to_owned()));
    }
}
