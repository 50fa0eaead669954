//! `docs/performance.md` and its charts, made of the results in `docs/performance.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::results::{Measurement, Results};
use super::{HOSTS, PLANS, chart, show};

const PAGE: &str = "docs/performance.md";
const RESULTS: &str = "docs/performance.json";

const NOT_MEASURED: &str = "Not measured yet.\n";

/// The charts, and the rows that each has: the large one for the page, the small one for the README.
const CHARTS: [(&str, &[&str]); 2] = [
    (
        "docs/performance.svg",
        &["write", "handle-stored", "search", "everything-jsonl", "everything-csv", "postgres"],
    ),
    ("docs/performance-small.svg", &["write", "handle-stored", "search"]),
];

/// Writes the tables between their markers, and the charts.
pub(crate) fn run(root: &Path) -> Result<()> {
    for (path, text) in made(root)? {
        fs::write(root.join(path), text).with_context(|| format!("cannot write {path}"))?;
        println!("{path}");
    }
    Ok(())
}

/// The files as the results make them.
fn made(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let results = Results::read(&root.join(RESULTS))?;
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let mut made = vec![(PAGE, filled(&page, &results)?)];
    for (path, ids) in CHARTS {
        let rows: Vec<&Measurement> =
            ids.iter().filter_map(|id| results.rows.iter().find(|row| row.id == **id)).collect();
        made.push((path, chart::of(&rows)));
    }
    Ok(made)
}

/// The page with each table between `<!-- begin NAME -->` and `<!-- end NAME -->`, where the name is that of a group, or
/// `machine` or `goals`.
fn filled(page: &str, results: &Results) -> Result<String> {
    let (mut text, mut rest) = (String::new(), page);
    while let Some((before, after)) = rest.split_once("<!-- begin ") {
        let (name, after) = after.split_once(" -->").context("a marker has no end")?;
        let end = format!("<!-- end {name} -->");
        let (_, after) = after.split_once(&end).with_context(|| format!("{PAGE} has no {end}"))?;
        text += &format!("{before}<!-- begin {name} -->\n\n{}\n{end}", section(name, results)?);
        rest = after;
    }
    Ok(text + rest)
}

fn section(name: &str, results: &Results) -> Result<String> {
    let is_group = PLANS.iter().any(|plan| plan.name == name);
    Ok(match name {
        _ if results.rows.is_empty() && (is_group || ["machine", "goals"].contains(&name)) => {
            NOT_MEASURED.into()
        }
        "machine" => machine(results),
        "goals" => show::goals(results.rows.iter()).markdown(),
        _ if !is_group => bail!("{PAGE}: there is no group {name}"),
        _ if results.group(name).next().is_none() => NOT_MEASURED.into(),
        HOSTS => show::by_host(results.group(name)).markdown(),
        _ => show::rows(results.group(name), "– ").markdown(),
    })
}

fn machine(results: &Results) -> String {
    let mut dates: Vec<&str> = results.rows.iter().map(|row| &*row.date).collect();
    dates.sort_unstable();
    dates.dedup();
    let machine = &results.machine;
    let versions = results.versions.iter().map(|(name, version)| format!("{name} {version}"));
    format!(
        "{}: {}, {} cores, {} GiB of memory, {}, {}; {}.\n",
        dates.join(", "),
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.system,
        machine.kernel,
        versions.collect::<Vec<_>>().join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_in_the_documentation_are_those_of_the_results() {
        for (path, text) in made(xtask::root()).unwrap() {
            let there = fs::read_to_string(xtask::root().join(path)).unwrap();
            assert!(there == text, "`cargo xtask bench-docs` changes {path}");
        }
    }

    #[test]
    fn tables_replace_what_is_between_their_markers() {
        let page = "# Speed\n\n<!-- begin start -->\n\nold\n\n<!-- end start -->\n\nThe end.\n";
        let filled_once = filled(page, &Results::default()).unwrap();
        assert_eq!(
            filled_once,
            "# Speed\n\n<!-- begin start -->\n\nNot measured yet.\n\n<!-- end start -->\n\nThe end.\n"
        );
        assert_eq!(filled(&filled_once, &Results::default()).unwrap(), filled_once);
        let error = |page| filled(page, &Results::default()).unwrap_err().to_string();
        assert!(error("<!-- begin start -->").contains("no <!-- end start -->"));
        assert!(error("<!-- begin other --><!-- end other -->").contains("no group other"));
    }
}
