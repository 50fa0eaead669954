//! Each call that the component makes to its host, in each scenario, with each fault that the call can have.
//!
//! `AUDIT_FAULT` runs the cases alone whose name begins so, such as `spool Synced 17`: a case that fails prints its name.
//! `AUDIT_FAULT_CASES` is how many cases of each scenario and durability are run; `all` runs all of them.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use audit_format::time::Timestamp;

use crate::host::{
    Backend, Call, Durability, Effect, Fault, NEVER_FAIL, Part, Reason, Settings, World, imports,
};
use crate::run::{Run, START, Stopped};
use crate::scenarios;

/// How many cases of most scenarios are run by default with each durability.
const CASES: usize = 100;

type Act = fn(&mut Run) -> Result<(), Stopped>;

/// What a caller does.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    backend: Backend,
    /// What has happened before, without faults.
    before: Act,
    /// What the faults happen in.
    run: Act,
}

/// The tests, one for each scenario: its name, its backend, what has happened before, and what the faults happen in.
macro_rules! scenarios {
    ($($test:ident: $name:literal, $backend:ident, $before:ident, $run:ident;)*) => {
        $(
            #[test]
            fn $test() {
                let (before, run) = (scenarios::$before, scenarios::$run);
                each_fault(Scenario { name: $name, backend: Backend::$backend, before, run });
            }
        )*

        /// The names of all calls that the scenarios make.
        fn called() -> BTreeSet<&'static str> {
            let mut called = BTreeSet::new();
            $(
                let (before, run) = (scenarios::$before, scenarios::$run);
                let scenario = Scenario { name: $name, backend: Backend::$backend, before, run };
                called.extend(scenario.all_calls());
            )*
            called
        }
    };
}

scenarios! {
    a_fault_in_a_write_loses_and_repeats_nothing: "write", Jsonl, nothing, write;
    a_fault_in_a_batch_over_midnight_loses_and_repeats_nothing: "batch", Jsonl, nothing, batch_over_midnight;
    a_fault_while_files_change_loses_and_repeats_nothing: "rotate", Jsonl, one_batch, rotate;
    a_fault_in_a_read_is_told_or_does_not_matter: "read", Jsonl, two_days, read;
    a_fault_behind_a_torn_line_loses_and_repeats_nothing: "recover", Jsonl, torn, recover;
    a_fault_on_the_way_into_the_table_loses_and_repeats_nothing: "table", Postgres, nothing, table;
    a_fault_in_the_spool_loses_and_repeats_nothing: "spool", Auto, nothing, spool;
    a_fault_while_the_spool_is_drained_loses_and_repeats_nothing: "drain", Auto, spooled, drain;
    a_fault_in_taking_over_a_spool_loses_and_repeats_nothing: "take-over", Auto, left_behind, take_over;
    a_fault_in_a_visit_of_others_loses_and_repeats_nothing: "visit", Auto, left_behind, visit;
}

/// A fault in one of the calls of a scenario.
#[derive(Clone, Copy)]
struct Case {
    scenario: Scenario,
    durability: Durability,
    /// Which call, from 0.
    call: usize,
    fault: Fault,
}

impl Case {
    fn name(&self, calls: &[Call]) -> String {
        let Self { scenario, durability, call, fault } = self;
        let durability = format!("{durability:?}");
        let durability = durability.trim_start_matches("Durability::");
        format!("{} {durability} {call} {fault:?}, which is {}", scenario.name, calls[*call])
    }
}

impl Scenario {
    /// Runs the scenario with a fault, or with none. Returns the calls to the host.
    fn play(self, durability: Durability, fault: Option<(usize, Fault)>) -> Vec<Call> {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let micros = Timestamp::parse(START).expect("it is a time").micros();
        let world = World::new(&folder.path().join("audit"), micros);
        let settings = Settings { backend: self.backend, durability, batch_size: 2 };
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut run = Run::new(world.clone(), settings);
            assert!((self.before)(&mut run).is_ok() && run.errors.is_empty(), "{:?}", run.errors);
            world.arm(fault);
            let is_whole = (self.run)(&mut run).is_ok();
            let (calls, loss) = world.repair();
            assert!(
                fault.is_some() || (is_whole && run.errors.is_empty()),
                "without a fault: {:?}",
                run.errors
            );
            self.assert_harmless(fault, &calls, &run);
            run.settle(loss);
            calls
        }));
        played.unwrap_or_else(|panic| {
            let shared = world.lock();
            eprintln!("The folder:\n{}The table: {} rows", shared.disk.shown(), shared.table.rows.len());
            drop(shared);
            resume_unwind(panic)
        })
    }

    /// Checks that no call of the store fails because of a call to the host that it does not depend on.
    fn assert_harmless(self, fault: Option<(usize, Fault)>, calls: &[Call], run: &Run) {
        let Some(call) = fault.and_then(|(call, _)| calls.get(call)) else { return };
        let only = call.is_spare() && !matches!(fault, Some((_, Fault::AllFail(_))));
        assert!(!only || run.errors.is_empty(), "{:?}", run.errors);
    }

    fn calls(self, durability: Durability) -> Vec<Call> {
        self.play(durability, None)
    }

    /// The names of the calls of the scenario, and of those that it makes after a short write.
    fn all_calls(self) -> BTreeSet<&'static str> {
        let calls = self.calls(Durability::Synced);
        let mut names: BTreeSet<_> = calls.iter().map(|call| call.name).collect();
        for (n, _) in calls.iter().enumerate().filter(|(_, call)| call.effect == Effect::Writes) {
            let short = Fault::Short(Part::Half, Reason::NoSpace);
            names.extend(self.play(Durability::Synced, Some((n, short))).into_iter().map(|call| call.name));
        }
        names
    }

    /// All cases of the scenario, those of each durability with its calls.
    fn cases(self, durability: Durability, calls: &[Call]) -> Vec<Case> {
        let faults = |(call, made): (usize, &Call)| {
            Fault::all(made.effect).into_iter().map(move |fault| Case {
                scenario: self,
                durability,
                call,
                fault,
            })
        };
        calls.iter().enumerate().flat_map(faults).collect()
    }
}

#[test]
fn a_fault_in_the_index_of_a_daily_file_fails_no_write_and_no_read() {
    let (before, run) = (scenarios::long_file, scenarios::index);
    let scenario = Scenario { name: "index", backend: Backend::Jsonl, before, run };
    // Each case reads a hundred megabytes, and no durability is meant for an index.
    each_fault_of(scenario, &[Durability::Written], CASES / 16, Call::is_of_an_index);
}

fn each_fault(scenario: Scenario) {
    let durabilities = [Durability::Buffered, Durability::Written, Durability::Synced];
    each_fault_of(scenario, &durabilities, CASES, |_| true);
}

/// Runs the cases with a fault in one of these calls: of each durability as many as are asked for, or so many.
fn each_fault_of(scenario: Scenario, durabilities: &[Durability], count: usize, is_meant: fn(&Call) -> bool) {
    let wanted = match env::var("AUDIT_FAULT_CASES") {
        Ok(text) if text == "all" => usize::MAX,
        Ok(text) => text.parse().expect("AUDIT_FAULT_CASES is a number or `all`"),
        Err(_) => count,
    };
    let (mut count, mut all) = (0, 0);
    for durability in durabilities.iter().copied() {
        let calls = scenario.calls(durability);
        let mut cases = scenario.cases(durability, &calls);
        cases.retain(|case| is_meant(&calls[case.call]));
        all += cases.len();
        for case in chosen(&cases, &calls, wanted) {
            count += 1;
            let played = catch_unwind(|| scenario.play(case.durability, Some((case.call, case.fault))));
            played.unwrap_or_else(|panic| {
                eprintln!("AUDIT_FAULT='{}'", case.name(&calls));
                resume_unwind(panic)
            });
        }
    }
    println!("{}: {count} of {all} cases", scenario.name);
    assert!(count > 0 || env::var_os("AUDIT_FAULT").is_some());
}

/// So many of the cases, spread over all of them, or those that are named.
fn chosen(cases: &[Case], calls: &[Call], wanted: usize) -> Vec<Case> {
    if let Ok(name) = env::var("AUDIT_FAULT") {
        return cases.iter().filter(|case| case.name(calls).starts_with(&name)).copied().collect();
    }
    let step = cases.len().div_ceil(wanted.max(1)).max(1);
    // A step that shares no factor with the number of faults of a call, so that each kind of fault has its turn.
    let step = (step..)
        .find(|step| step % 2 == 1 && step % 3 != 0 && step % 5 != 0 && step % 7 != 0)
        .unwrap_or(step);
    cases.iter().step_by(step).copied().collect()
}

#[test]
fn each_function_of_the_host_that_can_fail_is_called_in_a_scenario() {
    let called = called();
    let is_method = |name: &str| name.rsplit('.').next().is_some_and(|name| called.contains(name));
    let missing: Vec<String> = imports()
        .into_iter()
        .filter(|name| !NEVER_FAIL.iter().any(|safe| name.starts_with(safe)))
        .filter(|name| !is_method(name))
        .collect();
    assert_eq!(missing, [""; 0], "these are not made to fail");
}
