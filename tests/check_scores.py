"""Reads what the corpus's score.py prints and holds it against the project's promises; one line per score."""

import re
import sys

# In percent; see the table in docs/developer_guide.md.
FLOORS = {"decode": 97.0, "hostile": 100.0, "metadata": 99.0, "loudness": 100.0, "resample": 100.0}

text = sys.stdin.read()
for name, floor in FLOORS.items():
    label = r"decode \(tier 1\)" if name == "decode" else name
    # The summary lines start with the name; the table above them has a number of files after it.
    found = re.findall(rf"(?:^|   ){label} (\d+\.\d)\b", text, re.MULTILINE)
    if not found:
        print(f"{name}: no score printed: missing")
        continue
    score = float(found[-1])
    print(f"{name}: {score} of at least {floor}: {'ok' if score >= floor else 'low'}")
