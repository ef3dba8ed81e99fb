//! Every case of `cases.json` in Rust.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::collections::BTreeSet;

use pure_sound_parity::{difference, load, run};

#[test]
fn every_case_holds() {
    let cases = load().unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        match run(case) {
            Ok(ran) => wrong.extend(difference(case, &ran).map(|what| format!("{name}: {what}"))),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    println!("parity: {} cases", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cases_have_names_of_their_own_and_expect_something() {
    let cases = load().unwrap();
    let names: BTreeSet<&str> = cases.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 60);
    for case in &cases {
        let expected = case.get("expect").or(case.get("error")).and_then(|e| e.as_object());
        assert!(expected.is_some_and(|e| !e.is_empty()), "{} expects nothing", case["name"]);
        assert!(case.contains_key("expect") != case.contains_key("error"), "{}", case["name"]);
    }
}
