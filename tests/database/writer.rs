//! A process of its own that writes under `auto`, and says what it may not lose any more: the other tests kill it.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use audit_host::{Event, Options};
use audit_testbed::Rng;

use crate::client::{ANSWER, NEVER, assert_balanced};
use crate::common::start;
use crate::events::all_numbered;

const DIR: &str = "TEST_DATABASE_DIR";
const URL: &str = "TEST_DATABASE_URL";
const NAME: &str = "TEST_DATABASE_NAME";

/// Longer than any step of a test may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The options of a store that takes part: only a flush tries again.
pub fn options(folder: &Path, url: &str) -> Options {
    let options = Options::new().backend("auto").dir(folder).database_url(url).warnings(|_| ());
    options.flush_interval(NEVER).database_timeout(ANSWER)
}

/// Not a test: what the other tests run as a process of its own. It says `ACK` with the number of events up to
/// which a flush succeeded, and goes on until its input ends; then it drains what there is, and says `END`.
#[test]
fn writer_process() {
    let Ok(dir) = env::var(DIR) else { return };
    let (url, name) = (env::var(URL).expect(URL), env::var(NAME).expect(NAME));
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    let mut store = start(&options(Path::new(&dir), &url));
    let mut rng = Rng::new();
    let mut done = 0;
    while !ended.load(Ordering::Relaxed) {
        let count = rng.u64(1..80);
        store.write_batch(&all_numbered(&name, done..done + count)).expect("there is room");
        done += count;
        if store.flush().is_ok() {
            println!("ACK {done}");
        }
        assert_balanced(&store.status().expect("a status").counts);
    }
    let start = Instant::now();
    loop {
        let flushed = store.flush();
        let status = store.status().expect("a status");
        assert_balanced(&status.counts);
        if status.counts.stored == done && status.spooled_by_others == 0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{flushed:?}, {status:?}");
    }
    println!("ACK {done}");
    println!("END");
}

/// Such a process.
pub struct Writer {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    acknowledged: Arc<AtomicU64>,
    /// Whether it ended well.
    output: Option<JoinHandle<bool>>,
}

impl Writer {
    pub fn spawn(name: &str, folder: &Path, url: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("it has a path"));
        command.args(["--exact", "writer::writer_process", "--nocapture"]);
        command.env(DIR, folder).env(URL, url).env(NAME, name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the test binary runs");
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (latest, output) = (Arc::clone(&acknowledged), child.stdout.take().expect("it is piped"));
        let output = thread::spawn(move || {
            let mut ended = false;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, count)) = line.split_once("ACK ") {
                    latest.store(count.parse().expect("it is a number"), Ordering::Relaxed);
                }
                ended |= line == "END";
            }
            ended
        });
        Self { name: name.to_owned(), input: child.stdin.take(), child, acknowledged, output: Some(output) }
    }

    /// How many events it may not lose any more.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until that are so many.
    #[track_caller]
    pub fn wait_for(&self, acknowledged: u64) {
        let start = Instant::now();
        while self.acknowledged() < acknowledged {
            assert!(
                start.elapsed() < PATIENCE,
                "{} has {} of {acknowledged}",
                self.name,
                self.acknowledged()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it; the events that it may not have lost.
    pub fn kill(mut self) -> Vec<Event> {
        self.child.kill().expect("it runs");
        self.output.take().map(JoinHandle::join);
        all_numbered(&self.name, 0..self.acknowledged())
    }

    /// Lets it drain and end; all events that it has written.
    #[track_caller]
    pub fn end(mut self) -> Vec<Event> {
        self.input = None;
        let ended = self.output.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(true))), "{} ended badly", self.name);
        all_numbered(&self.name, 0..self.acknowledged())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
