//! The package for Node.js and browsers, as `xtask::node` builds it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use xtask::components::{self, World};
use xtask::node;

/// A command of Node.js in the folder of the package, which is built once in a test process. Settings of whoever runs the
/// tests are none of the stores in them.
pub fn command() -> Command {
    static NODE: OnceLock<PathBuf> = OnceLock::new();
    let program = NODE.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        let component =
            components::artifact(xtask::root(), target, World::Full).expect("the component builds");
        node::build(target, &component).unwrap_or_else(|error| panic!("{error:#}"))
    });
    let mut command = Command::new(program);
    command.current_dir(node::package());
    for name in ["DATABASE_URL", "POSTGRES_DSN", "AUDIT_BACKEND", "AUDIT_JSONL_DIR", "NODE_OPTIONS"] {
        command.env_remove(name);
    }
    command
}
