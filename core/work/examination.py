"""What is found of a model beside the runs: asked of the worker, remembered by choices and files."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal

from core.lm.loading.facts import ModelFacts
from core.question.case_spec import CaseSpec
from core.work import protocol
from core.work.contents import adapter_fingerprint, model_fingerprint

MOST = 50
"""Models that are remembered."""
CANCELLED = "Cancelled before the model was loaded."


@dataclass(frozen=True)
class Examination:
    """A snapshot of what is found of one model; it does not change, ask the desk for a newer one."""

    key: str
    state: Literal["waiting", "running", "done"] = "waiting"
    label: str = ""
    """What is being done now, in words."""
    facts: ModelFacts | None = None
    """The newest answer; None before the first."""
    loaded: bool = False
    """Whether the model was loaded for `facts`, and checked against plain passes."""
    sentence: str = ""
    """Why there is no answer, or none to the last question."""


def examination_key(case: CaseSpec) -> str:
    """The same for the same model, adapter, device and number type, as long as their files stay as they are."""
    choices = (case.model, case.adapter, case.device, case.dtype)
    files = (model_fingerprint(case.model), adapter_fingerprint(case.adapter))
    return f"model-{hashlib.sha256(json.dumps([choices, files]).encode('ascii')).hexdigest()[:32]}"


class Examinations:
    """The desk's own record of them; only touched under the desk's lock."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Examination] = OrderedDict()

    def get(self, key: str) -> Examination | None:
        """The newest snapshot; None for a model that was never asked about."""
        return self._by_key.get(key)

    def begin(self, key: str) -> Examination:
        """A question was handed to the worker; the last answer stays until there is a new one."""
        before = self._by_key.get(key, Examination(key))
        self._put(replace(before, state="waiting", label="waiting for the worker", sentence=""))
        while len(self._by_key) > MOST:
            self._by_key.popitem(last=False)
        return self._by_key[key]

    def hear(self, event: protocol.RunEvent) -> None:
        """Take in what the worker says of a model that was asked about."""
        before = self._by_key[event.key]
        if isinstance(event, protocol.Started):
            self._put(replace(before, state="running", label="starting"))
        elif isinstance(event, protocol.Advanced):
            self._put(replace(before, state="running", label=event.label))
        elif isinstance(event, protocol.Examined):
            self._put(_answered(before, event))
        elif isinstance(event, protocol.Stopped | protocol.Failed):
            sentence = CANCELLED if isinstance(event, protocol.Stopped) else event.sentence
            self._put(replace(before, state="done", label="", sentence=sentence))

    def lose(self, sentence: str) -> None:
        """The worker is gone: what it was asked stays without an answer."""
        for examination in [each for each in self._by_key.values() if each.state != "done"]:
            self._put(replace(examination, state="done", label="", sentence=sentence))

    def _put(self, examination: Examination) -> None:
        self._by_key[examination.key] = examination
        self._by_key.move_to_end(examination.key)


def _answered(before: Examination, event: protocol.Examined) -> Examination:
    """A look at files that found nothing wrong takes nothing back that was found when the model was loaded."""
    if before.loaded and not event.loaded and event.facts.refusal is None:
        return replace(before, state="done", label="", sentence="")
    return Examination(event.key, "done", facts=event.facts, loaded=event.loaded)
