//! The ResNets of CLIP's image towers.

use super::{ClipConfig, towers::normal};
use crate::{
    families::transformer::tokens_of_map,
    graph::{
        AvgPool2d, Concat, Conv2d, GlobalMean, GraphBuilder, Linear, MatMul, Permute, Reshape,
        Scale, Slice, Softmax, ValueId,
    },
};

/// open_clip's `ModifiedResNet`: three convolutions and a mean for a stem, means before all that makes the
/// map smaller, and attention from the mean to all pixels at the end (Radford et al. 2021, section 2.4).
pub(super) fn resnet_tower(
    g: &mut GraphBuilder,
    config: &ClipConfig,
    stages: [usize; 4],
    images: ValueId,
) -> ValueId {
    let width = config.vision.width;
    let mut x = images;
    for (number, (width, stride)) in (1..).zip([(width / 2, 2), (width / 2, 1), (width, 1)]) {
        x = g.layer(
            format!("visual.conv{number}"),
            Conv2d::new(width, 3).with_stride(stride),
            [x],
        );
        x = g.batch_norm(format!("visual.bn{number}"), x);
        x = g.relu(format!("visual.act{number}"), x);
    }
    x = g.layer("visual.avgpool", AvgPool2d::new(2, 2), [x]);
    for (stage, count) in stages.into_iter().enumerate() {
        let name = format!("visual.layer{}", stage + 1);
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let block = format!("{name}.{index}");
            x = bottleneck(g, &block, [width << stage, stride], x);
        }
        x = g.module(name, x);
    }
    attention_pool(g, config, x)
}

fn bottleneck(
    g: &mut GraphBuilder,
    name: &str,
    [width, stride]: [usize; 2],
    x: ValueId,
) -> ValueId {
    let path = |part: &str| format!("{name}.{part}");
    let mut y = x;
    for (number, kernel) in [(1, 1), (2, 3)] {
        y = g.layer(
            path(&format!("conv{number}")),
            Conv2d::new(width, kernel),
            [y],
        );
        y = g.batch_norm(path(&format!("bn{number}")), y);
        y = g.relu(path(&format!("act{number}")), y);
    }
    if stride > 1 {
        y = g.layer(path("avgpool"), AvgPool2d::new(stride, stride), [y]);
    }
    y = g.layer(path("conv3"), Conv2d::new(4 * width, 1), [y]);
    y = g.batch_norm(path("bn3"), y);
    let shortcut = match g.shape(x).get(1) == Some(&(4 * width)) && stride == 1 {
        true => x,
        false => {
            let mut x = x;
            if stride > 1 {
                x = g.layer(path("downsample.-1"), AvgPool2d::new(stride, stride), [x]);
            }
            x = g.layer(path("downsample.0"), Conv2d::new(4 * width, 1), [x]);
            x = g.batch_norm(path("downsample.1"), x);
            g.module(path("downsample"), x)
        }
    };
    let sum = g.add(y, shortcut);
    let out = g.relu(path("act3"), sum);
    g.module(name, out)
}

/// open_clip's `AttentionPool2d`: a map `[N, C, h, w]` to `[N, E]`.
fn attention_pool(g: &mut GraphBuilder, config: &ClipConfig, map: ValueId) -> ValueId {
    let vision = &config.vision;
    let width = 32 * vision.width;
    let heads = (width / vision.head_width) as i64;
    let side = vision.image_size / 32;
    let path = |part: &str| format!("visual.attnpool.{part}");
    let mean = g.step(GlobalMean {}, [map]);
    let shape = vec![0, 1, -1];
    let mean = g.step(Reshape { shape }, [mean]);
    let pixels = tokens_of_map(g, map);
    let axis = 1;
    let x = g.step(Concat { axis }, [mean, pixels]);
    let start = normal((width as f64).powf(-0.5));
    let name = path("positional_embedding");
    let positions = g.drawn(&name, [side * side + 1, width], start.clone());
    let x = g.add(x, positions);
    let first = Slice {
        axis: 1,
        start: 0,
        length: 1,
    };
    let first = g.step(first, [x]);
    // [N, T, C] to [N, heads, T, C / heads], or its last two axes exchanged.
    let mut of_heads = |part: &str, x, axes: [usize; 4]| {
        let name = path(part);
        let x = g.unlisted(&name, Linear::new(width), [x], None);
        g.initialize(&format!("{name}.weight"), start.clone());
        let shape = vec![0, 0, heads, -1];
        let x = g.step(Reshape { shape }, [x]);
        let axes = axes.to_vec();
        g.step(Permute { axes }, [x])
    };
    let query = of_heads("q_proj", first, [0, 2, 1, 3]);
    let key = of_heads("k_proj", x, [0, 2, 3, 1]);
    let value = of_heads("v_proj", x, [0, 2, 1, 3]);
    let factor = (vision.head_width as f64).powf(-0.5);
    let query = g.step(Scale { factor }, [query]);
    let weights = g.step(MatMul {}, [query, key]);
    let weights = g.step(Softmax { axis: 3 }, [weights]);
    let x = g.step(MatMul {}, [weights, value]);
    let shape = vec![0, -1];
    let x = g.step(Reshape { shape }, [x]);
    let name = path("c_proj");
    let x = g.unlisted(&name, Linear::new(config.embed_dim), [x], None);
    g.initialize(&format!("{name}.weight"), start);
    g.module("visual.attnpool", x)
}
