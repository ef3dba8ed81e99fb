"""G26: the text for scrapers, read by the OpenMetrics parser of prometheus_client and held to the rules for names.

    openmetrics.py FILE

The rules are those of Prometheus ("Metric and label naming") and of OpenMetrics 1.0: one prefix, base units, units at the end and
told, endings that only their kinds have, help for everything. Prints `ID what: value, goal ...: PASS|FAIL`; exit code 1 when one
fails.
"""

import re
import sys
from collections import Counter

from prometheus_client.openmetrics.parser import text_string_to_metric_families

CAP = 1000
NOT_BASE = ("milliseconds", "ms", "microseconds", "us", "minutes", "hours", "days", "kilobytes", "megabytes", "kib", "mib", "percent")
ENDINGS = ("_total", "_created", "_count", "_sum", "_bucket", "_info")


def lint(family):
    """What is wrong with the names of a family."""
    name = family.name
    if not re.fullmatch(r"(pure_sound|host)(_[a-z0-9]+)+", name):
        yield f"{name}: prefix or characters"
    if name.endswith(ENDINGS):
        yield f"{name}: reserved ending"
    if name.split("_")[-1] in NOT_BASE:
        yield f"{name}: not a base unit"
    for unit in ("seconds", "bytes", "ratio"):
        if (name.endswith("_" + unit)) != (family.unit == unit):
            yield f"{name}: unit {family.unit!r} and name disagree"
    if not family.documentation.strip():
        yield f"{name}: no help"
    if family.type == "unknown":
        yield f"{name}: no type"
    for sample in family.samples:
        for label in sample.labels:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", label):
                yield f"{name}: label {label}"


def series(family):
    """Number of label sets, `le` left out."""
    return len({tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")) for s in family.samples})


def line(what, value, goal, good):
    print(f"G26 {what}: {value}, goal {goal}: {'PASS' if good else 'FAIL'}")
    return good


def main():
    with open(sys.argv[1], encoding="utf-8", newline="\n") as file:
        text = file.read()
    families = list(text_string_to_metric_families(text))
    wrong = [problem for family in families for problem in lint(family)]
    for problem in wrong[:10]:
        print(problem)
    most = max(series(f) for f in families)
    duplicates = sum(n - 1 for n in Counter(f.name for f in families).values())
    exemplars = sum(1 for f in families for s in f.samples if s.exemplar)
    hostile = sum(s.value for f in families if f.name == "host_requests" for s in f.samples)
    good = [
        line("families read by the parser of prometheus_client", len(families), ">= 25", len(families) >= 25),
        line("names that break a rule", len(wrong), "0", not wrong),
        line("families twice", duplicates, "0", duplicates == 0),
        line("most series of a metric after 10,000 hostile values", most, f"<= {CAP}", most <= CAP),
        line("observations under hostile values that are counted", f"{hostile:.0f}", "10000", hostile == 10000),
        line("exemplars with the id of a run", exemplars, ">= 1", exemplars >= 1),
    ]
    return 0 if all(good) else 1


sys.exit(main())
