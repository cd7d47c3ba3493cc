//! The report as a SARIF 2.1.0 log, for code scanning.

use serde_json::{Value, json};

use super::paths::Paths;
use crate::ops::{CHECKS, Finding, Place, Problem, VerifyReport};

/// The name of the repository's root among SARIF's base locations.
const ROOT: &str = "%SRCROOT%";

pub(super) fn log(report: &VerifyReport, paths: &Paths) -> Value {
    let (mut results, mut notices) = (Vec::new(), Vec::new());
    for judgement in &report.judgements {
        let check = judgement.check;
        match &judgement.finding {
            Finding::Good(_) => {}
            Finding::NotJudged(text) => notices.push(json!({
                "descriptor": { "id": check },
                "level": "note",
                "message": { "text": format!("{check}: not judged, {text}") },
            })),
            Finding::Bad(_, problems) => {
                results.extend(problems.iter().map(|p| result(check, p, paths)));
            }
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sysroot",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
                "notifications": rules(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {
                ROOT: { "description": { "text": "The root of the repository." } },
            },
            "invocations": [{
                "executionSuccessful": true,
                "exitCode": super::exit_code(report),
                "toolExecutionNotifications": notices,
            }],
            "results": results,
        }],
    })
}

fn rules() -> Vec<Value> {
    let rule = |check: &crate::ops::Check| {
        json!({
            "id": check.name,
            "shortDescription": { "text": check.asks },
            "fullDescription": { "text": check.asks },
            "help": { "text": check.remedy },
            "defaultConfiguration": { "level": "error" },
        })
    };
    CHECKS.iter().map(rule).collect()
}

fn result(check: &str, problem: &Problem, paths: &Paths) -> Value {
    let mut text = problem.message.clone();
    if let Some(hint) = &problem.hint {
        text = format!("{text}\n{hint}");
    }
    let first = location(&paths.place_of(check, problem), paths);
    let others = problem.places.iter().skip(1);
    let others: Vec<Value> = others.map(|place| location(place, paths)).collect();
    // Lines move; what is wrong stays.
    let identity = blake3::hash(format!("{check}\n{}", problem.message).as_bytes());
    let mut result = json!({
        "ruleId": check,
        "level": "error",
        "message": { "text": text },
        "locations": [first],
        "partialFingerprints": { "finding/v1": &identity.to_hex()[..32] },
    });
    if let Some(index) = CHECKS.iter().position(|known| known.name == check) {
        result["ruleIndex"] = index.into();
    }
    if !others.is_empty() {
        let numbered = others.iter().enumerate().map(|(id, place)| {
            let mut place = place.clone();
            place["id"] = id.into();
            place
        });
        result["relatedLocations"] = numbered.collect();
    }
    result
}

fn location(place: &Place, paths: &Paths) -> Value {
    let path = paths.in_repository(&place.file);
    // A file outside of the repository has no base.
    let artifact = match path.strip_prefix('/') {
        Some(_) => json!({ "uri": format!("file://{}", uri(&path)) }),
        None => json!({ "uri": uri(&path), "uriBaseId": ROOT }),
    };
    json!({
        "physicalLocation": {
            "artifactLocation": artifact,
            "region": { "startLine": place.spot.line, "startColumn": place.spot.column },
        },
    })
}

/// A path as a URI reference: everything but unreserved characters and `/` is
/// percent-encoded, a colon in the first part included.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{bad, paths, problem};
    use super::*;

    #[test]
    fn what_has_no_place_of_its_own_is_shown_at_the_file_that_was_judged() {
        // There is no lock in this project, so all is shown in the manifest.
        let problem = Problem::from("no place");
        let log = log(&bad(vec![problem]), &paths());
        let result = &log["runs"][0]["results"][0];
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "p/sysroot.toml");
        assert_eq!(place["region"]["startLine"], 1);
        assert!(result.get("relatedLocations").is_none());
    }

    #[test]
    fn paths_are_uris_below_the_root() {
        assert_eq!(uri("a b/\u{e9}:%.toml"), "a%20b/%C3%A9%3A%25.toml");
        let log = log(&bad(vec![problem("m", "/repo/p/x y.toml")]), &paths());
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "p/x%20y.toml");
        assert_eq!(place["artifactLocation"]["uriBaseId"], ROOT);
        assert_eq!(place["region"]["startLine"], 3);
        assert_eq!(place["region"]["startColumn"], 7);
    }
}
