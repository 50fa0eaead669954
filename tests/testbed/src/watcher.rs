//! A shell that ends a server and removes its folder as soon as this process is gone, whatever ended it: the system
//! then closes the pipe that the shell reads from.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::Pid;

/// The argument of the script is the folder. Each line of its input lists anew the processes that are to be ended.
///
/// SIGQUIT ends a server at once, and by the server's own hand, which frees its shared memory and removes its file
/// `postmaster.pid`. After SIGKILL the number of the shared memory is in line 7 of that file. A server that is just
/// starting has no such file yet, and may write to the folder while it is removed.
const SCRIPT: &str = r#"
while read -r line; do processes=$line; done
lock=$1/data/postmaster.pid
if [ -n "$processes" ]; then
    kill -CONT $processes
    kill -QUIT $processes
    # Programs that are run in the background of a shell may ignore that one; a pooler has no such file.
    [ -e "$lock" ] || kill -TERM $processes
    left=200
    while [ -e "$lock" ] && [ $left -gt 0 ]; do
        sleep 0.05
        left=$((left - 1))
    done
    [ -e "$lock" ] && kill -KILL $processes
fi
[ -e "$lock" ] && ipcrm -m "$(sed -n '7s/.* //p' "$lock")"
left=200
until rm -rf -- "$1" || [ $left -eq 0 ]; do
    sleep 0.05
    left=$((left - 1))
done
"#;

pub struct Watcher {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watcher {
    pub fn start(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "watcher"]).arg(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("`sh` runs");
        Self { pipe: shell.stdin.take(), shell }
    }

    /// Sets the processes that are to be ended.
    pub fn watch(&mut self, processes: &[Pid]) {
        let ids: Vec<String> = processes.iter().map(|process| process.as_raw_pid().to_string()).collect();
        let pipe = self.pipe.as_mut().expect("the watcher has not ended");
        writeln!(pipe, "{}", ids.join(" ")).expect("the watcher reads");
    }

    /// Ends the processes and removes the folder now.
    pub fn end(&mut self) {
        self.pipe = None;
        let _ = self.shell.wait();
    }
}
