//! The commands of `docs/models.md`, as they stand there.

use std::fs;

use assert_cmd::Command;
use neuroinspect::{
    burn::tensor::Device,
    models::{checkpoint::parameter_shapes, init_classifier},
};
use neuroinspect_testing::{
    files::{Folder, gradient, safetensors_of},
    fill::made_up_weights,
    pages::{Page, root},
};

const CLASSES: [&str; 10] = [
    "auk", "bittern", "coot", "dipper", "eider", "finch", "gull", "heron", "ibis", "jay",
];

#[test]
fn every_command_of_the_page_runs() {
    let page = Page::read(root().join("docs/models.md"));
    let folder = Folder::new();
    for (class, name) in CLASSES.iter().enumerate() {
        for index in 0..9 {
            // Two to look at, one to validate on, and enough to edit on.
            let within = match index {
                0 | 1 => "photos",
                2 => "one",
                _ => "more",
            };
            let picture = gradient(class, index, 48);
            folder.image(format!("{within}/{name}/{index}.png"), &picture);
        }
    }
    let model = init_classifier("resnet18", CLASSES.len(), &Device::flex()).unwrap();
    let weights = safetensors_of(&made_up_weights(parameter_shapes(&model)));
    for name in [
        "resnet18-a1.safetensors",
        "my-resnet18.pth",
        "resnet18-f37072fd.pth",
    ] {
        folder.write(name, &weights);
    }
    let onnx = "crates/neuroinspect-models/tests/golden/onnx/test_resnet.torchscript.onnx";
    folder.write("net.onnx", fs::read(root().join(onnx)).unwrap());
    let json = page.blocks("json");
    let [input] = &json[..] else {
        panic!("one input in JSON");
    };
    folder.write("input.json", input);
    // To train on: at its own size, gigabytes are computed with.
    let small = input.replace("224", "64").replace("248", "72");
    assert_ne!(small, *input);
    folder.write("small.json", small);

    let (mut run, mut left_out) = (0, 0);
    for words in page.commands() {
        // The hub's are run against a server on this machine (hub.rs), and CLIP's are of gigabytes.
        if words
            .iter()
            .any(|word| word.starts_with("hf://") || word == "--clip")
        {
            left_out += 1;
            continue;
        }
        let mut command = Command::cargo_bin("neuroinspect").unwrap();
        command.args(&words).current_dir(folder.path("."));
        // So few pictures of each class are not to be divided.
        match words[0].as_str() {
            "debug" => _ = command.args(["--iterations", "2", "--count", "1", "--train", "more"]),
            "train" => _ = command.args(["--validation", "one", "--input", "small.json"]),
            _ => {}
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", words.join(" "));
        run += 1;
    }
    assert_eq!((run, left_out), (8, 4));
    assert!(folder.path("neuroinspect-out/edited.onnx").exists());
}
