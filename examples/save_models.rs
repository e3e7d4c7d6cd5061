//! Writes classifiers with random weights as safetensors, for `tools/timm_loads.py` to load them strictly.
//!
//! ```console
//! cargo run -p neuroinspect --example save_models -- FOLDER resnet18 vit_tiny_patch16_224 ...
//! python tools/timm_loads.py FOLDER
//! ```

use std::{error::Error, path::Path};

use neuroinspect::{
    burn::tensor::Device,
    models::{PretrainedClassifier as _, init_classifier},
};

/// As in `tools/timm_loads.py`.
const CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [folder, names @ ..] = &arguments[..] else {
        return Err("expected a folder and names of models".into());
    };
    for name in names {
        let model = init_classifier(name, CLASSES, &Device::flex())?;
        let file = Path::new(folder).join(format!("{name}.safetensors"));
        model.save(&file)?;
    }
    Ok(())
}
