//! Downloads: once, taken up where they ended, one at a time, and whole or not at all.

use std::{fs, ops::ControlFlow, thread, time::Duration};

use neuroinspect_core::{Progress, Silent, is_cancellation};
use neuroinspect_models::hub::Hub;
use neuroinspect_testing::hub::{COMMIT, Fault};

use crate::{CONFIG, Fixture, NAME, name, watch};

#[test]
fn a_file_is_downloaded_once_into_the_layout_that_python_has() {
    let (fixture, weights) = Fixture::new();
    let mut seen = Vec::new();
    let found = fixture.hub().classifier(&name(NAME), &mut Silent).unwrap();
    let asked = fixture.server.asked();
    let files: Vec<_> = asked
        .iter()
        .map(|it| (&it.method[..], &it.path[..]))
        .collect();
    let config = "timm/resnet18.test/config.json";
    assert_eq!(
        files,
        [("HEAD", config), ("GET", config)],
        "and nothing else"
    );
    let path = found.weights(&mut watch(&mut seen)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(
        seen.last().unwrap(),
        &("downloading megabytes".to_owned(), 1, 1)
    );

    let root = fixture.folder.path("hub/models--timm--resnet18.test");
    assert_eq!(
        path,
        root.join("snapshots")
            .join(COMMIT)
            .join("model.safetensors")
    );
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    let blobs = fs::read_dir(root.join("blobs")).unwrap().count();
    assert_eq!(blobs, 2, "config and weights, and nothing unfinished");
    let config = root.join("snapshots").join(COMMIT).join("config.json");
    assert_eq!(fs::read_to_string(config).unwrap(), CONFIG);
    #[cfg(unix)]
    assert!(fs::read_link(&path).unwrap().starts_with("../../blobs"));

    // Again: whether the branch has moved is asked, and no file.
    fixture.server.asked();
    assert_eq!(fixture.weights().unwrap(), path);
    let asked = fixture.server.asked();
    assert!(
        asked.iter().all(|it| it.method == "HEAD" && !it.of_store),
        "{asked:?}"
    );
    // Of a commit nothing is asked.
    let at_commit = name(&format!("{NAME}@{COMMIT}"));
    let found = fixture.hub().classifier(&at_commit, &mut Silent).unwrap();
    assert_eq!(found.weights(&mut Silent).unwrap(), path);
    assert_eq!(fixture.server.asked(), []);
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_ended() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::EndsAfter(300_000)]);
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    let from: Vec<_> = fixture.downloads().iter().map(|it| it.from).collect();
    assert_eq!(from, [None, Some(300_000)]);
}

#[test]
fn a_store_that_is_busy_is_asked_again() {
    let (fixture, weights) = Fixture::new();
    fixture
        .server
        .fail([Fault::EndsAfter(300_000), Fault::Busy]);
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    let from: Vec<_> = fixture.downloads().iter().map(|it| it.from).collect();
    assert_eq!(from, [None, None, Some(300_000)]);
}

#[test]
fn a_part_that_is_longer_than_the_file_is_begun_anew() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::Truncated(400_000)]);
    fixture.refusal();
    fixture.server.fail([]);
    let blobs = fixture.folder.path("hub/models--timm--resnet18.test/blobs");
    let mut files = fs::read_dir(blobs).unwrap().map(|it| it.unwrap().path());
    let part = files.find(|it| it.extension().is_some_and(|it| it == "incomplete"));
    fs::write(part.unwrap(), [weights.clone(), weights.clone()].concat()).unwrap();
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    // A file of no bytes is there when there is nothing of it.
    fixture.server.serve("timm/empty", "config.json", CONFIG);
    fixture.server.serve("timm/empty", "model.safetensors", "");
    let found = fixture
        .hub()
        .classifier(&name("timm/empty"), &mut Silent)
        .unwrap();
    assert_eq!(fs::read(found.weights(&mut Silent).unwrap()).unwrap(), b"");
}

#[test]
fn what_was_stopped_goes_on_in_another_run() {
    let (fixture, weights) = Fixture::new();
    let found = fixture.hub().classifier(&name(NAME), &mut Silent).unwrap();
    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let error = found.weights(&mut stop).unwrap_err();
    assert!(is_cancellation(&error), "{error}");
    fixture.server.asked();
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    let [taken_up] = &fixture.downloads()[..] else {
        panic!("one request")
    };
    assert!(taken_up.from.unwrap() > 0, "{taken_up:?}");

    // A server without ranges sends all of it, which takes the place of what is there.
    let (fixture, weights) = Fixture::new();
    fixture
        .server
        .fail([Fault::EndsAfter(300_000), Fault::NoRanges]);
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    assert_eq!(fixture.downloads().len(), 2);
}

#[test]
fn a_file_that_stays_truncated_is_not_taken_and_its_beginning_is_kept() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::Truncated(400_000)]);
    let message = fixture.refusal();
    let part = "'model.safetensors' of hf://timm/resnet18.test@0123456789abcdef0123456789abcdef01234567 came to 400000 of 1000000 bytes only";
    assert!(
        message.contains(part) && message.contains("goes on there"),
        "{message}"
    );
    assert_eq!(fixture.downloads().len(), 4, "three times in vain");
    fixture.server.fail([]);
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
    assert_eq!(fixture.downloads()[0].from, Some(400_000));
}

#[test]
fn a_server_that_stalls_is_waited_for_and_asked_again() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::Stalls]);
    let hub = Hub::new(fixture.config().with_timeout(Duration::from_millis(150))).unwrap();
    // Halves of what is missing come until so little is missing that a half is nothing.
    let message = fixture.weights_by(&hub).unwrap_err().to_string();
    assert!(message.contains("of 1000000 bytes only: "), "{message}");
    fixture.server.fail([]);
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
}

#[test]
fn content_of_another_hash_is_thrown_away() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::OtherBytes]);
    let message = fixture.refusal();
    assert!(
        message.contains("is damaged or was tampered with"),
        "{message}"
    );
    let blobs = fixture.folder.path("hub/models--timm--resnet18.test/blobs");
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 1, "the config alone");
    fixture.server.fail([]);
    let path = fixture.weights().unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);

    // What is damaged later is found, too.
    fs::write(path.canonicalize().unwrap(), "damaged").unwrap();
    let offline = Hub::new(fixture.config().with_offline(true)).unwrap();
    let message = fixture.weights_by(&offline).unwrap_err().to_string();
    assert!(message.contains("delete it"), "{message}");
    assert_eq!(fs::read(fixture.weights().unwrap()).unwrap(), weights);
}

#[test]
fn offline_all_comes_from_the_cache_or_is_said_to_be_missing() {
    let (fixture, weights) = Fixture::new();
    let offline = Hub::new(fixture.config().with_offline(true)).unwrap();
    let message = fixture.weights_by(&offline).unwrap_err().to_string();
    for part in [
        "hf://timm/resnet18.test: config.json is not in the cache",
        "--offline",
    ] {
        assert!(message.contains(part), "{message}");
    }
    fixture.hub().classifier(&name(NAME), &mut Silent).unwrap();
    let message = fixture.weights_by(&offline).unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors or pytorch_model.bin is not in the cache"),
        "{message}"
    );
    fixture.weights().unwrap();
    fixture.server.asked();
    assert_eq!(
        fs::read(fixture.weights_by(&offline).unwrap()).unwrap(),
        weights
    );
    assert_eq!(fixture.server.asked(), []);
}

#[test]
fn a_server_that_is_gone_is_named_with_what_to_do() {
    let (fixture, _) = Fixture::new();
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let hub = Hub::new(fixture.config().with_endpoint(&endpoint)).unwrap();
    let message = fixture.weights_by(&hub).unwrap_err().to_string();
    for part in [
        &endpoint[..],
        "cannot be reached",
        "--offline",
        "HF_ENDPOINT",
    ] {
        assert!(message.contains(part), "{message}");
    }
    fixture.server.fail([Fault::Refuses(503, "")]);
    let message = fixture.refusal();
    assert!(
        message.contains("cannot be reached: it answers with the status 503"),
        "{message}"
    );
}

#[test]
fn two_at_once_take_turns_and_download_once() {
    let (fixture, weights) = Fixture::new();
    fixture.server.fail([Fault::Slow(Duration::from_secs(1))]);
    let path = fixture.folder.path("hub");
    let paths: Vec<_> = thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| fixture.weights().unwrap()));
        both.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(paths[0], paths[1]);
    assert!(paths[0].starts_with(path));
    assert_eq!(fs::read(&paths[0]).unwrap(), weights);
    assert_eq!(fixture.downloads().len(), 1);
}
