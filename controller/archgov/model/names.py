"""A million names in two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Texts packed as UTF-8; they take their own length instead of an object each.

    Attributes:
        text: (B,) uint8, all texts one after the other.
        start: (S + 1,) int64, where each text begins, and where the last one ends.
    """

    text: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        encoded = [name.encode() for name in names]
        start = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(name) for name in encoded], out=start[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), start)

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, row: int) -> str:
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self.text[self.start[row] : self.start[row + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        text, start = self.text.tobytes(), self.start.tolist()
        return (text[begin:end].decode() for begin, end in pairwise(start))

    def find(self, name: str) -> int | None:
        """The row of a name, by bisection; the names must be in the order of their bytes."""
        row = self._first(name.encode())
        return row if row < len(self) and self[row] == name else None

    def prefixed(self, prefix: str) -> range:
        """The rows whose name begins so; the names must be in the order of their bytes."""
        return range(self._first(prefix.encode()), self._first(prefix.encode() + b"\xff"))

    def order(self) -> npt.NDArray[np.intp]:
        """The rows in the order of the names' bytes."""
        return np.argsort(self._words(), kind="stable")

    def is_ordered(self) -> bool:
        """Whether each name is below the next one, so that none comes twice."""
        words = self._words()
        return bool((words[:-1] < words[1:]).all())

    def take(self, rows: npt.NDArray[np.intp]) -> Names:
        """The names of these rows, without making a text of each."""
        length = np.diff(self.start)[rows]
        start = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(length, out=start[1:])
        padded = self._padded()
        return Names(padded[rows][np.arange(padded.shape[1]) < length[:, None]], start)

    def _words(self) -> npt.NDArray[np.bytes_]:
        padded = self._padded()
        return padded.view(f"S{padded.shape[1]}").ravel()

    def _padded(self) -> npt.NDArray[np.uint8]:
        """(S, longest name) bytes, 0 after the end of each name."""
        length = np.diff(self.start)
        padded = np.zeros((len(self), max(1, int(length.max(initial=0)))), np.uint8)
        # A mask is filled row by row, which is the order of the texts: no index of each letter is needed.
        padded[np.arange(padded.shape[1]) < length[:, None]] = self.text
        return padded

    def _first(self, wanted: bytes) -> int:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.text[self.start[middle] : self.start[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        return low
