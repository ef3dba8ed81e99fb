//! The registry and its text.

use super::*;
use crate::error::Error;

#[test]
fn the_text_is_that_of_the_standard() {
    let metrics = Metrics::default();
    let jobs = metrics.counter("a_jobs", "Jobs \"done\"\nso far.", [Label::any("kind")]).unwrap();
    jobs.with(&["a\"b\\c"]).add(2.5);
    metrics.gauge("b_used_bytes", "Used.", []).unwrap().with(&[]).set(f64::INFINITY);
    let times = metrics.histogram("c_time_seconds", "Times.", &[0.5, 1.0], [Label::one_of("op", ["x"])]).unwrap();
    times.with(&["x"]).observe(0.25);
    times.with(&["x"]).observe_of(0.75, "run-1");
    metrics.info("d_build", "Build.", &[("version", "1.2")]).unwrap();
    metrics.computed(MetricKind::Counter, "e_seen", "Seen.", [], |s| s.set(&[], 7.0)).unwrap();
    let expected = "\
# TYPE a_jobs counter
# HELP a_jobs Jobs \\\"done\\\"\\nso far.
a_jobs_total{kind=\"a\\\"b\\\\c\"} 2.5
# TYPE b_used_bytes gauge
# UNIT b_used_bytes bytes
# HELP b_used_bytes Used.
b_used_bytes +Inf
# TYPE c_time_seconds histogram
# UNIT c_time_seconds seconds
# HELP c_time_seconds Times.
c_time_seconds_bucket{op=\"x\",le=\"0.5\"} 1
c_time_seconds_bucket{op=\"x\",le=\"1.0\"} 2 # {trace_id=\"run-1\"} 0.75
c_time_seconds_bucket{op=\"x\",le=\"+Inf\"} 2
c_time_seconds_count{op=\"x\"} 2
c_time_seconds_sum{op=\"x\"} 1
# TYPE d_build info
# HELP d_build Build.
d_build_info{version=\"1.2\"} 1
# TYPE e_seen counter
# HELP e_seen Seen.
e_seen_total 7
# EOF
";
    assert_eq!(metrics.to_openmetrics(), expected);

    times.with(&["x"]).observe_of(0.75, "a\" } # \n");
    assert!(metrics.to_openmetrics().contains("trace_id=\"a???????\"} 0.75\n"));
    let older = metrics.to_prometheus();
    for line in [
        "# HELP a_jobs_total Jobs \"done\"\\nso far.\n# TYPE a_jobs_total counter\na_jobs_total{kind=",
        "\nc_time_seconds_bucket{op=\"x\",le=\"1.0\"} 3\n",
        "# TYPE d_build_info gauge\nd_build_info{version=\"1.2\"} 1\n",
    ] {
        assert!(older.contains(line), "{line}: {older}");
    }
    assert!(!older.contains("UNIT") && !older.contains("EOF") && !older.contains("trace_id"), "{older}");
}

#[test]
fn names_are_held_to_the_rules() {
    let metrics = Metrics::default();
    for name in ["", "1a", "A", "a b", "a__b", "a_", "a_total", "a_info", "a_ms", "a_mib", "a_percent", "ä", "a\n"] {
        let error = metrics.gauge(name, "x", []).unwrap_err();
        assert!(matches!(error, Error::InvalidValue { .. }), "{name:?}");
    }
    for label in ["le", "Le", "a-b", "__name__", ""] {
        assert!(metrics.gauge("a", "x", [Label::any(label)]).is_err(), "{label:?}");
    }
    assert!(metrics.histogram("a_seconds", "x", &[1.0, 1.0], []).is_err());
    assert!(metrics.catalogue().is_empty());
}

#[test]
fn the_same_registration_gives_the_same_metric_and_another_is_refused() {
    let metrics = Metrics::default();
    metrics.counter("a", "x", []).unwrap().with(&[]).inc();
    metrics.clone().counter("a", "x", []).unwrap().with(&[]).inc();
    assert_eq!(metrics.value("a", &[]), Some(2.0));
    assert!(matches!(metrics.gauge("a", "x", []), Err(Error::Conflict { .. })));
    assert!(matches!(metrics.counter("a", "x", [Label::any("b")]), Err(Error::Conflict { .. })));
    assert!(matches!(metrics.computed(MetricKind::Counter, "a", "x", [], |_| {}), Err(Error::Conflict { .. })));
    assert!(metrics.remove("a") && metrics.value("a", &[]).is_none());
}

#[test]
fn two_registries_know_nothing_of_each_other() {
    let (one, two) = (Metrics::default(), Metrics::default());
    one.counter("a", "x", []).unwrap().with(&[]).inc();
    assert_eq!(two.counter("a", "x", []).unwrap().with(&[]).get(), 0.0);
}

#[test]
fn a_function_that_panics_costs_its_metric_only() {
    let metrics = Metrics::default();
    metrics.computed(MetricKind::Gauge, "a", "x", [], |_| panic!("on purpose")).unwrap();
    metrics.gauge("b", "x", []).unwrap();
    let again = metrics.clone();
    // One that registers: the lock is not held while functions run.
    let register = move |s: &mut Samples<'_>| s.set(&[], again.gauge("d", "x", []).map_or(0.0, |_| 1.0));
    metrics.computed(MetricKind::Gauge, "c", "x", [], register).unwrap();
    let text = metrics.to_openmetrics();
    assert!(!text.contains("TYPE a ") && text.contains("\nb 0\n") && text.contains("\nc 1\n"), "{text}");
    assert_eq!(metrics.failures(), 1);
}

#[test]
fn computed_series_are_bounded_too() {
    let metrics = Metrics::default();
    let compute = |s: &mut Samples<'_>| (0..5000).for_each(|n: u32| s.set(&[&n.to_string()], 1.0));
    metrics.computed(MetricKind::Gauge, "a", "x", [Label::any("n")], compute).unwrap();
    let read = metrics.read();
    assert_eq!(read[0].1.len(), MAX_SERIES);
    assert_eq!(metrics.value("a", &[("n", OTHER)]), Some(5000.0 - (MAX_SERIES as f64 - 1.0)));
}
