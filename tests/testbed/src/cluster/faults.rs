//! What can happen to a server: it stops, crashes, hangs, or refuses writes.

use rustix::process::{Pid, Signal};

use super::{Cluster, State};
use crate::processes;

/// How to stop the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended with an error of SQLSTATE 57P01, then the server shuts down in order.
    Fast,
    /// Sessions are ended without a checkpoint: the next launch recovers as after a crash.
    Immediate,
    /// A crash: no process of the server gets to do anything any more.
    Kill,
}

const REFUSE: &str = "
    CREATE OR REPLACE FUNCTION audit_testbed_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
        END
    $$;
    CREATE OR REPLACE TRIGGER audit_testbed_refuse BEFORE INSERT OR UPDATE OR DELETE ON";

impl Cluster {
    /// Stops the server and waits until all of its processes have ended.
    pub fn stop(&self, how: Stop) {
        let mut state = self.state();
        if how != Stop::Kill {
            state.resume();
        }
        let mut postmaster = state.postmaster.take().expect("the server runs");
        let id = Pid::from_child(&postmaster);
        // The postmaster waits for its children, but not in a crash.
        let children = if how == Stop::Kill { processes::freeze(id) } else { Vec::new() };
        let signal = match how {
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
            Stop::Kill => Signal::KILL,
        };
        processes::signal(&[&[id], &children[..]].concat(), signal);
        postmaster.wait().expect("it is a child");
        processes::wait_for_end(&children);
        state.paused.clear();
        state.watcher.watch(&[]);
    }

    /// Stops all processes of the server where they are: it keeps its connections, takes new ones, and answers
    /// nothing.
    pub fn pause(&self) {
        let mut state = self.state();
        let id = state.postmaster.as_ref().map(Pid::from_child).expect("the server runs");
        state.paused = processes::freeze(id);
        let processes = [&[id], &state.paused[..]].concat();
        state.watcher.watch(&processes);
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.state().resume();
    }

    /// Makes a table refuse each INSERT, UPDATE and DELETE with SQLSTATE 53100, as a full disk does.
    ///
    /// It waits for open transactions that have written to the table.
    pub fn refuse_writes(&self, url: &str, table: &str) {
        self.execute(
            url,
            &format!(
                "{REFUSE} {table} EXECUTE FUNCTION audit_testbed_refuse(); \
                 ALTER TABLE {table} ENABLE ALWAYS TRIGGER audit_testbed_refuse"
            ),
        );
    }

    /// Ends what [`Cluster::refuse_writes`] began. Readers of the table do not hold it up.
    pub fn accept_writes(&self, url: &str, table: &str) {
        self.execute(url, &format!("ALTER TABLE {table} DISABLE TRIGGER audit_testbed_refuse"));
    }
}

impl State {
    fn resume(&mut self) {
        let Some(postmaster) = &self.postmaster else { return };
        let id = Pid::from_child(postmaster);
        let children = std::mem::take(&mut self.paused);
        processes::signal(&children, Signal::CONT);
        processes::signal(&[id], Signal::CONT);
        self.watcher.watch(&[id]);
    }
}
