//! The components as `cargo xtask components` builds them. What the tests of all packages share is in `audit-fixtures`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use audit_host::{Component, Options};
use xtask::components::{self, World};

/// The component of the world `local`. Each test process compiles it once.
pub fn local_component() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let binary = std::fs::read(artifact(World::Local)).expect("the artifact is there");
        Component::compile(&binary, &Options::new()).expect("the component loads")
    })
}

/// The artifact of a world, built if need be.
pub fn artifact(world: World) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    components::artifact(xtask::root(), target, world).expect("the component builds")
}
