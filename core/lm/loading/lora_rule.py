"""Reads from an adapter's configuration which layers it changes and how strongly."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import regex

from core.errors import ModelError

LONGEST_PATTERN = 2_000
"""Characters."""
MOST_NAMES = 20_000
"""Of layers or patterns that a configuration lists."""
MATCH_SECONDS = 2.0
"""For all patterns of an adapter together; they are a stranger's, and some take for ever."""
EVERY_LINEAR = "all-linear"
"""PEFT's word for all linear layers but the last."""


@dataclass(frozen=True)
class LoraRule:
    """The part of PEFT's `LoraConfig` that names layers: a pattern for the whole name, or ends of names."""

    targets: str | Sequence[str]
    excluded: str | Sequence[str] = ()
    numbers: frozenset[int] | None = None
    """Numbers of the layers that are changed; None for all."""
    stacks: Sequence[str] = ()
    """Patterns for the name before a layer's number; any where there is none."""
    ranks: Mapping[str, float] = field(default_factory=dict)
    """Pattern for the end of a name -> rank, where it is not the common one."""
    alphas: Mapping[str, float] = field(default_factory=dict)

    @property
    def lists_layers(self) -> bool:
        """Whether the configuration lists its layers; PEFT's word for all linear layers leaves them to the weights."""
        return not (isinstance(self.targets, str) and self.targets.lower() == EVERY_LINEAR)

    def layers(self, names: Iterable[str], *, where: str) -> frozenset[str]:
        """The names among these that the rule covers; raises `ModelError` for patterns that take too long."""
        match = _Matcher(where)
        return frozenset(name for name in names if self._means(match, name))

    def different(self, patterns: Mapping[str, float], names: Iterable[str], *, where: str) -> dict[str, float]:
        """The number of each name that one of the patterns fits, by the first that does."""
        match = _Matcher(where)
        whole = {rf"(?:.*\.)?(?:{pattern})": number for pattern, number in patterns.items()}
        first = ((name, next((pattern for pattern in whole if match(pattern, name)), None)) for name in names)
        return {name: whole[pattern] for name, pattern in first if pattern is not None}

    def _means(self, match: _Matcher, name: str) -> bool:
        if _fits(match, self.excluded, name) or not _fits(match, self.targets, name):
            return False
        if self.numbers is None or isinstance(self.targets, str) or name in self.targets:
            return True
        stacks = [rf"(?:.*?\.)?(?:{stack})" for stack in self.stacks] or [r".*?\.[^.]*"]
        matches = (match(rf"{stack}\.(?P<number>\d+)\..*", name) for stack in stacks)
        return next((int(place["number"]) in self.numbers for place in matches if place), False)


def lora_rule(config: Mapping[str, Any], *, where: str) -> LoraRule:
    """The rule of an `adapter_config.json`; raises `ModelError` where no rule follows from it."""
    numbers = config.get("layers_to_transform")
    numbers = [numbers] if type(numbers) is int else numbers
    if numbers and not (isinstance(numbers, list) and all(type(number) is int for number in numbers)):
        raise ModelError("layers_to_transform is no list of numbers", expected="such as 0, 1, 2", where=where)
    if not config.get("target_modules"):
        raise ModelError("no target_modules", expected="names of layers such as q_proj, or a pattern", where=where)
    rule = LoraRule(
        _names(config, "target_modules", where),
        _names(config, "exclude_modules", where),
        frozenset(numbers) if numbers else None,
        _listed(_names(config, "layers_pattern", where)),
        _patterns(config, "rank_pattern", where),
        _patterns(config, "alpha_pattern", where),
    )
    match = _Matcher(where)
    for pattern in (
        *rule.stacks,
        *rule.ranks,
        *rule.alphas,
        *(_as_pattern(rule.targets)),
        *(_as_pattern(rule.excluded)),
    ):
        match(pattern, "")  # A pattern that is none is named before any weight is read.
    return rule


class _Matcher:
    """Matches whole names until its time is over."""

    def __init__(self, where: str) -> None:
        self.where, self.end = where, time.monotonic() + MATCH_SECONDS

    def __call__(self, pattern: str, name: str) -> Any:
        left = self.end - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            return regex.fullmatch(pattern, name, timeout=left)
        except TimeoutError:
            problem, expected = f"the pattern {pattern[:80]!r} takes too long", f"at most {MATCH_SECONDS:.0f} s"
        except (regex.error, RecursionError, OverflowError, MemoryError):
            problem, expected = f"the pattern {pattern[:80]!r} is no regular expression", "one for names of layers"
        raise ModelError(problem, expected=expected, where=self.where)


def _fits(match: _Matcher, names: str | Sequence[str], name: str) -> bool:
    if isinstance(names, str):
        return match(names, name) is not None
    return name in names or any(name.endswith(f".{end}") for end in names)


def _names(config: Mapping[str, Any], key: str, where: str) -> str | tuple[str, ...]:
    value = config.get(key) or ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(
        isinstance(text, str) and 0 < len(text) <= LONGEST_PATTERN for text in texts
    ):
        raise ModelError(f"{key} is {str(value)[:60]}", expected="names of layers, or a pattern", where=where)
    _check_count(key, texts, where)
    return value if isinstance(value, str) else tuple(texts)


def _patterns(config: Mapping[str, Any], key: str, where: str) -> dict[str, float]:
    value = config.get(key) or {}
    if not isinstance(value, dict) or not all(
        0 < len(name) <= LONGEST_PATTERN and type(number) in (int, float) for name, number in value.items()
    ):
        raise ModelError(f"{key} is {str(value)[:60]}", expected="a number for each pattern", where=where)
    _check_count(key, value, where)
    return value


def _check_count(key: str, values: Sequence[str] | Mapping[str, float], where: str) -> None:
    if len(values) > MOST_NAMES:
        raise ModelError(f"{key} has {len(values)} entries", expected=f"at most {MOST_NAMES}", where=where)


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def _as_pattern(names: str | Sequence[str]) -> Sequence[str]:
    """The pattern, where it is one and no list of names."""
    return (names,) if isinstance(names, str) and names.lower() != EVERY_LINEAR else ()
