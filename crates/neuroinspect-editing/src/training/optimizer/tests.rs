use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::read_back;
use neuroinspect_testing::{assert_close, fill, reference::original};

use super::*;

#[test]
fn adam_is_that_of_pytorch() {
    let device = Device::flex();
    let tensor = |values: [f32; 3]| Tensor::<1>::from_data(values, &device);
    let mut parameter = tensor([0.5, -1.0, 2.0]);
    let mut adam = Adam::new();
    // torch.optim.Adam(lr=0.1, weight_decay=0.01) of PyTorch 2.9 on the same gradients.
    for (gradient, expected) in [
        ([1.0, -0.5, 0.0], [0.4, -0.9, 1.9000001]),
        ([0.2, 0.3, -1e-3], [0.3195246, -0.8787013, 1.8004124]),
        ([-2.0, 0.1, 4.0], [0.3479645, -0.8722469, 1.7360173_f32]),
    ] {
        adam.step(&mut parameter, tensor(gradient), 0.1, 0.01)
            .unwrap();
        // A few roundings in single precision of values near 1.
        assert_close(&parameter, expected, 0.0, 5e-7);
    }
}

/// One pass over memory takes the very steps of the operations on tensors, whatever the number of threads.
#[test]
fn a_step_on_the_cpu_is_that_of_tensors_to_the_bit() {
    let device = Device::flex();
    // More than two pieces, the last one not whole.
    let shape = [7, 5_003];
    let values = |name: &str| {
        let values = fill::normal(name, shape[0] * shape[1]);
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    for decay in [0.0, 0.01] {
        let start = values("parameter");
        let gradients: Vec<_> = ["first", "second", "third"].map(values).into();
        let mut by_tensors = Adam::new();
        let mut expected = start.clone();
        for (step, gradient) in (1..).zip(&gradients) {
            let step = Step {
                rate: 0.01 / (1.0 - BETA1.powi(step)),
                correction: (1.0 - BETA2.powi(step)).sqrt(),
                weight_decay: decay,
            };
            by_tensors.on_device(&mut expected, gradient.clone(), step);
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let found = pool.build().unwrap().install(|| {
                let mut adam = Adam::new();
                let mut parameter = start.clone();
                for gradient in &gradients {
                    adam.step(&mut parameter, gradient.clone(), 0.01, decay)
                        .unwrap();
                }
                parameter
            });
            let [found, expected] =
                [found, expected.clone()].map(|it| read_back(it, "a layer").unwrap());
            assert_eq!(found, expected, "{threads} threads, decay {decay}");
        }
        // What others hold stays as it is.
        assert_eq!(
            read_back(start, "a layer").unwrap(),
            fill::normal("parameter", shape[0] * shape[1])
        );
    }
}

#[test]
fn the_warmup_curve_is_that_of_the_original() {
    let rate = |step: usize| warmup(1e-3, step as f64 / 100.0);
    let rates: Vec<f64> = (0..100).map(rate).collect();
    // The reference is in single precision: half a unit in its last place.
    assert_close(rates, original().values("editing.warmup_lr"), 0.0, 6e-11);
}

#[test]
fn the_warmup_rises_stays_and_falls() {
    let rates: Vec<f64> = (0..1000)
        .map(|step| Schedule::Warmup.rate(2.0, step, 50, 20))
        .collect();
    // Half a step in, of a rise over 50 steps, and half a step before the end of the fall.
    assert!((rates[0] - 0.02).abs() < 1e-12);
    assert!(rates[..50].is_sorted());
    assert!(rates[50..750].iter().all(|&rate| rate == 2.0));
    assert!(rates[750..].is_sorted_by(|a, b| a >= b));
    assert!((rates[874] + rates[875] - 2.0).abs() < 1e-12, "half-way");
    assert!(rates[999] > 0.0 && rates[999] < 1e-4);
}

#[test]
fn the_originals_warmup_is_a_sawtooth() {
    // 20 epochs of 100 steps, base rate 1e-3: each epoch spans 1/20 of the curve, its rise.
    let rate = |epoch: usize, step: usize| {
        Schedule::OriginalWarmup.rate(1e-3, epoch * 100 + step, 100, 20)
    };
    assert_eq!(rate(0, 0), 1e-3, "the very first step has the full rate");
    for epoch in 0..20 {
        if epoch > 0 {
            assert!(
                (rate(epoch, 0) - 0.99e-3).abs() < 1e-12,
                "the last rate of the epoch before"
            );
        }
        assert_eq!(rate(epoch, 1), 0.0);
        assert!((rate(epoch, 51) - 0.5e-3).abs() < 1e-12);
    }
}

/// PyTorch's `CosineAnnealingLR(optimizer, T_max=20, eta_min=2e-4)` at a rate of 2e-3, and the same with 1e-4,
/// stepped after each epoch.
#[test]
fn a_cosine_falls_to_a_tenth_or_a_twentieth_epoch_by_epoch() {
    let to_tenth = [2e-3, 1.7363961030678928e-3, 1.1e-3, 2.1108049346437612e-4];
    let to_twentieth = [2e-3, 1.72175144212722e-3, 1.05e-3, 1.1169607643461924e-4];
    for (schedule, rates) in [
        (Schedule::Cosine, to_tenth),
        (Schedule::CosineToTwentieth, to_twentieth),
    ] {
        for (epoch, expected) in [0, 5, 10, 19].into_iter().zip(rates) {
            for step in [0, 62] {
                let rate = schedule.rate(2e-3, epoch * 63 + step, 63, 20);
                assert!((rate - expected).abs() < 1e-12, "{schedule:?} {epoch}");
            }
        }
    }
}
