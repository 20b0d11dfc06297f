"""What a model would learn from a choice: the gradient of its log-probability at the input of the output layer.

After in-context learning by gradient selection (CLG, arXiv 2508.19999): two choices whose gradients point the same way
teach the model the same. The gradient at the last hidden state h of a token y is W^T (onehot(y) - p) for logits W h;
it needs the logits of a plain forward pass, and no backward pass through the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from core.lm.forward.forest import Forest
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import beyond, turning_point
from core.lm.reading.packs import Vectors, read_in_packs, width_of
from core.lm.scoring.sweep import Cost, most_tokens, segments_of, terms_of
from core.lm.scoring.tree import Term, Tree
from core.prompt.spans import Prompt

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel


def head_gradients(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    liked: Sequence[bool],
    *,
    cost: Cost | None = None,
    pack_tokens: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> Vectors:
    """Gradients [prompt, hidden] of the log-probability of each prompt's first candidate at the output layer's input.

    `next_item`: the mean over the tokens of the title, each at the state that predicts it. `yes_no`: of the true
    answer (`liked` [prompt]) among all tokens, at the state before it. Prompts share what they begin with; they run
    in packs of at most `pack_tokens` tokens. `between` is called before every pass and may raise `Cancelled`; `cost`
    counts the tokens run. Raises `ComputeError` where a prompt does not fit into memory or a gradient is not finite.
    """
    turn, spent = turning_point(model.network.config), Cost() if cost is None else cost
    vectors = np.zeros((len(prompts), width_of(model.network)), dtype=np.float32)
    for stretched in (False, True):
        alike = [place for place, prompt in enumerate(prompts) if beyond(turn, prompt.length) is stretched]

        def read(places: Sequence[int], alike: list[int] = alike, stretched: bool = stretched) -> Vectors:
            between()
            pack = [alike[place] for place in places]
            tree = Tree(stretched=stretched)
            for place in pack:
                tree.plant(prompts[place], (0,))
            return _gradients(model, tree, [liked[place] for place in pack], spent)

        lengths = [prompts[place].length for place in alike]
        vectors[alike] = read_in_packs(model, lengths, read, pack_tokens or most_tokens(model.device))
    return vectors


def _gradients(model: LanguageModel, tree: Tree, liked: Sequence[bool], spent: Cost) -> Vectors:
    """Gradients [prompt, hidden] of the prompts planted in `tree`, in one pass."""
    nodes = tree.order()
    rows, terms = terms_of(nodes)
    forest = Forest(segments_of(nodes, nodes), stretched=tree.stretched)
    with torch.no_grad():
        logits, _ = run(model.network, forest, rows)
    spent.forwards += len(tree.ends)
    spent.tokens += len(forest.token_ids)
    line = {row: number for number, row in enumerate(rows)}
    lines = torch.tensor([line[row] for row, _ in terms], device=logits.device)
    owners = torch.tensor([term.score for _, term in terms], device=logits.device)
    tokens = torch.tensor([_chosen(term, liked) for _, term in terms], device=logits.device)
    shares = 1 / torch.bincount(owners, minlength=len(tree.ends)).to(logits)
    slopes = _slopes(model.network, logits)
    errors = logits.new_zeros(len(tree.ends), logits.shape[1])
    errors.index_add_(0, owners, -(logits.softmax(dim=1) * slopes)[lines])
    errors.index_put_((owners, tokens), slopes[lines, tokens], accumulate=True)
    return _through_head(model.network, errors * shares[:, None]).float().cpu().numpy()


def _chosen(term: Term, liked: Sequence[bool]) -> int:
    """The token that was really chosen: of the title, or of the true answer."""
    return term.token if term.against is None or liked[term.score] else term.against


def _slopes(network: Any, logits: Tensor) -> Tensor:
    """How fast each logit [row, vocab] follows the output layer's product: 1, less where a soft cap bends it.

    A factor that some families put on all logits changes no direction and is left out.
    """
    cap = getattr(network.config.get_text_config(), "final_logit_softcapping", None)
    return torch.ones_like(logits) if cap is None else 1 - (logits / cap) ** 2


def _through_head(network: Any, errors: Tensor) -> Tensor:
    """W^T e [prompt, hidden] for each row of `errors` [prompt, vocab], whatever kind of linear layer W is."""
    head = network.get_output_embeddings()
    states = errors.new_zeros(len(errors), width_of(network)).requires_grad_()
    with torch.enable_grad():
        (gradients,) = torch.autograd.grad(head(states), states, errors)
    return torch.as_tensor(gradients)
