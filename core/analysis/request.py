"""What one explanation is asked for: every choice a person can make, checked at the door."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.analysis.checked import checked
from core.data.records import Sampling, Split, Strategy
from core.prompt.spans import Family

Method = Literal[
    "default",
    "gradient",
    "path",
    "leave_one_out",
    "shapley",
    "shapley_sampling",
    "regression",
    "attention",
    "captum_integrated_gradients",
    "captum_feature_ablation",
    "captum_shapley_sampling",
    "captum_kernel_shap",
]
Scoring = Literal["sum", "mean", "calibrated"]
"""How the log-probabilities of a title's tokens become one score (`next_item` only): their sum, their mean,
or the sum minus the sum under a prompt without any history."""

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Request(BaseModel):
    """One case and how to explain it; equal requests have equal results, apart from timings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: Text = "sample"
    """`sample`, or the folder of a data set in RecBole's atomic format."""
    user: Text = "12"
    split: Split = "last"
    demos: Annotated[int, Field(ge=0, le=32)] = 8
    """How many demonstrations the strategy picks; ignored when `demo_ids` names them."""
    strategy: Strategy = "recent"
    demo_ids: tuple[Text, ...] | None = None
    """Demonstrations by hand, in order: `user:position`, or `user:position:yes` / `:no` to set the answer."""
    candidates: Annotated[int, Field(ge=2, le=200)] = 20
    """How many items are ranked, the target among them."""
    candidate_ids: tuple[Text, ...] | None = None
    """A given list of item ids instead of sampled ones."""
    sampling: Sampling = "uniform"
    family: Family = "yes_no"
    chat: bool = False
    """Whether the prompt is wrapped in the model's chat template."""
    history: Annotated[int, Field(ge=0, le=50)] = 5
    """Most titles shown in each history."""
    scoring: Scoring = "sum"
    model: Text = "sample"
    """`sample`, a model folder, a `.gguf` file, or a hub name."""
    adapter: Text | None = None
    """`recicl` or `tallrec`, shipped for the sample model, or the folder of a LoRA adapter; None means none."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    method: Method = "default"
    target: Text | None = None
    """Item id of the candidate whose score is explained; None means the item really chosen next."""
    against: Text | None = None
    """Item id of a second candidate: then the margin between the two scores is explained."""
    budget: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Most full-prompt forward equivalents that a refined or sampled method may use."""
    precision: Annotated[float, Field(ge=0)] = 0.0
    """Stop refining once every 90 % interval is narrower than this many nats; 0 means use the budget."""
    matrix: bool = True
    """Whether the demonstrations x candidates matrix is computed too."""
    faithfulness: Annotated[int, Field(ge=0, le=256)] = 0
    """Text ablations to measure LDS on, beyond those the method made; 0 means none."""
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Request:
        if self.strategy == "manual" and self.demo_ids is None:
            raise ValueError("strategy manual needs demo_ids")
        if self.against is not None and self.against == self.target:
            raise ValueError("against must differ from target")
        return self


def checked_request(where: str = "request", /, **choices: object) -> Request:
    """A `Request` from untrusted choices.

    Raises `RequestError` with one sentence naming the option, what was found and what was expected.
    """
    return checked(Request, where, choices)
