//! Which settings are found in `options`, and which values are the same.

use super::*;

fn asked(options: &str) -> Option<[Option<String>; 2]> {
    Asked::of(Config::new().options(options)).map(|asked| asked.values)
}

#[test]
fn settings_are_found_in_each_form() {
    for options in [
        "-c search_path=app",
        "-csearch_path=app",
        "--search_path=app",
        "--search-path=app",
        "-c SEARCH_PATH=app -c work_mem=64kB",
        "-B 5  -c search_path=other\t--search_path=app",
    ] {
        assert_eq!(asked(options), Some([Some("app".into()), None]), "{options}");
    }
    assert_eq!(asked(r"-csearch_path=a,\ b\\"), Some([Some(r"a, b\".into()), None]));
    assert_eq!(asked("-c role=owner"), Some([None, Some("owner".into())]));
    for options in ["", "-c", "-c search_path", "-c work_mem=64kB", "search_path=app"] {
        assert_eq!(asked(options), None, "{options}");
    }
    assert!(Asked::of(&Config::new()).is_none());
}

#[test]
fn lists_of_names_are_compared_as_the_server_understands_them() {
    for (one, other) in [
        ("a,b", "a, b"),
        ("App", "app"),
        ("\"app\"", "app"),
        ("\"a\"\"b\"", "\"a\"\"b\""),
        ("\"$user\"", "$user"),
    ] {
        assert_eq!(names(one), names(other));
    }
    for (one, other) in [("a", "b"), ("a,b", "b,a"), ("\"App\"", "app"), ("\"a,b\"", "a,b")] {
        assert_ne!(names(one), names(other));
    }
}
