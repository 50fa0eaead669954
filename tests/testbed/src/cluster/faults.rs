//! What can happen to a server: it stops, crashes, hangs, slows down, or refuses writes.

use rustix::process::{Pid, Signal};

use super::{Cluster, State, TABLE};
use crate::processes;

/// How to stop the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server ends its sessions with an error of SQLSTATE 57P01, then shuts down in order.
    Fast,
    /// The server ends its sessions without a checkpoint. The next launch recovers as after a crash.
    Immediate,
    /// A crash: no process of the server can do anything any more.
    Kill,
}

/// What a server says after [`Cluster::refuse_writes`]. PostgreSQL's own message about a full disk is another one, so
/// that nobody takes this fault for a disk that is really full.
pub const DISK_FULL: &str = "no space is left on the disk that this test has filled on purpose";

/// The name of the constraint with which [`Cluster::refuse_tool`] refuses rows.
pub const REFUSAL: &str = "only_other_tools";

impl Cluster {
    /// Stops the server and waits until all of its processes have ended.
    pub fn stop(&self, how: Stop) {
        let mut state = self.state();
        if how != Stop::Kill {
            state.resume();
        }
        let mut postmaster = state.postmaster.take().expect("the server runs");
        let id = Pid::from_child(&postmaster);
        // The postmaster waits for its children itself, except in a crash.
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

    /// Makes a table refuse each INSERT, UPDATE and DELETE with SQLSTATE 53100, as PostgreSQL does when the disk is
    /// full. The message is [`DISK_FULL`].
    ///
    /// It waits for open transactions that have written to the table.
    pub fn refuse_writes(&self, url: &str, table: &str) {
        self.execute(
            url,
            &format!(
                "CREATE OR REPLACE FUNCTION audit_testbed_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     RAISE EXCEPTION '{DISK_FULL}' USING ERRCODE = 'disk_full';
                 END $$;
                 CREATE OR REPLACE TRIGGER audit_testbed_refuse BEFORE INSERT OR UPDATE OR DELETE ON {table}
                     EXECUTE FUNCTION audit_testbed_refuse();
                 ALTER TABLE {table} ENABLE ALWAYS TRIGGER audit_testbed_refuse"
            ),
        );
    }

    /// Ends what [`Cluster::refuse_writes`] began. Readers of the table do not hold it up.
    pub fn accept_writes(&self, url: &str, table: &str) {
        self.execute(url, &format!("ALTER TABLE {table} DISABLE TRIGGER audit_testbed_refuse"));
    }

    /// Makes the table of events refuse every row of this tool. The reason that PostgreSQL gives names the constraint
    /// [`REFUSAL`].
    pub fn refuse_tool(&self, url: &str, tool: &str) {
        self.execute(url, &format!("ALTER TABLE {TABLE} ADD CONSTRAINT {REFUSAL} CHECK (tool <> '{tool}')"));
    }

    /// Ends what [`Cluster::refuse_tool`] began.
    pub fn accept_tool(&self, url: &str) {
        self.execute(url, &format!("ALTER TABLE {TABLE} DROP CONSTRAINT {REFUSAL}"));
    }

    /// Makes the table of events accept every row of this tool without storing it.
    pub fn drop_tool(&self, url: &str, tool: &str) {
        self.execute(
            url,
            &format!(
                "CREATE OR REPLACE FUNCTION audit_testbed_drop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     RETURN CASE WHEN NEW.tool <> '{tool}' THEN NEW END;
                 END $$;
                 CREATE OR REPLACE TRIGGER audit_testbed_drop BEFORE INSERT ON {TABLE} FOR EACH ROW
                     EXECUTE FUNCTION audit_testbed_drop()"
            ),
        );
    }

    /// Makes each statement that inserts into the table of events take so many seconds longer, from now on.
    pub fn slow_inserts(&self, url: &str, seconds: f64) {
        self.execute(
            url,
            &format!(
                "CREATE OR REPLACE FUNCTION audit_testbed_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     PERFORM pg_sleep({seconds});
                     RETURN NULL;
                 END $$;
                 CREATE OR REPLACE TRIGGER audit_testbed_slow BEFORE INSERT ON {TABLE}
                     EXECUTE FUNCTION audit_testbed_slow()"
            ),
        );
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
