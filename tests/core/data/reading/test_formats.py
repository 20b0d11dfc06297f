"""Every format is recognised from what its files hold and read as its authors mean it; expected rows are by hand."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from core_data_imports import Rows, imported, rows_of, titles_of, written

from core.data.dataset import open_dataset
from core.data.reading import formats
from core.data.reading.delimited import Delimited
from core.data.reading.import_choices import DataChoices
from core.data.reading.shapes import DataFormat, FileKind, shaped
from core.data.reading.sources import recognised
from core.errors import DataError

T = 1_000_000_000.0


@dataclass(frozen=True)
class Example:
    """Hand-written files and what they mean."""

    format: str
    files: dict[str, str | bytes]
    rows: Rows
    titles: dict[str, str] = field(default_factory=dict)
    noun: str = "item"
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notice: str = ""


def lines(*rows: object) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


FLAGS = "|".join(["0"] * 5 + ["1"] + ["0"] * 9 + ["1"] + ["0"] * 3)
U_ITEM = f"1|Toy Story (1995)|01-Jan-1995||http://x|{FLAGS}\n2|Amélie (2001)|01-Jan-2001||http://y|{FLAGS}\n"
HEX = "0123456789" * 4

EXAMPLES = {
    "movielens 100k": Example(
        "movielens",
        {
            "u.data": "1\t2\t3\t1000000005\n1\t1\t5\t1000000000\n2\t1\t4\t1000000001\n",
            "u.item": U_ITEM.encode("latin-1"),
        },
        [("1", "1", 5, T), ("1", "2", 3, T + 5), ("2", "1", 4, T + 1)],
        {"1": "Toy Story (1995)", "2": "Amélie (2001)"},
        "movie",
        {"1": ("Comedy", "Sci-Fi")},
        "u.item is not UTF-8 and is read as cp1252.",
    ),
    "movielens 1m": Example(
        "movielens",
        {
            "ratings.dat": "1::10::5::1000000000\n1::20::2::1000000001\n2::10::3::1000000002\n",
            "movies.dat": "10::Star Wars: Episode IV (1977)::Action|Sci-Fi\n20::Léon (1994)::Crime\n".encode("latin-1"),
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
        },
        [("1", "10", 5, T), ("1", "20", 2, T + 1), ("2", "10", 3, T + 2)],
        {"10": "Star Wars: Episode IV (1977)", "20": "Léon (1994)"},
        "movie",
        {"10": ("Action", "Sci-Fi"), "20": ("Crime",)},
    ),
    "movielens 10m": Example(
        "movielens",
        {
            "ratings.dat": "1::10::4.5::1000000000\n2::10::0.5::1000000002\n",
            "movies.dat": "10::Léon (1994)::Crime\n",
            "tags.dat": "1::10::great, really::1000000000\n",
        },
        [("1", "10", 4.5, T), ("2", "10", 0.5, T + 2)],
        {"10": "Léon (1994)"},
        "movie",
    ),
    "movielens 32m": Example(
        "movielens",
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,20,4.0,1000000001\n1,10,3.5,1000000000\n",
            "movies.csv": 'movieId,title,genres\n10,"American President, The (1995)",Comedy|Drama\n'
            '20,"She said ""no"" (1990)",(no genres listed)\n',
            "links.csv": "movieId,imdbId,tmdbId\n10,0112346,9087\n",
            "tags.csv": "userId,movieId,tag,timestamp\n1,10,funny,1000000000\n",
        },
        [("1", "10", 3.5, T), ("1", "20", 4, T + 1)],
        {"10": "American President, The (1995)", "20": 'She said "no" (1990)'},
        "movie",
    ),
    "amazon 2014 ratings": Example(
        "amazon",
        {
            "ratings_Games.csv": "A2CX7LUOHB2NDG,0321732944,5.0,1000000000\nA2NWSAGRHCP8N5,0439886341,1.0,1000000001\n",
            "meta_Games.json": "{'asin': '0321732944', 'title': \"Kelby's Guide\", 'imUrl': 'x',"
            " 'categories': [['Books', 'Photo']]}\n{'asin': '0439886341', 'imUrl': 'y', 'title': 'Digital \\'x\\''}\n",
        },
        [("A2CX7LUOHB2NDG", "0321732944", 5, T), ("A2NWSAGRHCP8N5", "0439886341", 1, T + 1)],
        {"0321732944": "Kelby's Guide", "0439886341": "Digital 'x'"},
        categories={"0321732944": ("Books", "Photo")},
        notice="There is no header: the user stands first, as the form of the ids says.",
    ),
    "amazon 2018 ratings": Example(
        "amazon",
        {"Games.csv": "0321732944,A2CX7LUOHB2NDG,5.0,1000000000\nB00004YUX6,A2NWSAGRHCP8N5,1.0,1000000001\n"},
        [("A2CX7LUOHB2NDG", "0321732944", 5, T), ("A2NWSAGRHCP8N5", "B00004YUX6", 1, T + 1)],
        notice="There is no header: the item stands first, as the form of the ids says.",
    ),
    "amazon 2018 reviews": Example(
        "amazon",
        {
            "Games_5.json.gz": gzip.compress(
                lines(
                    {"overall": 5.0, "reviewerID": "A1", "asin": "B1", "unixReviewTime": 1000000000, "vote": "3"},
                    {"overall": 2.0, "reviewerID": "A1", "asin": "B2", "unixReviewTime": 1000000009},
                ).encode()
            ),
            "meta_Games.json": lines(
                {"asin": "B1", "title": "A &amp; B", "category": ["Games", "Card, Board"], "brand": "x"},
                {"asin": "B2", "title": '<span class="a-size-medium a-color-secondary"', "category": [], "brand": ""},
            ),
        },
        [("A1", "B1", 5, T), ("A1", "B2", 2, T + 9)],
        {"B1": "A & B", "B2": "untitled (B2)"},
        categories={"B1": ("Games", "Card, Board"), "B2": ()},
        notice="1 title is the rest of a web page, read as missing.",
    ),
    "amazon 2023 reviews": Example(
        "amazon",
        {
            "Games.jsonl": lines(
                {"rating": 5.0, "title": "Wow!", "parent_asin": "B1", "user_id": "AE", "timestamp": 1000000000000},
                {"rating": 1.0, "title": "Meh", "parent_asin": "B2", "user_id": "AE", "timestamp": 1000000001500},
            ),
            "meta_Games.jsonl": lines(
                {"main_category": "Games", "title": "Tin Harbour", "parent_asin": "B1", "store": "x", "price": None},
                {"main_category": None, "title": None, "parent_asin": "B2", "store": "x", "price": "None"},
            ),
        },
        [("AE", "B1", 5, T), ("AE", "B2", 1, T + 1.5)],
        {"B1": "Tin Harbour", "B2": "untitled (B2)"},
        categories={"B1": ("Games",)},
    ),
    "amazon 2023 benchmark": Example(
        "amazon",
        {
            "Games.test.csv": "user_id,parent_asin,rating,timestamp,history\nAE,B3,4.0,1000000003000,B1 B2\n",
            "Games.train.csv": "user_id,parent_asin,rating,timestamp,history\nAE,B1,5.0,1000000000000,\n",
            "Games.valid.csv": "user_id,parent_asin,rating,timestamp,history\nAE,B2,1.0,1000000002000,B1\n",
        },
        [("AE", "B1", 5, T), ("AE", "B2", 1, T + 2), ("AE", "B3", 4, T + 3)],
    ),
    "mind": Example(
        "mind",
        {
            "behaviors.tsv": "1\tU1\t9/9/2001 1:46:41 AM\tN9 N8\tN1-1 N2-0\n2\tU1\t9/9/2001 12:46:42 PM\tN9 N8\tN3-0\n"
            "3\tU2\t9/9/2001 1:46:40 AM\t\tN1-0\n",
            "news.tsv": 'N1\tsports\tgolf\t"The Brands\tabstract\turl\t[]\t[]\n'
            "N2\tnews\tworld\tCost; of\t\turl\t[]\t[]\n",
        },
        [
            ("U1", "N9", 1, T), ("U1", "N8", 1, T), ("U1", "N1", 1, T + 1), ("U1", "N2", 0, T + 1),
            ("U1", "N3", 0, T + 11 * 3600 + 2), ("U2", "N1", 0, T),
        ],
        {"N1": '"The Brands', "N2": "Cost; of", "N3": "unknown title (N3)"},
        "news",
        {"N1": ("sports",)},
        "Each item of an impression is one interaction: clicked is Yes, not clicked is No.",
    ),
    "book-crossing": Example(
        "book-crossing",
        {
            "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"7";"034545104X";"0"\n"7";"0155061224";"5"\n'
            '"8";"0155061224";"10"\n"8";"0446520802";"7"\n"9";"0446520802";"3"\n',
            "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"\n'
            '"034545104X";"Flesh; and Blood";"X";"2002"\n'
            '"0155061224";"Rites \\"of\\" Café";"Y";"2001"\n'.encode("cp1252"),
        },
        [("7", "034545104X", None, None), ("7", "0155061224", 5, None), ("8", "0155061224", 10, None),
         ("8", "0446520802", 7, None), ("9", "0446520802", 3, None)],
        {"034545104X": "Flesh; and Blood", "0155061224": 'Rites "of" Café', "0446520802": "unknown title (0446520802)"},
        "book",
        notice="Rating 0 means that the book was met and not rated, as Book-Crossing says; there are no times.",
    ),
    "last.fm hetrec": Example(
        "last-fm",
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n3\t51\t1\n",
            "artists.dat": 'id\tname\turl\tpictureURL\n51\t"Duran Duran\thttp\tx\n52\tMorcheeba\thttp\ty\n',
            "user_friends.dat": "userID\tfriendID\n2\t3\n",
        },
        [("2", "51", 13883, None), ("2", "52", 11690, None), ("3", "51", 1, None)],
        {"51": '"Duran Duran', "52": "Morcheeba"},
        "artist",
    ),
    "last.fm 360k": Example(
        "last-fm",
        {"plays.tsv": f"{HEX}\tf467181e-d5e0\tthe smiths\t2137\n{HEX}\t\tdie Ärzte\t10\n"},
        [(HEX, "the smiths", 2137, None), (HEX, "die Ärzte", 10, None)],
        {"the smiths": "the smiths", "die Ärzte": "die Ärzte"},
        "artist",
    ),
    "last.fm 1k": Example(
        "last-fm",
        {
            "plays.tsv": "user_000001\t2001-09-09T01:46:45Z\taid\tAbba\ttid\tS.O.S.\n"
            "user_000001\t2001-09-09T01:46:40Z\t\tAbba\t\tFernando\n"
        },
        [("user_000001", "Abba – Fernando", None, T), ("user_000001", "tid", None, T + 5)],
        {"Abba – Fernando": "Abba – Fernando", "tid": "Abba – S.O.S."},
        "track",
    ),
    "steam reviews": Example(
        "steam",
        {
            "steam_reviews.json": "{u'username': u'Chaos \\u00e9', u'hours': 6.9, u'product_id': u'35140',"
            " u'date': u'2001-09-09', u'text': u'ok \\'x\\'', u'early_access': False}\n"
            "{u'username': u'B', u'product_id': u'35140', u'date': u'2001-09-10', u'hours': 10}\n",
            "steam_games.json": "{u'app_name': u'Batman', u'genres': [u'Action', u'RPG'], u'id': u'35140',"
            " u'title': u'Batman: GOTY'}\n",
        },
        [("B", "35140", 10, 1000080000.0), ("Chaos é", "35140", 6.9, 999993600.0)],
        {"35140": "Batman: GOTY"},
        "product",
        categories={"35140": ("Action", "RPG")},
    ),
    "steam libraries": Example(
        "steam",
        {
            "users_items.json": "{'user_id': 'a', 'items_count': 2, 'steam_id': '1', 'items': [{'item_id': '10',"
            " 'item_name': 'Counter-Strike', 'playtime_forever': 6}, {'item_id': '20', 'item_name': 'TF', "
            "'playtime_forever': 0}]}\n{'user_id': 'b', 'items_count': 0, 'steam_id': '2', 'items': []}\n"
        },
        [("a", "10", 6, None), ("a", "20", 0, None)],
        {"10": "Counter-Strike", "20": "TF"},
    ),
    "steam 200k": Example(
        "steam",
        {
            "steam-200k.csv": "151603712,Fallout 4,purchase,1.0,0\n151603712,Fallout 4,play,87.0,0\n"
            '5,"Warhammer, 40k",purchase,1.0,0\n'
        },
        [("151603712", "Fallout 4", None, None), ("5", "Warhammer, 40k", None, None)],
        {"Fallout 4": "Fallout 4", "Warhammer, 40k": "Warhammer, 40k"},
        "game",
    ),
    "goodreads csv": Example(
        "goodreads",
        {
            "goodreads_interactions.csv": "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,1,0,1\n"
            "1,9,1,2,0\n1,10,0,4,0\n"
        },
        [("0", "948", 5, None), ("0", "947", None, None), ("1", "9", 2, None), ("1", "10", 4, None)],
        noun="book",
    ),
    "goodreads json": Example(
        "goodreads",
        {
            "goodreads_interactions_poetry.json": lines(
                {"user_id": "u", "book_id": "7", "rating": 4, "date_added": "Sun Sep 09 03:46:40 +0200 2001"},
                {"user_id": "u", "book_id": "8", "rating": 2, "date_added": "Sat Sep 08 18:46:50 -0700 2001"},
            ),
            "goodreads_books_poetry.json": lines({"book_id": "7", "title": "Fleurs"}, {"book_id": "8", "title": "x"}),
        },
        [("u", "7", 4, T), ("u", "8", 2, T + 10)],
        {"7": "Fleurs", "8": "x"},
        "book",
    ),
    "yelp": Example(
        "yelp",
        {
            "review.json": lines(
                {"review_id": "r", "user_id": "u", "business_id": "b", "stars": 4, "date": "2001-09-09 01:46:40"},
                {"review_id": "s", "user_id": "u", "business_id": "c", "stars": 1, "date": "2001-09-10"},
            ),
            "business.json": lines({"business_id": "b", "name": "Café", "categories": "Food, Bars"}),
        },
        [("u", "b", 4, T), ("u", "c", 1, 1000080000.0)],
        {"b": "Café", "c": "unknown title (c)"},
        "business",
        categories={"b": ("Food", "Bars")},
    ),
    "recbole parts": Example(
        "recbole",
        {
            "ml.train.inter": "user_id:token\titem_id:token\tlabel:float\nu\t1\t1\n",
            "ml.test.inter": "user_id:token\titem_id:token\tlabel:float\nu\t2\t0\n",
            "ml.item": "item_id:token\tmovie_title:token_seq\n1\tDune\n2\tEmma\n",
        },
        [("u", "1", 1, None), ("u", "2", 0, None)],
        {"1": "Dune", "2": "Emma"},
        "movie",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_format_is_recognised_and_read(tmp_path: Path, own_home: Path, name: str) -> None:
    example = EXAMPLES[name]
    with imported(tmp_path / "files", example.files) as (dataset, report):
        assert report.format == example.format
        assert rows_of(dataset) == example.rows
        titles = titles_of(dataset)
        assert {item: titles[item] for item in example.titles} == example.titles
        assert dataset.noun == example.noun
        assert {item: dataset.item(item).categories for item in example.categories} == example.categories
        assert example.notice in ("", *dataset.notices)
        assert report.rejected == 0


@pytest.mark.parametrize("name", ["movielens 100k", "movielens 1m", "movielens 32m", "mind", "book-crossing"])
def test_a_folder_of_such_files_opens_by_itself(tmp_path: Path, own_home: Path, name: str) -> None:
    example = EXAMPLES[name]
    if name in ("movielens 100k", "movielens 1m", "book-crossing"):  # Text that is no UTF-8 needs a report first.
        example.files.update({n: t.decode("cp1252") for n, t in example.files.items() if isinstance(t, bytes)})
    written(tmp_path / "files", {**example.files, "README.txt": "About these files.\n"})
    assert rows_of(open_dataset(str(tmp_path / "files"))) == example.rows


def test_a_further_row_is_a_further_format(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Delimited("@", ("who", "what", "rating"), header=False, named_by="a click has")
    taken = {"user": "who", "item": "what", "rating": "rating"}
    kind = FileKind(
        "interactions",
        "clicks",
        lambda probe: shaped(layout, taken) if probe.lines[0].count("@") == 2 else None,  # type: ignore[arg-type]
    )
    clicks = DataFormat("clicks", "a file of clicks", (kind,))
    monkeypatch.setattr(formats, "FORMATS", (clicks, *formats.FORMATS))
    files = {"clicks.txt": "a@1@5\na@2@1\nb@1@5\nb@3@x\n"}
    with imported(tmp_path, files) as (dataset, report):
        assert (report.format, report.rejected) == ("clicks", 1)
        assert [(met.item_id, dataset.liked(met)) for met in dataset.history("a")] == [("1", True), ("2", False)]
    with pytest.raises(DataError, match=r"clicks\.txt, line 4: rating is 'x'"):
        open_dataset(str(tmp_path))


def test_a_format_that_is_set_by_hand_is_the_only_one_tried(tmp_path: Path, own_home: Path) -> None:
    paths = written(tmp_path, {"ratings.csv": "userId,movieId,rating,timestamp\n1,10,3.5,1000000000\n"})
    assert recognised(paths).format.name == "movielens"
    with imported(tmp_path, {"ratings.csv": paths[0].read_text()}, format="table") as (dataset, report):
        assert report.format == "table"
        assert rows_of(dataset) == [("1", "10", 3.5, None)]  # One time orders nothing.
    with pytest.raises(DataError, match=r"ratings\.csv: this is none of the files of mind"):
        recognised(paths, DataChoices(format="mind"))
    with pytest.raises(DataError, match=r"--format: no format 'pinterest'; expected one of recbole, movielens"):
        recognised(paths, DataChoices(format="pinterest"))


def test_files_that_could_each_be_meant_are_named(tmp_path: Path, own_home: Path) -> None:
    row = "AE,B3,4.0,1000000003000\n"
    head = "user_id,parent_asin,rating,timestamp\n"
    written(tmp_path, {"Games.csv": head + row, "Books.csv": head + row, "x.pkl": b"\x80\x04\x95abc"})
    with pytest.raises(
        DataError, match=r"2 files hold interactions: Books\.csv \(Amazon ratings of 2023\), Games\.csv"
    ):
        recognised([tmp_path])
    together = recognised([tmp_path / "Games.csv", tmp_path / "Books.csv"])
    assert len(together.interactions) == 2
