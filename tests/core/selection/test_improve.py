from core.analysis.request import Request
from core.selection.improve import improve
from core.selection.task import ImproveTask


def small(case=None, **choices):
    case = {"user": "u", "demos": 3, "candidates": 5, "history": 2, **(case or {})}
    return ImproveTask(**{"case": Request(**case), "k": 2, "pool": 12, "shortlist": 5, "held_out": 3, "negatives": 2, **choices})


def test_smoke(films, model):
    import time
    t = time.time()
    reports = list(improve(small(), dataset=films, model=model))
    print(time.time() - t)
    print(reports[-1].model_dump_json(indent=1))
