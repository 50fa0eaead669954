//! What a nested cargo inherits. Whatever the outer cargo, or a user for it, set about compilers, flags,
//! profiles and targets is meant for the host's build.

use std::env;
use std::process::Command;

/// Beginnings of the names that are about a build.
const LEFT_OUT: [&str; 5] = ["CARGO", "CLIPPY_", "RUSTC", "RUSTDOC", "RUSTFLAGS"];

/// Beginnings of the names among them that hold for every build on the machine; `CARGO_MAKEFLAGS` is the job
/// server, through which both cargos together use no more cores than one.
const INHERITED: [&str; 8] = [
    "CARGO_BUILD_JOBS",
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_TERM_",
];

/// Removes from a command's environment what belongs to another build.
pub fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| !is_inherited(name)) {
            command.env_remove(&name);
        }
    }
}

fn is_inherited(name: &str) -> bool {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
    !begins(&LEFT_OUT) || begins(&INHERITED)
}

#[cfg(test)]
mod tests {
    use super::is_inherited;

    #[test]
    fn what_belongs_to_the_outer_build_stays_out() {
        for name in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_INCREMENTAL",
            "CARGO_MANIFEST_DIR",
            "CARGO_PROFILE_DEV_DEBUG",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_WASM32_WASIP2_LINKER",
            "CLIPPY_ARGS",
            "RUSTC",
            "RUSTC_BOOTSTRAP",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
        ] {
            assert!(!is_inherited(name), "{name}");
        }
    }

    #[test]
    fn what_holds_for_the_machine_is_inherited() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
            "HOME",
            "PATH",
            "RUSTUP_HOME",
        ] {
            assert!(is_inherited(name), "{name}");
        }
    }
}
