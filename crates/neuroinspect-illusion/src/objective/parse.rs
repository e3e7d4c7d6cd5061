//! Objectives as text.

use neuroinspect_core::{ClassId, NeuronId, Unit, UnitKind};

use super::Objective;
use crate::{Error, Result};

/// How deep parentheses may be nested.
const DEEPEST: usize = 64;

/// What may begin a term.
const TERMS: &str =
    "a number, '(', '-', neuron, logit, similarity, total_variation, clamp or channel";

impl Objective {
    /// Reads an objective as it is written by hand: `channel(layer4, 17) + 0.5 * logit(heron)`.
    ///
    /// | text | objective |
    /// | --- | --- |
    /// | `neuron`, `logit`, `similarity`, `total_variation` | [`Neuron`](Self::Neuron), [`ClassLogit`](Self::ClassLogit), [`Similarity`](Self::Similarity), [`TotalVariation`](Self::TotalVariation) |
    /// | `logit(CLASS)` | [`Logit`](Self::Logit) of the class that `class_named` finds |
    /// | `neuron(LAYER, N)`, `channel(LAYER, N)` | a [unit](Self::Unit): neuron or channel `N` of a layer |
    /// | `channel(LAYER, N, ROW, COLUMN)` | one position of a channel |
    /// | `clamp(EXPRESSION, LEAST, MOST)` | [`Clamp`](Self::Clamp) |
    /// | `+`, `-`, `*`, `( )`, numbers | sums, products, factors |
    ///
    /// Names with other characters than letters, digits, `_`, `.`, `-`, `/` and `:` stand in double quotes:
    /// `logit("sweet pea")`.
    ///
    /// ```
    /// use neuroinspect_core::ClassId;
    /// use neuroinspect_illusion::Objective;
    ///
    /// # fn main() -> neuroinspect_illusion::Result<()> {
    /// let class = |name: &str| (name == "heron").then_some(ClassId(3)).ok_or("no such class".into());
    /// let objective = Objective::parse("channel(layer4, 17) + 0.5 * logit(heron)", class)?;
    /// assert_eq!(objective.to_string(), "a[channel 17 of layer layer4] + 0.5 * z_3");
    ///
    /// let clip_illusion = Objective::parse("(similarity + 0.05) * (neuron + 0.5 * logit)", class)?;
    /// assert_eq!(clip_illusion, Objective::clip_illusion(0.5, 0.05));
    /// assert!(Objective::parse("neuron + logit(egret)", class).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ObjectiveText`] with the place and what is expected there, and where `class_named` says why it
    /// finds no class; [`validate`](Self::validate)'s.
    pub fn parse(
        text: &str,
        class_named: impl Fn(&str) -> Result<ClassId, String>,
    ) -> Result<Self> {
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
            class_named: &class_named,
        };
        let objective = parser.sum()?;
        match parser.rest().is_empty() {
            true => objective.validate().map(|()| objective),
            false => Err(parser.expected("'+', '-', '*' or the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Byte that comes next.
    at: usize,
    depth: usize,
    class_named: &'a dyn Fn(&str) -> Result<ClassId, String>,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Objective> {
        let mut terms = vec![self.product()?];
        loop {
            if self.takes("+") {
                terms.push(self.product()?);
            } else if self.takes("-") {
                terms.push(negative(self.product()?));
            } else {
                return Ok(one_or(terms, Objective::Sum));
            }
        }
    }

    /// Numbers become one factor of what is left.
    fn product(&mut self) -> Result<Objective> {
        let mut number = None;
        let mut factors = Vec::new();
        loop {
            match self.factor()? {
                Objective::Constant(factor) => {
                    number = Some(number.unwrap_or(1.0) * factor);
                }
                factor => factors.push(factor),
            }
            if !self.takes("*") {
                break;
            }
        }
        Ok(match (number, factors.is_empty()) {
            (number, true) => Objective::Constant(number.unwrap_or(1.0)),
            (Some(number), false) => one_or(factors, Objective::Product) * number,
            (None, false) => one_or(factors, Objective::Product),
        })
    }

    fn factor(&mut self) -> Result<Objective> {
        if self.depth == DEEPEST {
            let expected = format!("fewer than {DEEPEST} nested parentheses and signs");
            return Err(self.expected(&expected));
        }
        self.depth += 1;
        let factor = self.nested();
        self.depth -= 1;
        factor
    }

    fn nested(&mut self) -> Result<Objective> {
        if self.takes("-") {
            return Ok(negative(self.factor()?));
        }
        if self.takes("(") {
            let inside = self.sum()?;
            self.needs(")")?;
            return Ok(inside);
        }
        if self
            .rest()
            .starts_with(|it: char| it.is_ascii_digit() || it == '.')
        {
            return Ok(Objective::Constant(self.number()?));
        }
        let start = self.at;
        match self.word() {
            "neuron" if self.takes("(") => {
                let (layer, neuron) = self.of_layer()?;
                self.needs(")")?;
                let kind = UnitKind::Feature(NeuronId(neuron));
                Ok(Objective::Unit(Unit::new(layer, kind)))
            }
            "neuron" => Ok(Objective::Neuron),
            "channel" => self.channel(),
            "logit" if self.takes("(") => {
                let start = self.at;
                let name = self.name("the name of a class")?;
                let class = (self.class_named)(&name).map_err(|reason| {
                    self.at = start;
                    self.expected(&format!("a class ({reason})"))
                })?;
                match self.takes(")") {
                    true => Ok(Objective::Logit(class)),
                    false => Err(self.expected("')'; a name with blanks stands in double quotes")),
                }
            }
            "logit" => Ok(Objective::ClassLogit),
            "similarity" => Ok(Objective::Similarity),
            "total_variation" => Ok(Objective::TotalVariation),
            "clamp" => {
                self.needs("(")?;
                let of = self.sum()?;
                self.needs(",")?;
                let least = self.signed()?;
                self.needs(",")?;
                let most = self.signed()?;
                self.needs(")")?;
                Ok(of.clamped(least, most))
            }
            _ => {
                self.at = start;
                Err(self.expected(TERMS))
            }
        }
    }

    fn channel(&mut self) -> Result<Objective> {
        self.needs("(")?;
        let (layer, channel) = self.of_layer()?;
        let kind = match self.takes(",") {
            true => {
                let row = self.index()?;
                self.needs(",")?;
                let column = self.index()?;
                UnitKind::Position {
                    channel,
                    row,
                    column,
                }
            }
            false => UnitKind::Channel(channel),
        };
        self.needs(")")?;
        Ok(Objective::Unit(Unit::new(layer, kind)))
    }

    /// `LAYER, N`.
    fn of_layer(&mut self) -> Result<(String, usize)> {
        let layer = self.name("the name of a layer")?;
        self.needs(",")?;
        Ok((layer, self.index()?))
    }

    /// A name with or without quotes, trimmed.
    fn name(&mut self, expected: &str) -> Result<String> {
        let inside = |it: char| it.is_alphanumeric() || "_.-/:".contains(it);
        let name = match self.takes("\"") {
            true => {
                let Some((name, _)) = self.text[self.at..].split_once('"') else {
                    return Err(self.expected("a closing '\"'"));
                };
                self.at += name.len() + 1;
                name
            }
            false => self.while_are(inside),
        };
        match name.is_empty() {
            true => Err(self.expected(expected)),
            false => Ok(name.to_owned()),
        }
    }

    fn index(&mut self) -> Result<usize> {
        let start = self.at;
        self.while_are(|it| it.is_ascii_digit())
            .parse()
            .map_err(|_| {
                self.at = start;
                self.expected("a whole number")
            })
    }

    fn signed(&mut self) -> Result<f64> {
        Ok(match self.takes("-") {
            true => -self.number()?,
            false => self.number()?,
        })
    }

    /// Digits with a point and an exponent; what of these is no number, is refused.
    fn number(&mut self) -> Result<f64> {
        let start = self.at;
        let digits = |it: char| it.is_ascii_digit() || it == '.';
        self.while_are(digits);
        let rest = self.text[self.at..].strip_prefix(['e', 'E']);
        if let Some(exponent) = rest {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            if exponent[sign..].starts_with(|it: char| it.is_ascii_digit()) {
                self.at += 1 + sign;
                self.while_are(|it| it.is_ascii_digit());
            }
        }
        let number = self.text[start..self.at].trim_start().parse();
        number.map_err(|_| {
            self.at = start;
            self.expected("a number")
        })
    }

    fn word(&mut self) -> &'a str {
        self.while_are(|it| it.is_ascii_alphabetic() || it == '_')
    }

    /// Blanks, and then as many characters as are such.
    fn while_are(&mut self, is_such: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|it| !is_such(it)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// What comes next, after blanks, which are passed.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let there = self.rest().starts_with(symbol);
        if there {
            self.at += symbol.len();
        }
        there
    }

    fn needs(&mut self, symbol: &str) -> Result<()> {
        match self.takes(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("'{symbol}'"))),
        }
    }

    fn expected(&mut self, expected: &str) -> Error {
        let left = self.rest().chars().count();
        Error::ObjectiveText {
            text: self.text.to_owned(),
            character: self.text.chars().count() - left + 1,
            expected: expected.to_owned(),
        }
    }
}

fn one_or(mut parts: Vec<Objective>, join: fn(Vec<Objective>) -> Objective) -> Objective {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => part,
        (_, last) => join(parts.into_iter().chain(last).collect()),
    }
}

fn negative(objective: Objective) -> Objective {
    match objective {
        Objective::Constant(number) => Objective::Constant(-number),
        Objective::Scale(factor, of) => Objective::Scale(-factor, of),
        other => other * -1.0,
    }
}
