//! `paystream man`: prints a manual page for `man`.

use super::{exit::Usage, output};
use clap::{Args, Command};
use clap_mangen::Man;

/// Prints the manual page of the program or of one command, for man
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream man serve | man -l -
  paystream man > ~/.local/share/man/man1/paystream.1
  paystream man serve > ~/.local/share/man/man1/paystream-serve.1")]
pub(super) struct ManArgs {
    /// The command, such as serve [default: the program]
    command: Option<String>,
}

impl ManArgs {
    /// `cli` is the whole command line.
    pub(super) fn run(&self, mut cli: Command) -> anyhow::Result<()> {
        cli.build();
        let page = match &self.command {
            None => cli,
            Some(name) => {
                let found = cli.find_subcommand(name).cloned();
                found.ok_or_else(|| {
                    Usage(format!("there is no command `{name}`; `paystream --help` lists them"))
                })?
            }
        };
        // Pages of commands are named like `git-log`, with a dash.
        let title = page.get_display_name().unwrap_or("paystream").replace(' ', "-");
        let mut text = Vec::new();
        Man::new(page).title(title).render(&mut text)?;
        Ok(output::say(String::from_utf8_lossy(&text).trim_end())?)
    }
}
