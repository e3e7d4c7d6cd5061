//! Where work on the CPU is done.

use burn::tensor::Device;

/// Runs work whose operations are on `device`: on the CPU backend, by one of the threads that its operations are shared
/// among; on any other device by the thread that asks.
///
/// Many of a network's operations take less than a millisecond. Where one that threads share is asked for by another
/// thread, that thread wakes one of them and sleeps until it has ended; where it is asked for by one of them, it begins at once.
///
/// While its thread waits for a part of an operation that another thread computes, it may begin other work. So work must not
/// hold, while an operation is computed, a lock that other work asks for, and must not wait for other work. It is best
/// a step of something longer, so that other work has its turn.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::among_workers;
///
/// let device = Device::flex();
/// let sum = among_workers(&device, || Tensor::<2>::ones([2, 3], &device).sum());
/// assert_eq!(sum.into_scalar::<f32>(), 6.0);
/// ```
pub fn among_workers<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "flex")]
    if crate::is_flex(device) {
        return rayon::scope(|_| work());
    }
    #[cfg(not(feature = "flex"))]
    let _ = device;
    work()
}

/// Runs two pieces of work, each [`among_workers`]: on the CPU backend side by side where a thread is free, elsewhere one
/// after the other. What an operation does not share between threads, one piece has done while the other's is under way.
pub fn side_by_side<A: Send, B: Send>(
    device: &Device,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "flex")]
    if crate::is_flex(device) {
        return rayon::join(one, other);
    }
    #[cfg(not(feature = "flex"))]
    let _ = device;
    (one(), other())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_by_a_worker_and_its_panic_is_passed_on() {
        let device = Device::flex();
        assert_eq!(rayon::current_thread_index(), None);
        let (outer, inner) = among_workers(&device, || {
            let index = rayon::current_thread_index;
            // By the same thread: nobody is waited for.
            (index(), among_workers(&device, index))
        });
        assert!(outer.is_some());
        assert_eq!(inner, outer);
        let failed =
            crate::catch_panic(|| among_workers(&device, || -> () { panic!("no memory") }));
        assert_eq!(failed, Err("no memory".to_owned()));
    }
}
