"""Answers as JSON against the standard library's own writing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from iptexplain.outputs.json_text import json_text

CHARACTERS = 'a"\\/\n\t\x00\x1b\x7fé€😀\udc80'


def any_text(rng: random.Random) -> str:
    return "".join(rng.choices(CHARACTERS, k=rng.randrange(5)))


def any_value(rng: random.Random, depth: int = 4) -> Any:
    if depth == 0 or rng.random() < 0.4:
        return rng.choice([None, True, False, 0, -3, 10**30, 1.5, any_text(rng)])
    values = [any_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice([values, tuple(values), {any_text(rng): value for value in values}])


@pytest.mark.parametrize("seed", range(20))
def test_the_same_text_as_the_standard_library(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        value = any_value(rng)
        assert json_text(value) == json.dumps(value, indent=2)
