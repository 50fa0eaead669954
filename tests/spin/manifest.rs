//! The manifest of the example: `spin.toml`.

use std::path::{Path, PathBuf};

use audit_spin_host::imports;
use toml::Table;
use xtask::spin::{APP, STORE};

use crate::site;

/// What the tests need to know of it.
pub struct Manifest(Table);

impl Manifest {
    pub fn read() -> Self {
        let text = std::fs::read_to_string(path()).expect("it is there");
        Self(text.parse().expect("it is TOML"))
    }

    fn component(&self) -> &Table {
        self.0["component"]["tools"].as_table().expect("a table")
    }

    /// The environment that it sets.
    pub fn environment(&self) -> Vec<(String, String)> {
        let environment = self.component()["environment"].as_table().expect("a table");
        let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
        environment.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// The name of the one dependency, its file, and what it inherits.
    pub fn dependency(&self) -> (&str, PathBuf, Vec<String>) {
        let dependencies = self.component()["dependencies"].as_table().expect("a table");
        let (name, dependency) = dependencies.iter().next().expect("there is one");
        assert_eq!(dependencies.len(), 1);
        let inherited = dependency["inherit_configuration"].as_array().expect("an array");
        let inherited = inherited.iter().map(|name| name.as_str().expect("a text").to_owned());
        (name, file(&dependency["path"]), inherited.collect())
    }
}

fn path() -> PathBuf {
    xtask::root().join("host-examples/spin/spin.toml")
}

/// A path in it.
fn file(value: &toml::Value) -> PathBuf {
    path().with_file_name(value.as_str().expect("a text"))
}

#[test]
fn it_names_the_files_that_the_build_leaves() {
    let manifest = Manifest::read();
    let named = |path: &Path| {
        let folder = path.parent().unwrap().file_name().unwrap().to_owned();
        (folder, path.file_name().unwrap().to_owned())
    };
    assert_eq!(named(&file(&manifest.component()["source"])), ("components".into(), APP.into()));
    assert_eq!(named(&manifest.dependency().1), ("components".into(), STORE.into()));
    assert_eq!(manifest.component()["build"]["command"].as_str(), Some("cargo xtask spin"));
}

/// Spin instantiates a dependency once for each of its names, and refuses two names of one package: with the name of the whole
/// package, writer, reader and control are one store.
#[test]
fn its_dependency_is_the_whole_package_and_exports_all_that_the_application_imports() {
    let manifest = Manifest::read();
    let (name, _, inherited) = manifest.dependency();
    assert_eq!(name, "audit:store@0.1.0");
    // The composition fails where an import is not exported, or is another one.
    let composed = site::composed(&inherited);
    let imports = imports(&composed);
    let of_store: Vec<&String> = imports.iter().filter(|name| name.starts_with("audit:store/")).collect();
    assert_eq!(of_store, ["audit:store/types@0.1.0"], "types alone");
}

#[test]
fn its_dependency_inherits_what_the_store_imports_and_no_files() {
    let (_, _, inherited) = Manifest::read().dependency();
    let imports = imports(site::store());
    let is_imported = |interface: &str| {
        // Any version of WASI 0.2 fits.
        let name = interface.split('@').next().unwrap_or_default();
        imports.iter().any(|import| import.split('@').next() == Some(name))
    };
    let capabilities = audit_spin_host::CAPABILITIES.into_iter();
    let used = capabilities.filter(|(_, interface)| is_imported(interface)).map(|(name, _)| name);
    let used: Vec<&str> = used.filter(|name| *name != "files").collect();
    assert_eq!(inherited, used);
}

#[test]
fn what_it_sets_are_settings_of_the_store() {
    let environment = Manifest::read().environment();
    let documented = std::fs::read_to_string(xtask::root().join("docs/settings.md")).unwrap();
    for (name, _) in &environment {
        assert!(documented.contains(&format!("| `{name}`")), "{name}");
    }
    let value = |name: &str| environment.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    assert_eq!((value("AUDIT_BACKEND"), value("AUDIT_FLUSH_INTERVAL_MS")), ("postgres", "0"));
}

#[test]
fn it_fits_the_schema_that_spin_publishes() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = xtask::peers::python(target);
    let check = "import json, sys, tomllib, jsonschema\n\
                 schema, manifest = json.load(open(sys.argv[1])), tomllib.load(open(sys.argv[2], 'rb'))\n\
                 jsonschema.Draft202012Validator.check_schema(schema)\n\
                 jsonschema.validate(manifest, schema)\n\
                 manifest['component']['tools']['dependency'] = {}\n\
                 try: jsonschema.validate(manifest, schema)\n\
                 except jsonschema.ValidationError: pass\n\
                 else: sys.exit('the schema takes anything')";
    let mut command = std::process::Command::new(&python);
    command.args(["-c", check]).arg(xtask::root().join("tests/spin/manifest.schema.json")).arg(path());
    let output = command.output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` installs it", python.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
