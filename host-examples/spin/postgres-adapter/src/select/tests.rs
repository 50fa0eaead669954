use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use std::sync::Mutex;

use audit_format::query::{Filter, PageRequest};
use audit_sql::statements::COUNT_TIMELESS;

use super::PART;
use crate::failure::Error;
use crate::link::{Fault, Value};
use crate::testing::{Answer, Asked, Server, server_error};

fn row(n: usize) -> Vec<Value> {
    vec![Value::Text(format!("line {n}")), Value::Text(format!("{n}"))]
}

/// What a table of so many rows answers.
fn rows(asked: &Asked, count: usize) -> Answer {
    if asked.statement == COUNT_TIMELESS {
        return Answer::Rows(vec![vec![Value::Number(3)]]);
    }
    let first = asked.parameters[13].as_ref().map_or(0, |cursor| cursor.parse::<usize>().unwrap() + 1);
    let limit: usize = asked.parameters[14].as_ref().unwrap().parse().unwrap();
    Answer::Rows((first..count.min(first + limit)).map(row).collect())
}

fn request(limit: u32, cursor: Option<&str>) -> PageRequest {
    PageRequest { limit, cursor: cursor.map(ToOwned::to_owned), ..PageRequest::default() }
}

#[test]
fn a_page_has_all_rows_up_to_its_limit_and_the_cursor_of_its_last() {
    let part = PART as usize;
    for count in [0, 1, 5, part, part + 1, 2 * part + 1] {
        let server = Server::new(move |asked| Ok(rows(asked, count)));
        let page = server.database().select(&Filter::default(), &request(0, None)).unwrap();
        assert_eq!((page.count as usize, page.next, page.skipped), (count, None, 3));
        assert_eq!(page.lines.lines().count(), count);
        if count > 1 {
            let limit = count as u32 - 1;
            let page = server.database().select(&Filter::default(), &request(limit, None)).unwrap();
            assert_eq!((page.count, page.next.clone()), (limit, Some(format!("{}", count - 2))));
            let rest = server.database().select(&Filter::default(), &request(5, page.next.as_deref()));
            let rest = rest.unwrap();
            assert_eq!((rest.count, rest.next, rest.skipped), (1, None, 0));
        }
    }
}

#[test]
fn a_part_that_spin_does_not_hold_is_asked_for_in_smaller_ones() {
    let server = Server::new(|asked| match asked.parameters.last().unwrap().as_deref() {
        Some("2001" | "251") => Err(Fault::Broken("query result exceeds limit of 134217728 bytes".into())),
        _ => Ok(rows(asked, 100)),
    });
    let page = server.database().select(&Filter::default(), &request(0, None)).unwrap();
    assert_eq!((page.count, page.next), (100, None));
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_counted() {
    let server = Server::new(|asked| {
        let Answer::Rows(mut all) = rows(asked, 3) else { unreachable!() };
        if all.len() == 3 {
            all[1][0] = Value::Null;
        }
        Ok(Answer::Rows(all))
    });
    let page = server.database().select(&Filter::default(), &request(0, None)).unwrap();
    assert_eq!((page.lines.as_str(), page.count, page.skipped), ("line 0\nline 2\n", 2, 3 + 1));
}

#[test]
fn a_page_ends_where_the_time_does_if_it_has_entries() {
    let slow = || server_error("ERROR", "57014", "canceling statement due to statement timeout");
    let server = Server::new(move |asked| match asked.parameters.get(13) {
        Some(Some(_)) => Err(slow()),
        _ => Ok(rows(asked, 5000)),
    });
    let page = server.database().select(&Filter::default(), &request(0, None)).unwrap();
    assert_eq!((page.count, page.next.as_deref()), (PART, Some("1999")));
    let error = server.database().select(&Filter::default(), &request(0, Some("7"))).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}

#[test]
fn without_a_table_there_is_nothing_to_read() {
    let server = Server::new(|_| Err(server_error("ERROR", "42P01", "relation does not exist")));
    let page = server.database().select(&Filter::default(), &request(0, None)).unwrap();
    assert_eq!((page.count, page.next), (0, None));
}

#[test]
fn what_fails_while_reading_is_never_in_doubt() {
    static SEEN: Mutex<usize> = Mutex::new(0);
    let server = Server::new(|_| {
        *SEEN.lock().unwrap() += 1;
        Err(Fault::Broken("connection closed".to_owned()))
    });
    let error = server.database().select(&Filter::default(), &request(0, None)).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(*SEEN.lock().unwrap(), 1);
}
