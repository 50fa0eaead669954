/**
 * `wasi:filesystem` over `node:fs`: one folder, and the files in it. A file that is written is opened with `O_APPEND`, and
 * a buffer goes to the operating system as a whole: that makes a line one atomic append, from several processes too.
 * What fails is thrown as an error code of WASI, never as an exception.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants;

// As the component's bindings look it up.
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('dispose');

/** The codes of WASI for those of the operating system. */
const CODES: Readonly<Record<string, string>> = {
  EACCES: 'access',
  EBADF: 'bad-descriptor',
  EBUSY: 'busy',
  EDQUOT: 'quota',
  EEXIST: 'exist',
  EFBIG: 'file-too-large',
  EINVAL: 'invalid',
  EISDIR: 'is-directory',
  ELOOP: 'loop',
  EMFILE: 'insufficient-memory',
  ENAMETOOLONG: 'name-too-long',
  ENFILE: 'insufficient-memory',
  ENOENT: 'no-entry',
  ENOMEM: 'insufficient-memory',
  ENOSPC: 'insufficient-space',
  ENOTDIR: 'not-directory',
  ENOTEMPTY: 'not-empty',
  ENXIO: 'no-such-device',
  EPERM: 'not-permitted',
  EROFS: 'read-only',
  ETXTBSY: 'text-file-busy',
};

function code(error: unknown): string {
  return CODES[(error as NodeJS.ErrnoException | undefined)?.code ?? ''] ?? 'io';
}

/** Runs it, and throws what fails as a code of WASI. */
function io<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw code(error);
  }
}

/** An error of a stream: `wasi:io/error`. */
export class IoError {
  constructor(readonly code: string) {}

  toDebugString(): string {
    return this.code;
  }
}

/** The most bytes that are written in one call: as many as wasmtime permits. */
const PERMIT = 65_536n;

/** An output stream over an open file: of a file that is appended to, or of stderr. */
export class OutputStream {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  blockingWriteAndFlush(contents: Uint8Array): void {
    try {
      // One call as a rule. What a full disk has cut off is tried again, for the error.
      for (let done = 0; done < contents.length; ) done += fs.writeSync(this.#fd, contents, done);
    } catch (error) {
      throw { tag: 'last-operation-failed', val: new IoError(code(error)) };
    }
  }

  /** How many bytes `write` takes. */
  checkWrite(): bigint {
    return PERMIT;
  }

  write(contents: Uint8Array): void {
    this.blockingWriteAndFlush(contents);
  }

  /** What was written is with the operating system already. */
  blockingFlush(): void {}
}

interface OpenFlags {
  create?: boolean;
  directory?: boolean;
  exclusive?: boolean;
  truncate?: boolean;
}

/** The files that are open in the end of an instance: they are closed with it. */
export class OpenFiles {
  readonly #fds = new Set<number>();

  open(name: string, flags: number): number {
    const fd = fs.openSync(name, flags, 0o666);
    this.#fds.add(fd);
    return fd;
  }

  close(fd: number): void {
    if (this.#fds.delete(fd)) fs.closeSync(fd);
  }

  closeAll(): void {
    for (const fd of this.#fds) this.close(fd);
  }
}

/** A file or a folder. A folder is known by its path, a file is open. */
export class Descriptor {
  readonly #files: OpenFiles;
  readonly #path: string;
  readonly #fd: number | undefined;
  /** The only name that can be reached, where it is the folder above the store's. */
  readonly #only: string | undefined;

  constructor(files: OpenFiles, where: string, fd?: number, only?: string) {
    this.#files = files;
    this.#path = where;
    this.#fd = fd;
    this.#only = only;
  }

  /** The path of an entry. The names of the store have no separators, and none leads upwards. */
  #at(name: string): string {
    if (name === '.' && this.#only === undefined) return this.#path;
    const wrong = name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0');
    if (wrong || (this.#only !== undefined && name !== this.#only)) throw 'not-permitted';
    return path.join(this.#path, name);
  }

  #file(): number {
    if (this.#fd === undefined) throw 'is-directory';
    return this.#fd;
  }

  openAt(
    pathFlags: { symlinkFollow?: boolean },
    name: string,
    { create, directory, exclusive, truncate }: OpenFlags,
    { write }: { write?: boolean },
  ): Descriptor {
    const where = this.#at(name);
    return io(() => {
      if (directory) {
        // Looked at alone: what is opened in it is found by its path.
        fs.closeSync(fs.openSync(where, O_RDONLY | O_DIRECTORY));
        return new Descriptor(this.#files, where);
      }
      let flags = write ? O_RDWR | O_APPEND : O_RDONLY;
      if (create) flags |= O_CREAT;
      if (exclusive) flags |= O_EXCL;
      if (truncate) flags |= O_TRUNC;
      if (!pathFlags.symlinkFollow) flags |= O_NOFOLLOW;
      return new Descriptor(this.#files, where, this.#files.open(where, flags));
    });
  }

  createDirectoryAt(name: string): void {
    const where = this.#at(name);
    io(() => {
      // The folders above it, where it is the store's own.
      if (this.#only !== undefined) fs.mkdirSync(this.#path, { recursive: true });
      fs.mkdirSync(where);
    });
  }

  appendViaStream(): OutputStream {
    return new OutputStream(this.#file());
  }

  read(length: bigint, offset: bigint): [Uint8Array, boolean] {
    const fd = this.#file();
    return io(() => {
      const buffer = new Uint8Array(Number(length));
      const count = fs.readSync(fd, buffer, 0, buffer.length, Number(offset));
      return [buffer.subarray(0, count), count < buffer.length];
    });
  }

  setSize(size: bigint): void {
    const fd = this.#file();
    io(() => fs.ftruncateSync(fd, Number(size)));
  }

  syncData(): void {
    io(() => {
      if (this.#fd !== undefined) {
        fs.fdatasyncSync(this.#fd);
        return;
      }
      const fd = fs.openSync(this.#path, O_RDONLY | O_DIRECTORY);
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  stat(): object {
    return io(() => stat(this.#fd === undefined ? fs.statSync(this.#path, BIG) : fs.fstatSync(this.#fd, BIG)));
  }

  statAt(pathFlags: { symlinkFollow?: boolean }, name: string): object {
    const where = this.#at(name);
    return io(() => stat(pathFlags.symlinkFollow ? fs.statSync(where, BIG) : fs.lstatSync(where, BIG)));
  }

  metadataHash(): object {
    return io(() => identity(this.#fd === undefined ? fs.statSync(this.#path, BIG) : fs.fstatSync(this.#fd, BIG)));
  }

  metadataHashAt(_flags: object, name: string): object {
    const where = this.#at(name);
    return io(() => identity(fs.lstatSync(where, BIG)));
  }

  readDirectory(): DirectoryEntryStream {
    return io(() => new DirectoryEntryStream(fs.readdirSync(this.#path, { withFileTypes: true })));
  }

  renameAt(from: string, folder: Descriptor, to: string): void {
    const [old, next] = [this.#at(from), folder.#at(to)];
    io(() => fs.renameSync(old, next));
  }

  unlinkFileAt(name: string): void {
    const where = this.#at(name);
    io(() => fs.unlinkSync(where));
  }

  [dispose](): void {
    if (this.#fd !== undefined) io(() => this.#files.close(this.#fd!));
  }
}

const BIG = { bigint: true } as const;

/** The entries of a folder. */
export class DirectoryEntryStream {
  readonly #left: fs.Dirent[];

  constructor(entries: fs.Dirent[]) {
    this.#left = entries.reverse();
  }

  readDirectoryEntry(): { type: string; name: string } | undefined {
    const entry = this.#left.pop();
    return entry && { type: kind(entry), name: entry.name };
  }
}

function kind(entry: fs.Dirent | fs.BigIntStats): string {
  if (entry.isFile()) return 'regular-file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symbolic-link' : 'unknown';
}

function stat(found: fs.BigIntStats): object {
  const nanos = found.mtimeNs;
  return {
    type: kind(found),
    linkCount: found.nlink,
    size: found.size,
    dataModificationTimestamp: { seconds: nanos / 1_000_000_000n, nanoseconds: Number(nanos % 1_000_000_000n) },
  };
}

/** What tells a file from every other one. */
function identity(found: fs.BigIntStats): object {
  return { lower: BigInt.asUintN(64, found.ino), upper: BigInt.asUintN(64, found.dev) };
}
