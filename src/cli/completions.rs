//! `paystream completions`: prints a script that completes the arguments in a shell.

use super::output;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Prints a script that completes commands and arguments in a shell
///
/// bash: paystream completions bash > ~/.local/share/bash-completion/completions/paystream
/// zsh: paystream completions zsh > a folder of $fpath, as _paystream
/// fish: paystream completions fish > ~/.config/fish/completions/paystream.fish
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  paystream completions bash > ~/.local/share/bash-completion/completions/paystream
  source <(paystream completions bash)                     in this shell alone"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    /// `cli` is the whole command line.
    pub(super) fn run(&self, mut cli: Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut cli, "paystream", &mut script);
        Ok(output::say(String::from_utf8_lossy(&script).trim_end())?)
    }
}
