//! `puresound completions`: scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::console;
use crate::failure::Failure;

/// Print a completion script for a shell.
///
/// For bash: puresound completions bash > ~/.local/share/bash-completion/completions/puresound
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    pub shell: Shell,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "puresound", &mut script);
    Ok(console::print(&String::from_utf8_lossy(&script))?)
}
