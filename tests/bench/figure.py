"""What a benchmark finds: one number, and the same of a real Slurm measured in the same run where there is one."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    yardstick: float | None = None
    """The real Slurm's; None: not measured."""
    more_is_better: bool = True

    @property
    def ratio(self) -> float | None:
        """Over 1: better than the yardstick."""
        if not self.yardstick or not self.value:
            return None
        return self.value / self.yardstick if self.more_is_better else self.yardstick / self.value

    def line(self) -> str:
        ratio = None if self.ratio is None else round(self.ratio, 3)
        told = {"name": self.name, "value": round(self.value, 4), "unit": self.unit}
        yardstick = None if self.yardstick is None else round(self.yardstick, 4)
        return json.dumps({**told, "yardstick": yardstick, "ratio": ratio})


def note(**facts: object) -> None:
    """A line on the way to the figure."""
    print(json.dumps(facts), flush=True)
