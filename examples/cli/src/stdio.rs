//! `-` as input and output.
//!
//! Output goes to a temporary file first, because most containers need to go back to their header, and because nothing
//! should come out of a job that fails.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use pure_sound::Error;
use pure_sound::formats::Source;
use tempfile::TempDir;

use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// True for `-`.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The input of a command.
pub fn source(path: &Path) -> Result<Source, Failure> {
    if !is_dash(path) {
        return Ok(Source::from(path));
    }
    if io::stdin().is_terminal() {
        return Err(Failure::conflict("standard input is a terminal: pipe a file into the command"));
    }
    Ok(Source::Stream(Box::new(io::stdin())))
}

/// An input that is opened twice: `-` is copied to a temporary file.
#[derive(Debug)]
pub struct Reopenable {
    path: PathBuf,
    _dir: Option<TempDir>,
}

impl Reopenable {
    pub fn new(context: &Context, path: &Path) -> Result<Self, Failure> {
        if !is_dash(path) {
            return Ok(Self { path: path.to_path_buf(), _dir: None });
        }
        let Source::Stream(mut stdin) = source(path)? else {
            return Err(Error::internal("standard input is no stream").into());
        };
        let dir = temp_dir(context)?;
        let path = dir.path().join("stdin");
        let mut file = File::create(&path).map_err(|e| Error::io("create", Some(&path), e))?;
        let mut block = vec![0; 1 << 16];
        loop {
            context.cancel.check()?;
            let n = match stdin.read(&mut block) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read standard input", None, e).into()),
            };
            file.write_all(&block[..n]).map_err(|e| Error::io("write", Some(&path), e))?;
        }
        Ok(Self { path, _dir: Some(dir) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Outputs with `-` replaced by a temporary file, which [`Staging::deliver`] copies to standard output.
#[derive(Debug)]
pub struct Staging {
    file: Option<(TempDir, PathBuf)>,
}

impl Staging {
    /// Replaces a `-` among `outputs`. `extension` is that of the format that was chosen.
    pub fn new(context: &Context, outputs: &mut [PathBuf], extension: Option<&str>) -> Result<Self, Failure> {
        let mut dashes = outputs.iter_mut().filter(|p| is_dash(p));
        let Some(output) = dashes.next() else {
            return Ok(Self { file: None });
        };
        if dashes.next().is_some() {
            return Err(Failure::conflict("two outputs cannot both go to standard output"));
        }
        if context.is_json() {
            return Err(Failure::conflict("the audio and the JSON report cannot both go to standard output"));
        }
        if io::stdout().is_terminal() {
            return Err(Failure::conflict("standard output is a terminal: redirect it to a file or a pipe"));
        }
        let Some(extension) = extension else {
            return Err(Failure::conflict("an output to '-' has no name to tell its format: give --format"));
        };
        let dir = temp_dir(context)?;
        *output = dir.path().join(format!("output.{extension}"));
        let path = output.clone();
        Ok(Self { file: Some((dir, path)) })
    }

    /// True when standard output carries audio, so that no report may go there.
    pub fn is_active(&self) -> bool {
        self.file.is_some()
    }

    /// Copies the finished file to standard output.
    pub fn deliver(&self) -> Result<(), Failure> {
        let Some((_, path)) = &self.file else {
            return Ok(());
        };
        let mut file = File::open(path).map_err(|e| Error::io("open", Some(path), e))?;
        let mut out = io::stdout().lock();
        Ok(console::allow_closed(io::copy(&mut file, &mut out).and_then(|_| out.flush()))?)
    }
}

fn temp_dir(context: &Context) -> Result<TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("puresound-");
    let dir = match &context.args.temp_dir {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    Ok(dir.map_err(|e| Error::io("create a temporary folder", context.args.temp_dir.as_deref(), e))?)
}
