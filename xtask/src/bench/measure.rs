//! Running programs in turn, and what is measured of each: its time or the figures that it prints, and its memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use wait4::Wait4 as _;
use xtask::figures;

/// A program that is run in each round.
pub(crate) struct Run {
    /// The name by which rows refer to it.
    pub(crate) key: String,
    command: Command,
    /// What it reads in its n-th run.
    input: Option<fn(u64) -> String>,
    /// The folder that is removed before each run.
    emptied: Option<PathBuf>,
    /// Where its output goes; nowhere without it.
    output: Option<PathBuf>,
    /// How many lines it has to print.
    lines: Option<u64>,
    /// Whether its figures are what it prints, and not its time.
    prints: bool,
    runs: u64,
}

impl Run {
    /// A program that is timed as a whole process.
    pub(crate) fn new(command: Command) -> Self {
        Self {
            key: String::new(),
            command,
            input: None,
            emptied: None,
            output: None,
            lines: None,
            prints: false,
            runs: 0,
        }
    }

    /// A program that prints its figures.
    pub(crate) fn printing(command: Command) -> Self {
        Self { prints: true, ..Self::new(command) }
    }

    pub(crate) fn named(self, key: &str) -> Self {
        Self { key: key.into(), ..self }
    }

    pub(crate) fn reading(self, input: fn(u64) -> String) -> Self {
        Self { input: Some(input), ..self }
    }

    pub(crate) fn emptying(self, folder: impl Into<PathBuf>) -> Self {
        Self { emptied: Some(folder.into()), ..self }
    }

    /// Its output goes to a file. GNU grep stops at the first match if it goes to `/dev/null`.
    pub(crate) fn into_file(self, path: impl Into<PathBuf>) -> Self {
        Self { output: Some(path.into()), ..self }
    }

    /// It has to print this many lines, which is checked once.
    pub(crate) fn printing_lines(self, lines: u64) -> Self {
        Self { lines: Some(lines), ..self }
    }

    /// Runs it once, untimed, and checks how many lines it prints.
    fn check(&mut self) -> Result<()> {
        let Some(expected) = self.lines else { return self.round().map(drop) };
        self.empty();
        let mut child = self.start(Stdio::piped())?;
        let lines = child.stdout.take().map(count_lines).transpose()?.unwrap_or_default();
        self.end(child)?;
        if lines != expected {
            bail!("{:?} printed {lines} lines, not {expected}", self.command);
        }
        Ok(())
    }

    /// The figures of a run by their names, and what it needed. The time of a whole process has an empty name.
    fn round(&mut self) -> Result<(Vec<(String, f64)>, Needs)> {
        self.empty();
        let output = match &self.output {
            _ if self.prints => Stdio::piped(),
            Some(path) => {
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?.into()
            }
            None => Stdio::null(),
        };
        let began = Instant::now();
        let mut child = self.start(output)?;
        let mut printed = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut printed)?;
        }
        let needs = self.end(child)?;
        let seconds = began.elapsed().as_secs_f64();
        if !self.prints {
            return Ok((vec![(String::new(), seconds)], needs));
        }
        let figures = figures::read(&printed);
        if figures.is_empty() {
            bail!("{:?} printed no figures, but {printed:?}", self.command);
        }
        Ok((figures.into_iter().map(|figure| (figure.figure, figure.value)).collect(), needs))
    }

    fn empty(&self) {
        if let Some(folder) = &self.emptied {
            let _ = fs::remove_dir_all(folder);
        }
    }

    fn start(&mut self, output: Stdio) -> Result<Child> {
        let input = self.input.map(|input| input(self.runs));
        self.runs += 1;
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(output).stderr(if self.prints {
            Stdio::inherit()
        } else {
            Stdio::null()
        });
        let mut child = self.command.spawn().with_context(|| format!("cannot run {:?}", self.command))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program that reads nothing may have ended.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(child)
    }

    fn end(&self, child: Child) -> Result<Needs> {
        let used = child.wait4()?;
        if !used.status.success() {
            bail!("{:?} ended with {}", self.command, used.status);
        }
        let processor = used.rusage.utime + used.rusage.stime;
        Ok(Needs { memory: used.rusage.maxrss as f64, processor: processor.as_secs_f64() })
    }
}

fn count_lines(output: ChildStdout) -> Result<u64> {
    let (mut output, mut lines) = (BufReader::with_capacity(1 << 16, output), 0);
    loop {
        let read = output.fill_buf()?;
        if read.is_empty() {
            return Ok(lines);
        }
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        let len = read.len();
        output.consume(len);
    }
}

/// What a process needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// The most memory at once that was its own, in bytes. This is no less than what `xtask` itself has when it starts it.
    pub(crate) memory: f64,
    /// Seconds of processors, all threads together.
    pub(crate) processor: f64,
}

/// What was measured of one program: the values of each of its figures, and its needs, one for each round.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    figures: BTreeMap<String, Vec<f64>>,
    pub(crate) needs: Vec<Needs>,
}

impl Measured {
    /// The values of a figure; that without a name is the time of a whole process.
    pub(crate) fn values(&self, figure: &str) -> Option<&[f64]> {
        self.figures.get(figure).map(Vec::as_slice)
    }
}

/// Runs each program in each round, one after the other, after a round that does not count.
pub(crate) fn in_turn(runs: &mut [Run], rounds: usize) -> Result<BTreeMap<String, Measured>> {
    runs.iter_mut().try_for_each(Run::check)?;
    let mut measured: BTreeMap<String, Measured> = BTreeMap::new();
    for _ in 0..rounds {
        for run in runs.iter_mut() {
            let (figures, needs) = run.round()?;
            let measured = measured.entry(run.key.clone()).or_default();
            measured.needs.push(needs);
            for (name, value) in figures {
                measured.figures.entry(name).or_default().push(value);
            }
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn programs_are_run_in_turn_after_a_round_that_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let noting = |what: &str| Run::new(shell(&format!("echo {what} >> '{}'", log.display()))).named(what);
        let measured = in_turn(&mut [noting("one"), noting("two")], 2).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n".repeat(3));
        assert_eq!(measured["one"].values("").unwrap().len(), 2);
        assert!(measured["two"].needs.iter().all(|needs| needs.memory > 100_000.0), "{measured:?}");
    }

    #[test]
    fn a_program_is_measured_by_the_figures_that_it_prints() {
        let printing = shell(r#"cat; echo '{"figure":"queued","value":2.5}'; echo other"#);
        let run = Run::printing(printing)
            .named("it")
            .reading(|n| format!("{{\"figure\":\"run\",\"value\":{n}}}\n"));
        let measured = in_turn(&mut [run], 2).unwrap();
        assert_eq!(measured["it"].values("queued"), Some(&[2.5, 2.5][..]));
        assert_eq!(measured["it"].values("run"), Some(&[1.0, 2.0][..]));
    }

    #[test]
    fn a_program_that_fails_or_prints_other_than_it_has_to_is_no_figure() {
        let error = |run: Run| in_turn(&mut [run], 1).unwrap_err().to_string();
        assert!(error(Run::new(shell("exit 3"))).contains("exit status: 3"));
        let two = Run::new(shell("echo; echo")).printing_lines(3);
        assert!(error(two).contains("2 lines, not 3"));
        assert!(error(Run::printing(shell("echo nothing"))).contains("no figures"));
    }
}
