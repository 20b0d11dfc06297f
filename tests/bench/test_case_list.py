from bench.case_list import TUNED_USERS, measured_users
from core.seeds import generator


class Data:
    def users(self, limit):
        assert limit >= 943
        return [(str(user), 20 + user % 40) for user in range(300)]


def test_nobody_is_measured_who_was_tuned_on_or_has_a_short_history():
    eligible = [user for user, count in Data().users(limit=1_000) if count >= 30]
    tuned = [eligible[place] for place in generator("dev").permutation(len(eligible))[:TUNED_USERS]]
    found = list(measured_users(Data(), 0))
    assert sorted(found) == sorted(set(eligible) - set(tuned))


def test_the_seed_fixes_the_order():
    assert list(measured_users(Data(), 0)) == list(measured_users(Data(), 0))
    assert list(measured_users(Data(), 0)) != list(measured_users(Data(), 1))
