"""Which demonstration moved this recommendation, and would another set do better?

Run it in the checkout: `.venv/bin/python examples/which_demonstration.py [USER [DEMONSTRATIONS]]`.
"""

# %% A case: which user, how many demonstrations.
import sys

from core import CaseSpec, Explain, ImproveTask, command_line, explain, load, open_dataset, run

user = sys.argv[1] if len(sys.argv) > 1 else "135"
demos = int(sys.argv[2]) if len(sys.argv) > 2 else 4
case = CaseSpec(user=user, demos=demos, candidates=6, history=3)

# %% Data and model are opened once, for as many questions as you like.
dataset, model = open_dataset(case.dataset), load(case.model)

# %% What does each demonstration add to the score of the item really chosen next?
*_, report = explain(Explain(case=case, budget=4), dataset=dataset, model=model)
answer = report.contributions
print(f"The score of {answer.target.title!r} goes from {answer.zero_shot:+.2f} to {answer.few_shot:+.2f} nats.")
for demo, value, low, high in sorted(
    zip(report.demos, answer.values, answer.low, answer.high, strict=True), key=lambda row: row[1], reverse=True
):
    print(f"{value:+.2f} nats ({low:+.2f} to {high:+.2f})  {demo.label} {demo.title}")
print(f"Trust: LDS {'not measured' if answer.lds is None else f'{answer.lds:.2f}'}")

# %% Would other demonstrations do better? A small search; the target has no part in it.
task = ImproveTask(case=case, k=2, pool=12, shortlist=4, held_out=2, negatives=2, budget=12)
for better in run(task, dataset=dataset, model=model):
    if better.best is not None:
        print(f"best objective so far {better.best.objective:+.3f} nats")
print("Best set:", ", ".join(better.best.demo_ids) or "none: no demonstrations do best")

# %% The same on the command line, with JSON for others.
print(command_line(task), "--json better.json")
