//! What all subcommands share: global options, the engine, cancellation.

use std::path::PathBuf;

use pure_sound::Engine;
use pure_sound::config::{Config, ConfigOptions};
use pure_sound::processing::{CancelToken, Control};

use crate::failure::Failure;
use crate::progress::Progress;

/// Options that every subcommand takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Print one JSON object instead of text; errors too.
    #[arg(long, global = true, conflicts_with = "jsonl")]
    pub json: bool,
    /// Print JSON lines: progress events, then the result.
    #[arg(long, global = true)]
    pub jsonl: bool,
    /// Print nothing but errors (and JSON, when asked for).
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Configuration file (YAML, TOML, JSON); may be given several times, later ones win. Variables PURESOUND_SECTION__KEY win over
    /// files, options over both.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Threads for CPU work; 0 is one per core, the default. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", env = "PURESOUND_THREADS")]
    pub threads: Option<usize>,
    /// Folder for temporary files; default: the system's.
    #[arg(long, global = true, value_name = "DIR", env = "PURESOUND_TEMP_DIR")]
    pub temp_dir: Option<PathBuf>,
    /// Audio of one job that is kept in memory between measuring and encoding, in MiB; the rest goes to a file. Default: 32.
    #[arg(long, global = true, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub spool_memory: Option<u64>,
    /// Folder with presets of your own (YAML); may be given several times.
    #[arg(long, global = true, value_name = "DIR", env = "PURESOUND_PRESET_DIR", value_delimiter = ':')]
    pub preset_dir: Vec<PathBuf>,
}

/// Global options together with the token that Ctrl-C cancels.
#[derive(Debug)]
pub struct Context {
    pub args: GlobalArgs,
    pub cancel: CancelToken,
}

impl Context {
    pub fn new(args: GlobalArgs) -> Self {
        Self { args, cancel: CancelToken::new() }
    }

    /// True when results go out as JSON of either kind.
    pub fn is_json(&self) -> bool {
        self.args.json || self.args.jsonl
    }

    /// The configuration of files and variables.
    pub fn config(&self) -> Result<Config, Failure> {
        let options = ConfigOptions::new().process_variables();
        Ok(Config::open(self.args.config.iter().fold(options, ConfigOptions::user_file))?)
    }

    /// An engine with this configuration and, over it, the options of the command line.
    pub fn engine(&self) -> Result<Engine, Failure> {
        let mut builder = Engine::builder().config(&self.config()?);
        if let Some(threads) = self.args.threads {
            builder = builder.threads(threads);
        }
        if let Some(mib) = self.args.spool_memory {
            builder = builder.spool_memory_bytes(mib.saturating_mul(1 << 20));
        }
        if let Some(dir) = &self.args.temp_dir {
            builder = builder.temp_dir(dir);
        }
        for dir in &self.args.preset_dir {
            builder = builder.preset_dir(dir);
        }
        Ok(builder.build()?)
    }

    /// Cancellation and progress for one job.
    pub fn control(&self, progress: &Progress) -> Control {
        Control { cancel: self.cancel.clone(), progress: progress.callback(), ..Control::default() }
    }
}
