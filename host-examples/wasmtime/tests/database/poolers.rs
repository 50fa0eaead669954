//! Where a pooler does not pass `options` of the URL on, no event lands in another schema.

use audit_fixtures::Entries as _;
use audit_testbed::{Cluster, Pooler, database_name};

use crate::{entry, open, other_error, seqs};

/// Asks for the schema `app`.
const OPTIONS: &str = "?options=-csearch_path%3Dapp";

/// A database with the schema `app`.
fn with_schema() -> (&'static Cluster, String) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(&url, "CREATE SCHEMA app");
    (cluster, url)
}

#[test]
fn options_that_a_pooler_refuses_are_a_lasting_error() {
    let (cluster, url) = with_schema();
    let pooler = Pooler::start(cluster, "");
    let url = pooler.url(&url);
    assert_eq!(open(&url).insert_entries(vec![entry(0)]), Ok(Vec::new()));
    let text = other_error(open(&(url + OPTIONS)).insert_entries(vec![entry(1)]));
    for part in ["unsupported startup parameter", "ALTER ROLE", "ignore_startup_parameters"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn options_that_a_pooler_drops_are_a_lasting_error_until_the_role_has_them() {
    let (cluster, url) = with_schema();
    let pooler = Pooler::start(cluster, "ignore_startup_parameters = options");
    let pooled = pooler.url(&url) + OPTIONS;
    let text = other_error(open(&pooled).insert_entries(vec![entry(0)]));
    for part in ["search_path is ", "public", ", and not app", "ALTER ROLE \"audit\" SET search_path = app"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(other_error(open(&pooled).obstacle()), text);
    assert_eq!(cluster.stored(&url), 0);

    let name = database_name(&url);
    cluster.execute(&url, &format!("ALTER ROLE audit IN DATABASE {name} SET search_path = app"));
    // The pooler still has sessions from before.
    let pooler = Pooler::start(cluster, "ignore_startup_parameters = options");
    let pooled = pooler.url(&url) + OPTIONS;
    assert_eq!(open(&pooled).insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert_eq!(seqs(&open(&pooled)), [0]);
    assert_eq!(cluster.number(&url, "SELECT count(*) FROM app.tool_audit_events"), 1);
}

#[test]
fn a_role_that_a_pooler_drops_is_a_lasting_error() {
    let (cluster, url) = with_schema();
    let owner = format!("owner_of_{}", database_name(&url));
    cluster.execute(&url, &format!("CREATE ROLE {owner}; GRANT ALL ON SCHEMA public TO {owner}"));
    let options = format!("?options=-c%20role%3D{owner}");
    let pooler = Pooler::start(cluster, "ignore_startup_parameters = options");
    let text = other_error(open(&(pooler.url(&url) + &options)).insert_entries(vec![entry(0)]));
    assert!(text.contains(&format!("role is none, and not {owner}")), "{text}");
    assert_eq!(open(&(url.clone() + &options)).insert_entries(vec![entry(0)]), Ok(Vec::new()));
    let owned = "SELECT tableowner FROM pg_tables WHERE tablename = 'tool_audit_events'";
    assert_eq!(cluster.value(&url, owned), owner);
}

#[test]
fn options_that_reach_the_server_hold() {
    let (cluster, url) = with_schema();
    for (n, options) in ["-c search_path=app", "--search-path=app,public", r#"-csearch_path="app",\ public"#]
        .into_iter()
        .enumerate()
    {
        let options =
            options.replace(' ', "%20").replace('=', "%3D").replace('"', "%22").replace('\\', "%5C");
        let database = open(&format!("{url}?options={options}"));
        assert_eq!(database.insert_entries(vec![entry(n as u64)]), Ok(Vec::new()), "{options}");
    }
    assert_eq!(cluster.number(&url, "SELECT count(*) FROM app.tool_audit_events"), 3);
}
