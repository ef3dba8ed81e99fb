//! The log beside what `tracing` gives it.

use std::sync::Arc;

use super::carry::Carrier;
use super::*;
use crate::config::Secret;
use crate::sync::{Mutex, lock};

fn recorder() -> (LogSink, Arc<Mutex<Vec<LogRecord>>>) {
    let records = Arc::<Mutex<Vec<LogRecord>>>::default();
    let keep = Arc::clone(&records);
    (Arc::new(move |record: &LogRecord| lock(&keep).push(record.clone())), records)
}

/// Messages with the names of their spans.
fn lines(records: &Mutex<Vec<LogRecord>>) -> Vec<String> {
    let line = |r: &LogRecord| {
        let spans: Vec<&str> = r.spans.iter().map(|s| s.name).collect();
        format!("{} {} {}", r.level, spans.join(">"), r.message)
    };
    lock(records).iter().map(line).collect()
}

#[test]
fn records_carry_level_fields_and_spans() {
    let (sink, records) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    log.scope(|| {
        let run = tracing::info_span!("run", id = "a", later = tracing::field::Empty);
        let _run = run.enter();
        run.record("later", 3);
        tracing::info_span!("encode", output = 1).in_scope(|| tracing::warn!(frames = 5_u64, ok = true, "hello"));
        tracing::debug!("not told");
        tracing::info!(ratio = 0.5, "after");
    });
    tracing::error!("outside of the engine");
    let records = lock(&records);
    assert_eq!(records.len(), 2, "{records:?}");
    let first = serde_json::to_value(&records[0]).unwrap();
    assert_eq!(first["level"], "warn");
    assert_eq!(first["message"], "hello");
    assert_eq!(first["fields"], serde_json::json!({"frames": 5, "ok": true}));
    assert_eq!(first["target"], module_path!());
    assert_eq!(first["spans"][0]["fields"], serde_json::json!({"id": "a", "later": 3}));
    assert_eq!(first["spans"][1]["name"], "encode");
    assert!(records[0].time_ms > 1_500_000_000_000 && records[1].spans.len() == 1);
}

#[test]
fn the_level_changes_while_it_runs() {
    let (sink, records) = recorder();
    let log = Log::default();
    assert_eq!(log.level(), LogLevel::Off);
    log.listen(LogLevel::Warn, sink);
    let speak = || {
        log.scope(|| {
            tracing::error!("e");
            tracing::info!("i");
            tracing::trace!("t");
        });
    };
    for level in [LogLevel::Warn, LogLevel::Trace, LogLevel::Off, LogLevel::Info] {
        log.set_level(level);
        speak();
    }
    log.mute();
    speak();
    assert_eq!(lines(&records), ["error  e", "error  e", "info  i", "trace  t", "error  e", "info  i"]);
    let counts: Vec<u64> = log.records().map(|(_, n)| n).collect();
    assert_eq!(counts, [3, 0, 2, 0, 1]);
}

#[test]
fn threads_of_a_job_speak_in_its_span() {
    let (sink, records) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    log.scope(|| {
        tracing::info_span!("run").in_scope(|| {
            let carrier = Carrier::here();
            std::thread::scope(|scope| {
                scope.spawn(|| carrier.run(|| tracing::info!("carried")));
                scope.spawn(|| tracing::info!("not carried"));
            });
        });
    });
    assert_eq!(lines(&records), ["info run carried"]);
}

#[test]
fn a_place_that_spoke_outside_of_the_engine_first_is_heard_inside() {
    fn speak() {
        tracing::info!("hello");
    }
    let (sink, records) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    speak();
    log.scope(speak);
    assert_eq!(lines(&records), ["info  hello"]);
}

#[test]
fn two_logs_know_nothing_of_each_other() {
    let ((sink_a, a), (sink_b, b)) = (recorder(), recorder());
    let logs = [Log::default(), Log::default()];
    logs[0].listen(LogLevel::Info, sink_a);
    logs[1].listen(LogLevel::Error, sink_b);
    logs[0].scope(|| {
        let _span = tracing::info_span!("outer").entered();
        logs[1].scope(|| tracing::error!("inner"));
        tracing::info!("outer");
    });
    assert_eq!(lines(&a), ["info outer outer"]);
    assert_eq!(lines(&b), ["error  inner"]);
}

#[test]
fn secrets_are_not_told() {
    let (sink, records) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    let secret = Secret::new("hunter2");
    log.scope(|| {
        let _span = tracing::info_span!("login", %secret, db_password = secret.expose()).entered();
        tracing::info!(?secret, access_Token = "hunter2", "signed in with {secret}");
    });
    let shown = serde_json::to_string(&lock(&records)[0]).unwrap();
    assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
}

#[test]
fn a_sink_that_panics_or_logs_harms_nobody() {
    let log = Log::default();
    let sink: LogSink = Arc::new(|_| {
        tracing::error!("from the sink");
        panic!("on purpose");
    });
    log.listen(LogLevel::Info, sink);
    log.scope(|| tracing::info!("x"));
    log.scope(|| tracing::info!("y"));
    assert_eq!(log.failures(), 2);
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let (sink, records) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    log.scope(|| tracing::info!(text = "ä".repeat(5000), "{}", "x".repeat(10_000)));
    let records = lock(&records);
    let text = records[0].fields["text"].as_str().unwrap();
    // 4096 bytes are 2048 of these, and three dots.
    assert_eq!((text.chars().count(), records[0].message.len()), (2051, 4099));
}

#[test]
fn closed_spans_are_forgotten() {
    let (sink, _) = recorder();
    let log = Log::default();
    log.listen(LogLevel::Info, sink);
    log.scope(|| {
        let outer = tracing::info_span!("outer");
        let inner = outer.in_scope(|| tracing::info_span!("inner"));
        drop(outer);
        // The outer one is still there for the inner one.
        assert_eq!(inner.in_scope(|| tracing::Span::current().id()), inner.id());
        drop(inner);
        let next = tracing::info_span!("next");
        assert!(next.id().unwrap().into_u64() == 3 && tracing::Span::current().id().is_none());
    });
}

#[test]
fn levels_are_read_by_their_names() {
    for level in LogLevel::ALL {
        assert_eq!(level.name().parse::<LogLevel>().unwrap(), level);
        assert_eq!(serde_json::to_value(level).unwrap(), level.name());
    }
    assert!("loud".parse::<LogLevel>().unwrap_err().to_string().contains("off, error, warn, info, debug, trace"));
}

#[test]
fn a_sink_may_use_the_engine_that_logs() {
    let records = Arc::<Mutex<Vec<LogRecord>>>::default();
    let log = Arc::new(Log::default());
    let (keep, inner) = (Arc::clone(&records), Arc::downgrade(&log));
    log.listen(
        LogLevel::Info,
        Arc::new(move |record: &LogRecord| {
            lock(&keep).push(record.clone());
            let carrier = Carrier::here();
            inner.upgrade().unwrap().scope(|| {
                tracing::error!("from the sink");
                carrier.run(|| tracing::error!("and below"));
            });
        }),
    );
    log.scope(|| tracing::info!("one"));
    log.scope(|| tracing::info!("two"));
    assert_eq!(lines(&records), ["info  one", "info  two"]);
    assert_eq!(log.failures(), 0);
}
