//! Stdout, and on a terminal how far a long search has come.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use audit_format::cursor::{Key, Order};
use indicatif::ProgressBar;

pub(super) struct Output {
    spinner: ProgressBar,
    order: Order,
}

impl Output {
    pub(super) fn new(order: Order) -> Self {
        let spinner = match io::stderr().is_terminal() {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        Self { spinner, order }
    }

    pub(super) fn write(&self, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.spinner.suspend(|| io::stdout().write_all(text))
    }

    /// Shows that the search has come to this cursor, until it ends.
    pub(super) fn searched(&self, cursor: &str) {
        if let Some(text) = progress(cursor, self.order) {
            self.spinner.set_message(text);
            self.spinner.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// Takes away what shows how far the search has come.
    pub(super) fn end(&self) {
        self.spinner.finish_and_clear();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.end();
    }
}

/// How far the search has come, to the minute.
fn progress(cursor: &str, order: Order) -> Option<String> {
    let at = Key::from_cursor(cursor, order)?.at.to_string().replacen('T', " ", 1);
    let up_or_down = match order {
        Order::OldestFirst => "up",
        Order::NewestFirst => "down",
    };
    Some(format!("searched {up_or_down} to {}", at.get(..16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_format::cursor::Position;
    use audit_format::time::Timestamp;

    #[test]
    fn progress_is_the_time_of_the_cursor() {
        let at = Timestamp::parse("2026-11-23T06:30:15Z").unwrap();
        let cursor = |order| Key::of_foreign(at, Position::default()).to_cursor(order);
        for (order, text) in [
            (Order::OldestFirst, "searched up to 2026-11-23 06:30"),
            (Order::NewestFirst, "searched down to 2026-11-23 06:30"),
        ] {
            assert_eq!(progress(&cursor(order), order).as_deref(), Some(text));
        }
        assert_eq!(progress("soon", Order::OldestFirst), None);
    }
}
