//! Processes as the system shows them, and signals to several at once.

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

struct Process {
    id: Pid,
    parent: i32,
    state: char,
}

/// Stops a process, and then its children, because a stopped process starts no more of them. Returns the ids of the
/// children.
pub fn freeze(parent: Pid) -> Vec<Pid> {
    signal(&[parent], Signal::STOP);
    let stopped = |process: &Process| process.id == parent && matches!(process.state, 'T' | 't' | 'Z');
    wait_until("the server's processes have stopped", || all().iter().any(stopped));
    let children: Vec<Pid> = all()
        .into_iter()
        .filter(|process| process.parent == parent.as_raw_pid())
        .map(|process| process.id)
        .collect();
    signal(&children, Signal::STOP);
    children
}

/// Sends a signal to each process that has not ended yet.
pub fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        let _ = kill_process(*process, signal);
    }
}

/// Waits until none of the processes runs. A process whose exit status nobody has asked for yet does not run.
pub fn wait_for_end(processes: &[Pid]) {
    let runs = |process: &Process| processes.contains(&process.id) && process.state != 'Z';
    wait_until("the server's processes have ended", || !all().iter().any(runs));
}

#[cfg(target_os = "linux")]
fn all() -> Vec<Process> {
    let folders = std::fs::read_dir("/proc").expect("/proc is there");
    let lines =
        folders.flatten().filter_map(|folder| std::fs::read_to_string(folder.path().join("stat")).ok());
    lines.filter_map(|line| process(&line)).collect()
}

/// A line of proc_pid_stat(5): the second field, a program's name in parentheses, may hold spaces.
#[cfg(target_os = "linux")]
fn process(line: &str) -> Option<Process> {
    let (id, rest) = line.split_once(" (")?;
    let mut fields = rest.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some(Process { id: Pid::from_raw(id.parse().ok()?)?, parent: fields.next()?.parse().ok()?, state })
}

#[cfg(not(target_os = "linux"))]
fn all() -> Vec<Process> {
    let output = std::process::Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).output();
    let output = output.expect("`ps` lists the processes").stdout;
    String::from_utf8_lossy(&output).lines().filter_map(process).collect()
}

#[cfg(not(target_os = "linux"))]
fn process(line: &str) -> Option<Process> {
    let mut fields = line.split_ascii_whitespace();
    let id = Pid::from_raw(fields.next()?.parse().ok()?)?;
    Some(Process { id, parent: fields.next()?.parse().ok()?, state: fields.next()?.chars().next()? })
}
