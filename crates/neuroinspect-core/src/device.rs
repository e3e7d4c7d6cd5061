//! Devices by name.

use std::str::FromStr;

use burn::tensor::{Device, Tensor};
use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, catch_panic};

const FORMS: &str = "flex, tch, tch:cuda:N, tch:mps, wgpu, wgpu:discrete:N, wgpu:integrated:N, \
                     wgpu:virtual:N, wgpu:cpu (likewise vulkan and metal), cuda, cuda:N, rocm, rocm:N";

/// A Burn backend that neuroinspect can be built with; each is a cargo feature of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[display(rename_all = "lowercase")]
pub enum Backend {
    /// Pure Rust on the CPU: no system library.
    Flex,
    /// libtorch, on the CPU, CUDA or MPS.
    Tch,
    /// WGSL on any graphics API.
    Wgpu,
    /// SPIR-V on Vulkan.
    Vulkan,
    /// MSL on Metal.
    Metal,
    /// CUDA through CubeCL.
    Cuda,
    /// ROCm through CubeCL.
    Rocm,
}

/// Whether a device is Burn's pure-Rust CPU backend, with or without autodiff: where two orders of the
/// same computation differ in speed, its kernels want another one than those of other backends.
pub fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    let flex = *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    let flex = {
        let _ = device;
        false
    };
    flex
}

/// Whether a device is libtorch's, with or without autodiff.
pub fn is_tch(device: &Device) -> bool {
    #[cfg(feature = "tch")]
    let tch = {
        use burn::tensor::DeviceType;
        use std::sync::LazyLock;

        // Burn lists the GPUs alone.
        #[expect(
            deprecated,
            reason = "Burn 0.22 is the last line with libtorch, and pinned for it"
        )]
        static DEVICES: LazyLock<Vec<Device>> = LazyLock::new(|| {
            let gpus = Device::enumerate(DeviceType::LibTorch).into_vec();
            let others = [Device::libtorch(), Device::libtorch_mps()];
            others.into_iter().chain(gpus).collect()
        });
        DEVICES.contains(device)
    };
    #[cfg(not(feature = "tch"))]
    let tch = {
        let _ = device;
        false
    };
    tch
}

impl Backend {
    /// Every backend, in the order in which they are listed.
    pub const ALL: [Self; 7] = [
        Self::Flex,
        Self::Tch,
        Self::Wgpu,
        Self::Vulkan,
        Self::Metal,
        Self::Cuda,
        Self::Rocm,
    ];

    /// Whether this build has it.
    fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::Tch => cfg!(feature = "tch"),
            Self::Wgpu => cfg!(any(feature = "wgpu", feature = "vulkan", feature = "metal")),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }
}

/// Which of a backend's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Display)]
enum Place {
    #[default]
    #[display("")]
    Default,
    #[display(":cuda:{_0}")]
    Cuda(usize),
    #[display(":mps")]
    Mps,
    #[display(":discrete:{_0}")]
    Discrete(usize),
    #[display(":integrated:{_0}")]
    Integrated(usize),
    #[display(":virtual:{_0}")]
    Virtual(usize),
    #[display(":cpu")]
    Cpu,
    #[display(":{_0}")]
    Index(usize),
}

/// A device by name: `flex`, `tch:cuda:0`, `wgpu:discrete:0`, `cuda:1`, ...
///
/// ```
/// use neuroinspect_core::DeviceName;
///
/// let name: DeviceName = "flex".parse()?;
/// let device = name.open()?;
/// assert_eq!(name.to_string(), "flex");
/// assert!("abacus".parse::<DeviceName>().is_err());
/// # let _ = device;
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[display("{backend}{place}")]
pub struct DeviceName {
    backend: Backend,
    place: Place,
}

impl DeviceName {
    /// The default device of a backend.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            place: Place::Default,
        }
    }

    /// The backend it belongs to.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The default device of every backend in this build, the first being the one to use when
    /// the user names none.
    pub fn compiled() -> Vec<Self> {
        Backend::ALL
            .into_iter()
            .filter(|backend| backend.is_compiled())
            .map(Self::new)
            .collect()
    }

    /// Opens the device and runs one small operation on it.
    ///
    /// # Errors
    ///
    /// When the backend is not in this build, or the device does not answer.
    pub fn open(&self) -> Result<Device> {
        // Burn's constructors are lazy and its runtimes panic where no adapter or library is
        // found: the only way to hear of it in time is to try.
        let attempt = catch_panic(|| {
            let Some(device) = self.make() else {
                return Ok(None);
            };
            let sum = Tensor::<1>::ones([4], &device)
                .sum()
                .try_into_scalar::<f32>();
            sum.map(|_| Some(device)).map_err(|error| error.to_string())
        });
        let reason = match attempt {
            Ok(Ok(Some(device))) => return Ok(device),
            Ok(Ok(None)) => return Err(self.not_compiled()),
            Ok(Err(reason)) => reason,
            Err(message) => message,
        };
        Err(Error::DeviceUnavailable {
            device: self.to_string(),
            reason,
        })
    }

    fn not_compiled(&self) -> Error {
        let compiled = Self::compiled();
        let names: Vec<_> = compiled.iter().map(ToString::to_string).collect();
        Error::BackendNotCompiled {
            backend: self.backend,
            compiled: match names.is_empty() {
                true => "none".into(),
                false => names.join(", "),
            },
        }
    }

    /// The device, not tried yet; none when its backend is not in this build.
    #[cfg_attr(
        feature = "tch",
        expect(
            deprecated,
            reason = "Burn 0.22 is the last line with libtorch, and pinned for it"
        )
    )]
    fn make(&self) -> Option<Device> {
        let device = match self.backend {
            #[cfg(feature = "flex")]
            Backend::Flex => Device::flex(),
            #[cfg(feature = "tch")]
            Backend::Tch => match self.place {
                Place::Cuda(index) => Device::libtorch_cuda(index),
                Place::Mps => Device::libtorch_mps(),
                _ => Device::libtorch(),
            },
            #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
            Backend::Wgpu => Device::wgpu(self.place.kind()),
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => Device::vulkan(self.place.kind()),
            #[cfg(feature = "metal")]
            Backend::Metal => Device::metal(self.place.kind()),
            #[cfg(feature = "cuda")]
            Backend::Cuda => Device::cuda(self.place.index()),
            #[cfg(feature = "rocm")]
            Backend::Rocm => Device::rocm(self.place.index()),
            #[cfg(not(all(
                feature = "flex",
                feature = "tch",
                feature = "vulkan",
                feature = "metal",
                feature = "cuda",
                feature = "rocm"
            )))]
            _ => return None,
        };
        Some(device)
    }
}

impl Default for DeviceName {
    /// The first compiled backend's default device; `flex` in a build without any.
    fn default() -> Self {
        Self::compiled()
            .into_iter()
            .next()
            .unwrap_or(Self::new(Backend::Flex))
    }
}

impl Place {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
    fn kind(self) -> burn::tensor::DeviceKind {
        use burn::tensor::DeviceKind;
        match self {
            Self::Discrete(index) => DeviceKind::DiscreteGpu(index),
            Self::Integrated(index) => DeviceKind::IntegratedGpu(index),
            Self::Virtual(index) => DeviceKind::VirtualGpu(index),
            Self::Cpu => DeviceKind::Cpu,
            _ => DeviceKind::DefaultDevice,
        }
    }

    #[cfg(any(feature = "cuda", feature = "rocm"))]
    fn index(self) -> burn::tensor::DeviceIndex {
        match self {
            Self::Index(index) => burn::tensor::DeviceIndex::Specified(index),
            _ => burn::tensor::DeviceIndex::Default,
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::UnknownDevice {
            text: text.to_owned(),
            expected: FORMS,
        };
        let parts: Vec<&str> = text.split(':').collect();
        let index = |text: &str| text.parse::<usize>().map_err(|_| unknown());
        let backend = Backend::ALL
            .into_iter()
            .find(|backend| backend.to_string() == parts[0])
            .ok_or_else(unknown)?;
        use Backend::{Cuda, Metal, Rocm, Tch, Vulkan, Wgpu};
        let place = match (backend, &parts[1..]) {
            (_, []) => Place::Default,
            (Tch, ["cuda", n]) => Place::Cuda(index(n)?),
            (Tch, ["mps"]) => Place::Mps,
            (Tch | Wgpu | Vulkan | Metal, ["cpu"]) => Place::Cpu,
            (Wgpu | Vulkan | Metal, ["discrete", n]) => Place::Discrete(index(n)?),
            (Wgpu | Vulkan | Metal, ["integrated", n]) => Place::Integrated(index(n)?),
            (Wgpu | Vulkan | Metal, ["virtual", n]) => Place::Virtual(index(n)?),
            (Cuda | Rocm, [n]) => Place::Index(index(n)?),
            _ => return Err(unknown()),
        };
        Ok(Self { backend, place })
    }
}

impl TryFrom<String> for DeviceName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn flex_is_told_with_and_without_autodiff() {
        let device = Device::flex();
        assert!(is_flex(&device) && is_flex(&device.clone().autodiff()));
        assert!(!is_tch(&device) && !is_tch(&device.autodiff()));
    }

    #[cfg(feature = "tch")]
    #[test]
    fn libtorch_is_told() {
        let device = DeviceName::new(Backend::Tch).open().unwrap();
        assert!(is_tch(&device) && is_tch(&device.clone().autodiff()) && !is_flex(&device));
    }

    #[test]
    fn names_survive_parsing() {
        for name in [
            "flex",
            "tch",
            "tch:cuda:0",
            "tch:mps",
            "tch:cpu",
            "wgpu",
            "wgpu:discrete:1",
            "vulkan:integrated:0",
            "metal:virtual:2",
            "wgpu:cpu",
            "cuda",
            "cuda:3",
            "rocm:0",
        ] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "cpu",
            "flex:0",
            "tch:cuda",
            "cuda:x",
            "cuda:0:1",
            "wgpu:discrete",
            "Flex",
        ] {
            assert!(
                matches!(name.parse::<DeviceName>(), Err(Error::UnknownDevice { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn a_backend_left_out_says_how_to_get_it() {
        let Some(missing) = Backend::ALL
            .into_iter()
            .find(|backend| !backend.is_compiled())
        else {
            return;
        };
        let error = DeviceName::new(missing).open().unwrap_err();
        assert!(matches!(error, Error::BackendNotCompiled { .. }));
        assert!(
            error
                .to_string()
                .contains(&format!("cargo feature '{missing}'"))
        );
    }
}
