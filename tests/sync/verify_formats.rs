//! The forms of `verify`'s result, and that each points at the right line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{RISCV, THUMB, manifest, served};
use crate::support::compiler::{FakeCompiler, manifest as compiled};
use crate::support::sandbox::{Said, Sandbox};

/// A repository with a project in a directory with an odd name, synced, and
/// then changed in five ways.
fn changed() -> (Sandbox, PathBuf, crate::support::serve::FileServer) {
    let (sandbox, server) = served();
    let project = sandbox.project(
        "repo/a b",
        &format!("# A comment.\n{}", manifest(&[THUMB, RISCV])),
    );
    sandbox.run(&project, &["sync"]).exits(0);
    let text = fs::read_to_string(project.join("sysroot.toml")).unwrap();
    let text = text
        .replace("components = [\"clippy\"]", "components = []")
        .replace(&format!("[targets.{RISCV}]\n"), "")
        + "opt-level = \"s\"\n[targets.new]\ncrates = [\"core\"]\n[defaults]\npanic = \"abort\"\n";
    fs::write(project.join("sysroot.toml"), text).unwrap();
    fs::write(
        project.join(".sysroot/lib/rustlib/thumbv7em-none-eabihf/lib/<&>.rlib"),
        "x",
    )
    .unwrap();
    (sandbox, project, server)
}

/// The line of a file that begins with a text, counted from 1.
fn line(file: &Path, start: &str) -> usize {
    let text = fs::read_to_string(file).unwrap();
    1 + text
        .lines()
        .position(|line| line.starts_with(start))
        .expect(start)
}

/// What was changed, and the file, line and column to show it at.
fn expected(project: &Path) -> Vec<(String, &'static str, usize, usize)> {
    let (toml, lock) = (project.join("sysroot.toml"), project.join("sysroot.lock"));
    let at = |field: &str, file: &'static str, start: &str, column| {
        let path = if file == "sysroot.toml" { &toml } else { &lock };
        (field.to_owned(), file, line(path, start), column)
    };
    vec![
        at("components: ", "sysroot.toml", "components", 1),
        at("targets.new: ", "sysroot.toml", "[targets.new]", 10),
        at(
            &format!("targets.{RISCV}: "),
            "sysroot.lock",
            &format!("[targets.{RISCV}]"),
            10,
        ),
        at(
            &format!("targets.{THUMB}.opt-level: "),
            "sysroot.toml",
            "opt-level",
            1,
        ),
        at(
            &format!("targets.{THUMB}.panic: "),
            "sysroot.toml",
            "panic",
            1,
        ),
        at(
            &format!("lib/rustlib/{THUMB}/lib/<&>.rlib: "),
            "sysroot.lock",
            &format!("[targets.{THUMB}]"),
            10,
        ),
    ]
}

fn run(sandbox: &Sandbox, project: &Path, format: &str) -> Said {
    let repo = project.parent().unwrap();
    sandbox
        .run(repo, &["-C", "a b", "verify", "--format", format])
        .exits(1)
}

#[test]
fn json_names_fields_values_and_places() {
    let (sandbox, project, _server) = changed();
    let object = run(&sandbox, &project, "json").json();
    assert_eq!(
        object,
        sandbox.run(&project, &["verify", "--json"]).json(),
        "one answer from any directory"
    );
    let findings: Vec<&Value> = object["checks"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|check| check["findings"].as_array().unwrap())
        .collect();
    let want = expected(&project);
    assert_eq!(findings.len(), want.len(), "{findings:#?}");
    for (message, file, line, column) in want {
        let found = findings
            .iter()
            .find(|f| f["message"].as_str().unwrap().starts_with(&message));
        let place = &found.expect(&message)["places"][0];
        assert_eq!(
            *place,
            serde_json::json!({ "file": file, "line": line, "column": column }),
            "{message}"
        );
    }
    let opt = findings
        .iter()
        .find(|f| f["difference"]["field"] == format!("targets.{THUMB}.opt-level"));
    assert_eq!(opt.unwrap()["difference"]["manifest"], "\"s\"");
    assert_eq!(opt.unwrap()["difference"]["lock"], Value::Null);
}

#[test]
fn github_annotations_are_at_the_right_lines_of_the_repository() {
    let (mut sandbox, project, _server) = changed();
    let repo = project.parent().unwrap().to_owned();
    let check = |out: &str| {
        let errors: Vec<&str> = out.lines().filter(|l| l.starts_with("::error ")).collect();
        assert_eq!(errors.len(), 6, "{out}");
        for (message, file, line, column) in expected(&project) {
            let start = format!(
                "::error file=a b/{file},line={line},col={column},title=sysroot verify%3A "
            );
            let found = errors
                .iter()
                .any(|e| e.starts_with(&start) && e.contains(&format!("::{message}")));
            assert!(found, "{start} {message}\n{out}");
        }
        let commands = |l: &str| l.starts_with("::error ") || l.starts_with("::notice ");
        assert!(
            out.lines()
                .all(|l| commands(l) || l.starts_with("sysroot verify: ")),
            "{out}"
        );
    };
    check(&run(&sandbox, &project, "github").out);
    // In a workflow the workspace counts, wherever the step runs.
    sandbox.set("GITHUB_WORKSPACE", repo.to_str().unwrap());
    check(
        &sandbox
            .run(&project, &["verify", "--format", "github"])
            .exits(1)
            .out,
    );
}

#[test]
fn sarif_has_what_its_standard_requires() {
    let (sandbox, project, _server) = changed();
    let log: Value = serde_json::from_str(&run(&sandbox, &project, "sarif").out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let runs = log["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"];
    assert_eq!(driver["name"], "sysroot");
    let rules = driver["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    assert!(
        rules
            .iter()
            .all(|rule| rule["shortDescription"]["text"].is_string())
    );
    let invocation = &runs[0]["invocations"][0];
    assert_eq!(
        (&invocation["executionSuccessful"], &invocation["exitCode"]),
        (&true.into(), &1.into())
    );
    let results = runs[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 6, "{results:#?}");
    let mut identities = std::collections::BTreeSet::new();
    for (message, file, line, column) in expected(&project) {
        let result = results
            .iter()
            .find(|r| r["message"]["text"].as_str().unwrap().starts_with(&message))
            .expect(&message);
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], ids[index]);
        assert_eq!(result["level"], "error");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], format!("a%20b/{file}"));
        let base = place["artifactLocation"]["uriBaseId"].as_str().unwrap();
        assert!(runs[0]["originalUriBaseIds"][base].is_object());
        assert_eq!(place["region"]["startLine"], line, "{message}");
        assert_eq!(place["region"]["startColumn"], column, "{message}");
        assert!(identities.insert(result["partialFingerprints"].to_string()));
        for related in result["relatedLocations"].as_array().into_iter().flatten() {
            assert!(
                related["id"].is_u64()
                    && related["physicalLocation"]["region"]["startLine"].is_u64()
            );
        }
    }
}

#[test]
fn junit_is_well_formed_and_counts_right() {
    let (sandbox, project, _server) = changed();
    let text = run(&sandbox, &project, "junit").out;
    // A parser that is not ours says whether it is XML.
    let path = sandbox.path("report.xml");
    fs::write(&path, &text).unwrap();
    let script = "import sys, xml.etree.ElementTree as E\n\
                  s = E.parse(sys.argv[1]).getroot()\n\
                  t = s.find('testsuite')\n\
                  c = t.findall('testcase')\n\
                  f = [x for x in c if x.find('failure') is not None]\n\
                  assert s.tag == 'testsuites' and int(t.get('tests')) == len(c)\n\
                  assert int(t.get('failures')) == len(f) and int(t.get('skipped')) == len(t.findall('testcase/skipped'))\n\
                  for x in f: print(x.get('name'), x.get('file'), x.get('line')); print(x.find('failure').text)\n";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script]).arg(&path);
    let said = crate::support::sandbox::said(&mut command).exits(0);
    for (message, file, line, column) in expected(&project) {
        let want = format!("a b/{file}:{line}:{column}: {message}");
        assert!(said.out.contains(&want), "{want}\n{}", said.out);
    }
    assert!(
        said.out.contains("manifest a b/sysroot.toml "),
        "{}",
        said.out
    );
}

#[test]
fn a_malformed_manifest_is_shown_at_its_key_and_the_rest_is_judged() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let text = manifest(&[THUMB]) + "stratgy = \"build\"\n";
    fs::write(project.join("sysroot.toml"), &text).unwrap();
    let at = line(&project.join("sysroot.toml"), "stratgy");
    let said = sandbox
        .run(&project, &["verify", "--format", "github"])
        .exits(2);
    assert!(
        said.out
            .contains(&format!("::error file=sysroot.toml,line={at},col=1,")),
        "{}",
        said.out
    );
    let said = sandbox.run(&project, &["verify"]).exits(2);
    assert!(
        said.out.contains('^') && said.out.contains("strategy"),
        "{}",
        said.out
    );
    assert!(said.err.contains("output: good"), "{}", said.err);
    // A flag that contradicts another is refused; no project is a verdict, too.
    sandbox
        .run(&project, &["verify", "--json", "--format", "sarif"])
        .exits(2);
    let empty = sandbox.path("empty");
    fs::create_dir(&empty).unwrap();
    let said = sandbox
        .run(&empty, &["verify", "--format", "json"])
        .exits(2);
    assert_eq!(said.json()["checks"][0]["verdict"], "bad");
}

#[test]
fn case_152_specs_are_judged_one_by_one() {
    let (sandbox, _server) = served();
    let text = manifest(&[THUMB])
        + "[targets.my-os]\nspec = \"my-os.json\"\n[targets.other]\nspec = \"other.json\"\n";
    let project = sandbox.project("p", &text);
    for name in ["my-os.json", "other.json"] {
        fs::write(project.join(name), "{\"llvm-target\": \"x\"}").unwrap();
    }
    sandbox.run(&project, &["lock"]).exits(0);
    sandbox
        .run(&project, &["verify"])
        .exits(0)
        .mentions("2 files as locked");
    fs::write(project.join("my-os.json"), "{\"llvm-target\": \"y\"}").unwrap();
    let specs = |code| -> Value {
        let object = sandbox
            .run(&project, &["verify", "--json"])
            .exits(code)
            .json();
        let all = object["checks"].as_array().unwrap();
        assert_eq!(
            all.iter().find(|c| c["check"] == "manifest").unwrap()["verdict"],
            "good"
        );
        all.iter().find(|c| c["check"] == "specs").unwrap()["findings"].clone()
    };
    let found = specs(1);
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("targets.my-os.spec (the file's bytes): file sha256:"),
        "{message}"
    );
    let files: Vec<&Value> = found[0]["places"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["file"])
        .collect();
    assert_eq!(files, ["my-os.json", "sysroot.toml", "sysroot.lock"]);
    // One that is gone does not hide the other.
    fs::remove_file(project.join("other.json")).unwrap();
    let found = specs(2);
    assert_eq!(found.as_array().unwrap().len(), 2, "{found:#}");
    assert_eq!(
        found[0]["places"][0]["line"],
        line(&project.join("sysroot.toml"), "spec = \"other")
    );
    // One that is no JSON is a file of the project that is wrong, to any command.
    fs::write(project.join("other.json"), "{\"llvm-target\": \"x\",}").unwrap();
    let found = specs(2);
    assert!(found.to_string().contains("malformed"), "{found:#}");
    sandbox
        .run(&project, &["lock"])
        .exits(2)
        .mentions("trailing comma");
}

#[test]
fn on_github_no_line_for_people_is_a_command() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    // Text of the checkout that a runner would obey, in what is quoted of it.
    let hostile = "##[add-matcher]evil.json";
    let text = manifest(&[THUMB]) + &format!("\"{hostile}\" = 1\n");
    fs::write(project.join("sysroot.toml"), text).unwrap();
    let said = sandbox.run(&project, &["verify"]).exits(2);
    assert!(said.out.contains(hostile), "{}", said.out);
    sandbox.set("GITHUB_ACTIONS", "true");
    for command in ["verify", "sync", "lock"] {
        let said = sandbox.run(&project, &[command]).exits(2);
        let all = format!("{}{}", said.out, said.err);
        assert!(!all.contains("##["), "{all}");
        assert!(all.contains("## [add-matcher]evil.json"), "{all}");
    }
    // Documents say the same, in other characters.
    let formats = [
        "--format=json",
        "--format=sarif",
        "--format=junit",
        "--json",
    ];
    for format in formats {
        let said = sandbox.run(&project, &["verify", format]).exits(2);
        assert!(!said.out.contains("##["), "{}", said.out);
        if format != "--format=junit" {
            let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            assert!(document.to_string().contains(hostile), "{document:#}");
        }
    }
    let said = sandbox.run(&project, &["sync", "--json"]).exits(2);
    assert!(!said.out.contains("##["), "{}", said.out);
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert!(document["error"].is_object(), "{document:#}");
}

#[test]
fn on_github_no_path_is_a_command() {
    let (mut sandbox, _server) = served();
    // PATH cannot hold a colon, so `env` refuses the first two anyway.
    for (name, commands) in [
        ("a\n::add-mask::x", &["path"][..]),
        ("a\r::add-mask::x", &["path"]),
        ("##[error]x", &["path", "env"]),
    ] {
        let project = sandbox.project(name, &manifest(&[THUMB]));
        sandbox.run(&project, &["sync"]).exits(0);
        for command in commands {
            sandbox.set("GITHUB_ACTIONS", "");
            let said = sandbox.run(&project, &[command]).exits(0);
            assert!(said.out.contains(name), "{}", said.out);
            sandbox.set("GITHUB_ACTIONS", "true");
            let said = sandbox.run(&project, &[command]).exits(2);
            assert_eq!(said.out, "");
            assert!(!said.err.contains(name), "{}", said.err);
            said.mentions("a GitHub runner could obey it");
        }
        sandbox.set("GITHUB_ACTIONS", "");
    }
}

#[test]
fn every_sarif_result_has_a_place() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    // Damage in the store is in no line of any file of the project.
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
    let name = format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib");
    let mut files = trees.map(|tree| tree.unwrap().path().join(&name));
    fs::remove_file(files.find(|file| file.exists()).unwrap()).unwrap();
    let uris = |code| -> Vec<String> {
        let arguments = ["verify", "--deep", "--format", "sarif"];
        let log: Value =
            serde_json::from_str(&sandbox.run(&project, &arguments).exits(code).out).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
        let places: Vec<Value> = results.iter().map(place).collect();
        assert!(
            places
                .iter()
                .all(|place| place["region"]["startLine"].is_u64())
        );
        let uri = |place: &Value| {
            place["artifactLocation"]["uri"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        places.iter().map(uri).collect()
    };
    assert_eq!(uris(5), ["sysroot.lock"]);
    fs::remove_file(project.join("sysroot.lock")).unwrap();
    assert_eq!(uris(1), ["sysroot.toml"]);
}

#[test]
fn an_error_of_rebuild_is_a_verdict_beside_the_others() {
    let mut sandbox = Sandbox::new();
    let (_compiler, root) = FakeCompiler::write_with(&sandbox.path(""), &[]);
    sandbox.set("SYSROOT_DIST_SERVER", &format!("file://{}", root.display()));
    let project = sandbox.project("p", &compiled(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let run = |format: &str, target: &str, code| {
        let arguments = [
            "verify",
            "--rebuild",
            "--target",
            target,
            "--format",
            format,
        ];
        sandbox.run(&project, &arguments).exits(code).out
    };
    let rebuilt = |text: &str| -> Value {
        let object: Value = serde_json::from_str(text).unwrap();
        let checks = object["checks"].as_array().unwrap();
        let names: Vec<&str> = checks
            .iter()
            .map(|c| c["check"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "lock",
                "manifest",
                "specs",
                "signature",
                "output",
                "pins",
                "rebuild"
            ]
        );
        assert!(
            checks[..6].iter().all(|check| check["verdict"] != "bad"),
            "{text}"
        );
        checks[6].clone()
    };
    assert_eq!(rebuilt(&run("json", THUMB, 0))["verdict"], "good");
    // A target that the lock does not have.
    let check = rebuilt(&run("json", RISCV, 2));
    assert_eq!(
        (&check["verdict"], &check["exit_code"]),
        (&"bad".into(), &2.into())
    );
    assert!(
        check["findings"][0]["message"]
            .as_str()
            .unwrap()
            .contains(RISCV),
        "{check}"
    );
    let xml = run("junit", RISCV, 2);
    assert!(xml.contains("tests=\"7\" failures=\"1\""), "{xml}");
    assert!(xml.contains("type=\"exit code 2\""), "{xml}");
    // One that speaks of the cache does not say where it is.
    let tmp = sandbox.cache().join("tmp");
    fs::remove_dir_all(&tmp).unwrap();
    fs::write(&tmp, "in the way").unwrap();
    let check = rebuilt(&run("json", THUMB, 9));
    let said = check.to_string();
    assert!(said.contains("<cache>/v1/tmp"), "{said}");
    let cache = sandbox.path("cache").to_str().unwrap().to_owned();
    assert!(!said.contains(&cache), "{said}");
    assert!(!run("junit", THUMB, 9).contains(&cache));
}
