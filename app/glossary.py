"""Every term of the screens that a reader of recommenders need not know, explained in one to three sentences."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class GlossaryTerm:
    """One term."""

    name: str
    meaning: str
    """What it is, its unit, and which direction is good or what its ends mean."""
    spellings: tuple[str, ...] = ()
    """Other ways in which texts write it. One in lower case stands for any case; one with capitals for itself alone."""

    @property
    def written(self) -> tuple[str, ...]:
        """All ways in which texts write it."""
        return (self.name, *self.spellings)


TERMS: tuple[GlossaryTerm, ...] = (
    # The list and the prompt.
    GlossaryTerm(
        "demonstration",
        "An example inside the prompt: what a user had met, and what that user chose or answered next. The model reads "
        "it before the question; its weights do not change.",
        ("demonstrations", "demo", "demos"),
    ),
    GlossaryTerm(
        "target",
        "The candidate that is explained: the item that the user really chose next, or the true answer of a finished "
        "prompt, unless another one is selected.",
        ("targets",),
    ),
    GlossaryTerm(
        "score",
        "What the model gives a candidate, in nats: the log-probability of its title, or the log-odds of the answer "
        "Yes. The list is sorted by it, highest first.",
        ("scores",),
    ),
    GlossaryTerm(
        "blend",
        "A ranking by the model's score plus a weight times log(1 + likes of the item before the moment). What "
        "demonstrations change in a score is the model's alone; places are those of the blend.",
        ("blended",),
    ),
    GlossaryTerm(
        "place",
        "Where an item stands in the ranked list: 1 plus the number of candidates with a higher score. 1 is best; "
        "equal scores share the middle place.",
        ("places", "rank", "ranks"),
    ),
    GlossaryTerm(
        "nats",
        "Unit of scores: the natural logarithm of a probability or of odds. +0.69 nats doubles it, +2.30 nats makes it "
        "ten times as large, and a negative amount makes it smaller.",
        ("nat",),
    ),
    GlossaryTerm("zero-shot", "With no demonstration in the prompt.", ("zero shot",)),
    GlossaryTerm("few-shot", "With the demonstrations in the prompt.", ("few shot",)),
    GlossaryTerm(
        "proxy",
        "A stand-in for the item that the user will choose next, where that is not known: the user's latest known "
        "choice, kept out of the prompt.",
    ),
    # What moves the list.
    GlossaryTerm(
        "margin over the field",
        "The score of an item minus the mean score of all other candidates, in nats. Above 0 the item is ahead of the "
        "average candidate; what raises all candidates alike leaves it unchanged.",
        ("margin over the other candidates", "field margin", "margin", "margins"),
    ),
    GlossaryTerm(
        "lift",
        "What moves all candidates alike, in nats: the mean score of the other candidates. It changes scores but no "
        "place in the list.",
        ("lift of the field",),
    ),
    GlossaryTerm(
        "effect",
        "How far a demonstration moves the item on average over what else stands in the prompt, in nats. Positive "
        "(blue) raises it, negative (orange) lowers it.",
        ("effects",),
    ),
    GlossaryTerm(
        "contribution",
        "The share of a change of score that is assigned to one demonstration, in nats. Positive (blue) raises the "
        "score, negative (orange) lowers it.",
        ("contributions",),
    ),
    GlossaryTerm(
        "without it",
        "What score and place become when just this one demonstration is taken out of the prompt. It need not have the "
        "sign of the effect, which is an average over many prompts.",
    ),
    GlossaryTerm(
        "removal effect",
        "How far a score falls, in nats, when just this one demonstration is taken out of the prompt. Positive: the "
        "demonstration holds the score up.",
        ("removal effects",),
    ),
    GlossaryTerm(
        "flip set",
        "The smallest set of demonstrations whose removal brings the item to another place: the place that it has "
        "without any, the first place, or past a chosen rival.",
        ("flip sets",),
    ),
    GlossaryTerm(
        "place curve",
        "The place of an item as demonstrations are taken out one after the other, the one that moves it most first. "
        "Its left end is the place with all of them, its right end the place without any.",
        ("place curves",),
    ),
    GlossaryTerm(
        "pair",
        "Two demonstrations looked at together: how many nats more (+) or less (−) they add together than apart, on "
        "average over what else stands in the prompt. Two that say the same add less.",
        ("pairs",),
    ),
    GlossaryTerm(
        "more than chance",
        "The 90 % interval of a prediction does not hold the value it is compared with, such as the place now.",
    ),
    GlossaryTerm(
        "Banzhaf value",
        "The mean change when one demonstration is added to a random half of the others, in nats. Effects are defined "
        "by it.",
        ("Banzhaf values",),
    ),
    GlossaryTerm(
        "interaction between demonstrations",
        "What two demonstrations do together beyond the sum of what each does alone, in nats. Negative: they say the "
        "same, so together they add less.",
        ("interaction between them", "interaction of demonstrations"),
    ),
    GlossaryTerm(
        "residual",
        "What remains of the demonstrations' joint effect after all single bars are added up, in nats. It comes from "
        "demonstrations that repeat or strengthen each other; near 0 the bars tell the whole story.",
        ("residuals",),
    ),
    GlossaryTerm(
        "gradient part",
        "What one gradient of the score gives a demonstration, a layer or a token, in nats. It is cheaper and less "
        "exact than the effect, but it can be split.",
        ("gradient parts", "gradient answer"),
    ),
    GlossaryTerm(
        "LDS",
        "Linear datamodeling score: how well the bars predict what really happens. It is the rank correlation of "
        "predicted and measured values over prompts from which random demonstrations are left out. 1 is perfect, 0 is "
        "no better than chance.",
    ),
    GlossaryTerm(
        "faithfulness",
        "How far an explanation predicts what the model does when demonstrations are left out. It is measured as LDS.",
    ),
    GlossaryTerm(
        "rank agreement",
        "Rank correlation of predicted and measured places over prompts that were not used for the prediction. 1 is "
        "perfect, 0 is no better than chance.",
    ),
    GlossaryTerm(
        "ablation",
        "One more prompt from which some demonstrations are left out, scored to see what they did.",
        ("ablations",),
    ),
    GlossaryTerm(
        "pass",
        "One run of the model over the whole prompt, the unit of cost. A shorter prompt counts as a part of one, a "
        "gradient as two more.",
        ("passes", "full pass", "full passes", "whole pass", "forwards", "backwards"),
    ),
    GlossaryTerm(
        "interval",
        "A range that holds the value with the stated probability, usually 90 %. Where it holds 0, the direction is "
        "not certain.",
        ("intervals",),
    ),
    # Lists and their measures.
    GlossaryTerm(
        "NDCG@10",
        "How high the item really chosen stands among the first ten: 1 in the first place, 0.63 in the second, 0.29 in "
        "the tenth, 0 below. Higher is better.",
        ("NDCG",),
    ),
    GlossaryTerm(
        "AUC",
        "Probability that a liked item gets a higher score than a disliked one. 0.5 is chance, 1 is perfect.",
    ),
    GlossaryTerm("UAUC", "AUC within each user, averaged over users. 0.5 is chance, 1 is perfect."),
    GlossaryTerm(
        "tau",
        "Kendall tau, the likeness of two orders: 1 is the same order, 0 no relation, −1 the reverse.",
        ("Kendall tau", "Kendall's tau"),
    ),
    GlossaryTerm(
        "rank-biased overlap",
        "Likeness of two lists that counts the first places most: 1 is the same list, 0 is nothing in common.",
    ),
    GlossaryTerm(
        "rank correlation",
        "Likeness of two orders of the same things: 1 is the same order, 0 no relation, −1 the reverse.",
        ("rank correlations",),
    ),
    GlossaryTerm(
        "p",
        "Probability that chance alone gives a difference at least as large. Small is convincing: 0.05 is a usual "
        "limit.",
        ("p =",),
    ),
    # The dual model.
    GlossaryTerm(
        "dual model",
        "A small linear model whose output equals that of one attention head: start weights W0 plus one step of "
        "training for each demonstration.",
        ("dual models",),
    ),
    GlossaryTerm(
        "head",
        "One of the parallel units of an attention layer. Each reads the prompt in its own way and has its own dual "
        "model.",
        ("heads", "attention head"),
    ),
    GlossaryTerm(
        "W0",
        "Start weights of the dual model: everything that the head reads outside the demonstrations.",
        ("start weights",),
    ),
    GlossaryTerm(
        "dW",
        "What one demonstration adds to the weights of the dual model: one step of gradient descent on it.",
        ("dWK", "dW1"),
    ),
    GlossaryTerm(
        "φ(q)",
        "The query vector of the token that is looked at, in the features of the dual model. Weights times φ(q) give "
        "the attention output.",
        ("W φ(q)", "dW φ(q)", "W0 φ(q)", "phi(q)"),
    ),
    GlossaryTerm(
        "equivalent gradient",
        "The step of training on the dual model to which reading a demonstration amounts, written dW. Nothing is "
        "trained: attention gives the same output.",
        ("equivalent gradients", "in-context update"),
    ),
    GlossaryTerm(
        "learning rate of a demonstration",
        "A factor on the step that a demonstration adds in every head: 1 leaves the model as it is, 0 takes the "
        "demonstration out.",
        ("learning rate", "learning rates"),
    ),
    GlossaryTerm(
        "Z_T/Z",
        "The share of a head's attention that falls outside the demonstrations, from 0 to 1. The start weights give "
        "zero-shot attention times this share.",
        ("Z_T / Z", "Z_T"),
    ),
    GlossaryTerm(
        "relative residual",
        "What the sum of the parts misses of the model's own output, divided by the length of that output. 0 is exact; "
        "below 1e-5 is rounding.",
        ("relative residuals",),
    ),
    GlossaryTerm(
        "random features",
        "Random numbers that stand in for the infinitely many features of the exact dual model. More of them make the "
        "error smaller, slowly.",
        ("random feature",),
    ),
    GlossaryTerm(
        "relative error",
        "Distance from the exact attention output, divided by its length. 0 is exact; 1 is an error as large as the "
        "output.",
    ),
    GlossaryTerm(
        "loss",
        "What gradient descent makes smaller, here in units of the fall that one plain step brings. It has no minimum "
        "without weight decay.",
    ),
    GlossaryTerm(
        "cosine",
        "Likeness of two directions: 1 is the same, 0 unrelated, −1 opposite.",
        ("cosines",),
    ),
    GlossaryTerm(
        "baseline",
        "What the same measure gives where nothing was learned; a similarity counts only above it.",
        ("baselines",),
    ),
    GlossaryTerm(
        "alpha",
        "Weight decay of the dual model, from 0 to 1: everything outside the demonstrations counts 1 − alpha times. 0 "
        "leaves the model as it is.",
        ("weight decay",),
    ),
    GlossaryTerm(
        "beta",
        "Negative samples: beta times the other demonstrations' mean value is subtracted from each demonstration's "
        "values. 0 leaves the model as it is; higher makes demonstrations differ more.",
    ),
    GlossaryTerm(
        "sigma",
        "Size of the Gaussian noise on what the model reads of the demonstrations, relative to their own size. 0 is no "
        "noise, 1 is noise as large as they are.",
    ),
    GlossaryTerm(
        "gate dropout",
        "Probability with which each sample leaves out each demonstration: 0 leaves the model as it is.",
    ),
    # Quality.
    GlossaryTerm(
        "gain",
        "Contribution of a demonstration to the margin over the field of the item really chosen next, or of its proxy, "
        "in nats. Positive helps.",
        ("gains",),
    ),
    GlossaryTerm(
        "alignment",
        "Cosine of a demonstration's step and the direction that would raise the target against the other candidates: "
        "1 pushes straight up, −1 straight down.",
    ),
    GlossaryTerm(
        "redundancy",
        "Largest cosine of a demonstration's step with that of another one: 1 means that another teaches the same.",
    ),
    GlossaryTerm(
        "stability",
        "Share of small changes of the prompt under which the sign of a demonstration's contribution stays, from 0 to "
        "1. Higher is better.",
    ),
    GlossaryTerm(
        "update energy",
        "Natural logarithm of the size of the step that a demonstration adds, over all heads and layers. Higher is a "
        "larger step; it needs no target and says nothing of the direction.",
    ),
    GlossaryTerm(
        "true use",
        "How far the target's score falls, in nats, when the demonstration is deleted from the prompt. Higher: more "
        "useful.",
    ),
    GlossaryTerm(
        "floor",
        "A score that knows nothing of the model, such as a random number or the length. Other scores must beat it.",
        ("floors",),
    ),
    # Improve.
    GlossaryTerm(
        "J",
        "The objective by which a set of demonstrations is judged: the mean score on the user's known choices, or "
        "on other cases of a case file, minus lambda times the spread. Higher is better.",
        ("objective J", "objective"),
    ),
    GlossaryTerm(
        "lambda",
        "How much one unit of spread costs in the objective J. 0 asks for the best mean alone; higher asks for sets "
        "that stay good when the prompt changes a little.",
    ),
    GlossaryTerm(
        "spread",
        "Standard deviation over small changes of the prompt, in the unit of the score. Lower is steadier.",
    ),
    GlossaryTerm(
        "known choice",
        "An earlier choice of the user that is hidden with everything after it; a set of demonstrations is judged by "
        "how well the model then predicts it.",
        ("known choices", "held-out choice", "held-out choices"),
    ),
    GlossaryTerm(
        "newer choice",
        "A known choice that the search for a better set did not read. It tests the set found, against chance too.",
        ("newer choices", "confirming choice", "confirming choices"),
    ),
    GlossaryTerm(
        "pool",
        "All demonstrations from which the search may take a shortlist.",
    ),
    GlossaryTerm(
        "shortlist",
        "The demonstrations of the pool that the search may put into a set, chosen by cheap criteria.",
    ),
    GlossaryTerm(
        "rank score",
        "Mean of a demonstration's ranks by all criteria, scaled so that 1 means first in every one.",
    ),
    GlossaryTerm(
        "BM25",
        "Likeness of words: how many rare words two texts share. 0 is none in common; higher is more alike.",
    ),
    # Robustness.
    GlossaryTerm(
        "variant",
        "The prompt with one small change, such as a dropped title or another order.",
        ("variants",),
    ),
    GlossaryTerm(
        "perturbation",
        "A small change of the prompt that should not matter much, such as a typing error or another order.",
        ("perturbations",),
    ),
    GlossaryTerm(
        "flip rate",
        "Share of changed prompts in which another item comes first. Lower is steadier.",
    ),
    # Personalise.
    GlossaryTerm(
        "adapter",
        "Small layers that tuning adds beside the model's weights; the weights themselves stay as they are.",
        ("adapters",),
    ),
    GlossaryTerm(
        "LoRA", "Low-rank adaptation: a few numbers beside the weights are tuned instead of the weights themselves."
    ),
    GlossaryTerm(
        "RecICL",
        "Tuning a recommender on prompts that already hold demonstrations, so that it goes on learning from them later "
        "(arXiv 2410.23136).",
    ),
    GlossaryTerm("TALLRec", "Tuning a recommender on single questions without demonstrations (arXiv 2305.00447)."),
    GlossaryTerm(
        "LRGD", "Learning as gradient descent: the theory that a demonstration acts like one step of training."
    ),
    GlossaryTerm(
        "base model",
        "The language model without an adapter.",
    ),
    GlossaryTerm(
        "hash",
        "A fingerprint of all weights. If one bit of them changes, it changes.",
        ("SHA-256",),
    ),
    GlossaryTerm(
        "classical reference",
        "A recommender without a language model, trained on the same interactions.",
        ("classical references",),
    ),
    GlossaryTerm(
        "token",
        "A piece of text that the model reads at once: a short word or a part of one.",
        ("tokens",),
    ),
)
"""In the order in which a list of several is shown."""


def terms_in(texts: Iterable[str]) -> tuple[GlossaryTerm, ...]:
    """The terms that texts use, in the order of `TERMS`; tags of HTML and titles of items (`<em>`) are not read."""
    read = html.unescape(" ".join(_without_markup(text) for text in texts))
    used = {_owner(match[0]) for match in _pattern().finditer(read)}
    return tuple(term for term in TERMS if term.name in used)


def _without_markup(text: str) -> str:
    return re.sub(r"<[^>]*>", "", re.sub(r"<em>.*?</em>", " ", text))


@cache
def _names() -> dict[str, str]:
    """Spelling -> name of its term."""
    return {spelling: term.name for term in TERMS for spelling in term.written}


def _owner(spelling: str) -> str:
    names = _names()
    return names.get(spelling) or names[spelling.lower()]


@cache
def _pattern() -> re.Pattern[str]:
    """All spellings, the longest first, so that `relative residual` is not read as `residual`."""
    spellings = sorted(_names(), key=len, reverse=True)
    return re.compile("|".join(rf"(?<![\w-]){_spelled(text)}(?![\w-])" for text in spellings))


def _spelled(spelling: str) -> str:
    return f"(?i:{re.escape(spelling)})" if spelling == spelling.lower() and len(spelling) > 1 else re.escape(spelling)
