//! The page on which a tenant reads what its agents have called: the filter that a query asks for, and the HTML.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::form;
use crate::types::{Entry, Filter, Order, Page, PageRequest};

/// How many entries a page has.
const ENTRIES: u32 = 50;

/// What can be filtered by: the name in the query, and what the form calls it.
const FIELDS: [(&str, &str); 6] = [
    ("tool", "Tool"),
    ("status", "Status"),
    ("agent_id", "Agent"),
    ("user_id", "User"),
    ("from", "From"),
    ("to", "To"),
];

/// The heads of the table.
const HEADS: [&str; 8] = ["Time", "Agent", "User", "Tool", "Status", "ms", "In", "Out"];

/// What a query asks for.
pub struct Asked {
    pairs: Vec<(String, String)>,
}

impl Asked {
    /// What this query asks for.
    pub fn new(query: &str) -> Self {
        Self { pairs: form::parse(query) }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// The filter for the entries of this tenant. Whatever the query says, no other tenant's match.
    pub fn filter(&self, workspace: &str) -> Filter {
        Filter {
            workspace_id: Some(workspace.into()),
            tool: self.value("tool"),
            status: self.value("status"),
            agent_id: self.value("agent_id"),
            user_id: self.value("user_id"),
            from_ts: self.value("from"),
            to_ts: self.value("to"),
            action: None,
            req_id: None,
            graph_run_id: None,
            graph_node: None,
            job_id: None,
            attributes: Vec::new(),
        }
    }

    /// The page that it asks for, the newest entries first.
    pub fn request(&self) -> PageRequest {
        PageRequest { order: Order::NewestFirst, limit: ENTRIES, cursor: self.value("cursor") }
    }

    /// The page's HTML.
    pub fn html(&self, workspace: &str, page: &Page) -> String {
        let fields = FIELDS.iter().map(|(name, label)| {
            let value = self.value(name).unwrap_or_default();
            format!("<label>{label} <input name={name} value=\"{}\"></label>\n", escaped(&value))
        });
        let heads: String = HEADS.iter().map(|head| format!("<th>{head}")).collect();
        let rows: String = page.entries.iter().map(row).collect();
        let next = page.next.as_deref().map(|cursor| {
            let kept = self.pairs.iter().filter(|(name, _)| name != "cursor");
            let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
            let query = form::encode(kept.chain([("cursor", cursor)]));
            format!("<p><a href=\"?{}\">Older</a>\n", escaped(&query))
        });
        let none = if page.entries.is_empty() { "<p>Nothing is recorded that matches.\n" } else { "" };
        let content = format!(
            "<form>\n{}<button>Filter</button>\n</form>\n<table>\n<tr>{heads}\n{rows}</table>\n{none}{}",
            fields.collect::<String>(),
            next.unwrap_or_default()
        );
        document(&format!("Calls of {workspace}"), &content)
    }
}

/// A page that says what is wrong.
pub fn problem(title: &str, text: &str) -> String {
    document(title, &format!("<p>{}\n", escaped(text)))
}

fn document(title: &str, content: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{title}</title>\n<style>body{{font:14px sans-serif;\
         margin:2em}}td,th{{padding:2px 1em 2px 0;text-align:left}}label{{margin-right:1em}}</style>\n<h1>{title}</h1>\n\
         {content}</html>\n"
    )
}

fn row(entry: &Entry) -> String {
    let event = &entry.event;
    let numbers = [event.duration_ms, event.in_size, event.out_size].map(|number| number.to_string());
    let texts = [&event.ts, &event.agent_id, &event.user_id, &event.tool, &event.status];
    let cells: String =
        texts.into_iter().chain(&numbers).map(|text| format!("<td>{}", escaped(text))).collect();
    format!("<tr>{cells}\n")
}

/// The text as HTML shows it. Recorded texts may have any characters: control characters, and those that change the
/// direction of a line, are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}')
            }
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Caller, refused};

    fn entry(tool: &str) -> Entry {
        let event = refused(&Caller::default(), tool, "x");
        Entry { event, id: String::new(), chain: String::new(), seq: 0, hash: String::new() }
    }

    #[test]
    fn no_query_selects_another_tenant() {
        let asked = Asked::new("workspace_id=other&workspace=other&tool=sum&from=2026-11-23&cursor=c");
        let filter = asked.filter("mine");
        assert_eq!((filter.workspace_id.as_deref(), filter.tool.as_deref()), (Some("mine"), Some("sum")));
        assert_eq!(filter.from_ts.as_deref(), Some("2026-11-23"));
        assert_eq!(asked.request().cursor.as_deref(), Some("c"));
    }

    #[test]
    fn recorded_texts_are_no_markup() {
        let page = Page { entries: [entry("<script>\u{1b}\u{202e}\"'&")].into(), next: None, skipped: 0 };
        let html = Asked::new("tool=%22%3E%3Cimg").html("<b>", &page);
        assert!(html.contains("&lt;script&gt;\u{fffd}\u{fffd}&quot;&#39;&amp;"), "{html}");
        assert!(
            html.contains("value=\"&quot;&gt;&lt;img\"") && html.contains("Calls of &lt;b&gt;"),
            "{html}"
        );
    }

    #[test]
    fn the_next_page_has_the_same_filter() {
        let page = Page { entries: [entry("sum")].into(), next: Some("a,b".into()), skipped: 0 };
        let html = Asked::new("tool=sum&cursor=old").html("mine", &page);
        assert!(html.contains("<a href=\"?tool=sum&amp;cursor=a%2Cb\">Older</a>"), "{html}");
        let empty = Page { entries: Vec::new(), next: None, skipped: 0 };
        assert!(Asked::new("").html("mine", &empty).contains("Nothing is recorded"));
    }
}
