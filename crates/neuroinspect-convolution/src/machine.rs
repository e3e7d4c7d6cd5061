//! This machine's widest instructions.

use pulp::{Arch, WithSimd};

/// Runs an operation with the widest instructions that this machine has.
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    // Of the features of `pulp` that stand for instructions, `gemm` takes AVX-512's alone.
    #[cfg(target_arch = "x86_64")]
    if let Arch::Scalar = Arch::new()
        && let Some(avx2) = pulp::x86::V3::try_new()
    {
        return pulp::Simd::vectorize(avx2, op);
    }
    Arch::new().dispatch(op)
}
