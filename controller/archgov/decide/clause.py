"""What a rule of a problem asks in people's words, with who asks it."""

from __future__ import annotations

from typing import Self

from archgov.model.ref import IntentRef


class Clause(str):
    """The name of a rule. It is a text, since optimisers tell rules apart by nothing else, that knows more of itself.

    Attributes:
        owner: key of the intent that asks it; "" for what archgov or machines ask. what: without the owner.
        unless: what would have to be true for it not to bind; it ends "it would be chosen if …". remedy: what somebody could do.
            Both "" where the rule is a number, which says so itself.
    """

    __slots__ = ("owner", "remedy", "unless", "what")

    owner: str
    what: str
    unless: str
    remedy: str

    def __new__(cls, what: str, *, owner: str = "", unless: str = "", remedy: str = "") -> Self:
        made = super().__new__(cls, f"{owner} {what}" if owner else what)
        made.owner, made.what, made.unless, made.remedy = owner, what, unless, remedy
        return made

    @property
    def told(self) -> str:
        """What is asked, then who asks it."""
        return f"{self.what} ({IntentRef.parse(self.owner)})" if self.owner else self.what


def clause(name: str) -> Clause:
    """The name of a rule as decide gave it."""
    return name if isinstance(name, Clause) else Clause(name)
