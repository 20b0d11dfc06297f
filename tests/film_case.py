"""A case about six films, and templates for it: what tests of prompts share."""

from core.data.records import Case, Interaction, Item

ITEMS = {
    "0": Item("0", "Alien", ("Horror", "Sci-Fi")),
    "1": Item("1", "Heat", ("Crime",)),
    "2": Item("2", "Ran", ("Drama", "War")),
    "3": Item("3", "Brazil", ("Sci-Fi",)),
    "4": Item("4", "Fargo", ("Comedy", "Crime")),
    "5": Item("5", "Seven", ("Thriller",)),
}
CASE = Case("d", "u", "last", tuple(Interaction(item, int(item)) for item in "0123"), ("4", "5"), "4", None, 0)
NEXT = (
    "[instruction]\nPick a {noun}.\n[demo]\nSeen {history}, then {item}\n[query]\nSeen {history}, then\n"
    "[candidate]\n{item}\n"
)
YES_NO = "[instruction]\n[demo]\n{history}: {item}? {answer}\n[query]\n{history}\n[candidate]\n{item}? Yes or No:"
