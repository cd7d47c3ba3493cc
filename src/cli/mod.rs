//! The command line: the only place that knows clap, the terminal, the
//! environment and exit codes. Each verb builds options, calls one function
//! of [`crate::ops`], and prints the outcome.

mod args;
mod attest;
mod bundle;
mod cache;
mod collect;
mod doctor;
mod edit;
mod environment;
mod error;
mod explain;
mod init;
mod lock;
mod progress;
mod project;
mod remote;
mod sbom;
mod settings;
mod signals;
mod status;
mod sync;
mod terminal;
mod update;
mod verify;
mod warm;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::Cli;
use args::{Command, Global, SchemaFile};
use error::CliError;
use progress::Progress;
use terminal::Terminal;

use crate::events::Cancel;
use crate::ops::{Context, Settings};
use crate::sys::fs;
use crate::types::nearest::nearest;
use crate::types::{Class, Diagnostic as _};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; a closed pipe is not ours to report.
            let _ = e.print();
            let code = if e.use_stderr() {
                Class::Usage.exit_code()
            } else {
                0
            };
            return ExitCode::from(code);
        }
    };
    let terminal = Terminal::new(&cli.global);
    let result = std::panic::catch_unwind(|| run(&cli, terminal));
    match result {
        Ok(Ok(code)) => code,
        Ok(Err(e)) => {
            terminal::print_error(&e, terminal);
            ExitCode::from(e.class().exit_code())
        }
        Err(panic) => {
            terminal::print_error(&error::Bug::of(&*panic), terminal);
            ExitCode::from(Class::Bug.exit_code())
        }
    }
}

/// What every verb is given.
struct Session<'a> {
    global: &'a Global,
    terminal: Terminal,
    cx: Context<'a>,
}

fn run(cli: &Cli, terminal: Terminal) -> Result<ExitCode, CliError> {
    match &cli.command {
        Command::Completions { shell } => return Ok(completions(*shell, terminal)),
        Command::Schema { file } => return Ok(schema(*file, terminal)),
        Command::Man { command } => return man(command, terminal),
        Command::Doctor => return doctor::run(&cli.global, terminal),
        _ => {}
    }
    let jobs = match &cli.command {
        Command::Sync(args) => args.jobs,
        Command::Lock(args) => args.jobs,
        _ => None,
    };
    let settings: Settings = settings::settings(&cli.global, jobs)?;
    let cancel = Cancel::default();
    // These begin to watch when they find that there is something to do.
    if !matches!(cli.command, Command::Sync(_) | Command::Run(_)) {
        signals::watch(&cancel);
    }
    let progress = Progress::new(&cli.global, terminal);
    let cx = Context {
        settings: &settings,
        observer: &progress,
        cancel: &cancel,
    };
    let session = Session {
        global: &cli.global,
        terminal,
        cx,
    };
    match &cli.command {
        Command::Init(args) => init::run(&session, args),
        Command::Add(args) => edit::add(&session, args),
        Command::Remove(args) => edit::remove(&session, args),
        Command::Lock(args) => lock::run(&session, args),
        Command::Update(args) => update::run(&session, args),
        Command::Sync(args) => sync::run(&session, args),
        Command::Verify(args) => verify::run(&session, args),
        Command::Attest(args) => attest::run(&session, args),
        Command::Sbom => sbom::run(&session),
        Command::Status => status::run(&session),
        Command::Why(args) => explain::why(&session, args),
        Command::Diff(args) => explain::diff(&session, args),
        Command::Run(args) => environment::run(&session, args),
        Command::Env(args) => environment::env(&session, args),
        Command::Path(args) => environment::path(&session, args),
        Command::Link => environment::link(&session),
        Command::Unlink => environment::unlink(&session),
        Command::Key(args) => bundle::key(&session, args),
        Command::Cache(command) => cache::run(&session, command),
        Command::Completions { .. }
        | Command::Schema { .. }
        | Command::Man { .. }
        | Command::Doctor => Ok(ExitCode::SUCCESS),
    }
}

fn completions(shell: clap_complete::Shell, terminal: Terminal) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sysroot", &mut script);
    let script = String::from_utf8_lossy(&script);
    terminal.object(&serde_json::json!({ "script": script }));
    terminal.result(script.trim_end());
    ExitCode::SUCCESS
}

/// Prints the manual page of the whole, or of one command.
fn man(words: &[String], terminal: Terminal) -> Result<ExitCode, CliError> {
    let mut whole = Cli::command();
    whole.build();
    let mut command = &whole;
    for word in words {
        let known = || command.get_subcommands().map(clap::Command::get_name);
        let unknown = || CliError::NoCommand {
            name: word.clone(),
            near: nearest(word, known()).map(str::to_owned),
        };
        command = command.find_subcommand(word).ok_or_else(unknown)?;
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone()).render(&mut page);
    fs::at("write", std::path::Path::new("the page"), rendered)?;
    let page = String::from_utf8_lossy(&page);
    terminal.object(&serde_json::json!({ "page": page }));
    terminal.result(page.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn schema(file: SchemaFile, terminal: Terminal) -> ExitCode {
    let schema = match file {
        SchemaFile::Manifest => crate::manifest::schema::manifest(),
        SchemaFile::Lock => crate::lock::schema::lock(),
    };
    terminal.object(&schema);
    terminal.result(&format!("{schema:#}"));
    ExitCode::SUCCESS
}
