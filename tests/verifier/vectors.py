#!/usr/bin/env python3
"""Runs the vectors in tests/vectors through the verifier: each case has to be accepted, or refused, as it says."""
import base64, json, pathlib, sys, tempfile

import verify as v
from lines import body_of


def keys(case):
    return [v.key_of(text, 1) for text in case.get("keys", [])]


def witnesses(case):
    return [v.key_of(text, 4) for text in case.get("witnesses", [])]


def note(case):
    v.need(v.Note(case["note"]).signers(keys(case)), "no pinned key signed")


def checkpoint(case):
    head = v.Checkpoint(case["note"])
    v.need(head.origin == case["origin"], "another origin")
    head.verify(keys(case), witnesses(case), case.get("quorum", 0))


def root(case):
    v.need(v.root_of([v.leaf_hash(bytes.fromhex(leaf)) for leaf in case["leaves"]]).hex() == case["root"], "another root")


def inclusion(case):
    proof = [v.a_hash(text) for text in case["proof"]]
    v.included(case["index"], case["size"], v.a_hash(case["leaf"]), proof, v.a_hash(case["root"]))


def consistency(case):
    proof = [v.a_hash(text) for text in case["proof"]]
    v.consistent(case["old"], case["new"], proof, v.a_hash(case["old_root"]), v.a_hash(case["new_root"]))


def line(case):
    found = body_of(base64.b64decode(case["line"]))
    v.need(found, "no event")
    v.need(found[0].decode() == case["body"], f"another body: {found[0].decode()}")


def proof(case):
    v.check(case["file"], keys(case), witnesses(case), case.get("quorum", 0))


def record(case):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in case["files"].items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
        against = [text.encode() for text in case.get("against", [])]
        wrong, _ = v.verify(pathlib.Path(folder), pathlib.Path(folder, "log"), keys(case), witnesses(case), against)
        v.need(not wrong, "; ".join(wrong))


def main(files):
    failed = ran = 0
    for file in files:
        run = globals()[pathlib.Path(file).stem.removesuffix("s")]
        for case in json.loads(pathlib.Path(file).read_text()):
            try:
                run(case)
                accepted, why = True, "accepted"
            except (v.Wrong, ValueError, KeyError, OSError) as error:
                accepted, why = False, str(error)
            ran += 1
            if accepted != case["accepted"]:
                failed += 1
                print(f"{file}: {case['name']}: {why}")
    print(f"{ran} cases, {failed} of them not as they say")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
