//! What happens to the database and to the way to it.

use std::time::Duration;

use audit_testbed::{Faults, Rng};

use crate::site::{Site, lock};

/// Lets one fault follow the other, with times in between in which everything is well.
pub fn flip(site: &Site, _: usize, mut rng: Rng) {
    let databases =
        site.records.iter().filter_map(|record| record.urls.as_ref().map(|[_, direct]| direct.clone()));
    let mut faults = Faults::new(&site.cluster, &site.proxy, databases.collect(), rng.fork());
    while !site.is_over() {
        site.sleep(Duration::from_millis(rng.u64(300..4_000)));
        faults.flip();
        site.count("outages", 1);
        // Now and then it lasts longer than anybody waits.
        let longest = if rng.u32(..5) == 0 { 6_000 } else { 1_500 };
        site.sleep(Duration::from_millis(rng.u64(50..longest)));
        if rng.u32(..3) > 0 {
            faults.heal();
        }
    }
    faults.heal();
    site.proxy.pass();
    *lock(&site.faults) = faults.report();
}
