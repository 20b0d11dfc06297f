"""What a request costs in forward passes, told before anything runs."""

from __future__ import annotations

from core.analysis.request import Request

GRADIENT_PASSES = {"gradient": 3.0, "path": 9.0, "attention": 1.0, "captum_integrated_gradients": 9.0}
"""Full-prompt forward equivalents of the methods with a fixed cost (a backward counts 2)."""
TEXT_PASS = 0.5
"""An ablated prompt costs about half a full one."""


def predicted_passes(request: Request) -> float:
    """Full-prompt forward equivalents that `request` asks for, by the cost model of the methods.

    Scores with and without demonstrations and the candidates' own tokens; the method (its budget where it refines
    or samples); one shorter prompt per demonstration for the matrix; one per text ablation of the faithfulness.
    """
    demos = len(request.demo_ids) if request.demo_ids is not None else request.demos
    candidates = len(request.candidate_ids) if request.candidate_ids is not None else request.candidates
    scores = 1.0 + TEXT_PASS + 0.02 * candidates
    if demos == 0:
        return scores
    matrix = demos * (TEXT_PASS + 0.02 * candidates) if request.matrix else 0.0
    return scores + _method_passes(request, demos) + matrix + TEXT_PASS * request.faithfulness


def _method_passes(request: Request, demos: int) -> float:
    if request.method in GRADIENT_PASSES:
        return GRADIENT_PASSES[request.method]
    if request.method in ("leave_one_out", "captum_feature_ablation"):
        return 1.0 + demos
    if request.method == "shapley":
        return TEXT_PASS * 2.0 ** min(demos, 20)
    return request.budget
