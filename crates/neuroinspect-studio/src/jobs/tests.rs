use std::{
    ops::ControlFlow,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use neuroinspect::core::{Error as CoreError, Observer, Progress};
use serde_json::{Value, json};

use super::{http::Listener, *};

/// Longer than anything should take.
const TOO_LONG: Duration = Duration::from_secs(60);

fn order(title: &str) -> Order {
    Order {
        title: title.to_owned(),
        page: format!("/{title}"),
        work: Work::Labels {
            words: vec![title.to_owned()],
        },
    }
}

fn name(work: &Work) -> &str {
    match work {
        Work::Labels { words } => &words[0],
        other => panic!("{other:?}"),
    }
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < TOO_LONG, "no {what} yet");
        sleep(Duration::from_millis(2));
    }
}

fn states(jobs: &Jobs) -> Vec<JobState> {
    jobs.list().iter().map(|job| job.state).collect()
}

/// Work that goes on until it is told to end, or to stop; says which work it began.
fn endless(jobs: &Jobs) -> (Receiver<String>, Sender<Result<(), Failure>>) {
    let (begun, beginnings) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let run = move |work: &Work, running: &mut Running<'_>| {
        begun.send(name(work).to_owned()).unwrap();
        for done in 0.. {
            if let Ok(result) = ends.try_recv() {
                return result;
            }
            let progress = Progress {
                stage: "waiting",
                done,
                total: usize::MAX,
            };
            if running.update(progress).is_break() {
                return Err(CoreError::cancelled("waiting").into());
            }
            sleep(Duration::from_millis(1));
        }
        unreachable!()
    };
    jobs.start(run).unwrap();
    (beginnings, end)
}

#[test]
fn jobs_run_in_order_and_what_fails_does_not_hinder_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    for title in ["one", "two", "three"] {
        jobs.queue(order(title)).unwrap();
    }
    let (done, ran) = mpsc::channel();
    jobs.start(move |work, running| {
        done.send(name(work).to_owned()).unwrap();
        match name(work) {
            "one" => Err("no more paint".into()),
            "two" => panic!("out of memory"),
            _ => {
                running.made();
                Ok(())
            }
        }
    })
    .unwrap();
    wait_for("end", || jobs.list().iter().all(Job::has_ended));
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), ["one", "two", "three"]);
    use JobState::{Failed, Finished};
    assert_eq!(states(&jobs), [Failed, Failed, Finished]);
    let list = jobs.list();
    assert_eq!(list[0].note.as_deref(), Some("no more paint"));
    let note = list[1].note.as_deref();
    assert_eq!(note, Some("the work broke off: out of memory"));
    assert_eq!((list[2].note.as_deref(), list[2].made), (None, 1));

    jobs.forget_ended().unwrap();
    assert_eq!(jobs.list(), []);
    jobs.stop();
}

#[test]
fn the_same_work_is_not_queued_twice_but_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let first = jobs.queue(order("one")).unwrap();
    assert_eq!(jobs.queue(order("one")).unwrap().id, first.id);
    assert_ne!(jobs.queue(order("two")).unwrap().id, first.id);
    jobs.cancel(first.id).unwrap();
    // In place of the one that has ended.
    let again = jobs.queue(order("one")).unwrap();
    assert!(again.id > first.id);
    let ids: Vec<_> = jobs.list().iter().map(|job| job.id).collect();
    assert_eq!(ids, [2, again.id]);
}

#[test]
fn a_job_is_cancelled_in_the_queue_or_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let ids = ["one", "two", "three"].map(|title| jobs.queue(order(title)).unwrap().id);
    let (begun, end) = endless(&jobs);
    assert_eq!(begun.recv_timeout(TOO_LONG).unwrap(), "one");
    use JobState::{Cancelled, Finished, Running, Stopping};
    let waiting = jobs.cancel(ids[1]).unwrap().unwrap();
    assert_eq!(waiting.state, Cancelled);
    let stopping = jobs.cancel(ids[0]).unwrap().unwrap();
    assert_eq!(stopping.state, Stopping);
    assert_eq!(begun.recv_timeout(TOO_LONG).unwrap(), "three");
    assert_eq!(states(&jobs), [Cancelled, Cancelled, Running]);
    end.send(Ok(())).unwrap();
    wait_for("end", || states(&jobs)[2] == Finished);
    // What has ended is not changed by it, and strangers are told of.
    assert_eq!(jobs.cancel(ids[2]).unwrap().unwrap().state, Finished);
    assert_eq!(jobs.cancel(4711).unwrap(), None);
    jobs.stop();
}

/// As a process that is killed leaves it: the list is copied while the work is under way.
#[test]
fn what_was_queued_or_under_way_is_taken_up_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let ids = ["one", "two", "three", "four"].map(|title| jobs.queue(order(title)).unwrap().id);
    let (begun, end) = endless(&jobs);
    begun.recv_timeout(TOO_LONG).unwrap();
    end.send(Ok(())).unwrap();
    assert_eq!(begun.recv_timeout(TOO_LONG).unwrap(), "two");
    jobs.cancel(ids[2]).unwrap();
    let copy = |to: &Path| std::fs::copy(folder.path().join("jobs.json"), to.join("jobs.json"));
    let [killed, cancelled] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    copy(killed.path()).unwrap();
    // Asked to stop, and killed before it did.
    let file = std::fs::read_to_string(killed.path().join("jobs.json")).unwrap();
    let file = file.replace("\"running\"", "\"stopping\"");
    std::fs::write(cancelled.path().join("jobs.json"), file).unwrap();
    jobs.stop();

    use JobState::{Cancelled, Finished, Queued};
    let next = Jobs::open(killed.path()).unwrap();
    assert_eq!(states(&next), [Finished, Queued, Cancelled, Queued]);
    let (begun, end) = endless(&next);
    assert_eq!(begun.recv_timeout(TOO_LONG).unwrap(), "two");
    end.send(Ok(())).unwrap();
    assert_eq!(begun.recv_timeout(TOO_LONG).unwrap(), "four");
    assert!(next.queue(order("five")).unwrap().id > ids[3]);
    next.stop();

    let next = Jobs::open(cancelled.path()).unwrap();
    assert_eq!(states(&next), [Finished, Cancelled, Cancelled, Queued]);
}

/// Work that takes the whole process down is not begun for ever.
#[test]
fn work_that_the_process_ended_in_too_often_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let left = |starts: u32| {
        let jobs = Jobs::open(folder.path()).unwrap();
        if starts == 1 {
            jobs.queue(order("one")).unwrap();
        }
        let (begun, end) = endless(&jobs);
        begun.recv_timeout(TOO_LONG).unwrap();
        let file = std::fs::read(folder.path().join("jobs.json")).unwrap();
        end.send(Ok(())).unwrap();
        jobs.stop();
        // As it stood in the midst of the work.
        std::fs::write(folder.path().join("jobs.json"), file).unwrap();
    };
    left(1);
    left(2);
    assert_eq!(
        states(&Jobs::open(folder.path()).unwrap()),
        [JobState::Queued]
    );
    left(3);
    let jobs = Jobs::open(folder.path()).unwrap();
    assert_eq!(states(&jobs), [JobState::Failed]);
    let note = jobs.list()[0].note.clone().unwrap();
    assert!(note.contains("ended 3 times"), "{note}");
}

/// A program that is stopped leaves the same as one that is killed.
#[test]
fn work_that_the_end_of_the_program_stopped_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    jobs.queue(order("one")).unwrap();
    let (begun, _end) = endless(&jobs);
    begun.recv_timeout(TOO_LONG).unwrap();
    jobs.stop();
    assert_eq!(states(&jobs), [JobState::Queued]);
    let next = Jobs::open(folder.path()).unwrap();
    assert_eq!(states(&next), [JobState::Queued]);
}

/// Two who listen from the start come to the same, and so does one who comes back after a break or late.
#[test]
fn all_who_listen_see_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let mut listeners = [(); 2].map(|()| Listener::new(jobs.clone(), None));
    let first = |listener: &mut Listener| runtime.block_on(listener.next()).unwrap();
    for listener in &mut listeners {
        assert_eq!(first(listener).name, "jobs");
    }
    let a_break = listeners[0].seen;

    let jobs_of = jobs.clone();
    let acting = thread::spawn(move || {
        let one = jobs_of.queue(order("one")).unwrap();
        let (begun, end) = endless(&jobs_of);
        begun.recv_timeout(TOO_LONG).unwrap();
        jobs_of.queue(order("two")).unwrap();
        jobs_of.cancel(one.id).unwrap();
        begun.recv_timeout(TOO_LONG).unwrap();
        end.send(Err("no more paint".into())).unwrap();
    });
    // Both hear of it while it happens.
    let seen = listeners.map(|mut listener| {
        let mut last = [None, None];
        let mut ids = Vec::new();
        while last[1] != Some(JobState::Failed) {
            let event = first(&mut listener);
            assert_eq!(event.name, "job");
            ids.push(event.id);
            let job: Value = serde_json::from_str(&event.data).unwrap();
            let place = job["id"].as_u64().unwrap() as usize - 1;
            last[place] = Some(serde_json::from_value(job["state"].clone()).unwrap());
        }
        (last, ids)
    });
    acting.join().unwrap();
    assert_eq!(seen[0].0, [JobState::Cancelled, JobState::Failed].map(Some));
    assert_eq!(seen[0], seen[1]);

    // After a break the events between are told of, each once; nobody who has seen all is told anything.
    let missed = jobs.events_after(a_break).unwrap();
    let ids: Vec<_> = missed.iter().map(|event| event.id).collect();
    assert_eq!(ids, seen[0].1);
    let last = ids.last().copied();
    assert_eq!(jobs.events_after(last).unwrap(), []);
    // The events of another process are unknown: the whole list is told.
    let other: EventId = "17-3".parse().unwrap();
    let all = jobs.events_after(Some(other)).unwrap();
    assert_eq!((all.len(), all[0].name), (1, "jobs"));
    assert_eq!(Some(all[0].id), last);
    let list: Value = serde_json::from_str(&all[0].data).unwrap();
    let titles = [&list[0]["title"], &list[1]["title"]];
    assert_eq!(
        (list.as_array().unwrap().len(), titles),
        (2, [&json!("one"), &json!("two")])
    );
    // The work itself is nobody's matter who listens.
    assert_eq!(list[0]["work"], Value::Null);
    assert!("17".parse::<EventId>().is_err() && "a-b".parse::<EventId>().is_err());

    // Nobody waits for what will not come.
    let mut late = Listener::new(jobs.clone(), last);
    jobs.stop();
    assert_eq!(runtime.block_on(late.next()), None);
}

#[test]
fn what_else_has_happened_is_told_of_among_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let seen = jobs.events_after(None).unwrap()[0].id;
    jobs.announce("edits");
    jobs.queue(order("one")).unwrap();
    let events = jobs.events_after(Some(seen)).unwrap();
    let told: Vec<_> = events.iter().map(|event| event.name).collect();
    assert_eq!(told, ["edits", "job"]);
    assert_eq!(events[0].data, "null");
}

#[test]
fn events_that_are_no_longer_kept_are_made_up_for_by_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    let seen = jobs.events_after(None).unwrap()[0].id;
    jobs.queue(order("one")).unwrap();
    let (done, ended) = mpsc::channel();
    jobs.start(move |_, running| {
        for _ in 0..2000 {
            running.made();
        }
        done.send(()).unwrap();
        Ok(())
    })
    .unwrap();
    ended.recv_timeout(TOO_LONG).unwrap();
    jobs.stop();
    let events = jobs.events_after(Some(seen)).unwrap();
    assert_eq!((events.len(), events[0].name), (1, "jobs"));
}

/// Steps that follow each other closely are not all told of, and the last state is.
#[test]
fn progress_is_told_of_now_and_then() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(folder.path()).unwrap();
    jobs.queue(order("one")).unwrap();
    let seen = jobs.events_after(None).unwrap()[0].id;
    let (done, ended) = mpsc::channel();
    jobs.start(move |_, running| {
        for done in 1..=500 {
            let progress = Progress {
                stage: "counting",
                done,
                total: 500,
            };
            assert_eq!(running.update(progress), ControlFlow::Continue(()));
        }
        done.send(()).unwrap();
        Ok(())
    })
    .unwrap();
    ended.recv_timeout(TOO_LONG).unwrap();
    wait_for("end", || jobs.list()[0].has_ended());
    let events = jobs.events_after(Some(seen)).unwrap();
    assert!(events.len() < 100, "{}", events.len());
    let last: Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
    let expected = json!({ "done": 500, "total": 500, "state": "finished" });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&last[key], value);
    }
    jobs.stop();
}

#[test]
fn a_list_that_cannot_be_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jobs.json"), "{}").unwrap();
    let error = Jobs::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("jobs.json") && error.contains("remove it"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_list_that_cannot_be_looked_at_is_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let to_itself = folder.path().join("jobs.json");
    std::os::unix::fs::symlink(&to_itself, &to_itself).unwrap();
    let error = Jobs::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("jobs.json"), "{error}");
}

#[test]
fn what_cannot_be_written_is_not_queued() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join("studio");
    let jobs = Jobs::open(&within).unwrap();
    std::fs::write(&within, "in the way").unwrap();
    assert!(jobs.queue(order("one")).is_err());
    assert_eq!(jobs.list(), []);
}
