//! Arithmetic, number by number.

use ndarray::{ArrayD, IxDyn};

use super::{Call, Handler, Importer, Outputs, Value, known};
use crate::{
    graph::{Activation, Arithmetic, Binary, Clamp, Function, Power, Scale, Shift, ValueId},
    onnx::host::{Host, Pairwise, Size},
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Add", add),
    ("Sub", pairwise),
    ("Mul", pairwise),
    ("Div", pairwise),
    ("Mod", pairwise),
    ("Pow", pairwise),
    ("Min", several),
    ("Max", several),
    ("Sum", several),
    ("Clip", clip),
    ("Relu", unary),
    ("Gelu", gelu),
    ("Sigmoid", unary),
    ("Tanh", unary),
    ("Erf", unary),
    ("Exp", unary),
    ("Log", unary),
    ("Sqrt", unary),
    ("Abs", unary),
    ("Sin", unary),
    ("Cos", unary),
    ("Neg", unary),
    ("Reciprocal", unary),
    ("Floor", unary),
    ("Ceil", unary),
    ("HardSwish", unary),
    ("Softplus", unary),
    ("Mish", unary),
    ("HardSigmoid", hard_sigmoid),
    ("LeakyRelu", leaky_relu),
    ("Elu", elu),
];

fn arithmetic_of(operator: &str) -> Result<Pairwise, String> {
    Ok(match operator {
        "Add" | "Sum" => Pairwise::Add,
        "Sub" => Pairwise::Sub,
        "Mul" => Pairwise::Mul,
        "Div" => Pairwise::Div,
        "Mod" => Pairwise::Mod,
        "Pow" => Pairwise::Pow,
        "Min" => Pairwise::Min,
        "Max" => Pairwise::Max,
        other => return Err(format!("'{other}' is no arithmetic")),
    })
}

/// A sum, which may be that of a linear layer and its bias.
fn add(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    for (product, bias) in [(0, 1), (1, 0)] {
        let (Value::Graph(id), Value::Host(constant)) = (call.input(product)?, call.input(bias)?)
        else {
            continue;
        };
        if call.read_once.get(product) == Some(&true)
            && let Some(id) = importer.with_bias(id, &constant, call.place)?
        {
            return Ok(vec![Value::Graph(id)]);
        }
    }
    pairwise(importer, call)
}

fn pairwise(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let operation = match arithmetic_of(call.node.operator())? {
        Pairwise::Mod if call.int("fmod", 0) != 0 => Pairwise::Remainder,
        operation => operation,
    };
    let value = importer.combine(operation, &call.input(0)?, &call.input(1)?)?;
    Ok(vec![value])
}

fn several(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let operation = arithmetic_of(call.node.operator())?;
    let mut value = call.input(0)?;
    for index in 1..call.inputs.len() {
        value = importer.combine(operation, &value, &call.input(index)?)?;
    }
    Ok(vec![value])
}

impl Importer {
    /// Two values combined number by number.
    pub(super) fn combine(
        &mut self,
        operation: Pairwise,
        a: &Value,
        b: &Value,
    ) -> Result<Value, String> {
        let value = match (a, b) {
            (Value::Host(first), Value::Host(second)) => {
                let value = Host::pairwise(operation, &first.tensor, &second.tensor)?;
                return Ok(known(&format!("{}.constant", self.called()), value));
            }
            (&Value::Graph(id), Value::Host(constant))
                if constant.tensor.shape().len() <= self.rank(id)
                    && let Some(number) = constant.tensor.scalar() =>
            {
                self.with_number(operation, id, number)?
            }
            (Value::Host(constant), &Value::Graph(id))
                if constant.tensor.shape().len() <= self.rank(id)
                    && let Some(number) = constant.tensor.scalar() =>
            {
                self.number_with(operation, number, id)?
            }
            _ => None,
        };
        if let Some(id) = value {
            return Ok(Value::Graph(id));
        }
        let arithmetic = match operation {
            Pairwise::Add => Arithmetic::Add,
            Pairwise::Sub => Arithmetic::Subtract,
            Pairwise::Mul => Arithmetic::Multiply,
            Pairwise::Div => Arithmetic::Divide,
            Pairwise::Min => Arithmetic::Minimum,
            Pairwise::Max => Arithmetic::Maximum,
            Pairwise::Pow | Pairwise::Mod | Pairwise::Remainder => {
                return Err("expected a power of one constant exponent".to_owned());
            }
        };
        let inputs = [self.value(a)?, self.value(b)?];
        self.step(Binary { arithmetic }, &inputs).map(Value::Graph)
    }

    /// A value with a number after the operator.
    fn with_number(
        &mut self,
        operation: Pairwise,
        id: ValueId,
        number: f64,
    ) -> Result<Option<ValueId>, String> {
        let scale = |factor| Scale { factor };
        Ok(Some(match operation {
            Pairwise::Add => self.step(Shift { by: number }, &[id])?,
            Pairwise::Sub => self.step(Shift { by: -number }, &[id])?,
            Pairwise::Mul => self.step(scale(number), &[id])?,
            Pairwise::Div => self.step(scale(1.0 / number), &[id])?,
            Pairwise::Pow => self.step(Power { exponent: number }, &[id])?,
            Pairwise::Min => self.step(Clamp::new(None, Some(number)), &[id])?,
            Pairwise::Max => self.step(Clamp::new(Some(number), None), &[id])?,
            Pairwise::Mod | Pairwise::Remainder => return Ok(None),
        }))
    }

    /// A value with a number before the operator.
    fn number_with(
        &mut self,
        operation: Pairwise,
        number: f64,
        id: ValueId,
    ) -> Result<Option<ValueId>, String> {
        Ok(Some(match operation {
            Pairwise::Sub => {
                let negative = self.step(Scale { factor: -1.0 }, &[id])?;
                self.step(Shift { by: number }, &[negative])?
            }
            Pairwise::Div => {
                let inverse = self.step(Power { exponent: -1.0 }, &[id])?;
                self.step(Scale { factor: number }, &[inverse])?
            }
            Pairwise::Pow | Pairwise::Mod | Pairwise::Remainder => return Ok(None),
            same_both_ways => return self.with_number(same_both_ways, id, number),
        }))
    }
}

/// A function of floats that are known.
fn on_host(operator: &str) -> Option<fn(f32) -> f32> {
    Some(match operator {
        "Relu" => |x| x.max(0.0),
        "Exp" => f32::exp,
        "Log" => f32::ln,
        "Sqrt" => f32::sqrt,
        "Abs" => f32::abs,
        "Sin" => f32::sin,
        "Cos" => f32::cos,
        "Tanh" => f32::tanh,
        "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "Neg" => |x| -x,
        "Reciprocal" => f32::recip,
        "Floor" => f32::floor,
        "Ceil" => f32::ceil,
        _ => return None,
    })
}

fn of_whole_number(operator: &str, size: Size) -> Result<Size, String> {
    match operator {
        "Abs" => match size.count.checked_abs() {
            Some(count) => Ok(Size { count, ..size }),
            None => Err("a number out of all bounds".to_owned()),
        },
        "Relu" if size.count < 0 => Ok(Size::fixed(0)),
        "Relu" | "Floor" | "Ceil" => Ok(size),
        other => Err(format!("'{other}' of whole numbers")),
    }
}

fn unary(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let operator = call.node.operator();
    let value = call.input(0)?;
    if let (Value::Host(constant), Some(function)) = (&value, on_host(operator)) {
        let result = match &constant.tensor {
            Host::Floats(x) => Host::Floats(x.mapv(function)),
            integers if operator == "Neg" => {
                let zero = ArrayD::from_elem(IxDyn(&[]), Size::fixed(0));
                Host::pairwise(Pairwise::Sub, &Host::Ints(zero), integers)?
            }
            Host::Ints(x) => {
                let of = |size: &Size| of_whole_number(operator, *size);
                let values = x.iter().map(of).collect::<Result<Vec<_>, _>>()?;
                let shape = x.raw_dim();
                Host::Ints(ArrayD::from_shape_vec(shape, values).map_err(|it| it.to_string())?)
            }
            Host::Bools(_) => return Err(format!("'{operator}' of truth values")),
        };
        return Ok(vec![known(call.node.called(), result)]);
    }
    let id = importer.value(&value)?;
    let function = match operator {
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Abs" => Function::Abs,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "HardSwish" => Function::HardSwish,
        "Softplus" => Function::Softplus,
        "Mish" => {
            let softplus = importer.apply(Function::Softplus, id)?;
            let tanh = importer.apply(Function::Tanh, softplus)?;
            let product = importer.combine(Pairwise::Mul, &value, &Value::Graph(tanh))?;
            return Ok(vec![product]);
        }
        "Sqrt" => return importer.only(Power { exponent: 0.5 }, id),
        "Neg" => return importer.only(Scale { factor: -1.0 }, id),
        "Reciprocal" => return importer.only(Power { exponent: -1.0 }, id),
        other => return Err(format!("'{other}' of values that depend on the images")),
    };
    importer
        .apply(function, id)
        .map(|id| vec![Value::Graph(id)])
}

impl Importer {
    pub(super) fn apply(&mut self, function: Function, id: ValueId) -> Result<ValueId, String> {
        self.step(Activation { function }, &[id])
    }

    /// One operation of one value as all that comes out.
    pub(super) fn only(&mut self, op: impl Into<crate::graph::Op>, id: ValueId) -> Outputs {
        self.step(op, &[id]).map(|id| vec![Value::Graph(id)])
    }
}

fn gelu(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let function = match call.word("approximate", "none") {
        "tanh" => Function::GeluTanh,
        _ => Function::Gelu,
    };
    let id = importer.value(&call.input(0)?)?;
    importer
        .apply(function, id)
        .map(|id| vec![Value::Graph(id)])
}

fn clip(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let bound = |index: usize, name: &str| match call.optional(index) {
        Some(_) => {
            let host = call.host(index)?;
            host.scalar()
                .map(Some)
                .ok_or_else(|| format!("expected one number as {name}, found {:?}", host.shape()))
        }
        None if call.has(name) => Ok(Some(call.float(name, 0.0))),
        None => Ok(None),
    };
    let (least, most) = (bound(1, "min")?, bound(2, "max")?);
    match call.input(0)? {
        mut value @ Value::Host(_) => {
            for (operation, index, bound) in [(Pairwise::Max, 1, least), (Pairwise::Min, 2, most)] {
                if let Some(bound) = bound {
                    let constant = match call.optional(index) {
                        Some(constant) => constant.clone(),
                        None => {
                            let bound = ArrayD::from_elem(IxDyn(&[]), bound as f32);
                            known(call.node.called(), Host::Floats(bound))
                        }
                    };
                    value = importer.combine(operation, &value, &constant)?;
                }
            }
            Ok(vec![value])
        }
        Value::Graph(id) => importer.only(Clamp::new(least, most), id),
    }
}

/// `max(0, min(1, alpha x + beta))`.
fn hard_sigmoid(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let factor = call.float("alpha", 0.2);
    let scaled = importer.step(Scale { factor }, &[id])?;
    let by = call.float("beta", 0.5);
    let shifted = importer.step(Shift { by }, &[scaled])?;
    importer.only(Clamp::new(Some(0.0), Some(1.0)), shifted)
}

/// `max(x, 0) + slope min(x, 0)`.
fn leaky_relu(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let above = importer.apply(Function::Relu, id)?;
    let below = importer.step(Clamp::new(None, Some(0.0)), &[id])?;
    let factor = call.float("alpha", 0.01);
    let below = importer.step(Scale { factor }, &[below])?;
    let sum = importer.combine(Pairwise::Add, &Value::Graph(above), &Value::Graph(below))?;
    Ok(vec![sum])
}

/// `max(x, 0) + alpha (exp(min(x, 0)) - 1)`.
fn elu(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let above = importer.apply(Function::Relu, id)?;
    let below = importer.step(Clamp::new(None, Some(0.0)), &[id])?;
    let below = importer.apply(Function::Exp, below)?;
    let below = importer.step(Shift { by: -1.0 }, &[below])?;
    let factor = call.float("alpha", 1.0);
    let below = importer.step(Scale { factor }, &[below])?;
    let sum = importer.combine(Pairwise::Add, &Value::Graph(above), &Value::Graph(below))?;
    Ok(vec![sum])
}
