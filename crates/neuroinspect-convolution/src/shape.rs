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
    /// Whether groups divide the channels, no step or window is 0, and numbers and products can be counted.
    pub fn is_valid(&self) -> bool {
        let steps = [self.kernel, self.stride, self.dilation];
        if self.groups == 0 || steps.as_flattened().contains(&0) {
            return false;
        }
        let divides = |channels: usize| channels.is_multiple_of(self.groups);
        let axis = |axis: usize| {
            let (before, after) = self.padding[axis];
            let padded = self.size[axis].checked_add(before)?.checked_add(after)?;
            let reach = self.dilation[axis].checked_mul(self.kernel[axis])?;
            padded.checked_add(reach)?.checked_mul(self.kernel[axis])
        };
        let channels = self.channels_in.checked_mul(self.channels_out);
        let factors = [channels, Some(self.images), axis(0), axis(1)];
        let products = factors.into_iter().try_fold(1_usize, |product, factor| {
            // What has no number is to be counted as well.
            product.checked_mul(factor?.max(1))
        });
        divides(self.channels_in) && divides(self.channels_out) && products.is_some()
    }

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

/// What is done to a convolution's sums before they are stored: `rectifier(sum + bias + what is there)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Then<'a> {
    /// A number for each channel of the values.
    pub bias: Option<&'a [f32]>,
    /// Whether what stands where the values go is added.
    pub added: bool,
    /// The last.
    pub rectifier: Rectifier,
}

/// What of a number below 0, and above 6, is let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rectifier {
    /// As it is.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}
