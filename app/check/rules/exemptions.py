"""Read what a statement is allowed in spite of the checker, with the reason: lines such as

-- check: not null author.username, because the join is on a foreign key
-- check: not null tags[], because every writer of them leaves nulls out
-- check: one row, because settings has one row
-- check: full scan of tags, because there are a few hundred
-- check: null :viewer_id, because a visitor follows no author
-- check: conflict articles_slug_key, because a slug ends with the id
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from app.check.rules.problems import Problem
from app.db.sql.places import Place
from app.db.sql.statement import CheckNote

Kind = Literal["not null", "one row", "full scan of", "null", "conflict"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FORMS = (
    "not null <column>, because …",
    "not null <column>[], because …",
    "one row, because …",
    "full scan of <table>, because …",
    "null :<parameter>, because …",
    "conflict <constraint>, because …",
)

_FORM = re.compile(
    r"(?:one row|(?:not null|full scan of|conflict) (?P<subject>[\w.\"]+(?:\[\])?)|null :(?P<parameter>\w+))"
    r", because (?P<reason>.*\w.*)"
)


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exemption: `kind` and `subject` say what is allowed, `reason` why."""

    kind: Kind
    subject: str
    reason: str
    place: Place


class Exemptions:
    """The exemptions of one statement. It records which ones were needed."""

    def __init__(self, notes: Iterable[CheckNote]) -> None:
        parsed = [(note, _parse(note)) for note in dict.fromkeys(notes)]
        self.known = [exemption for _, exemption in parsed if exemption]
        self._malformed = [note for note, exemption in parsed if exemption is None]
        self.used: list[Exemption] = []

    def allow(self, kind: Kind, subject: str = "") -> bool:
        """Return whether this is allowed; counts the allowance as needed."""
        matching = [exemption for exemption in self.known if (exemption.kind, exemption.subject) == (kind, subject)]
        self.used += [exemption for exemption in matching if exemption not in self.used]
        return bool(matching)

    def problems(self, query: str) -> Iterator[Problem]:
        """Yield problems for the lines that the checker does not understand."""
        for note in self._malformed:
            yield Problem(
                query,
                note.place,
                "the checker does not understand this line",
                mend=f"write one of: {'; '.join(f'`-- check: {form}`' for form in FORMS)}",
            )


def unused_exemptions(statements: Sequence[Exemptions]) -> Iterator[tuple[Problem, Exemption]]:
    """Yield the exemptions that no statement needed. One in a fragment is needed if any statement needs it."""
    used = {exemption.place for exemptions in statements for exemption in exemptions.used}
    known = {exemption.place: exemption for exemptions in statements for exemption in exemptions.known}
    for place, exemption in known.items():
        if place not in used:
            what = f"{exemption.kind} {exemption.subject}".strip()
            message = f"`{what}` is not needed: nothing was found here to allow"
            yield Problem("", place, message, mend="delete the line"), exemption


def _parse(note: CheckNote) -> Exemption | None:
    match = _FORM.fullmatch(note.text)
    if match is None:
        return None
    subject = match["subject"] or match["parameter"] or ""
    for kind in KINDS:
        if note.text.startswith(kind):
            return Exemption(kind, subject, match["reason"], note.place)
    return None
