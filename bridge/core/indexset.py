"""Sets of array task indices, kept as ranges so that a million of them cost nothing.

Ranges are (first, last, step), ascending, without overlap. Knows nothing of Slurm's spelling beyond
the plain form `0-4,7,10-20:2`, which is also how a set is stored.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Range = tuple[int, int, int]
"""first, last (inclusive and really reached), step (1 for a single index)"""


@dataclass(frozen=True, slots=True)
class IndexSet:
    ranges: tuple[Range, ...] = ()

    def __len__(self) -> int:
        return sum((last - first) // step + 1 for first, last, step in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __iter__(self) -> Iterator[int]:
        if all(a[1] < b[0] for a, b in zip(self.ranges, self.ranges[1:], strict=False)):
            for first, last, step in self.ranges:
                yield from range(first, last + 1, step)
        else:  # interleaved steps, such as 0-8:2,1-9:4
            yield from sorted(i for first, last, step in self.ranges for i in range(first, last + 1, step))

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(
            first <= index <= last and (index - first) % step == 0 for first, last, step in self.ranges
        )

    def __str__(self) -> str:
        """`0-4,7,10-20:2`; read back by `parse`."""
        return ",".join(
            str(f) if f == last else f"{f}-{last}" if s == 1 else f"{f}-{last}:{s}" for f, last, s in self.ranges
        )

    @property
    def minimum(self) -> int:
        return min(first for first, _, _ in self.ranges)

    @property
    def maximum(self) -> int:
        return max(last for _, last, _ in self.ranges)

    def position(self, index: int) -> int:
        """How many smaller indices the set holds. ValueError when `index` is not in it."""
        if index not in self:
            raise ValueError(f"{index} is not in {self}")
        return sum((min(index - 1, last) - first) // step + 1 for first, last, step in self.ranges if first < index)

    def at(self, position: int) -> int:
        """The index that has so many smaller ones in the set. IndexError when there is none."""
        if position < 0 or position >= len(self):
            raise IndexError(f"{self} has no {position}-th index")
        return next(itertools.islice(self, position, None))

    def without(self, indices: Iterable[int]) -> "IndexSet":
        """The set less these; indices that are not in it are ignored."""
        ranges = list(self.ranges)
        for index in indices:
            for k, (first, last, step) in enumerate(ranges):
                if first <= index <= last and (index - first) % step == 0:
                    ranges[k : k + 1] = _parts(first, index - step, step) + _parts(index + step, last, step)
                    break
        return IndexSet(tuple(ranges))

    def intersection(self, other: "IndexSet") -> "IndexSet":
        if self == other:
            return self
        small, large = (self, other) if len(self) <= len(other) else (other, self)
        return of(i for i in small if i in large)


def _parts(first: int, last: int, step: int) -> list[Range]:
    if first > last:
        return []
    return [(first, last, step if first != last else 1)]


def of(indices: Iterable[int]) -> IndexSet:
    """The set of these indices, in ranges of step 1."""
    ranges: list[Range] = []
    for index in sorted(set(indices)):
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index, 1)
        else:
            ranges.append((index, index, 1))
    return IndexSet(tuple(ranges))


def from_range(first: int, last: int, step: int = 1) -> IndexSet:
    if step < 1 or last < first:
        raise ValueError(f"not a range: {first}-{last}:{step}")
    return IndexSet(tuple(_parts(first, first + (last - first) // step * step, step)))


def union(sets: Iterable[IndexSet]) -> IndexSet:
    """All indices of the sets. Ranges that do not touch are kept as they are, however long."""
    parts = sorted(r for s in sets for r in s.ranges)
    if all(a[1] < b[0] for a, b in itertools.pairwise(parts)):
        joined: list[Range] = []
        for part in parts:
            if joined and part[2] == 1 and joined[-1][2] == 1 and joined[-1][1] + 1 == part[0]:
                joined[-1] = (joined[-1][0], part[1], 1)
            else:
                joined.append(part)
        return IndexSet(tuple(joined))
    return of(i for first, last, step in parts for i in range(first, last + 1, step))


def parse(text: str) -> IndexSet:
    """Read what `str` wrote. ValueError on anything else."""
    sets = []
    for part in filter(None, text.split(",")):
        span, _, step = part.partition(":")
        first, dash, last = span.partition("-")
        sets.append(from_range(int(first), int(last) if dash else int(first), int(step) if step else 1))
    return union(sets)
