#!/usr/bin/env python3
"""Power cuts (G1): what was acknowledged is there, whatever part of the unsynced writes reached the disk.

    tests/faults/powercut.py FIGURES [--cuts 300] [--jobs 600] [--seed N]      long form: --cuts 2000

FIGURES is the program pure-sound-job-figures, whose threads enqueue, claim and complete jobs, and write down each call that has returned. A
library that is loaded before the system's records every write and sync to the database. Then the power is cut at random places of that record:
of each file remains what was synced, and of what came later nothing, all, a random part, or random sectors of 512 bytes of a random part. The
database is opened, and must be whole and hold all that had been written down by then. Needs a C compiler. The order of entries in folders is not
simulated: the files are there before the first cut.
"""

import argparse
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

from common import end, env, folder, line

HEADER = struct.Struct("=cHQI")
SECTOR = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures")
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    with folder() as here:
        library, disk, log = here / "powercut.so", here / "disk", here / "log"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, Path(__file__).with_suffix(".c"), "-ldl"], check=True)
        disk.mkdir()
        files = {"jobs.db": bytearray(), "jobs.db-wal": bytearray()}
        subprocess.run([args.figures, "--load", disk / "jobs.db", disk / "acks", "0"], check=True)
        files["jobs.db"][:] = (disk / "jobs.db").read_bytes()
        assert not (disk / "jobs.db-wal").exists()
        (disk / "acks").write_bytes(b"")
        subprocess.run([args.figures, "--load", disk / "jobs.db", disk / "acks", str(args.jobs)], check=True,
                       env={**env({}), "POWERCUT_DIR": str(disk), "POWERCUT_LOG": str(log), "LD_PRELOAD": str(library)})
        records = list(read(log.read_bytes()))
        syncs = sum(op == b"s" for op, *_ in records)
        assert syncs > 10, f"only {syncs} syncs were seen: nothing was recorded"
        lost, broken, acks = cut(records, files, sorted(dice.randrange(1, len(records)) for _ in range(args.cuts)), dice, here / "cut")
    what = f"{args.cuts} power cuts, {len(records)} writes, {syncs} syncs, {acks} acknowledged calls at the last"
    line("G1", f"{what}: acknowledged and lost, databases not whole", f"{lost}, {broken}", "0, 0", lost == broken == 0)
    end()


def read(data):
    """Records as (operation, name, offset, bytes)."""
    at = 0
    while at < len(data):
        op, name_len, offset, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        name = data[at:at + name_len].decode()
        at += name_len
        size = size if op == b"w" else 0
        yield op, name, offset, data[at:at + size]
        at += size


def apply(content, op, offset, data):
    if op == b"t":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset:offset + len(data)] = data


def cut(records, durable, points, dice, place):
    """Cuts the power at these places; how much was lost, how many databases were broken, how much was acknowledged at the last."""
    pending = {name: [] for name in durable}
    acks, rest = {"e": set(), "c": set()}, b""
    lost = broken = done = 0
    for point in points:
        for op, name, offset, data in records[done:point]:
            if name == "acks":
                rest += data
                *whole, rest = rest.split(b"\n")
                for text in whole:
                    kind, id = text.decode().split()
                    acks[kind].add(id)
            elif name not in durable:
                raise SystemExit(f"a file that is not known: {name}")
            elif op == b"s":
                for each in pending[name]:
                    apply(durable[name], *each)
                pending[name].clear()
            else:
                pending[name].append((op, offset, data))
        done = point
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, content in durable.items():
            content = bytearray(content)
            for each in survivors(pending[name], dice):
                apply(content, *each)
            if content:
                (place / name).write_bytes(content)
        missing, whole = check(place / "jobs.db", acks)
        lost += missing
        broken += not whole
        if missing or not whole:
            print(f"cut at {point}: {missing} lost, {'whole' if whole else 'broken'}", file=sys.stderr)
    return lost, broken, sum(map(len, acks.values()))


def survivors(pending, dice):
    """What reached the disk of what was not synced."""
    way = dice.randrange(4)
    if way == 0:
        return
    for op, offset, data in pending:
        if way == 1 or dice.random() < 0.5:
            if way < 3 or op != b"w":
                yield op, offset, data
                continue
            for at in range(0, len(data), SECTOR):
                if dice.random() < 0.7:
                    yield op, offset + at, data[at:at + SECTOR]


def check(path, acks):
    try:
        db = sqlite3.connect(path)
        whole = db.execute("pragma integrity_check").fetchall() == [("ok",)]
        states = dict(db.execute("select hex(id), state from jobs"))
        db.close()
    except sqlite3.DatabaseError as error:
        print(error, file=sys.stderr)
        return 0, False
    missing = sum(id not in states for id in acks["e"])
    # Place of `succeeded` in the list of states.
    return missing + sum(states.get(id) != 4 for id in acks["c"]), whole


if __name__ == "__main__":
    main()
