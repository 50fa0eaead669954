//! The calls of `wasi:filesystem` and `wasi:io`, each around wasmtime's own. What each one does to the folder is noted in
//! the account of the disk.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DirectoryEntryStream, ErrorCode, Host, HostDescriptor,
    HostDirectoryEntryStream, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, HostOutputStream, OutputStream};
use wasmtime_wasi::p2::{FsResult, StreamError, StreamResult};

use super::disk::Disk;
use super::fault::Effect::{self, Changes, Reads, Writes};
use super::state::{Opened, State};
use super::stopped;
use super::world::{Call, Verdict};

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// Links all of WASI, with the calls that can fail wrapped.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    link_random(linker)?;
    link_files(linker)?;
    link_folder(linker)?;
    link_streams(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The calls that no fault is meant for: they do not touch a disk or a database.
pub const NEVER_FAIL: [&str; 9] = [
    "get-environment",
    "get-stderr",
    "now",
    "get-directories",
    "get-random-u64",
    "filesystem-error-code",
    "[method]error.to-debug-string",
    "is-configured",
    "[resource-drop]",
];

fn link_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut random = linker.instance("wasi:random/random@0.2.12")?;
    random.func_wrap("get-random-u64", |store: StoreContextMut<'_, State>, ()| {
        Ok((store.data().world.random(),))
    })
}

/// Makes a call of a file or the folder. `note` notes what it has done.
fn call<T>(
    state: &mut State,
    (name, file, effect): (&'static str, String, Effect),
    real: impl FnOnce(&mut WasiFilesystemCtxView<'_>) -> FsResult<T>,
    note: impl FnOnce(&mut Disk, i64, &mut T),
) -> Answer<T> {
    let verdict = state.world.begin(&Call { name, file, effect });
    match verdict {
        Verdict::Stop => return Err(stopped()),
        Verdict::Fail(reason) => return Ok((Err(reason.code()),)),
        _ => {}
    }
    let mut files = state.filesystem();
    let answer = match real(&mut files) {
        Ok(mut done) => {
            let mut shared = state.world.lock();
            let (disk, now) = shared.disk_and_time();
            note(disk, now, &mut done);
            Ok(done)
        }
        Err(error) => Err(files.convert_error_code(error)?),
    };
    match verdict {
        Verdict::DoneStop => Err(stopped()),
        Verdict::Done(reason) if answer.is_ok() => Ok((Err(reason.code()),)),
        _ => Ok((answer,)),
    }
}

/// What a descriptor stands for.
fn opened(state: &State, descriptor: &Resource<Descriptor>) -> Opened {
    state.descriptors.get(&descriptor.rep()).cloned().unwrap_or_default()
}

fn open_at(
    state: &mut State,
    (folder, follow, path, how, flags): (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let effect = if how.contains(OpenFlags::CREATE) { Changes } else { Reads };
    let is_folder = how.contains(OpenFlags::DIRECTORY);
    let name = if is_folder { String::new() } else { path.clone() };
    let mut opened = Opened::Folder;
    let answer = call(
        state,
        ("open-at", name.clone(), effect),
        |files| files.open_at(folder, follow, path, how, flags),
        |disk, now, _| {
            if !is_folder {
                opened = Opened::File(name.clone(), disk.open(&name, now));
            }
        },
    )?;
    if let (Ok(descriptor),) = &answer {
        state.descriptors.insert(descriptor.rep(), opened);
    }
    Ok(answer)
}

fn link_files(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), |mut store, rep| {
        let state = store.data_mut();
        state.descriptors.remove(&rep);
        HostDescriptor::drop(&mut state.filesystem(), Resource::new_own(rep))
    })?;
    types.func_wrap("[method]descriptor.open-at", |mut store: StoreContextMut<'_, State>, arguments| {
        open_at(store.data_mut(), arguments)
    })?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, State>, (descriptor,): (Resource<Descriptor>,)| {
            let state = store.data_mut();
            let opened = opened(state, &descriptor);
            let real = |files: &mut WasiFilesystemCtxView<'_>| files.append_via_stream(descriptor);
            let made = call(state, ("append-via-stream", opened.name(), Reads), real, |_, _, _| ())?;
            if let ((Ok(stream),), Opened::File(name, file)) = (&made, opened) {
                state.streams.insert(stream.rep(), (name, file));
            }
            Ok(made)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read",
        |mut store: StoreContextMut<'_, State>,
         (descriptor, len, offset): (Resource<Descriptor>, u64, u64)| {
            let name = opened(store.data(), &descriptor).name();
            call(
                store.data_mut(),
                ("read", name, Reads),
                |files| files.read(descriptor, len, offset),
                |_, _, _| (),
            )
        },
    )?;
    types.func_wrap(
        "[method]descriptor.stat",
        |mut store: StoreContextMut<'_, State>, (descriptor,): (Resource<Descriptor>,)| {
            let state = store.data_mut();
            let opened = opened(state, &descriptor);
            let name = opened.name();
            let note = |disk: &mut Disk, _, stat: &mut DescriptorStat| match opened {
                Opened::File(_, file) => set_time(stat, Some(disk.modified(file))),
                Opened::Parent | Opened::Folder => {}
            };
            call(state, ("stat", name, Reads), |files| files.stat(descriptor), note)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.set-size",
        |mut store: StoreContextMut<'_, State>, (descriptor, size): (Resource<Descriptor>, u64)| {
            let state = store.data_mut();
            let opened = opened(state, &descriptor);
            let name = opened.name();
            let note = |disk: &mut Disk, now, _: &mut ()| match opened {
                Opened::File(_, file) => disk.set_size(file, size, now),
                Opened::Parent | Opened::Folder => {}
            };
            call(state, ("set-size", name, Changes), |files| files.set_size(descriptor, size), note)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.sync-data",
        |mut store: StoreContextMut<'_, State>, (descriptor,): (Resource<Descriptor>,)| {
            let state = store.data_mut();
            let opened = opened(state, &descriptor);
            let name = opened.name();
            let note = |disk: &mut Disk, _, _: &mut ()| match opened {
                Opened::File(_, file) => disk.sync(file),
                Opened::Folder => disk.sync_folder(),
                Opened::Parent => disk.sync_parent(),
            };
            // The account of the disk is what a crash takes the synced bytes from: no real disk has to have them.
            call(state, ("sync-data", name, Changes), |_| Ok(()), note)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.metadata-hash",
        |mut store: StoreContextMut<'_, State>, (descriptor,): (Resource<Descriptor>,)| {
            let name = opened(store.data(), &descriptor).name();
            call(
                store.data_mut(),
                ("metadata-hash", name, Reads),
                |files| files.metadata_hash(descriptor),
                |_, _, _| (),
            )
        },
    )
}

fn link_folder(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap(
        "[method]descriptor.stat-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, follow, path): (Resource<Descriptor>, PathFlags, String)| {
            let name = path.clone();
            let note =
                |disk: &mut Disk, _, stat: &mut DescriptorStat| set_time(stat, disk.modified_by_name(&name));
            call(
                store.data_mut(),
                ("stat-at", name.clone(), Reads),
                |files| files.stat_at(folder, follow, path),
                note,
            )
        },
    )?;
    types.func_wrap(
        "[method]descriptor.metadata-hash-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, follow, path): (Resource<Descriptor>, PathFlags, String)| {
            let name = path.clone();
            let real = |files: &mut WasiFilesystemCtxView<'_>| files.metadata_hash_at(folder, follow, path);
            call(store.data_mut(), ("metadata-hash-at", name, Reads), real, |_, _, _| ())
        },
    )?;
    types.func_wrap(
        "[method]descriptor.rename-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, from, target, to): (Resource<Descriptor>, String, Resource<Descriptor>, String)| {
            let names = (from.clone(), to.clone());
            let real = |files: &mut WasiFilesystemCtxView<'_>| files.rename_at(folder, from, target, to);
            let note = |disk: &mut Disk, _, _: &mut ()| disk.rename(&names.0, &names.1);
            call(store.data_mut(), ("rename-at", format!("{} {}", names.0, names.1), Changes), real, note)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.unlink-file-at",
        |mut store: StoreContextMut<'_, State>, (folder, path): (Resource<Descriptor>, String)| {
            let name = path.clone();
            let note = |disk: &mut Disk, _, _: &mut ()| disk.remove(&name);
            call(
                store.data_mut(),
                ("unlink-file-at", name.clone(), Changes),
                |files| files.unlink_file_at(folder, path),
                note,
            )
        },
    )?;
    types.func_wrap(
        "[method]descriptor.create-directory-at",
        |mut store: StoreContextMut<'_, State>, (folder, path): (Resource<Descriptor>, String)| {
            let real = |files: &mut WasiFilesystemCtxView<'_>| files.create_directory_at(folder, path);
            call(store.data_mut(), ("create-directory-at", String::new(), Changes), real, |_, _, _| ())
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (folder,): (Resource<Descriptor>,)| {
            call(
                store.data_mut(),
                ("read-directory", String::new(), Reads),
                |files| files.read_directory(folder),
                |_, _, _| (),
            )
        },
    )?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, State>, (entries,): (Resource<DirectoryEntryStream>,)| {
            call(
                store.data_mut(),
                ("read-directory-entry", String::new(), Reads),
                |files| files.read_directory_entry(entries),
                |_, _, _| (),
            )
        },
    )
}

/// Sets when a file was last changed, by the clock of the test.
fn set_time(stat: &mut DescriptorStat, micros: Option<i64>) {
    stat.data_modification_timestamp = micros.map(|micros| Datetime {
        seconds: micros.max(0) as u64 / 1_000_000,
        nanoseconds: (micros.max(0) % 1_000_000) as u32 * 1_000,
    });
}

type Written<T> = wasmtime::Result<(Result<T, streams::StreamError>,)>;

fn link_streams(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut streams = linker.instance("wasi:io/streams@0.2.12")?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), |mut store, rep| {
        let state = store.data_mut();
        state.streams.remove(&rep);
        state.unflushed.remove(&rep);
        HostOutputStream::drop(&mut state.table, Resource::new_own(rep))
    })?;
    streams.func_wrap(
        "[method]output-stream.blocking-write-and-flush",
        |mut store: StoreContextMut<'_, State>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            write(store.data_mut(), "blocking-write-and-flush", stream, &bytes)
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |mut store: StoreContextMut<'_, State>, (stream,): (Resource<OutputStream>,)| {
            prepare(store.data_mut(), "check-write", &stream, |state, stream| state.table.check_write(stream))
        },
    )?;
    // A host need not have written anything before a flush: that is where it is done, and where it can be done in part.
    streams.func_wrap(
        "[method]output-stream.write",
        |mut store: StoreContextMut<'_, State>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            prepare(store.data_mut(), "write", &stream, |state, stream| {
                state.unflushed.entry(stream.rep()).or_default().extend(bytes);
                Ok(())
            })
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.blocking-flush",
        |mut store: StoreContextMut<'_, State>, (stream,): (Resource<OutputStream>,)| {
            let state = store.data_mut();
            let bytes = state.unflushed.remove(&stream.rep()).unwrap_or_default();
            write(state, "blocking-flush", stream, &bytes)
        },
    )
}

/// The name of the file of a stream.
fn file_of(state: &State, stream: &Resource<OutputStream>) -> String {
    state.streams.get(&stream.rep()).map_or_else(|| "stderr".to_owned(), |(name, _)| name.clone())
}

/// Makes a call of a stream that writes nothing.
fn prepare<T>(
    state: &mut State,
    name: &'static str,
    stream: &Resource<OutputStream>,
    act: impl FnOnce(&mut State, Resource<OutputStream>) -> StreamResult<T>,
) -> Written<T> {
    let file = file_of(state, stream);
    match state.world.begin(&Call { name, file, effect: Reads }) {
        Verdict::Stop => return Err(stopped()),
        Verdict::Fail(reason) => {
            return failed(state, StreamError::LastOperationFailed(reason.os_error().into()));
        }
        _ => {}
    }
    match act(state, Resource::new_borrow(stream.rep())) {
        Ok(done) => Ok((Ok(done),)),
        Err(error) => failed(state, error),
    }
}

/// Writes to a file, or to stderr.
fn write(state: &mut State, name: &'static str, stream: Resource<OutputStream>, bytes: &[u8]) -> Written<()> {
    let file = file_of(state, &stream);
    let verdict = state.world.begin(&Call { name, file, effect: Writes });
    let part = match verdict {
        Verdict::Stop => return Err(stopped()),
        Verdict::Fail(reason) => {
            return failed(state, StreamError::LastOperationFailed(reason.os_error().into()));
        }
        Verdict::Short(part, _) | Verdict::ShortStop(part) => &bytes[..part.of(bytes.len())],
        Verdict::Go | Verdict::Done(_) | Verdict::DoneStop => bytes,
    };
    let known = state.streams.get(&stream.rep()).cloned();
    if let Err(error) = write_whole(state, &stream, part) {
        return failed(state, error);
    }
    if let Some((_, file)) = known {
        let mut shared = state.world.lock();
        let (disk, now) = shared.disk_and_time();
        disk.append(file, part, now);
    }
    match verdict {
        Verdict::ShortStop(_) | Verdict::DoneStop => Err(stopped()),
        Verdict::Short(_, reason) | Verdict::Done(reason) => {
            failed(state, StreamError::LastOperationFailed(reason.os_error().into()))
        }
        _ => Ok((Ok(()),)),
    }
}

/// Writes all of the bytes by wasmtime's own stream.
fn write_whole(state: &mut State, stream: &Resource<OutputStream>, bytes: &[u8]) -> StreamResult<()> {
    let stream = || Resource::new_borrow(stream.rep());
    state.table.check_write(stream())?;
    state.table.write(stream(), bytes.to_vec())?;
    state.table.blocking_flush(stream())
}

fn failed<T>(state: &mut State, error: StreamError) -> Written<T> {
    let error = streams::Host::convert_stream_error(&mut state.table, error)?;
    Ok((Err(error),))
}
