//! How Spin composes a component with its dependency, and what a dependency inherits.

use anyhow::{Context, Result, ensure};
use wac_graph::types::{Package, SubtypeChecker, are_semver_compatible};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// What a dependency may inherit, and by which interfaces it reaches that: of those that the store imports. Spin's list is in
/// `crates/capabilities/src/lib.rs`.
pub const CAPABILITIES: [(&str, &str); 4] = [
    ("allowed_outbound_hosts", "spin:postgres/postgres@4.2.0"),
    ("environment", "wasi:cli/environment@0.2.6"),
    ("files", "wasi:filesystem/preopens@0.2.6"),
    ("variables", "fermyon:spin/variables@2.0.0"),
];

/// The component with the imports of a name like `PACKAGE`, `PACKAGE@VERSION` or `PACKAGE/INTERFACE` satisfied by the
/// dependency, as Spin does it for an entry of `[component.NAME.dependencies]` with this `inherit_configuration`. A
/// dependency that does not inherit the files gets none; the other capabilities must be inherited.
///
/// # Errors
/// Where the name matches no import, or the dependency does not export what the component imports.
pub fn compose(component: &[u8], name: &str, dependency: &[u8], inherit: &[String]) -> Result<Vec<u8>> {
    for (capability, _) in CAPABILITIES.iter().filter(|(capability, _)| *capability != "files") {
        ensure!(inherit.iter().any(|given| given == capability), "{name} does not inherit {capability}");
    }
    let dependency = match inherit.iter().any(|given| given == "files") {
        true => dependency.to_vec(),
        false => without_files(dependency).context("the files cannot be denied")?,
    };
    let mut graph = CompositionGraph::new();
    let outer = register(&mut graph, "component", component)?;
    let inner = register(&mut graph, "dependency", &dependency)?;
    let (outer_node, inner_node) = (graph.instantiate(outer), graph.instantiate(inner));
    let imports: Vec<String> = graph.types()[graph[outer].ty()].imports.keys().cloned().collect();
    let matching: Vec<&String> = imports.iter().filter(|import| matches(name, import)).collect();
    ensure!(!matching.is_empty(), "dependency '{name}' doesn't match any imports; there are {imports:?}");
    for import in matching {
        satisfy(&mut graph, (outer, outer_node), (inner, inner_node), import)?;
    }
    export_all(&mut graph, outer, outer_node)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// The names of what a component imports, sorted.
///
/// # Panics
/// Where it is no component.
pub fn imports(component: &[u8]) -> Vec<String> {
    names(component).0
}

/// The names of what a component exports, sorted.
///
/// # Panics
/// As [`imports`].
pub fn exports(component: &[u8]) -> Vec<String> {
    names(component).1
}

fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut graph = CompositionGraph::new();
    let package = register(&mut graph, "component", component).expect("it is a component");
    let world = &graph.types()[graph[package].ty()];
    let sorted = |names: Vec<&String>| {
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_unstable();
        names
    };
    (sorted(world.imports.keys().collect()), sorted(world.exports.keys().collect()))
}

fn register(graph: &mut CompositionGraph, name: &str, component: &[u8]) -> Result<PackageId> {
    let package = Package::from_bytes(name, None, component, graph.types_mut())?;
    Ok(graph.register_package(package)?)
}

/// Whether the name of a dependency matches an import.
fn matches(name: &str, import: &str) -> bool {
    let split = |text: &str| {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path.to_owned(), Some(version.to_owned())),
            None => (text.to_owned(), None),
        };
        match path.split_once('/') {
            Some((package, interface)) => (package.to_owned(), Some(interface.to_owned()), version),
            None => (path, None, version),
        }
    };
    let (package, interface, version) = split(name);
    let (of_package, of_interface, of_version) = split(import);
    package == of_package
        && (interface.is_none() || interface == of_interface)
        && (version.is_none() || version == of_version)
}

fn satisfy(
    graph: &mut CompositionGraph,
    (outer, outer_node): (PackageId, NodeId),
    (inner, inner_node): (PackageId, NodeId),
    import: &str,
) -> Result<()> {
    let types = graph.types();
    let exported = types[graph[inner].ty()].exports.get(import);
    let exported = *exported.with_context(|| format!("the dependency does not export {import}"))?;
    let imported = types[graph[outer].ty()].imports[import];
    let mut cache = Default::default();
    let mut checker = SubtypeChecker::new(&mut cache);
    let fits = checker.is_subtype(exported, types, imported, types);
    fits.with_context(|| format!("the dependency's {import} is another one than the component imports"))?;
    let export = graph.alias_instance_export(inner_node, import)?;
    graph.set_instantiation_argument(outer_node, import, export)?;
    Ok(())
}

fn export_all(graph: &mut CompositionGraph, package: PackageId, node: NodeId) -> Result<()> {
    let names: Vec<String> = graph.types()[graph[package].ty()].exports.keys().cloned().collect();
    for name in names {
        let export = graph.alias_instance_export(node, &name)?;
        graph.export(export, &name)?;
    }
    Ok(())
}

/// The component with no folder preopened.
fn without_files(component: &[u8]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let inner = register(&mut graph, "dependency", component)?;
    let denied = register(&mut graph, "no-files", &wat::parse_str(include_str!("no_files.wat"))?)?;
    let (inner_node, denied_node) = (graph.instantiate(inner), graph.instantiate(denied));
    let name = "wasi:filesystem/preopens@0.2.6";
    let imports = &graph.types()[graph[inner].ty()].imports;
    let import = imports.keys().find(|import| are_semver_compatible(name, import)).cloned();
    let import = import.context("the component imports no files")?;
    let export = graph.alias_instance_export(denied_node, name)?;
    graph.set_instantiation_argument(inner_node, &import, export)?;
    export_all(&mut graph, inner, inner_node)?;
    Ok(graph.encode(EncodeOptions::default())?)
}
