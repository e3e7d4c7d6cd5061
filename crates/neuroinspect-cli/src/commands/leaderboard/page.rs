//! The page of a comparison.

use std::collections::BTreeSet;

use super::Compared;

/// What others report, and why it is not the same thing.
const PUBLISHED: &str = "
## Published figures

Accuracies in percent: of the worst group on Waterbirds and CelebA, and unbiased on Corrupted CIFAR-10 with 0.5
and 5 % conflicting. They are those that secondary notes give of these papers, whose tables were not read; ERM
and group DRO are as the notes on the others have them.

| method | labels | Waterbirds | CelebA | Corrupted CIFAR-10, 0.5 % | 5 % |
| --- | --- | --- | --- | --- | --- |
| ERM | class | 72.6 | 47.2 | 23.1 | 39.4 |
| [DFR](https://arxiv.org/abs/2204.02937) | group (validation) | 92.4 | 87.0 | - | - |
| [group DRO](https://arxiv.org/abs/1911.08731) | group (training) | - | - | 33.4 | 57.3 |
| [NeuronTune](https://arxiv.org/abs/2505.24048) | class | 92.2 | 83.1 | - | - |
| [LADDER](https://arxiv.org/abs/2408.07832) | class, captions | 93.1 | 90.3 | - | - |
| [FG-CCDB](https://arxiv.org/abs/2505.06831) | class | - | - | 55.3 | 78.1 |

They are not to be compared with the tables above: on Corrupted CIFAR-10 the whole network is trained, on all
50,000 images, and here only its last layer on a network that stays as it is, made of 10,000 images; and
Waterbirds and CelebA are other images, seen by a ResNet-50.
";

pub(super) fn page(settings: &[&Compared]) -> String {
    let mut text = "# Leaderboard\n\nMade by\n\n```sh\n".to_owned();
    let commands: BTreeSet<_> = settings.iter().map(|it| &*it.command).collect();
    for command in commands {
        text += command;
        text += "\n";
    }
    text += "```\n\nAccuracies in percent, of samples that no method learnt from or chose on: means over \
             the seeds, and 95 % intervals of them. The classes to be helped and the suspected neurons \
             come from the samples to choose on. All other options are the methods' defaults, but for those \
             listed under a table: they are those by which layers made with one half of the samples to \
             choose on predict the other half best, the worst class of it, or the worst group for methods \
             that learn from group labels. ";
    text += "\"Train-weighted\" weighs groups as they are among the samples to learn from. The ceiling is a \
             layer trained on these with all groups alike; the gap is the difference between it and the \
             layer as it stands; shares are given of gaps of two points or more, and in brackets those of the \
             gap to such a layer trained on the samples to choose on, too. \"On both tables\" stands for a \
             method that learns from these as well, as `auto` does; \"all classes\" for one that is told of \
             no class to be helped; \"as in the demo\" for the options of `neuroinspect demo`. Seconds are those of a \
             layer with the choice of its options. Seeds of scenes draw other scenes; those of images halve the \
             same test images, of which any two halves have half in common, so that their intervals are too \
             narrow, and no interval is over networks.\n";
    let asked = |it: &&Compared| !it.board["each_class"].as_array().is_none_or(Vec::is_empty);
    if settings.iter().any(asked) {
        text += "\nWhere `auto` is asked for each class in turn, the interval is that of paired samples: out of those \
                 that one of the two layers alone gets right. It is as wide as that of one seed, as if all seeds \
                 measured on the same samples.\n";
    }
    for compared in settings {
        text += "\n";
        text += &compared.page;
    }
    let mut names = settings.iter().filter_map(|it| it.setting());
    if names.any(|name| name.contains("Corrupted CIFAR-10")) {
        text += PUBLISHED;
    }
    text
}
