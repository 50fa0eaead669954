//! The settings of a store: environment variables, and the configuration of the host.

use audit_store::settings::{BackendKind, Config, Durability, Settings};
use audit_store::store::Store;

use crate::host::Memory;
use crate::{next_byte, next_text};

const VARIABLES: [&str; 9] = [
    "AUDIT_BACKEND",
    "AUDIT_JSONL_DIR",
    "REPO_ROOT",
    "AUDIT_DURABILITY",
    "AUDIT_MEMORY_LIMIT",
    "AUDIT_BATCH_SIZE",
    "AUDIT_FLUSH_INTERVAL_MS",
    "AUDIT_QUEUE_LIMIT",
    "AUDIT_RECOVERY_INTERVAL_S",
];

/// The first two bytes say what the configuration has, whose numbers and folder are the texts that follow; the values of the
/// variables are the texts after them.
///
/// No environment keeps a store from opening: a wrong variable is a warning that names it, and its default is used. A wrong
/// configuration is refused by the name of the setting, and the store stays as it was; a right one is what the store then has.
pub fn configuration(mut input: &[u8]) {
    let (given, choice) = (next_byte(&mut input), next_byte(&mut input));
    let config = config(given, choice, &mut input);
    let has_database = choice & 0x40 != 0;
    let values: Vec<(String, String)> =
        VARIABLES.iter().map(|name| ((*name).to_owned(), next_text(&mut input))).collect();
    let variable =
        |name: &str| values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());

    let of_environment = Settings::from_environment(&variable, &|| has_database);
    assert_usable(&of_environment, has_database);
    for warning in &of_environment.warnings {
        let named = VARIABLES.iter().find(|name| warning.starts_with(&format!("{name}: ")));
        assert!(named.is_some(), "a warning names no variable: {warning}");
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
    match Settings::resolve(&config, &variable, &|| has_database) {
        Ok(settings) => {
            assert_usable(&settings, has_database);
            assert_given(&config, &settings);
        }
        Err(why) => assert_names_a_wrong_setting(&why, &config, has_database),
    }
    assert_store_stays(values, &config);
}

fn config(given: u8, choice: u8, input: &mut &[u8]) -> Config {
    let mut number = |bit: u8| {
        let text = next_text(input);
        (given & bit != 0).then(|| text.parse().unwrap_or(0))
    };
    Config {
        memory_limit: number(1),
        batch_size: number(2),
        flush_interval_ms: number(4),
        queue_limit: number(8),
        recovery_interval_s: number(16),
        jsonl_dir: (given & 32 != 0).then(|| next_text(input)),
        backend: (given & 64 != 0)
            .then(|| BackendKind::ALL[usize::from(choice & 7) % BackendKind::ALL.len()]),
        durability: (given & 128 != 0).then(|| {
            [Durability::Buffered, Durability::Written, Durability::Synced][usize::from(choice >> 3 & 7) % 3]
        }),
    }
}

/// A store can be opened with these settings.
fn assert_usable(settings: &Settings, has_database: bool) {
    assert!(has_database || !settings.backend.needs_database(), "{settings:?}");
    let counts = [settings.memory_limit, settings.batch_size, settings.queue_limit];
    assert!(counts.into_iter().all(|count| count > 0) && settings.recovery_interval_s > 0, "{settings:?}");
    assert!(!settings.jsonl_dir.is_empty(), "{settings:?}");
}

fn assert_given(config: &Config, settings: &Settings) {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    assert!(
        config.backend.is_none_or(|given| given == settings.backend && given.name() == settings.requested)
    );
    assert!(config.durability.is_none_or(|given| given == settings.durability));
    assert!(config.memory_limit.is_none_or(|given| size(given) == settings.memory_limit));
    assert!(config.batch_size.is_none_or(|given| size(given) == settings.batch_size));
    assert!(config.queue_limit.is_none_or(|given| size(given) == settings.queue_limit));
    assert!(config.flush_interval_ms.is_none_or(|given| given == settings.flush_interval_ms));
    assert!(config.recovery_interval_s.is_none_or(|given| given == settings.recovery_interval_s));
    assert!(config.jsonl_dir.as_ref().is_none_or(|given| given.is_empty() || *given == settings.jsonl_dir));
}

fn assert_names_a_wrong_setting(why: &str, config: &Config, has_database: bool) {
    let wrong = [
        ("backend", config.backend.is_some_and(|backend| backend.needs_database() && !has_database)),
        ("memory_limit", config.memory_limit == Some(0)),
        ("batch_size", config.batch_size == Some(0)),
        ("queue_limit", config.queue_limit == Some(0)),
        ("recovery_interval_s", config.recovery_interval_s == Some(0)),
    ];
    assert!(
        wrong.iter().any(|(name, is_wrong)| *is_wrong && why.starts_with(&format!("{name}: "))),
        "{why}: {config:?}"
    );
}

/// A store that refuses a configuration stays as it was, and takes events before and after.
fn assert_store_stays(variables: Vec<(String, String)>, config: &Config) {
    let mut store = Store::new(Memory::with_variables(variables));
    let before = store.status().settings.clone();
    store.write_jsonl("{}").expect("a store takes an event");
    let answer = store.configure(config);
    let after = store.status();
    if answer.is_err() {
        assert_eq!(*after.settings, before);
    } else {
        assert_given(config, after.settings);
    }
    store.write_jsonl("{}").expect("a store takes an event");
    let counts = store.status().counts;
    assert_eq!((counts.received, counts.stored + counts.pending), (2, 2));
}
