//! What all subcommands share: global options, the engine, cancellation.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pure_sound::cache::{Cache, CacheOptions};
use pure_sound::config::{Config, ConfigOptions};
use pure_sound::observe::Metrics;
use pure_sound::processing::{CancelToken, Control};
use pure_sound::services::seams::{FileSystem, SystemFiles};
use pure_sound::{Engine, Error};

use crate::failure::Failure;
use crate::log::LogArg;
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
    /// files, options over both. The file of the user ('puresound config set --help' tells which) comes before all of them.
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
    /// Folder where results are kept, and taken from when the same is asked again; only its owner may write to it.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "no_cache")]
    pub cache: Option<PathBuf>,
    /// Keep no results and take none, whatever the configuration says.
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// Tell on standard error what the engine does: off, error, warn, info, debug or trace; with ':json' as JSON lines.
    #[arg(long, global = true, value_name = "LEVEL[:json]", env = "PURESOUND_LOG")]
    pub log: Option<LogArg>,
    /// Write the figures of the engine to a file when the command ends, as OpenMetrics; in the older format of Prometheus when the name
    /// ends in .prom, for collectors of files.
    #[arg(long = "metrics", global = true, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// Global options together with the token that Ctrl-C cancels.
#[derive(Debug)]
pub struct Context {
    pub args: GlobalArgs,
    pub cancel: CancelToken,
    /// Those of the engine, once there is one.
    metrics: OnceLock<Metrics>,
}

impl Context {
    pub fn new(args: GlobalArgs) -> Self {
        Self { args, cancel: CancelToken::new(), metrics: OnceLock::new() }
    }

    /// True when results go out as JSON of either kind.
    pub fn is_json(&self) -> bool {
        self.args.json || self.args.jsonl
    }

    /// Where the configuration is read from: the file of the user, those of the command line, variables.
    pub fn config_options(&self) -> ConfigOptions {
        let own = own_config().filter(|path| path.exists());
        let files = own.iter().chain(&self.args.config);
        files.fold(ConfigOptions::new().process_variables(), ConfigOptions::user_file)
    }

    /// The configuration of files and variables.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(Config::open(self.config_options())?)
    }

    /// Writes the figures of the engine, when that is wanted. Replaces the file whole, so that nobody reads half of it.
    pub fn write_metrics(&self) -> Result<(), Failure> {
        let (Some(path), Some(metrics)) = (&self.args.metrics_file, self.metrics.get()) else { return Ok(()) };
        let older = path.extension().is_some_and(|e| e == "prom");
        let text = if older { metrics.to_prometheus() } else { metrics.to_openmetrics() };
        write_whole(path, text.as_bytes())
    }

    /// An engine with this configuration and, over it, the options of the command line.
    pub fn engine(&self) -> Result<Engine, Failure> {
        let config = self.config()?;
        let mut builder = Engine::builder().config(&config);
        if config.current().settings.presets.dir.is_none()
            && let Some(dir) = own_config().as_deref().and_then(Path::parent)
        {
            builder = builder.own_presets_dir(dir.join("presets"));
        }
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
        if self.args.no_cache {
            builder = builder.no_cache();
        } else if let Some(dir) = &self.args.cache {
            let configured = CacheOptions::from(&config.current().settings.cache);
            builder = builder.cache(&Cache::open(&CacheOptions { dir: Some(dir.clone()), ..configured })?);
        }
        if let Some(log) = self.args.log {
            builder = builder.log(log.level, log.sink());
        }
        let engine = builder.build()?;
        self.metrics.get_or_init(|| engine.metrics().clone());
        Ok(engine)
    }

    /// Cancellation and progress for one job.
    pub fn control(&self, progress: &Progress) -> Control {
        Control { cancel: self.cancel.clone(), progress: progress.callback(), ..Control::default() }
    }
}

/// The configuration file of the user: `puresound/config.yaml` where such files are kept, or what PURESOUND_CONFIG names; none when
/// that is empty.
pub fn own_config() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PURESOUND_CONFIG") {
        return Some(named).filter(|n| !n.is_empty()).map(PathBuf::from);
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        set("APPDATA")
    } else {
        // XDG Base Directory Specification: relative paths are ignored.
        set("XDG_CONFIG_HOME").filter(|p| p.is_absolute()).or_else(|| Some(set("HOME")?.join(".config")))
    };
    Some(folder?.join("puresound").join("config.yaml"))
}

/// Writes a file that appears whole or not at all, for everybody to read.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Err(error) = SystemFiles.replace(path, bytes) {
        return Err(Error::io("write", Some(path), error).into());
    }
    readable(path);
    Ok(())
}

/// Figures and pictures are for others to read: a new file gets the usual permissions instead of those of a private one.
fn readable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The collector says so itself when it cannot read the file.
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = path;
}
