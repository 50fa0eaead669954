use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::database::Refused;
use crate::failure::Error;
use crate::link::{Fault, Value};
use crate::testing::{Answer, Server, server_error};

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

/// The rows of a parameter.
fn numbers(json: &str) -> Vec<usize> {
    json.split(|sign: char| !sign.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect()
}

/// A server that refuses batches with one of these rows, and breaks the connection at one with this row.
fn server(poison: &'static [usize], fatal: Option<usize>) -> Server {
    Server::new(move |asked| {
        let rows = numbers(asked.text());
        if fatal.is_some_and(|row| rows.contains(&row)) {
            return Err(Fault::Broken("connection closed".to_owned()));
        }
        match rows.iter().any(|row| poison.contains(row)) {
            true => Err(server_error("ERROR", "23514", "it violates a check")),
            false => Ok(Answer::Changed(rows.len() as u64)),
        }
    })
}

#[test]
fn a_refused_row_is_found_by_halves_and_the_others_are_stored_in_their_order() {
    let server = server(&[2, 5], None);
    let refused = server.database().insert(&lines(8)).unwrap();
    let reason = "it violates a check".to_string();
    assert_eq!(refused, [2, 5].map(|index| Refused { index, reason: reason.clone() }));
    let inserted = server.asked().into_iter().map(|asked| numbers(asked.text()));
    let stored: Vec<usize> =
        inserted.filter(|rows| !rows.iter().any(|row| [2, 5].contains(row))).flatten().collect();
    assert_eq!(stored, [0, 1, 3, 4, 6, 7]);
}

#[test]
fn after_a_part_of_a_batch_is_stored_an_error_leaves_it_in_doubt() {
    // The first half is stored before the second one fails.
    let failing = Server::new(|asked| match numbers(asked.text()).as_slice() {
        [0, 1, 2, 3] => Err(server_error("ERROR", "23514", "it violates a check")),
        [0, 1] => Ok(Answer::Changed(2)),
        _ => Err(server_error("ERROR", "53100", "no space left")),
    });
    let error = failing.database().insert(&lines(4)).unwrap_err();
    assert!(matches!(&error, Error::Unanswered(text) if text.contains("no space left")), "{error:?}");
}

#[test]
fn only_an_error_after_which_the_session_goes_on_says_that_nothing_is_stored() {
    for (fault, unanswered) in [
        (server_error("ERROR", "53100", "no space left"), false),
        (server_error("FATAL", "53200", "out of memory"), true),
        (server_error("ERROR", "57P01", "terminating connection"), true),
        (Fault::Broken("connection closed".to_owned()), true),
    ] {
        let fails = fault.clone();
        let error = Server::new(move |_| Err(fails.clone())).database().insert(&lines(1)).unwrap_err();
        assert_eq!(matches!(error, Error::Unanswered(_)), unanswered, "{fault:?}: {error:?}");
        assert_eq!(matches!(error, Error::Unavailable(_)), !unanswered, "{fault:?}: {error:?}");
    }
}

#[test]
fn rows_that_vanish_are_refused() {
    let server = Server::new(|asked| match asked.is_missing() {
        true => Ok(Answer::Rows(vec![vec![Value::Number(1), Value::Text("id".to_owned())]])),
        false => Ok(Answer::Changed(2)),
    });
    let refused = server.database().insert(&lines(3)).unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].index, 1);
    assert!(refused[0].reason.contains("without storing it"), "{}", refused[0].reason);
    assert_eq!(server.asked()[1].text(), "[{\"n\":0},{\"n\":1},{\"n\":2}]");
}

/// The rows are committed by then.
#[test]
fn an_error_of_the_search_for_vanished_rows_does_not_say_that_nothing_is_stored() {
    for fault in [
        server_error("ERROR", "57014", "canceling statement due to statement timeout"),
        server_error("ERROR", "53200", "out of memory"),
        server_error("ERROR", "42501", "permission denied for table tool_audit_events"),
        server_error("ERROR", "22003", "out of range"),
        Fault::Unusable("a value cannot be converted".to_owned()),
    ] {
        let fails = fault.clone();
        let server = Server::new(move |asked| match asked.is_missing() {
            true => Err(fails.clone()),
            false => Ok(Answer::Changed(1)),
        });
        let error = server.database().insert(&lines(2)).unwrap_err();
        assert!(matches!(error, Error::Unanswered(_)), "{fault:?}: {error:?}");
        assert_eq!(server.asked().len(), 2, "{fault:?}");
    }
}

#[test]
fn a_statement_that_lost_against_another_is_run_again_and_not_for_ever() {
    let mut left = 2;
    let server = Server::new(move |_| match left {
        0 => Ok(Answer::Changed(1)),
        _ => {
            left -= 1;
            Err(server_error("ERROR", "40P01", "deadlock detected"))
        }
    });
    assert_eq!(server.database().insert(&lines(1)), Ok(Vec::new()));
    let always = Server::new(|_| Err(server_error("ERROR", "40P01", "deadlock detected")));
    let error = always.database().insert(&lines(1)).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(always.asked().len(), 4);
}

#[test]
fn no_lines_need_no_connection() {
    let server = server(&[], None);
    assert_eq!(server.database().insert(""), Ok(Vec::new()));
    assert!(server.asked().is_empty());
}

#[test]
fn a_connection_that_breaks_leaves_the_batch_in_doubt() {
    let error = server(&[], Some(1)).database().insert(&lines(2)).unwrap_err();
    assert!(matches!(&error, Error::Unanswered(text) if text.contains("db:5432")), "{error:?}");
}
