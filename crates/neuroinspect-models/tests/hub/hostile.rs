//! What is refused, and that the message says what to do.

use std::fs;

use neuroinspect_core::Silent;
use neuroinspect_models::hub::Hub;
use neuroinspect_testing::hub::Fault;

use crate::{CONFIG, Fixture, NAME, name};

/// The message has all of the parts.
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let (fixture, weights) = Fixture::new();
    fixture.server.ask_for_token("hf_right");
    says(
        &fixture.refusal(),
        &[
            "(status 401)",
            "check the name",
            "HF_TOKEN",
            "/settings/tokens",
        ],
    );
    let with = |token: &str| Hub::new(fixture.config().with_token(token)).unwrap();
    let message = fixture
        .weights_by(&with("hf_wrong"))
        .unwrap_err()
        .to_string();
    says(&message, &["(status 401)", "the token is not taken"]);
    assert!(!message.contains("hf_wrong"), "{message}");
    fixture.server.fail([Fault::Refuses(403, "GatedRepo")]);
    let message = fixture
        .weights_by(&with("hf_right"))
        .unwrap_err()
        .to_string();
    let page = format!("{}/{NAME}", fixture.server.endpoint());
    says(&message, &["(status 403)", "accept its licence at", &page]);
    says(
        &fixture.refusal(),
        &["(status 403)", "give a token of that account"],
    );

    // The token is for the hub, not for where it sends to.
    fixture.server.fail([]);
    fixture.server.asked();
    let path = fixture.weights_by(&with("hf_right")).unwrap();
    assert_eq!(fs::read(path).unwrap(), weights);
    let asked = fixture.server.asked();
    assert!(asked.iter().any(|it| it.of_store));
    assert!(
        asked.iter().all(|it| it.with_token != it.of_store),
        "{asked:?}"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let (fixture, _) = Fixture::new();
    let missing = |name: &str| {
        let error = fixture.hub().classifier(&crate::name(name), &mut Silent);
        error.unwrap_err().to_string()
    };
    says(
        &missing("timm/other"),
        &[
            "hf://timm/other: it has no config.json",
            "--model NAME --weights FILE",
        ],
    );
    fixture.server.fail([Fault::Refuses(404, "RepoNotFound")]);
    says(
        &missing("timm/other"),
        &["there is no such repository", "check the name"],
    );
    fixture
        .server
        .fail([Fault::Refuses(404, "RevisionNotFound")]);
    says(
        &missing("timm/other@v2"),
        &["hf://timm/other@v2: it has no branch, tag or commit 'v2'"],
    );
    fixture.server.fail([]);
    fixture.server.serve("timm/bare", "config.json", CONFIG);
    let bare = fixture
        .hub()
        .classifier(&name("timm/bare"), &mut Silent)
        .unwrap();
    let message = bare.weights(&mut Silent).unwrap_err().to_string();
    says(
        &message,
        &["it has no model.safetensors or pytorch_model.bin"],
    );
}

#[test]
fn answers_that_lead_astray_are_not_followed() {
    for (fault, part) in [
        (
            Fault::Redirects("file:///etc/passwd".into()),
            "redirects to \"file:///etc/passwd\"",
        ),
        (
            Fault::Redirects(format!("/{NAME}/resolve/main/config.json")),
            "redirects more than 5 times",
        ),
        (
            Fault::Header("etag", "\"../../../../evil\"".into()),
            "expected a hash as its etag, found \"../../../../evil\"",
        ),
        (
            Fault::Header("x-repo-commit", "../../evil".into()),
            "expected the hash of a commit",
        ),
        (
            Fault::Header("content-length", "99999999999999".into()),
            "at most 4194304 are taken",
        ),
        (
            Fault::Header("x-linked-size", "-1".into()),
            "does not say how long it is",
        ),
    ] {
        let (fixture, _) = Fixture::new();
        fixture.server.fail([fault]);
        let cache = fixture.folder.path("a/b/c/d/hub");
        let hub = Hub::new(fixture.config().with_cache(cache)).unwrap();
        says(
            &fixture.weights_by(&hub).unwrap_err().to_string(),
            &["the answer of http://127.0.0.1", "is not followed", part],
        );
        assert!(!fixture.folder.path("a").exists(), "nothing is written");
    }
    // Of the weights' hash and length, and of the store's answer.
    let small = "300".to_owned();
    for (fault, part) in [
        (
            Fault::Length(1 << 60),
            "expected 1000000 bytes, it announces 1152921504606846976",
        ),
        (
            Fault::Header("x-linked-size", (1_u64 << 60).to_string()),
            "at most 68719476736 are taken",
        ),
        (
            Fault::Header("x-linked-size", small),
            "expected 300 bytes, it announces 1000000",
        ),
    ] {
        let (fixture, _) = Fixture::new();
        let found = fixture.hub().classifier(&name(NAME), &mut Silent).unwrap();
        fixture.server.fail([fault]);
        let message = found.weights(&mut Silent).unwrap_err().to_string();
        says(&message, &["is not followed", part]);
        assert!(!message.contains("secret"), "{message}");
    }
}

/// Configs with one field replaced.
#[test]
fn configs_that_cannot_be_followed_are_refused_by_name() {
    for (from, to, parts) in [
        (
            "\"resnet18\"",
            "\"resnet19\"",
            &[
                "hf://timm/resnet18.test is a \"resnet19\"",
                "the nearest is 'resnet18'",
                "as ONNX",
            ][..],
        ),
        (
            "\"resnet18\"",
            "\"swin_tiny_patch4_window7_224\"",
            &["is a \"swin_tiny", "--model FILE.onnx"],
        ),
        (
            "\"resnet18\"",
            "\"../../resnet18\\u0007\"",
            &["is a \"../../resnet18\\u{7}\""],
        ),
        (
            "\"resnet18\"",
            "18",
            &["'config.json' of", "expected a string"],
        ),
        (
            "\"architecture\": \"resnet18\"",
            "\"architectures\": [\"ViTForImageClassification\"]",
            &["expected a model of timm, found transformers' [\"ViTForImageClassification\"]"],
        ),
        (
            "\"num_classes\": 10, \"num_f",
            "\"num_classes\": -1, \"num_f",
            &["integer `-1`"],
        ),
        (
            "\"num_classes\": 10, \"num_f",
            "\"num_classes\": 1e9, \"num_f",
            &["'config.json'"],
        ),
        (
            "\"num_classes\": 10, \"num_f",
            "\"num_classes\": 99999999, \"num_f",
            &["expected 1000000 at most"],
        ),
        (
            "[3, 224, 224]",
            "[1, 224, 224]",
            &["pretrained_cfg.input_size", "expected [3, S, S]"],
        ),
        ("[3, 224, 224]", "[3, 224, 225]", &["expected [3, S, S]"]),
        (
            "[3, 224, 224]",
            "[3, 99999999, 99999999]",
            &["input size = 99999999"],
        ),
        ("0.95", "0.0", &["shorter side"]),
        ("0.95", "-1", &["shorter side = 0"]),
        ("0.95", "1e-300", &["shorter side"]),
        ("\"bicubic\"", "\"lanczos\"", &["unknown variant `lanczos`"]),
        ("\"center\"", "\"border\"", &["unknown variant `border`"]),
        (
            "[0.25, 0.25, 0.25]",
            "[0.25, 0, 0.25]",
            &["std = [0.25, 0.0, 0.25]"],
        ),
        (
            "[0.5, 0.5, 0.5]",
            "[0.5, 1e300, 0.5]",
            &["mean = [0.5, inf, 0.5]"],
        ),
        (
            "\"global_pool\": \"avg\"",
            "\"model_args\": {\"act_layer\": \"silu\"}",
            &["model_args: \"act_layer\""],
        ),
        (CONFIG, "[1, 2]", &["invalid type"]),
        (CONFIG, "", &["EOF"]),
    ] {
        let (fixture, _) = Fixture::new();
        let config = CONFIG.replace(from, to);
        assert_ne!(config, CONFIG, "{from}");
        fixture.server.serve(NAME, "config.json", config);
        says(&fixture.refusal(), parts);
        assert!(fixture.downloads().is_empty(), "weights are not asked for");
    }
    let (fixture, _) = Fixture::new();
    fixture
        .server
        .serve(NAME, "config.json", "{\"a\":".repeat(100_000));
    says(&fixture.refusal(), &["recursion limit"]);
}
