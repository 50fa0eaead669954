#!/usr/bin/env python3
"""Checks a record of audit-store and its log, or one proof, with nothing but Python's standard library (3.11 or newer).

It is written from docs/format.md, docs/evidence.md and the specifications that they name, and shares no code with the
program `audit`: where both agree, neither is alone right or wrong.

    verify.py verify RECORD [--log DIR] [--pubkey VKEY].. [--witness-key VKEY].. [--against CHECKPOINT]..
    verify.py check FILE [--pubkey VKEY].. [--witness-key VKEY]..

Exit status: 0 all holds; 1 something does not; 2 it could not be checked, or no key was given to check it with.
"""
import argparse, base64, binascii, hashlib, json, pathlib, re, sys
from collections import defaultdict

import ed25519
from lines import body_of


class Wrong(Exception):
    """Something does not hold, or is not of the form that it has to have."""


def need(holds, reason):
    if not holds:
        raise Wrong(reason)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"not base 64: {text!r}")
    need(base64.b64encode(data).decode() == text, f"not the one base 64 of its bytes: {text!r}")
    return data


def decimal(text):
    need(re.fullmatch("0|[1-9][0-9]*", text) and int(text) < 2**64, f"not a number: {text!r}")
    return int(text)


def a_hash(text):
    need(len(data := unbase64(text)) == 32, f"not a hash: {text!r}")
    return data


def key_of(text, kind):
    """A verifier key: its name, its identifier, and the bytes."""
    found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text)
    need(found, f"not a verifier key: {text!r}")
    name, number, data = found[1], bytes.fromhex(found[2]), unbase64(found[3])
    need(len(data) == 33 and data[0] == kind, f"not a key of type {kind}: {text!r}")
    need(sha256(name.encode(), b"\n", data)[:4] == number, f"the identifier of the key is wrong: {text!r}")
    need(ed25519.point(data[1:]), f"not a key that Ed25519 can use: {text!r}")
    return name, number, data[1:]


class Note:
    def __init__(self, data):
        text = data.decode() if isinstance(data, bytes) else data
        need(not re.search("[\x00-\x09\x0b-\x1f]", text), "a note with control characters")
        need("\n\n" in text, "a note without signatures")
        self.text, _, rest = text.rpartition("\n\n")
        self.text += "\n"
        need(rest.endswith("\n") and 1 <= rest.count("\n") <= 100, "a note without signatures, or with too many")
        self.signatures = []
        for line in rest[:-1].split("\n"):
            found = re.fullmatch("— ([^\\s+]+) (\\S+)", line)
            need(found and len(data := unbase64(found[2])) > 4, f"not a signature: {line!r}")
            self.signatures.append((found[1], data[:4], data[4:]))

    def signers(self, keys, message=lambda text, signature: (text.encode(), signature)):
        """The bytes of those keys that signed. One signature of a known key that is wrong makes all wrong."""
        signers = set()
        for name, number, signature in self.signatures:
            known = [key for key in keys if key[:2] == (name, number)]
            need(not known or any(ed25519.signed(key[2], *message(self.text, signature)) for key in known),
                 f"the signature of {name} is wrong")
            signers |= {key[2] for key in known if ed25519.signed(key[2], *message(self.text, signature))}
        return signers


def cosignature(text, signature):
    seconds = int.from_bytes(signature[:8], "big")
    if len(signature) != 72 or seconds >= 2**63:
        return b"", b""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode(), signature[8:]


class Checkpoint(Note):
    def __init__(self, data):
        super().__init__(data)
        self.origin, size, root, *more = self.text[:-1].split("\n") + [""] * max(0, 3 - self.text.count("\n"))
        need(self.origin and all(more), "a checkpoint with empty lines")
        self.size, self.root = decimal(size), a_hash(root)
        need(self.size or self.root == sha256(), "the root of no leaves is another")

    def verify(self, keys, witnesses=(), quorum=None):
        """Checks who signed. Without a key that is not known, and no reason to refuse anything."""
        if not keys:
            return 0
        need(self.signers(keys) and any(key[0] == self.origin for key in keys), f"no pinned key signed as the log {self.origin}")
        seen = self.signers(witnesses, cosignature) - {key[2] for key in keys}
        need(len(seen) >= (len(witnesses) if quorum is None else quorum), f"{len(seen)} pinned witnesses signed: too few")
        return len(seen)


# Trees (RFC 6962, section 2.1; the checks of proofs as RFC 9162, sections 2.1.3 and 2.1.4, has them).
def leaf_hash(body):
    return sha256(b"\0", body)


def root_of(leaves):
    row = list(leaves)
    while len(row) > 1:
        row = [sha256(b"\1", *row[i:i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0] if row else sha256()


def included(index, size, leaf, proof, root):
    need(index < size, "no such leaf")
    f, s, node = index, size - 1, leaf
    for other in proof:
        need(s, "the proof is too long")
        if f & 1 or f == s:
            node = sha256(b"\1", other, node)
            while not f & 1 and f:
                f, s = f >> 1, s >> 1
        else:
            node = sha256(b"\1", node, other)
        f, s = f >> 1, s >> 1
    need(s == 0, "the proof is too short")
    need(node == root, "the proof leads to another root")


def consistent(old, new, proof, old_root, new_root):
    need(old <= new, "a tree does not shrink")
    need(old or old_root == sha256(), "the root of no leaves is another")
    if old in (0, new):
        need(not proof and (not old or old_root == new_root) and (new or new_root == sha256()), "not consistent")
        return
    path = [old_root] if old & (old - 1) == 0 else []
    path += proof
    need(path, "the proof is too short")
    f, s = old - 1, new - 1
    while f & 1:
        f, s = f >> 1, s >> 1
    first = second = path[0]
    for node in path[1:]:
        need(s, "the proof is too long")
        if f & 1 or f == s:
            first, second = sha256(b"\1", node, first), sha256(b"\1", node, second)
            while not f & 1 and f:
                f, s = f >> 1, s >> 1
        else:
            second = sha256(b"\1", second, node)
        f, s = f >> 1, s >> 1
    need(s == 0, "the proof is too short")
    need(first == old_root and second == new_root, "the proof leads to another root")


# A proof of one event (C2SP tlog-proof), whose `extra` is the body of the event.
def check(text, keys, witnesses=(), quorum=None):
    head, gap, rest = (text.decode() if isinstance(text, bytes) else text).partition("\n\n")
    first, *lines = head.split("\n")
    need(gap and first == "c2sp.org/tlog-proof@v1" and lines, "not a tlog-proof")
    extra = unbase64(lines.pop(0)[6:]) if lines[0].startswith("extra ") else b""
    need(lines and lines[0].startswith("index "), "a proof without an index")
    index, hashes, checkpoint = decimal(lines[0][6:]), [a_hash(line) for line in lines[1:]], Checkpoint(rest)
    need(extra, "a proof without its event")
    need(body_of(extra) and json.loads(extra), "what the proof is of is no event")
    included(index, checkpoint.size, leaf_hash(extra), hashes, checkpoint.root)
    checkpoint.verify(keys, witnesses, quorum)
    return index, checkpoint, extra


# A record with its log (docs/evidence.md).
def tile_name(level, index, width):
    groups = [f"{index:03d}"[-3:]]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


def hashes_of(log, level, count):
    """The hashes of a level, from its tiles."""
    hashes = []
    for index in range((count + 255) // 256):
        width = min(256, count - 256 * index)
        path = log / tile_name(level, index, width)
        data = (path if path.exists() else log / tile_name(level, index, 256)).read_bytes()
        need(len(data) % 32 == 0 and len(data) >= 32 * width, f"{path} is no tile")
        hashes += [data[32 * i:32 * i + 32] for i in range(width)]
    return hashes


def lines_of(path):
    return [line for line in path.read_bytes().split(b"\n") if line] if path.exists() else []


def leaves_of(segment):
    return set(range(segment["index"], segment["index"] + segment["count"]))


def verify(record, log, keys, witnesses=(), against=()):
    """What is wrong with a record, each with its place; and what was found."""
    head, wrong = Checkpoint((log / "checkpoint").read_bytes()), []
    head.verify(keys, witnesses)
    leaves = level = hashes_of(log, 0, head.size)
    for number in range(1, 8):
        level = [root_of(level[i:i + 256]) for i in range(0, len(level) - 255, 256)]
        if level:
            need(hashes_of(log, number, len(level)) == level, f"the tiles of level {number} are not those of the leaves")
    need(root_of(leaves) == head.root, "the tiles do not lead to the root of the checkpoint")
    for old in map(Checkpoint, against):
        old.verify(keys)
        need(old.origin == head.origin, "the checkpoint that was kept is of another log")
        need(old.size <= head.size, f"rolled back: {old.size} leaves were signed, the log has {head.size}")
        need(root_of(leaves[:old.size]) == old.root, f"forked: the log had another root at {old.size} leaves")
    places, ends, prunes, pruned = {}, defaultdict(int), set(), lines_of(log / "pruned.jsonl")
    gone = set().union(*(leaves_of(json.loads(line)) for line in pruned))
    for segment in map(json.loads, lines_of(log / "segments.jsonl")):
        need("file" in segment, "the log is of a table, which this program cannot read")
        name = segment["file"]
        places.update(dict.fromkeys(leaves_of(segment), name))
        if not leaves_of(segment) & gone:
            ends[name] = segment["to"] if segment["from"] == 0 else max(ends[name], segment["to"])
    known, unsealed, found = defaultdict(list), 0, set()
    for index in range(head.size - 1, -1, -1):
        known[leaves[index]].append(index)
    for path in sorted(record.glob("tool_audit_????-??-??.jsonl")):
        last, offset = -1, 0
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
            event, before, offset = body_of(line), offset, offset + len(line) + 1
            if not event:
                continue
            mine = known.get(leaf_hash(event[0]), [])
            here = [i for i in mine if places.get(i, path.name) == path.name and i > last]
            if here or mine:
                index = min(here or mine)
                mine.remove(index)
                if not here:
                    wrong.append(f"moved: {path.name}, line {number} was sealed as leaf {index}, which is elsewhere")
                last = index if here else last
                found.add(index)
                if [event[1].get(name) for name in ("tool", "action", "status")] == ["audit", "prune", "ok"]:
                    prunes.add(event[1].get("input_hash"))
            elif before < ends[path.name]:
                wrong.append(f"changed or inserted: {path.name}, line {number}")
            else:
                unsealed += 1
    told, told_until, sha = set(), set(), hashlib.sha256()
    for line in pruned:
        sha.update(line + b"\n")
        told_until |= leaves_of(json.loads(line))
        told |= told_until if sha.hexdigest() in prunes else set()
    for index in sorted(set(range(head.size)) - found - told):
        wrong.append(f"changed or missing: leaf {index}, of {places.get(index, 'an unknown place')}")
    return wrong, {"sealed": head.size, "pruned": len(told), "unsealed": unsealed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["verify", "check"])
    parser.add_argument("what", type=pathlib.Path)
    parser.add_argument("--log", type=pathlib.Path)
    for option in ("--pubkey", "--witness-key", "--against"):
        parser.add_argument(option, action="append", default=[])
    args = parser.parse_args()
    try:
        keys = [key_of(text, 1) for text in args.pubkey]
        witnesses = [key_of(text, 4) for text in args.witness_key]
        if args.command == "check":
            index, head, event = check(args.what.read_bytes(), keys, witnesses)
            print(f"{event.decode()}\nis event {index} of {head.size} of {head.origin}")
            wrong = []
        else:
            against = [pathlib.Path(file).read_bytes() for file in args.against]
            wrong, counts = verify(args.what, args.log or args.what / "log", keys, witnesses, against)
            print(json.dumps(counts))
    except OSError as error:
        print(f"cannot be checked: {error}")
        return 2
    except (Wrong, ValueError, KeyError) as error:
        wrong = [str(error)]
    for line in wrong:
        print(line)
    if not wrong and not args.pubkey:
        print("nothing is wrong, but no key was given, so it is not known who signed this")
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
