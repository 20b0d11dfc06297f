"""Which case, prompt and model a question is about, checked where the choices enter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.data.records import Order, Sampling, Split, Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import FAMILIES, Family
from core.prompt.stored_templates import HASH_FORM
from core.prompt.wordings import Wording

Scoring = Literal["sum", "mean", "calibrated"]
"""How the log-probabilities of a title's tokens become one score (`next_item` only): their sum, their mean,
or the sum minus the sum under a prompt without any history."""

Text = Annotated[str, Field(min_length=1, max_length=500)]
NO_ADAPTER = "none"
"""The adapter's name that means none, where the usual case has one."""
OF_LOGGED_CASES = ("cases", "case")
"""Choices that name a finished prompt."""
OF_BUILT_CASES = (
    "dataset",
    "user",
    "split",
    "demos",
    "strategy",
    "order",
    "each",
    "candidates",
    "candidate_ids",
    "sampling",
    "family",
    "wording",
    "template",
    "chat",
    "history",
    "prior",
)
"""Choices of how a prompt is made from data, which a finished one has no use for."""
LATER_CHOICES = ("template", "prior")
"""Choices that came later: at their usual values they are left out of `effective`, so that earlier keys hold."""
SETTINGS = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
"""Of everything a person chooses: the first sentence of a field's docstring is its help on the command line."""


class CaseSpec(BaseModel):
    """The choices that lead to one case, its prompt and its model; the resolved case is `core.data.records.Case`."""

    model_config = SETTINGS

    cases: Text | None = None
    """A case file, whose prompt is run as it was logged, instead of data."""
    case: Text | None = None
    """The case in that file."""
    dataset: Text = "sample"
    """'sample', the name of a data set that was added with 'demolens data add', or a folder with its files."""
    user: Text = "135"
    """The user whose list is explained."""
    split: Split = "last"
    """Which interaction is the target: the user's last, or the first after a cut in time."""
    demos: Annotated[int, Field(ge=0, le=32)] = 8
    """How many demonstrations the strategy picks. Ignored when `demo_ids` names them."""
    strategy: Strategy = "co_likes"
    """How demonstrations are picked."""
    order: Order = "nearest_last"
    """Whether the demonstration that the strategy holds to be nearest stands next to the query, or first."""
    each: Annotated[int, Field(ge=1, le=8)] = 1
    """Most demonstrations of one neighbour (neighbours and mixed only)."""
    demo_ids: tuple[Text, ...] | None = None
    """A demonstration by hand: user:position, or user:position:yes / :no; commas or repeats, in order."""
    candidates: Annotated[int, Field(ge=2, le=200)] = 20
    """How many items are ranked, the target among them."""
    candidate_ids: tuple[Text, ...] | None = None
    """An item to rank instead of sampled ones; commas or repeats."""
    sampling: Sampling = "uniform"
    """How the other candidates are drawn."""
    family: Family = "next_item"
    """The prompt family."""
    wording: Wording = "plain"
    """What the prompt says of the user's taste and wishes; a kind that it names is that of the history alone."""
    template: Annotated[str, Field(pattern=HASH_FORM)] | None = None
    """File of a prompt template in place of a wording, or the hash under which one is stored."""
    chat: bool = False
    """Whether the prompt is wrapped in the model's chat template."""
    history: Annotated[int, Field(ge=0, le=50)] = 5
    """Most titles shown in each history."""
    scoring: Scoring = "sum"
    """How a title's tokens become one score (next_item only)."""
    prior: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weight of popularity in the ranking: a candidate's score is that of the model plus the weight times
    log(1 + likes before the moment); 0 leaves it out."""
    model: Text = "sample"
    """'sample', a model folder, a .gguf file, a hub name, or a server's address such as http://127.0.0.1:8000/v1."""
    adapter: Annotated[Text | None, AfterValidator(lambda name: None if name == NO_ADAPTER else name)] = None
    """'recicl' or 'tallrec', shipped for the sample model, the folder of a LoRA adapter, or 'none'."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights."""
    seed: int = 0
    """Seed of everything that is drawn."""

    @model_validator(mode="after")
    def _consistent(self) -> CaseSpec:
        if self.strategy == "manual" and self.demo_ids is None:
            raise ValueError("strategy manual needs demo_ids")
        return self

    @model_validator(mode="after")
    def _logged_or_built(self) -> CaseSpec:
        if (self.cases is None) != (self.case is None):
            raise ValueError("cases, a case file, needs case, the id of a case in it, and the reverse")
        usual = {name: type(self).model_fields[name].default for name in OF_BUILT_CASES}
        changed = [name for name, value in usual.items() if getattr(self, name) not in (value, "manual")]
        if self.imported and changed:
            raise ValueError(f"{changed[0]} has no meaning for a case from a file: its prompt is run as it was logged")
        return self

    @property
    def imported(self) -> bool:
        """Whether the case is one of a case file."""
        return self.cases is not None

    @property
    def truth(self) -> str:
        """What the candidate with the true answer is called."""
        return "true answer" if self.imported else "item really chosen next"

    @property
    def truth_mark(self) -> str:
        """The same beside a mark."""
        return "true answer" if self.imported else "really chosen next"

    @property
    def demo_count(self) -> int:
        """Demonstrations the prompt will probably hold."""
        return self.demos if self.demo_ids is None else len(self.demo_ids)

    @property
    def picked_by_model(self) -> bool:
        """Whether there are demonstrations that no one can pick before a model is loaded."""
        return self.demo_ids is None and self.demos > 0 and STRATEGIES[self.strategy].needs_model

    @property
    def picking_tokens(self) -> int:
        """About how many tokens the model reads to pick the demonstrations once, if it does."""
        return STRATEGIES[self.strategy].tokens if self.picked_by_model else 0

    @property
    def candidate_count(self) -> int:
        """Candidates that will probably be ranked."""
        return self.candidates if self.candidate_ids is None else len(self.candidate_ids)

    @property
    def calibrated(self) -> bool:
        """Whether the score under a prompt without any history is subtracted."""
        return FAMILIES[self.family].calibrates(self.scoring)

    def effective(self) -> dict[str, Any]:
        """The choices as JSON values, with those that change nothing here at their defaults.

        Two specs lead to the same case, prompt and scores exactly when these are equal.
        """
        if self.imported:
            return _without_later(at_defaults(self, list(OF_BUILT_CASES)))
        without_effect = []
        if self.demo_ids is not None:
            without_effect += ["demos", "strategy", "order", "each"]
        if not STRATEGIES[self.strategy].several:
            without_effect += ["each"]
        if self.candidate_ids is not None:
            without_effect += ["candidates", "sampling"]
        if not FAMILIES[self.family].has_scorings:
            without_effect += ["scoring"]
        if self.template is not None:
            without_effect += ["wording"]
        values = _without_later(at_defaults(self, without_effect))
        return {name: value for name, value in values.items() if name not in OF_LOGGED_CASES}


def at_defaults(choices: BaseModel, names: list[str]) -> dict[str, Any]:
    """The choices as JSON values, those in `names` at their defaults."""
    values = choices.model_dump(mode="json")
    return values | {name: type(choices).model_fields[name].default for name in names}


def _without_later(values: dict[str, Any]) -> dict[str, Any]:
    usual = {name: CaseSpec.model_fields[name].default for name in LATER_CHOICES}
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}
