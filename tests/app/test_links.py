import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import links
from app.links import Choices
from core.question.case_spec import CaseSpec
from core.analysis.robustness.inference_settings import InferenceSettings

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
IDS = st.lists(NAMES, max_size=5).map(tuple)


@st.composite
def requests(draw):
    demo_ids = draw(st.none() | IDS)
    strategies = ["recent", "similar", "random", "diverse"] + ([] if demo_ids is None else ["manual"])
    target = draw(st.none() | NAMES)
    return Request(
        dataset=draw(NAMES),
        user=draw(NAMES),
        split=draw(st.sampled_from(["last", "time"])),
        demos=draw(st.integers(0, 32)),
        strategy=draw(st.sampled_from(strategies)),
        demo_ids=demo_ids,
        candidates=draw(st.integers(2, 200)),
        candidate_ids=draw(st.none() | IDS),
        sampling=draw(st.sampled_from(["uniform", "popularity"])),
        family=draw(st.sampled_from(["yes_no", "next_item"])),
        chat=draw(st.booleans()),
        history=draw(st.integers(0, 50)),
        scoring=draw(st.sampled_from(["sum", "mean", "calibrated"])),
        model=draw(NAMES),
        adapter=draw(st.none() | NAMES),
        method=draw(st.sampled_from(["default", "gradient", "shapley"])),
        target=target,
        against=draw(st.none() | NAMES.filter(lambda name: name != target)),
        budget=draw(st.floats(0.01, 1000)),
        precision=draw(st.floats(0, 10)),
        matrix=draw(st.booleans()),
        faithfulness=draw(st.integers(0, 256)),
        seed=draw(st.integers(-(2**40), 2**40)),
    )


@given(requests(), st.none() | st.integers(1, 32), st.none() | NAMES)
def test_a_link_gives_the_same_choices_again(request, demo, item):
    choices = Choices(request, demo, item)
    assert links.read(links.written(choices)) == (choices, "")


def test_defaults_vanish_from_the_link():
    assert links.written(Choices()) == {}
    assert links.written(Choices(Request(demos=4), demo=3, item="50")) == {
        "demos": ["4"],
        "demo": ["3"],
        "item": ["50"],
    }


def test_no_demonstrations_by_hand_is_not_the_default():
    assert links.read({"with": [""]})[0].request.demo_ids == ()


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"demos": ["99"]}, "demos"),
        ({"demos": ["4", "5"]}, "demos"),
        ({"demos": ["nan"]}, "demos"),
        ({"demos": ["4.5"]}, "demos"),
        ({"budget": ["inf"]}, "budget"),
        ({"budget": ["nan"]}, "budget"),
        ({"precision": ["1e400"]}, "precision"),
        ({"user": ["x" * 501]}, "user"),
        ({"user": [""]}, "user"),
        ({"strategy": ["manual"]}, "strategy"),
        ({"target": ["5"], "against": ["5"]}, "against"),
        ({"with": ["1:2"] * 33}, "with"),
        ({"chat": ["maybe"]}, "chat"),
        ({"demo": ["0"]}, "demo"),
        ({"demo": ["-1"]}, "demo"),
        ({"item": ["a", "b"]}, "item"),
        ({"nonsense": ["1"]}, "nonsense"),
        ({"seed": ["9" * 400]}, "seed"),
        ({"demos": ["٤"]}, "demos"),
    ],
)
def test_a_wrong_part_gives_the_default_and_one_sentence(query, named):
    choices, notice = links.read(query)
    assert named in notice
    assert notice.count(".") == 1
    assert choices.request in (Request(), Request(target="5"))


def test_the_rest_of_a_wrong_link_still_counts():
    choices, notice = links.read({"user": ["7"], "demos": ["many"], **{f"x{n}": ["1"] for n in range(900)}})
    assert choices.request.user == "7"
    assert "897 more" in notice
    assert len(notice) < 300


@given(
    st.dictionaries(
        st.sampled_from([links.parameter(n) for n in links.ORDER] + [*links.RESERVED, "x"]),
        st.lists(st.text(max_size=30), max_size=3),
    )
)
def test_no_link_is_an_error(query):
    choices, _ = links.read(query)
    assert links.read(links.written(choices)) == (choices, "")


def test_only_the_sample_starts_by_itself():
    assert not links.foreign(Request(user="9"))
    assert links.foreign(Request(model="some/hub-name"))
    assert links.foreign(Request(dataset="/tmp/mine"))
    assert links.foreign(Request(adapter="/tmp/adapter"))


SETTINGS = st.builds(
    InferenceSettings,
    alpha=st.floats(0, 0.99),
    beta=st.floats(0, 1),
    sigma=st.floats(0, 1),
    dropout=st.floats(0, 0.99),
    samples=st.integers(1, 64),
)


@given(SETTINGS)
def test_a_link_gives_the_same_changed_models_again(settings):
    choices = Choices(Request(user="7"), inference=None if settings.plain else settings)
    assert links.read(links.written(choices)) == (choices, "")


def test_a_link_without_any_change_is_the_plain_model():
    assert links.read({"samples": ["4"], "alpha": ["0"]}) == (Choices(), "")
    assert links.written(Choices(inference=InferenceSettings(alpha=0.25, samples=4))) == {
        "alpha": ["0.25"],
        "samples": ["4"],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", "1"), ("alpha", "nan"), ("beta", "1.5"), ("sigma", "-1"), ("dropout", "1"), ("samples", "65")],
)
def test_a_change_that_cannot_be_is_named_and_the_rest_is_kept(name, value):
    choices, notice = links.read({name: [value], "user": ["7"]} | ({} if name == "beta" else {"beta": ["0.5"]}))
    assert f"({name})" in notice
    assert choices.request.user == "7"
    assert choices.inference == (None if name == "beta" else InferenceSettings(beta=0.5))


def test_the_comparison_beside_an_explanation_is_of_its_case_alone():
    assert links.beside(Choices(Request(user="7"))) is None
    settings = InferenceSettings(sigma=0.1, samples=3)
    request = Request(user="7", demos=4, method="gradient", budget=3, faithfulness=32, matrix=False, target="5")
    task = links.beside(Choices(request, inference=settings))
    assert task is not None
    assert task.inference == settings
    assert task.quick
    assert task.case == Request(user="7", demos=4, target="5")
