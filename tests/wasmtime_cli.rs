//! The calls in `docs/wasmtime-cli.md`, parsed by the crate that the program `wasmtime` parses them with, and made on the
//! component of the world `local`, each on an instance of its own.

use std::fs;
use std::path::Path;

use audit_host::Options;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::value::{Value, resolve_wit_func_type};
use wasm_wave::wasm::{WasmFunc, WasmTypeKind, WasmValue};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wit_parser::Resolve;
use xtask::components::{self, World};

const PAGE: &str = include_str!("../docs/wasmtime-cli.md");

/// What stands between `--invoke '` and the next quote, in their order.
fn calls() -> Vec<&'static str> {
    let parts = PAGE.split("--invoke '").skip(1);
    parts.map(|part| part.split_once('\'').expect("the quote is closed").0).collect()
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A value of WAVE as one of wasmtime.
fn val(value: &Value) -> Val {
    match value.kind() {
        WasmTypeKind::U32 => Val::U32(value.unwrap_u32()),
        WasmTypeKind::U64 => Val::U64(value.unwrap_u64()),
        WasmTypeKind::String => Val::String(value.unwrap_string().into_owned()),
        WasmTypeKind::Enum => Val::Enum(value.unwrap_enum().into_owned()),
        WasmTypeKind::Option => Val::Option(value.unwrap_option().map(|some| Box::new(val(&some)))),
        WasmTypeKind::List => Val::List(value.unwrap_list().map(|item| val(&item)).collect()),
        WasmTypeKind::Record => {
            Val::Record(value.unwrap_record().map(|(name, field)| (name.into_owned(), val(&field))).collect())
        }
        other => panic!("no function of the store takes a {other}"),
    }
}

/// Makes a call on a new instance, and returns its answer as text.
fn invoke(engine: &Engine, component: &Component, wit: &Resolve, record: &Path, call: &str) -> String {
    let call = UntypedFuncCall::parse(call).expect("it is a call in WAVE");
    let mut interfaces = wit.interfaces.iter().filter_map(|(_, interface)| {
        Some((interface.name.as_deref()?, interface.functions.get(call.name())?))
    });
    let (interface, function) = interfaces.next().expect("an interface has the function");
    let types = resolve_wit_func_type(wit, function).expect("WAVE has its types");
    let types: Vec<_> = types.params().collect();
    let parameters = call.to_wasm_params::<Value>(&types).expect("the values are of the types in the WIT");
    let parameters: Vec<Val> = parameters.iter().map(val).collect();

    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(record, "/audit", FsPerms::ReadWrite).unwrap().env("AUDIT_JSONL_DIR", "/audit");
    let mut store = Store::new(engine, Host { wasi: wasi.build(), table: ResourceTable::new() });
    let instance = linker.instantiate(&mut store, component).unwrap();
    let interface = format!("audit:store/{interface}@0.1.0");
    let interface = instance.get_export_index(&mut store, None, &interface).expect("it is exported");
    let function = instance.get_export_index(&mut store, Some(&interface), call.name()).unwrap();
    let function = instance.get_func(&mut store, function).unwrap();
    let mut answer = [Val::Bool(false)];
    function.call(&mut store, &parameters, &mut answer).unwrap();
    format!("{answer:?}")
}

#[test]
fn the_calls_of_the_page_write_and_read_events() {
    let record = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let artifact = components::artifact(xtask::root(), target_dir, World::Local).unwrap();
    let component = Component::from_file(&engine, artifact).unwrap();
    let mut wit = Resolve::default();
    wit.push_dir(xtask::root().join("wit")).unwrap();

    let calls = calls();
    assert_eq!(calls.len(), 4);
    let answers: Vec<_> =
        calls.iter().map(|call| invoke(&engine, &component, &wit, record.path(), call)).collect();
    for (call, answer) in calls.iter().zip(&answers) {
        assert!(answer.starts_with("[Result(Ok("), "{call}: {answer}");
    }
    assert!(answers[2].contains("search") && answers[2].contains("fetch"), "{}", answers[2]);
    assert!(answers[3].contains("(\"received\", U64(0))"), "{}", answers[3]);

    let file = fs::read_to_string(record.path().join("tool_audit_2026-11-23.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 2, "{file}");
    let options = Options::new().dir(record.path()).read_only(true);
    let mut reader = audit_host::Instance::open(&options).unwrap();
    let entries = reader.read(&Default::default(), &Default::default()).unwrap().entries;
    assert_eq!(entries[1].event.attributes[0].value, "large");

    let refused = invoke(&engine, &component, &wit, record.path(), "write-jsonl(\"no JSON\")");
    assert!(refused.starts_with("[Result(Err("), "{refused}");
}
