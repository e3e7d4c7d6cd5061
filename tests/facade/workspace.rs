//! What holds of the workspace as a whole: a rule nobody checks is a rule nobody keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use neuroinspect_testing::pages::{Page, root};
use toml::{Table, Value};

fn manifest(path: impl AsRef<Path>) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn crates() -> Vec<(String, Table)> {
    let entries = fs::read_dir(root().join("crates")).unwrap();
    let crates: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, manifest(path.join("Cargo.toml")))
        })
        .collect();
    assert!(crates.len() >= 10);
    crates
}

#[test]
fn every_crate_inherits_lints_and_facts() {
    for (name, manifest) in crates() {
        assert_eq!(
            manifest["lints"]["workspace"],
            Value::Boolean(true),
            "{name}: lints"
        );
        for key in [
            "version",
            "edition",
            "rust-version",
            "license",
            "repository",
        ] {
            assert_eq!(
                manifest["package"][key]["workspace"],
                Value::Boolean(true),
                "{name}: {key}"
            );
        }
    }
}

/// What a registry shows of a crate, and a packager needs of it.
#[test]
fn what_is_published_has_readme_licence_and_documentation() {
    for (name, manifest) in crates() {
        let package = &manifest["package"];
        if package.get("publish") == Some(&Value::Boolean(false)) {
            continue;
        }
        let folder = root().join("crates").join(&name);
        let licence = fs::read(folder.join("LICENSE")).unwrap();
        assert_eq!(licence, fs::read(root().join("LICENSE")).unwrap(), "{name}");
        let readme = package
            .get("readme")
            .map_or("README.md", |it| it.as_str().unwrap());
        let readme = fs::read_to_string(folder.join(readme)).unwrap();
        assert!(readme.starts_with("# neuroinspect"), "{name}: README");
        if name == "neuroinspect-cli" {
            continue;
        }
        let docs = &package["metadata"]["docs"]["rs"];
        let cfg = ["--cfg", "docsrs"].map(Value::from).to_vec();
        assert_eq!(docs["rustdoc-args"], Value::Array(cfg), "{name}: docs.rs");
        for feature in docs
            .get("features")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let feature = feature.as_str().unwrap();
            assert!(
                manifest["features"].get(feature).is_some(),
                "{name}: {feature}"
            );
        }
    }
}

/// One version and one tag for all: a crate that `release-plz` is not told of would have its own. Left out,
/// `release_always` is true, and any push would publish.
#[test]
fn releases_are_of_all_crates_together() {
    let config = manifest(root().join("release-plz.toml"));
    assert_eq!(config["workspace"]["release_always"], Value::Boolean(false));
    let mut told = BTreeSet::new();
    for package in config["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if package.get("release") != Some(&Value::Boolean(false)) {
            assert_eq!(
                package["version_group"].as_str(),
                Some("neuroinspect"),
                "{name}"
            );
            told.insert(name.to_owned());
        }
        let tag = package.get("git_tag_enable") == Some(&Value::Boolean(true));
        assert_eq!(tag, name == "neuroinspect", "{name}");
    }
    let published = crates().into_iter().filter_map(|(name, manifest)| {
        let publish = manifest["package"].get("publish");
        (publish != Some(&Value::Boolean(false))).then_some(name)
    });
    assert_eq!(told, published.collect());
}

/// A wheel of the program, with the version and the Python that `Cargo.toml` and nothing else decides.
#[test]
fn the_wheel_is_of_the_program() {
    let project = manifest(root().join("pyproject.toml"));
    assert_eq!(
        project["project"]["dynamic"],
        Value::Array(vec!["version".into()])
    );
    let maturin = &project["tool"]["maturin"];
    assert_eq!(maturin["bindings"].as_str(), Some("bin"));
    let program = manifest(root().join(maturin["manifest-path"].as_str().unwrap()));
    assert_eq!(
        program["package"]["name"].as_str(),
        Some("neuroinspect-cli")
    );
    assert_eq!(project["project"]["license"].as_str(), Some("MIT"));
}

/// Each dependency has a line in the architecture that says what it is for.
#[test]
fn dependencies_have_a_reason() {
    let architecture = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, reasons) = architecture.split_once("## Dependencies\n").unwrap();
    let (reasons, _) = reasons.split_once("\n## ").unwrap();
    let reasons: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split(", "))
        .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'))
        .collect();
    let workspace = manifest(root().join("Cargo.toml"));
    let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
    let ours: BTreeSet<&str> = dependencies
        .keys()
        .map(String::as_str)
        .filter(|name| !name.starts_with("neuroinspect"))
        .collect();
    assert_eq!(reasons, ours);
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    for (name, manifest) in crates() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table) else {
                continue;
            };
            for (dependency, value) in dependencies.as_table().unwrap() {
                let inherited = value.get("workspace") == Some(&Value::Boolean(true));
                assert!(
                    inherited,
                    "{name}: {dependency} in [{table}] does not inherit"
                );
            }
        }
    }
}

#[test]
fn arrows_point_one_way() {
    let methods = [
        "concepts",
        "counterfactual",
        "illusion",
        "models",
        "datasets",
    ];
    for (name, manifest) in crates() {
        let short = name.strip_prefix("neuroinspect-").unwrap_or("");
        let dependencies = manifest["dependencies"].as_table().unwrap();
        let ours: BTreeSet<&str> = dependencies
            .keys()
            .filter_map(|key| key.strip_prefix("neuroinspect"))
            .collect();
        assert!(
            !ours.contains("-testing"),
            "{name}: what tests share is a dev-dependency"
        );
        match short {
            "" => {}
            "cli" => assert_eq!(
                ours,
                BTreeSet::from(["", "-studio"]),
                "the program knows the facade and the studio alone"
            ),
            "studio" => assert_eq!(
                ours,
                BTreeSet::from([""]),
                "the studio knows the facade alone"
            ),
            "convolution" => assert!(ours.is_empty(), "convolutions know nobody"),
            "core" => assert_eq!(
                ours,
                BTreeSet::from(["-convolution"]),
                "core knows the sums of its backend alone"
            ),
            // The probability ratio of Eq. 7 is the importance of a ranking.
            "editing" => assert_eq!(ours, BTreeSet::from(["-core", "-counterfactual"])),
            // It holds the results of the stages as they are.
            "report" => assert_eq!(
                ours,
                BTreeSet::from([
                    "-concepts",
                    "-core",
                    "-counterfactual",
                    "-illusion",
                    "-editing",
                ])
            ),
            _ if methods.contains(&short) => {
                assert_eq!(ours, BTreeSet::from(["-core"]), "{name} knows core alone");
            }
            "testing" => {
                assert_eq!(ours, BTreeSet::from(["-core"]), "every crate can use it");
                assert_eq!(manifest["package"]["publish"], Value::Boolean(false));
            }
            _ => panic!("{name}: say here what it may depend on"),
        }
    }
}

#[test]
fn features_are_documented_and_passed_through() {
    let features = |name: &str| -> BTreeSet<String> {
        let manifest = manifest(root().join("crates").join(name).join("Cargo.toml"));
        let features = manifest["features"].as_table().unwrap();
        features
            .keys()
            .filter(|key| *key != "default")
            .cloned()
            .collect()
    };
    let facade = features("neuroinspect");
    let parts: BTreeSet<_> = [
        "datasets",
        "report",
        "demo",
        "experiments",
        "onnx",
        "hub",
        "siglip",
        "turbojpeg",
        "parquet",
        "schema",
    ]
    .map(String::from)
    .into();
    assert!(facade.is_superset(&parts));
    let backends: BTreeSet<_> = facade.difference(&parts).cloned().collect();
    let mut of_core = features("neuroinspect-core");
    assert!(of_core.remove("schema"));
    assert_eq!(of_core, backends);
    let mut of_program = features("neuroinspect-cli");
    for part in ["hub", "siglip", "studio", "turbojpeg", "parquet"] {
        assert!(of_program.remove(part), "the program can do without {part}");
    }
    assert_eq!(of_program, backends);
    let docs = fs::read_to_string(root().join("crates/neuroinspect/src/lib.rs")).unwrap();
    for feature in facade {
        assert!(
            docs.contains(&format!("`{feature}`")),
            "lib.rs does not mention `{feature}`"
        );
    }
}

/// Without the demo's weights, a program that uses the library is 6.7 MB smaller.
#[test]
fn the_demo_is_no_default_part() {
    let facade = manifest(root().join("crates/neuroinspect/Cargo.toml"));
    let default = facade["features"]["default"].as_array().unwrap();
    assert!(!default.contains(&Value::from("demo")), "{default:?}");
    let program = manifest(root().join("crates/neuroinspect-cli/Cargo.toml"));
    let parts = program["dependencies"]["neuroinspect"]["features"].as_array();
    assert!(
        parts.unwrap().contains(&Value::from("demo")),
        "the program has it"
    );
}

#[test]
fn burn_is_pinned() {
    let manifest = manifest(root().join("Cargo.toml"));
    let dependencies = manifest["workspace"]["dependencies"].as_table().unwrap();
    for name in ["burn", "burn-optim", "burn-store"] {
        assert_eq!(
            dependencies[name]["version"].as_str(),
            Some("=0.22.1"),
            "{name}: 0.22 is the last line with both tch and wgpu"
        );
    }
}

/// What `cargo tree` prints of a build, a line for each package.
fn tree(selection: &[&str], edges: &str, format: &str) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(selection)
        .args(["--edges", edges, "--format", format])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    String::from_utf8(tree.stdout).unwrap()
}

#[test]
fn the_default_build_is_small() {
    for selection in [&["--package", "neuroinspect-cli"][..], &["--workspace"]] {
        let tree = tree(selection, "normal,build", "{p}");
        let packages: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(packages.contains("burn-flex"), "{packages:?}");
        for absent in [
            "burn-wgpu",
            "wgpu",
            "burn-tch",
            "tch",
            "torch-sys",
            "burn-cubecl",
            "ureq",
        ] {
            assert!(
                !packages.contains(absent),
                "{absent} is in the default build"
            );
        }
    }
}

/// Of crates of others, what the program is built of is what the tests are built of: where one is asked for other features, it
/// and all that use it are built twice. `tools/workspace-hack` asks for what is missing.
#[test]
fn builds_of_the_workspace_share_what_they_build() {
    /// Features by name and version: of a crate that macros use, too, there may be two sets.
    fn built(selection: &[&str], edges: &str) -> BTreeMap<String, BTreeSet<String>> {
        let tree = tree(selection, edges, "{p} [{f}]");
        let mut built: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let line = line.trim_end_matches(" (*)");
            let (package, features) = line.split_once(" [").unwrap();
            let (package, features) = (package.to_owned(), features.to_owned());
            // Ours stand with their path.
            if !package.contains("(/") {
                built.entry(package).or_default().insert(features);
            }
        }
        built
    }
    let tests = built(&["--workspace"], "normal,build,dev");
    assert!(tests.keys().any(|it| it.starts_with("serde_core ")));
    let flex = [
        "--package",
        "neuroinspect",
        "--package",
        "workspace-hack",
        "--no-default-features",
        "--features",
        "neuroinspect/flex",
    ];
    for selection in [&["--workspace"][..], &flex] {
        for (package, features) in built(selection, "normal,build") {
            assert_eq!(
                Some(&features),
                tests.get(&package),
                "{package} of {selection:?} and, right, of the tests"
            );
        }
    }
}

#[test]
fn what_holds_features_together_is_never_published() {
    let manifest = manifest(root().join("tools/workspace-hack/Cargo.toml"));
    assert_eq!(manifest["package"]["publish"], Value::Boolean(false));
}

#[test]
fn what_the_readme_names_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let examples = readme.split("--example ").skip(1).map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap()
    });
    for example in examples {
        assert!(
            root()
                .join("examples")
                .join(format!("{example}.rs"))
                .exists(),
            "{example}"
        );
    }
}

/// Of the pages in `docs`, which are a book, none leads out of it: there such a link would lead nowhere.
#[test]
fn links_of_the_pages_resolve() {
    let docs = root().join("docs");
    let mut links = 0;
    for page in Page::all() {
        let path = page.path();
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.to_owned(),
                file => path.parent().unwrap().join(file),
            };
            let target = target
                .canonicalize()
                .unwrap_or_else(|error| panic!("{}: {link}: {error}", path.display()));
            assert!(
                target.starts_with(&docs) || !path.starts_with(&docs),
                "{}: {link} leads out of the book",
                path.display()
            );
            assert!(
                anchor.is_empty() || Page::read(target).anchors().contains(anchor),
                "{}: {link}: there is no such heading",
                path.display()
            );
            links += 1;
        }
    }
    assert!(links >= 80, "{links}");
}

#[test]
fn the_book_has_every_page_once() {
    let docs = root().join("docs");
    let summary = Page::read(docs.join("SUMMARY.md"));
    let mut listed: Vec<_> = summary.links().iter().map(|link| docs.join(link)).collect();
    listed.sort();
    let mut pages: Vec<_> = Page::all()
        .iter()
        .map(|page| page.path().to_owned())
        .collect();
    pages.retain(|path| path.starts_with(&docs) && *path != summary.path());
    assert_eq!(listed, pages);
}

/// The versions of schemas that a page promises are those of the program.
#[test]
fn schemas_have_the_versions_of_the_page() {
    let mut sources = String::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => {
                    sources += &fs::read_to_string(path).unwrap();
                }
                false => {}
            }
        }
    }
    let page = fs::read_to_string(root().join("docs/files.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| [`neuroinspect."));
    let promised = rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().split('`').nth(1).unwrap();
        let version: u32 = cells.next().unwrap().parse().ok()?;
        Some(format!("::new(\"{name}\", {version})"))
    });
    let promised: Vec<_> = promised.collect();
    assert!(promised.len() >= 15, "{promised:?}");
    for schema in promised {
        assert!(sources.contains(&schema), "no {schema}");
    }
}
