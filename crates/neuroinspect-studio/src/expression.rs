//! Objectives in the words that the picture lab and `--objective` read.

use neuroinspect::{
    core::{Unit, UnitKind, class_argument},
    illusion::Objective,
};

/// An objective as [`Objective::parse`] reads it; `None` where it has no words for a part of it.
pub(crate) fn written(objective: &Objective, class_names: &[String]) -> Option<String> {
    let written = |of: &Objective| written(of, class_names);
    let factor = |of: &Objective| {
        let text = written(of)?;
        Some(match of {
            Objective::Sum(_) => format!("({text})"),
            _ => text,
        })
    };
    Some(match objective {
        Objective::Neuron => "neuron".to_owned(),
        Objective::Unit(unit) => of_layer(unit)?,
        Objective::ClassLogit => "logit".to_owned(),
        Objective::Logit(class) => match class_names.get(class.0) {
            Some(name) if !name.contains('"') && class_argument(class_names, *class) == *name => {
                format!("logit(\"{name}\")")
            }
            _ => format!("logit(index:{class})"),
        },
        Objective::Similarity => "similarity".to_owned(),
        Objective::TotalVariation => "total_variation".to_owned(),
        Objective::Constant(number) => number.to_string(),
        Objective::Sum(terms) => {
            let terms: Option<Vec<_>> = terms.iter().map(written).collect();
            terms?.join(" + ")
        }
        Objective::Product(factors) => {
            let factors: Option<Vec<_>> = factors.iter().map(factor).collect();
            factors?.join(" * ")
        }
        Objective::Scale(number, of) => format!("{number} * {}", factor(of)?),
        Objective::Clamp(least, most, of) => format!("clamp({}, {least}, {most})", written(of)?),
        _ => return None,
    })
}

fn of_layer(Unit { layer, kind, .. }: &Unit) -> Option<String> {
    Some(match kind {
        UnitKind::Feature(neuron) => format!("neuron(\"{layer}\", {neuron})"),
        UnitKind::Channel(channel) => format!("channel(\"{layer}\", {channel})"),
        UnitKind::Position {
            channel,
            row,
            column,
        } => format!("channel(\"{layer}\", {channel}, {row}, {column})"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use neuroinspect::core::class_by_name_or_index;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let names = ["heron", "sweet pea", "a \"b\""].map(str::to_owned);
        let class = |name: &str| class_by_name_or_index(&names, name).map_err(|it| it.to_string());
        for text in [
            "(similarity + 0.05) * (neuron + 0.5 * logit)",
            "neuron - 0.5 * total_variation",
            "channel(layer4, 17) + 0.5 * logit(\"sweet pea\") * logit(index:2)",
            "clamp(channel(a/b, 1, 2, 3) - 3, -2, 1e-7) * neuron(head, 4)",
            "-0.25 * (neuron + logit(heron))",
        ] {
            let objective = Objective::parse(text, class).unwrap();
            let written = written(&objective, &names).unwrap();
            assert_eq!(
                Objective::parse(&written, class).unwrap(),
                objective,
                "{text} as {written}"
            );
        }
        assert_eq!(
            written(&Objective::default(), &names).unwrap(),
            "(similarity + 0.05) * (neuron + 0.5 * logit)"
        );
    }
}
