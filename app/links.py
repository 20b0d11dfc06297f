"""How do a person's choices become a link, and a link become the same choices again?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from core.question.case_spec import CaseSpec
from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.robustness.robustness_task import RobustnessTask
from core.lm.loading.adapter import SHIPPED

LONGEST = 500
"""Characters of one value in a link."""
MOST = {"demo_ids": 32, "candidate_ids": 200}
"""Fields that hold several values, and how many a link may carry; one empty value stands for "none of them"."""
NAMES = {"demo_ids": "with", "candidate_ids": "among"}
"""Parameters whose name in a link differs from the field."""
ORDER = ("demo_ids", *(name for name in Request.model_fields if name != "demo_ids"))
"""Demonstrations first: `strategy=manual` is refused without them."""
RESERVED = ("demo", "item", *InferenceSettings.model_fields)
EXPLAINING = ("method", "budget", "precision", "matrix", "faithfulness")
"""Choices of an explanation on which no score depends."""
DEFAULTS = Request()


@dataclass(frozen=True)
class Choices:
    """Everything a link holds: what is computed, and what is selected on the page."""

    request: Request = DEFAULTS
    demo: int | None = None
    """Selected demonstration, counted from 1 as in its label."""
    item: str | None = None
    """Id of the selected candidate."""
    inference: InferenceSettings | None = None
    """The changed dual models whose list stands beside the plain one, once a person asks for them."""


def parameter(name: str) -> str:
    """The name of a request field in a link."""
    return NAMES.get(name, name)


def read(query: Mapping[str, Sequence[str]]) -> tuple[Choices, str]:
    """Choices from an untrusted link, and one calm sentence when a part of it could not be used."""
    refused: list[str] = []
    accepted: dict[str, object] = {}
    known = {parameter(name): name for name in ORDER}
    for name in ORDER:
        values = query.get(parameter(name))
        if values is None:
            continue
        candidate = _value(name, values)
        if candidate is not None and _fits({**accepted, name: candidate}):
            accepted[name] = candidate
        else:
            refused.append(parameter(name))
    demo, item = whole(query.get("demo"), least=1), single(query.get("item"))
    refused += [name for name, value in (("demo", demo), ("item", item)) if name in query and value is None]
    inference, wrong = _inference(query)
    refused += wrong
    refused += [name for name in query if name not in known and name not in RESERVED]
    return Choices(Request.model_validate(accepted), demo, item, inference), notice(refused)


def written(choices: Choices) -> dict[str, list[str]]:
    """The link of these choices; defaults vanish from it."""
    link: dict[str, list[str]] = {}
    for name in Request.model_fields:
        value = getattr(choices.request, name)
        if value == getattr(DEFAULTS, name):
            continue
        link[parameter(name)] = texts(value)
    if choices.demo is not None:
        link["demo"] = [str(choices.demo)]
    if choices.item is not None:
        link["item"] = [choices.item]
    if choices.inference is not None:
        asked = choices.inference.model_dump(exclude_defaults=True)
        link |= {name: texts(value) for name, value in asked.items()}
    return link


def beside(choices: Choices) -> RobustnessTask | None:
    """The comparison with changed dual models that stands beside an explanation; None where none is asked for."""
    if choices.inference is None:
        return None
    plain = {name: getattr(DEFAULTS, name) for name in EXPLAINING}
    case = choices.request.model_copy(update=plain)
    return RobustnessTask(case=case, quick=True, **choices.inference.model_dump())


def foreign(request: Request) -> tuple[str, ...]:
    """The data, model and adapter of a request that are not shipped: a person must agree before they are looked at."""
    shipped = ("sample", None, *SHIPPED)
    names = (request.dataset, request.model, request.adapter)
    return tuple(name for name in names if name is not None and name not in shipped)


def texts(value: object) -> list[str]:
    """A value as the texts of its parameter in a link."""
    if isinstance(value, tuple):
        return [str(part) for part in value] or [""]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, float):
        return [repr(value).removesuffix(".0")]
    return [str(value)]


def _value(name: str, values: Sequence[str]) -> object:
    if name in MOST:
        if list(values) == [""]:
            return ()
        usable = 0 < len(values) <= MOST[name] and all(0 < len(value) <= LONGEST for value in values)
        return tuple(values) if usable else None
    text = single(values)
    if text is None:
        return None
    annotation = type(getattr(DEFAULTS, name))
    if annotation is bool:
        return {"yes": True, "no": False}.get(text)
    if annotation is int:
        return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 20 else None
    if annotation is float:
        return _finite(text)
    return text


def _inference(query: Mapping[str, Sequence[str]]) -> tuple[InferenceSettings | None, list[str]]:
    """The changed dual models of a link, None where they are the plain one, and the parts that could not be used."""
    accepted: dict[str, object] = {}
    refused = []
    for name in InferenceSettings.model_fields:
        if name not in query:
            continue
        candidate = accepted | {name: single(query[name])}
        try:
            InferenceSettings.model_validate(candidate)
            accepted = candidate
        except ValidationError:
            refused.append(name)
    settings = InferenceSettings.model_validate(accepted)
    return None if settings.plain else settings, refused


def single(values: Sequence[str] | None) -> str | None:
    """The one text of a parameter; None where there is none, or several, or it is too long."""
    if values is None or len(values) != 1 or not 0 < len(values[0]) <= LONGEST:
        return None
    return values[0]


def whole(values: Sequence[str] | None, least: int = 0) -> int | None:
    """The short whole number of a parameter; None where it is anything else."""
    text = single(values)
    if text is None or not (text.isascii() and text.isdecimal() and len(text) < 4 and int(text) >= least):
        return None
    return int(text)


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _fits(choices: dict[str, object]) -> bool:
    try:
        Request.model_validate(choices)
    except ValidationError:
        return False
    return True


def notice(refused: list[str]) -> str:
    """One calm sentence about the parts of a link that could not be used; empty when all could."""
    if not refused:
        return ""
    shown = [name[:30] for name in refused[:4]]
    more = f" and {len(refused) - 4} more" if len(refused) > 4 else ""
    return f"Part of this link could not be used ({', '.join(shown)}{more}); the usual values stand in its place."
