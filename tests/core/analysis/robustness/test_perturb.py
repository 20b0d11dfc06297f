"""What each perturbation may touch, how much of it, and that the prompt stays a prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.analysis.robustness.perturb import prompt_of_variant, reason_against, variants
from core.analysis.robustness.perturbations import KINDS, PERTURBATIONS, ROWS, Perturbation, PerturbationKind
from core.analysis.robustness.variant import Variant, prompt_demos, query_history
from core.analysis.setting import Setting
from core.errors import RequestError
from core.prompt.titles import prompt_title

Settings = Callable[..., Setting]


def ids_of(variant: Variant) -> list[str]:
    return [one.item_id for one in variant.case.history]


def only(setting: Setting, kind: PerturbationKind, strength: float = 0.5, repeats: int = 6) -> list[Variant]:
    found = variants(setting, kinds=[kind], strengths=[strength], repeats=repeats)
    assert len(found) == repeats
    return found


def before(setting: Setting) -> list[str]:
    return [one.item_id for one in query_history(setting)]


def test_the_grid_holds_every_kind_strength_and_repeat(setting: Settings) -> None:
    made = variants(setting(), strengths=(0.2, 0.6), repeats=3)
    assert len(made) == len(KINDS) * 2 * 3
    assert Counter(one.kind for one in made) == dict.fromkeys(KINDS, 6)
    assert get_args(PerturbationKind) == KINDS
    assert len({row.name for row in ROWS}) == len({row.words for row in ROWS}) == len({row.short for row in ROWS}) == 10
    assert all(one.words for one in made)


def test_equal_choices_give_equal_variants_and_another_seed_others(setting: Settings) -> None:
    one, other = variants(setting()), variants(setting())
    assert one == other
    assert variants(setting(), seed=5) == variants(setting(), seed=5) != one


def test_a_variant_depends_on_nothing_but_its_own_name(setting: Settings) -> None:
    alone = variants(setting(), kinds=["typos"], strengths=[0.5], repeats=2)
    among = [one for one in variants(setting()) if one.kind == "typos" and one.strength == 0.5]
    assert alone == among[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_target_and_what_is_not_named_stay(setting: Settings, kind: PerturbationKind) -> None:
    base = setting()
    for one in only(base, kind):
        assert one.case.candidates == base.case.candidates
        assert one.case.target == base.case.target
        assert len(one.origin) == len(one.demos)
        changed_history = ids_of(one) != before(base)
        changed_demos = one.demos != prompt_demos(base)
        expected = {"typos": (False, False)}.get(kind, (kind.startswith(("history", "popular", "inject")), False))
        if kind.startswith(("demo", "label")):
            expected = (False, True)
        assert (changed_history, changed_demos) == expected
        assert bool(one.titles) == (kind == "typos")
        assert bool(one.touched) == changed_demos


@pytest.mark.parametrize(("strength", "touched"), [(0.01, 1), (0.25, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_strength_is_the_share_touched_and_at_least_one(setting: Settings, strength: float, touched: int) -> None:
    base = setting()
    assert {len(one.case.history) for one in only(base, "history_drop", strength)} == {4 - touched}
    assert {len(one.case.history) for one in only(base, "inject", strength)} == {4 + touched}
    for one in only(base, "popular_replace", strength):
        assert sum(a != b for a, b in zip(ids_of(one), before(base), strict=True)) == touched
    assert {len(one.demos) for one in only(base, "demo_drop", strength)} == {4 - touched}
    assert {len(one.demos) for one in only(base, "demo_duplicate", strength)} == {4 + touched}
    for one in only(base, "label_flip", strength):
        flips = [a.liked != b.liked for a, b in zip(one.demos, prompt_demos(base), strict=True)]
        assert sum(flips) == touched
        assert [place for place, flip in enumerate(flips) if flip] == list(one.touched)
    for one in only(base, "demo_permute", strength):
        assert sum(place != source for place, source in enumerate(one.origin)) == max(2, touched)
    for one in only(base, "history_shuffle", strength):
        assert sum(a != b for a, b in zip(ids_of(one), before(base), strict=True)) == max(2, touched)


def test_orders_change_and_members_stay(setting: Settings) -> None:
    base = setting()
    for kind in ("history_swap", "history_shuffle"):
        assert all(sorted(ids_of(one)) == sorted(before(base)) for one in only(base, kind))
    for one in only(base, "history_swap", 0.1):
        places = [place for place, (a, b) in enumerate(zip(ids_of(one), before(base), strict=True)) if a != b]
        assert len(places) == 2
        assert places[1] == places[0] + 1
    for one in only(base, "demo_permute", 1.0):
        assert sorted(one.demos, key=str) == sorted(prompt_demos(base), key=str)


def test_repeats_begin_with_each_demonstration_in_turn(setting: Settings) -> None:
    gone = [one.touched for one in variants(setting(), kinds=["demo_drop"], strengths=[0.1], repeats=4)]
    assert sorted(gone) == [(0,), (1,), (2,), (3,)]


def test_items_added_are_new_to_the_user_and_no_candidates(setting: Settings) -> None:
    base = setting()
    met = {one.item_id for one in base.dataset.history("u")}
    for kind in ("inject", "popular_replace"):
        for one in only(base, kind, 0.5, repeats=8):
            added = set(ids_of(one)) - set(before(base))
            assert added
            assert not added & met
            assert not added & set(base.case.candidates)
            assert len(set(ids_of(one))) == len(ids_of(one))


def test_copies_of_demonstrations_stand_at_the_end(setting: Settings) -> None:
    for one in only(setting(), "demo_duplicate", 0.5):
        assert one.origin == (0, 1, 2, 3, *one.touched)
        assert one.demos[4:] == tuple(one.demos[place] for place in one.touched)


def test_a_flipped_answer_reads_so_in_the_prompt(setting: Settings) -> None:
    base = setting()
    for one in only(base, "label_flip", 0.1):
        prompt = prompt_of_variant(base, one)
        for place, (new, old) in enumerate(zip(prompt.demos, base.prompt.demos, strict=True)):
            assert (new.text != old.text) == (place in one.touched)
            assert {new.text[-4:], old.text[-4:]} <= {"Yes\n", " No\n"}


def test_typos_leave_candidates_alone_and_change_shown_titles(setting: Settings) -> None:
    base = setting()
    for one in only(base, "typos", 0.3):
        assert not set(one.titles) & set(base.case.candidates)
        for item, title in one.titles.items():
            assert title != base.items[item].title
            assert set(title) <= set(base.items[item].title)
        assert prompt_of_variant(base, one).candidates == base.prompt.candidates


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("wording", ["plain", "explicit_specific", "specific"])
def test_an_unchanged_variant_is_the_original_prompt(setting: Settings, family: Any, chat: bool, wording: str) -> None:
    base = setting(family=family, chat=chat, wording=wording)
    one = only(base, "demo_permute")[0]
    plain = Variant("demo_permute", 0.5, 0, one.case, prompt_demos(base), (0, 1, 2, 3))
    assert prompt_of_variant(base, plain) == base.prompt


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    strength=st.floats(0.01, 1.0),
    seed=st.integers(0, 10_000),
    family=st.sampled_from(["yes_no", "next_item"]),
    chat=st.booleans(),
)
def test_every_perturbed_prompt_is_well_formed(
    setting: Settings, kind: PerturbationKind, strength: float, seed: int, family: Any, chat: bool
) -> None:
    base = setting(family=family, chat=chat)
    tokenizer: Any = base.model.tokenizer
    for one in variants(base, kinds=[kind], strengths=[strength], repeats=1, seed=seed):
        prompt = prompt_of_variant(base, one)
        assert [span.kind for span in prompt.prefix] == ["instruction", *["demo"] * len(one.demos), "query"]
        assert prompt.kept_demos == tuple(range(len(one.demos)))
        assert prompt.candidates == base.prompt.candidates
        assert prompt.answer_ids == base.prompt.answer_ids
        assert prompt.instruction == base.prompt.instruction
        for span in (*prompt.prefix, *prompt.candidates):
            assert len(span.offsets) == len(span.token_ids) > 0
            assert span.offsets[0][0] == 0
            assert span.offsets[-1][1] == len(span.text)
        written = [token for span in prompt.prefix for token in span.token_ids if token in tokenizer.control_ids]
        original = [token for span in base.prompt.prefix for token in span.token_ids if token in tokenizer.control_ids]
        assert written == original
        lines = Counter(span.text.count("\n") for span in prompt.demos)
        assert set(lines) <= {span.text.count("\n") for span in base.prompt.demos}
        assert all(
            title == prompt_title(title) and title.strip() and title.isprintable() for title in one.titles.values()
        )


@pytest.mark.parametrize(
    ("choices", "kinds", "reason"),
    [
        ({"family": "next_item"}, ["label_flip"], "no answer that could be flipped"),
        ({"demos": 0}, ["demo_drop", "demo_permute", "demo_duplicate", "label_flip"], "no demonstration"),
        ({"demos": 1}, ["demo_permute"], "no order to change"),
        ({"history": 0}, ["history_drop", "popular_replace"], "shows no history"),
        ({"history": 0}, ["history_swap", "history_shuffle"], "no history items; a change of order needs two"),
        ({"history": 1}, ["history_swap", "history_shuffle"], "1 history item; a change of order needs two"),
        ({"candidates": 16}, ["inject", "popular_replace"], "no other item that the user has not met"),
        ({"history": 0, "demos": 0}, ["typos"], "no title but those of candidates"),
    ],
)
def test_what_cannot_apply_is_left_out_with_its_reason(
    setting: Settings, choices: dict[str, Any], kinds: list[PerturbationKind], reason: str
) -> None:
    base = setting(**choices)
    for kind in kinds:
        assert variants(base, kinds=[kind]) == []
        assert reason in str(reason_against(base, kind))
    assert all(prompt_of_variant(base, one) for one in variants(base, repeats=1))


@pytest.mark.parametrize("strength", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_strength_that_is_no_share_is_refused(setting: Settings, strength: float) -> None:
    with pytest.raises(RequestError, match="expected a share above 0 and up to 1"):
        variants(setting(), strengths=[strength])


def test_unknown_kinds_and_no_repeats_are_refused(setting: Settings) -> None:
    unknown: Any = "earthquake"
    with pytest.raises(RequestError, match="earthquake"):
        variants(setting(), kinds=[unknown])
    with pytest.raises(RequestError, match="0 repeats"):
        variants(setting(), repeats=0)


def test_one_demonstration_and_one_title_are_enough_for_the_rest(setting: Settings) -> None:
    base = setting(demos=1, history=1)
    made = variants(base, strengths=[0.1], repeats=1)
    assert {one.kind for one in made} == set(KINDS) - {"demo_permute", "history_swap", "history_shuffle"}
    assert all(prompt_of_variant(base, one) for one in made)


def test_a_row_is_all_that_a_new_perturbation_needs(setting: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    name: Any = "history_reverse"
    row = Perturbation(name, "history reversed", "reverse", lambda draw: draw.with_history(draw.history[::-1], "back"))
    monkeypatch.setitem(PERTURBATIONS, name, row)
    base = setting()
    assert reason_against(base, name) is None
    assert [ids_of(variant) for variant in only(base, name, repeats=1)] == [before(base)[::-1]]
