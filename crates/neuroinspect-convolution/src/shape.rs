//! What is convolved by what.

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// How many images.
    pub images: usize,
    /// Channels of the maps.
    pub channels_in: usize,
    /// Channels of the values.
    pub channels_out: usize,
    /// Into how many groups both are divided.
    pub groups: usize,
    /// Height and width of the maps.
    pub size: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Pixels between windows.
    pub stride: [usize; 2],
    /// Pixels between a window's weights.
    pub dilation: [usize; 2],
    /// Zeros before and after height and width.
    pub padding: [(usize, usize); 2],
}

impl Convolution {
    /// Height and width of the values.
    pub fn size_out(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let (before, after) = self.padding[axis];
            let padded = self.size[axis] + before + after;
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            match padded >= reach {
                true => (padded - reach) / self.stride[axis] + 1,
                false => 0,
            }
        })
    }

    pub(crate) fn plane_out(&self) -> usize {
        self.size_out().iter().product()
    }

    pub(crate) fn window(&self) -> usize {
        self.kernel.iter().product()
    }

    pub(crate) fn numbers_in(&self) -> usize {
        self.images * self.channels_in * self.size[0] * self.size[1]
    }

    /// How many numbers the values are.
    pub fn numbers_out(&self) -> usize {
        self.images * self.channels_out * self.plane_out()
    }

    pub(crate) fn weights(&self) -> usize {
        self.channels_out * (self.channels_in / self.groups) * self.window()
    }

    /// How many products are summed.
    pub(crate) fn products(&self) -> usize {
        self.images * self.plane_out() * self.weights()
    }
}

/// What is done to a convolution's sums before they are stored: `activation(sum + bias + what is there)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Then<'a> {
    /// A number for each channel of the values.
    pub bias: Option<&'a [f32]>,
    /// Whether what stands where the values go is added.
    pub added: bool,
    /// The last.
    pub activation: Activation,
}

/// A function of each number by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// As it is.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}
