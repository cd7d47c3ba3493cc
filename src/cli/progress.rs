//! Events as progress bars on a terminal, as plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::args::Global;
use super::terminal::{Terminal, seconds};
use crate::events::{Event, Observer, Stage};

/// Shows events.
pub(super) struct Progress {
    terminal: Terminal,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    by_task: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    pub(super) fn new(global: &Global, terminal: Terminal) -> Self {
        let shown = !global.no_progress && !global.quiet && !global.json;
        let bars = (shown && std::io::stderr().is_terminal()).then(|| Bars {
            all: MultiProgress::new(),
            by_task: Mutex::default(),
        });
        Self { terminal, bars }
    }

    /// Prints a line above the bars.
    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| self.terminal.note(text)),
            None => self.terminal.note(text),
        }
    }
}

const fn begun(stage: Stage) -> &'static str {
    match stage {
        Stage::Resolve => "resolving",
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
        Stage::Download => "downloaded",
        Stage::Pull => "pulled",
        Stage::Push => "pushed",
        Stage::Unpack => "unpacked",
        Stage::Build => "compiled",
        Stage::Link => "linked",
    }
}

impl Bars {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, ProgressBar>) -> T) -> T {
        f(&mut self.by_task.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn start(&self, task: String, stage: Stage, total: Option<u64>) {
        let bar = self
            .all
            .add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        let template = match stage {
            Stage::Download | Stage::Pull => "  {spinner} {prefix} {msg} {bytes} {bytes_per_sec}",
            _ => "  {spinner} {prefix} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(begun(stage));
        bar.set_message(task.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.with(|bars| bars.insert(task, bar)) {
            old.finish_and_clear();
        }
    }

    fn finish(&self, task: &str) {
        if let Some(bar) = self.with(|bars| bars.remove(task)) {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        match event {
            Event::Started { task, stage, total } => match &self.bars {
                Some(bars) => bars.start(task, stage, total),
                // Without bars a long build must still say that it began.
                None if stage == Stage::Build => self.line(&format!("{} {task}", begun(stage))),
                None => self.terminal.detail(&format!("{} {task}", begun(stage))),
            },
            Event::Progress { task, bytes } => {
                if let Some(bars) = &self.bars {
                    bars.with(|bars| bars.get(&task).map(|bar| bar.inc(bytes)));
                }
            }
            Event::Finished {
                task,
                stage,
                elapsed,
            } => {
                if let Some(bars) = &self.bars {
                    bars.finish(&task);
                }
                let text = format!("{:>10} {task} in {}", done(stage), seconds(elapsed));
                match stage {
                    Stage::Pull | Stage::Push | Stage::Unpack | Stage::Build | Stage::Resolve => {
                        self.line(&text);
                    }
                    Stage::Download | Stage::Link => self.terminal.detail(&text),
                }
            }
            Event::Dropped { task } => {
                if let Some(bars) = &self.bars {
                    bars.finish(&task);
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
