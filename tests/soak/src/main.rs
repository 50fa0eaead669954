//! The run of `cargo xtask soak`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use audit_soak::{Plan, run, run_from_environment};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Lets everything write, read and fail at once, and checks at the end that what was acknowledged is there once.
#[derive(Parser)]
#[command(max_term_width = 110)]
struct Cli {
    /// The program `audit`
    #[arg(long)]
    audit: PathBuf,
    /// How long, without the check at the end
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What the schedule of faults and kills is made of, as an earlier run has printed it [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    if run_from_environment() {
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    // The processes run in folders of their own.
    let audit = fs::canonicalize(&cli.audit).unwrap_or(cli.audit);
    let seed = cli.seed.unwrap_or_else(|| audit_testbed::Rng::new().u64(..));
    println!("seed {seed}");
    let length = Duration::from_secs_f64(cli.minutes.max(0.1) * 60.0);
    let bar = ProgressBar::new(length.as_secs());
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {eta_precise}\n{msg}");
    bar.set_style(style.expect("the template is valid"));
    let shown = bar.clone();
    let progress = move |time: Duration, tally: String| {
        shown.set_position(time.as_secs());
        shown.set_message(tally);
    };
    let handle = || Command::new(std::env::current_exe().expect("this program has a path"));
    let report = run(&Plan { audit, handle, length, seed, progress: Box::new(progress) });
    bar.finish_and_clear();
    println!("{report}");
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
