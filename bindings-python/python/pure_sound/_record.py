"""Records of the library as dicts that show themselves well."""

from __future__ import annotations

import json
from typing import Any


class Record(dict[str, Any]):
    """A dict with a repr that people can read, and a table in notebooks."""

    #: What it is, for display.
    title = "Record"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({json.dumps(self, indent=2, ensure_ascii=False)})"

    def _repr_html_(self) -> str:
        from ._display import record_html

        return record_html(self.title, self)


class Report(Record):
    """What a run did."""

    title = "Report"

    def _repr_html_(self) -> str:
        from ._display import report_html

        return report_html(self)


class Plan(Record):
    """What a run would do."""

    title = "Plan"


class MediaInfo(Record):
    """What an input is."""

    title = "Input"


class Metadata(Record):
    """Tags, pictures, chapters."""

    title = "Tags"


class Loudness(Record):
    """Loudness, true peak, levels."""

    title = "Loudness"


class Analysis(Record):
    """What a recording is like."""

    title = "Analysis"


class Check(Record):
    """Faults, and how delivery specifications come out."""

    title = "Check"


class Content(Record):
    """What a recording is made of."""

    title = "Content"


class Recommendation(Record):
    """What to do with a recording."""

    title = "Recommendation"


class Comparison(Record):
    """How far a recording lies off its reference."""

    title = "Comparison"


class Peaks(Record):
    """Lowest and highest samples of a recording."""

    title = "Peaks"


class AnalysisPage(Record):
    """A page of a recording, which a notebook shows as it is."""

    title = "Page"

    def _repr_html_(self) -> str:
        from html import escape

        return f'<iframe style="width:100%;height:80vh;border:0" sandbox srcdoc="{escape(self["html"])}"></iframe>'


class Health(Record):
    """What the checks of an engine say."""

    title = "Health"


class Usage(Record):
    """What jobs hold of the budgets of an engine."""

    title = "Usage"
