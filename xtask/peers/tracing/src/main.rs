//! tracing with tracing-appender, as JSON lines into a daily file: `bench-tracing FOLDER EVENTS blocking|non-blocking`. Prints
//! how many events a second are handed over and are in the file. The queue of the writer that does not block has room for
//! all of them, so that it drops none.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::NonBlockingBuilder;
use tracing_appender::rolling::{self, RollingFileAppender};

/// Counts the lines, each of which is written at once: the guard of the writer that does not block waits for its thread a
/// second at most.
struct Counted {
    file: RollingFileAppender,
    lines: Arc<AtomicUsize>,
}

impl Write for Counted {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.file.write_all(line)?;
        self.lines.fetch_add(1, Ordering::Release);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, events, kind] = arguments.as_slice() else {
        return Err("accepted are FOLDER EVENTS blocking|non-blocking".into());
    };
    let events: usize = events.parse()?;
    let file = rolling::daily(folder, "events.jsonl");
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true);
    let lines = Arc::new(AtomicUsize::new(0));
    let guard = match kind.as_str() {
        "blocking" => {
            tracing::subscriber::set_global_default(subscriber.with_writer(file).finish())?;
            None
        }
        "non-blocking" => {
            let builder = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(events + 1);
            let (writer, guard) = builder.finish(Counted { file, lines: Arc::clone(&lines) });
            tracing::subscriber::set_global_default(subscriber.with_writer(writer).finish())?;
            Some(guard)
        }
        other => return Err(format!("accepted are blocking and non-blocking, not {other}").into()),
    };
    let began = Instant::now();
    for n in 0..events {
        tracing::info!(
            req_id = "01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44",
            workspace_id = "workspace",
            user_id = "user",
            agent_id = "planner",
            tool = "search",
            action = "query",
            status = "ok",
            duration_ms = n,
            in_size = 120,
            out_size = 4800,
            input_hash = "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f",
        );
    }
    let handed_over = began.elapsed();
    while guard.is_some() && lines.load(Ordering::Acquire) < events {
        thread::sleep(Duration::from_micros(200));
    }
    let stored = began.elapsed();
    drop(guard);
    let mut found = 0;
    for file in fs::read_dir(folder)? {
        found += fs::read(file?.path())?.iter().filter(|byte| **byte == b'\n').count();
    }
    if found != events {
        return Err(format!("{found} of {events} events are in the file").into());
    }
    for (figure, time) in [("write, handed over", handed_over), ("write, stored", stored)] {
        let value = events as f64 / time.as_secs_f64();
        println!("{{\"figure\":\"{figure}\",\"value\":{value}}}");
    }
    Ok(())
}
