//! What backends, decoders and tokenizers panic for, as an error, and whether it is for want of memory.

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

/// Whether it is for want of memory that a device failed, by the words of its backend: libtorch's and CubeCL's.
///
/// ```
/// use neuroinspect_core::is_out_of_memory;
///
/// assert!(is_out_of_memory("CUDA out of memory. Tried to allocate 2.00 GiB"));
/// assert!(!is_out_of_memory("the device was lost"));
/// ```
pub fn is_out_of_memory(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let words = [
        // Libtorch's of CUDA, and of a CPU.
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        // CubeCL's.
        "out of device memory",
        "out-of-memory",
    ];
    words.iter().any(|words| reason.contains(words))
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

    #[test]
    fn memory_that_ran_out_is_told_from_other_failures() {
        for reason in [
            "CUDA out of memory. Tried to allocate 2.00 GiB",
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory",
            "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
            "out of device memory allocating 8 bytes",
            "An out-of-memory error happened during launch",
        ] {
            assert!(is_out_of_memory(reason), "{reason}");
        }
        for reason in [
            "CUDA error: an illegal memory access was encountered",
            "the device was lost",
        ] {
            assert!(!is_out_of_memory(reason), "{reason}");
        }
    }
}
