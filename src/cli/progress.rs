//! Events as progress bars on a terminal, as plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::args::Global;
use super::settings;
use super::terminal::{Terminal, bytes, seconds};
use crate::events::{Count, Event, Observer, Overall, Stage};

/// Where the number of bytes is known beforehand, where it is not, and where
/// only time passes.
const BAR: &str = "{prefix:>11} [{bar:20}] {bytes}/{total_bytes} {eta} {msg}";
const BYTES: &str = "{prefix:>11} {spinner} {bytes} {bytes_per_sec} {msg}";
const TIME: &str = "{prefix:>11} {spinner} {elapsed} {msg}";
/// The last line, about all of the work.
const OVERALL: &str = "{prefix:>11} {msg}, {elapsed}";

/// How often a bar moves although nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// Shows events.
pub(super) struct Progress {
    terminal: Terminal,
    bars: Option<Bars>,
    /// Without bars: what began and is told of when its size is known.
    unsaid: Mutex<HashMap<String, Stage>>,
}

struct Bars {
    all: MultiProgress,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    by_task: HashMap<String, ProgressBar>,
    overall: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(global: &Global, terminal: Terminal) -> Self {
        let shown = !global.no_progress && !global.quiet && !global.json;
        let able = std::io::stderr().is_terminal() && !settings::is_dumb_terminal();
        let bars = (shown && able).then(|| Bars {
            all: MultiProgress::new(),
            shown: Mutex::default(),
        });
        Self {
            terminal,
            bars,
            unsaid: Mutex::default(),
        }
    }

    /// Prints a line above the bars.
    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| self.terminal.note(text)),
            None => self.terminal.note(text),
        }
    }

    /// Tells without bars that something began. Where bytes are moved that
    /// waits until they come: only then their number is known, and that a
    /// remote has the thing at all.
    fn begin_plainly(&self, task: String, stage: Stage) {
        match stage {
            Stage::Download | Stage::Pull => {
                self.unsaid().insert(task, stage);
            }
            Stage::Build => self.terminal.note(&begun_line(stage, &task)),
            _ => self.terminal.detail(&begun_line(stage, &task)),
        }
    }

    /// Tells that bytes come, once for each task.
    fn say(&self, task: &str, have: u64, total: Option<u64>) {
        let Some(stage) = self.unsaid().remove(task) else {
            return;
        };
        let line = begun_line(stage, task);
        let size = match (total.map(bytes), have) {
            (Some(total), 0) => format!(" ({total})"),
            (Some(total), have) => format!(" ({total}, {} of it are here already)", bytes(have)),
            (None, _) => String::new(),
        };
        self.terminal.note(&(line + &size));
    }

    fn unsaid(&self) -> MutexGuard<'_, HashMap<String, Stage>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, task: &str) {
        self.unsaid().remove(task);
        if let Some(bars) = &self.bars {
            bars.finish(task);
        }
    }
}

fn begun_line(stage: Stage, task: &str) -> String {
    format!("{:>11} {task}", begun(stage))
}

const fn begun(stage: Stage) -> &'static str {
    match stage {
        Stage::Resolve => "resolving",
        Stage::Search => "looking for",
        Stage::Download => "downloading",
        Stage::Pull => "pulling",
        Stage::Push => "pushing",
        Stage::Unpack => "unpacking",
        Stage::Build => "compiling",
        Stage::Link => "linking",
    }
}

const fn done(stage: Stage) -> &'static str {
    match stage {
        Stage::Resolve => "resolved",
        Stage::Search => "looked for",
        Stage::Download => "downloaded",
        Stage::Pull => "pulled",
        Stage::Push => "pushed",
        Stage::Unpack => "unpacked",
        Stage::Build => "compiled",
        Stage::Link => "linked",
    }
}

impl Bars {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, task: String, stage: Stage, total: Option<u64>) {
        let template = match (stage, total) {
            (_, Some(_)) => BAR,
            (Stage::Download | Stage::Pull, None) => BYTES,
            _ => TIME,
        };
        let mut shown = self.shown();
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let bar = dressed(bar, template, begun(stage), task.clone());
        // The overall line stays the last one.
        let bar = match &shown.overall {
            Some(overall) => self.all.insert_before(overall, bar),
            None => self.all.add(bar),
        };
        bar.enable_steady_tick(TICK);
        if let Some(old) = shown.by_task.insert(task, bar) {
            old.finish_and_clear();
        }
    }

    fn size(&self, task: &str, have: u64, total: Option<u64>) {
        let shown = self.shown();
        let Some(bar) = shown.by_task.get(task) else {
            return;
        };
        if let Some(total) = total {
            bar.set_length(total);
            bar.set_style(style(BAR));
        }
        bar.set_position(have);
        // What was there before did not come in this moment.
        bar.reset_eta();
    }

    fn advance(&self, task: &str, bytes: u64) {
        if let Some(bar) = self.shown().by_task.get(task) {
            bar.inc(bytes);
        }
    }

    fn finish(&self, task: &str) {
        if let Some(bar) = self.shown().by_task.remove(task) {
            bar.finish_and_clear();
        }
    }

    fn overall(&self, overall: Option<Overall>) {
        let mut shown = self.shown();
        match (overall, &shown.overall) {
            (Some(overall), Some(bar)) => bar.set_message(summary(overall)),
            (Some(overall), None) => {
                let bar = ProgressBar::new_spinner();
                let bar = dressed(bar, OVERALL, "overall", summary(overall));
                let bar = self.all.add(bar);
                bar.enable_steady_tick(TICK);
                shown.overall = Some(bar);
            }
            (None, Some(bar)) => {
                bar.finish_and_clear();
                shown.overall = None;
            }
            (None, None) => {}
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // After a panic, too, the terminal is left as it was.
        let _ = self.all.clear();
    }
}

/// A bar that shows all it has when it is drawn for the first time.
fn dressed(bar: ProgressBar, template: &str, prefix: &'static str, text: String) -> ProgressBar {
    bar.with_style(style(template))
        .with_prefix(prefix)
        .with_message(text)
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// `3 of 7 downloads, 1 of 4 builds`.
fn summary(overall: Overall) -> String {
    let Overall { downloads, builds } = overall;
    let part = |count: Count, noun: &str| {
        let s = if count.total == 1 { "" } else { "s" };
        (count.total > 0).then(|| format!("{} of {} {noun}{s}", count.done, count.total))
    };
    let parts = [part(downloads, "download"), part(builds, "build")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        match event {
            Event::Started { task, stage, total } => match &self.bars {
                Some(bars) => bars.start(task, stage, total),
                None => self.begin_plainly(task, stage),
            },
            Event::Sized { task, have, total } => match &self.bars {
                Some(bars) => bars.size(&task, have, total),
                None => self.say(&task, have, total),
            },
            Event::Progress { task, bytes } => match &self.bars {
                Some(bars) => bars.advance(&task, bytes),
                None => self.say(&task, 0, None),
            },
            Event::Finished {
                task,
                stage,
                elapsed,
            } => {
                self.end(&task);
                let text = format!("{:>11} {task} in {}", done(stage), seconds(elapsed));
                match stage {
                    Stage::Pull | Stage::Push | Stage::Unpack | Stage::Build | Stage::Resolve => {
                        self.line(&text);
                    }
                    Stage::Download | Stage::Link | Stage::Search => match &self.bars {
                        Some(bars) => bars.all.suspend(|| self.terminal.detail(&text)),
                        None => self.terminal.detail(&text),
                    },
                }
            }
            Event::Dropped { task } => self.end(&task),
            Event::Overall(overall) => {
                if let Some(bars) = &self.bars {
                    bars.overall(overall);
                }
            }
            Event::Waiting { task, holder } => {
                self.line(&format!("waiting for {holder} (`{task}`)"));
            }
            Event::Warning(text) => match &self.bars {
                Some(bars) => bars.all.suspend(|| self.terminal.warning(&text)),
                None => self.terminal.warning(&text),
            },
        }
    }
}
