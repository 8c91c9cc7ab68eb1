"""Every attack of the catalogue, what is played elsewhere, what is owed; and all of it as a table of the reference."""

from attacks import on_files, on_git, on_host, on_kernel, on_processes
from attacks.attack import TIER_0, TIERS, Attack

ATTACKS = tuple(
    sorted(
        (*on_files.ATTACKS, *on_git.ATTACKS, *on_host.ATTACKS, *on_kernel.ATTACKS, *on_processes.ATTACKS),
        key=lambda attack: (int(attack.row.rstrip("bcde")), attack.row),
    )
)

ELSEWHERE = {
    "39": (
        "steer the terminal with names, messages, output",
        "tests/attacks/test_routes.py::test_nothing_that_a_session_says_steers_a_terminal",
    ),
    "41": (
        "fill the disk with many files",
        "tests/e2e/test_watchdog.py::test_attack_41_many_small_files_freeze_the_session_and_the_person_lets_it_go_on",
    ),
    "43": (
        "have a page reach a preview by another name (DNS rebinding)",
        "tests/attacks/test_previews.py::test_attack_43_who_comes_by_another_name_is_connected_to_nothing",
    ),
    "44": (
        "have a foreign page write to a preview, or open a WebSocket to it",
        "tests/attacks/test_previews.py::test_attack_44_a_foreign_page_sends_nothing_that_does_harm",
    ),
    "45": (
        "plant a cookie on other previews and on all of localhost",
        "tests/attacks/test_previews.py::test_attack_45_a_cookie_is_for_no_other_name_than_the_one_that_was_asked",
    ),
    "46": (
        "ask Heddle for something as another session",
        "tests/e2e/test_session_tools.py::test_x1_nobody_comes_to_a_sessions_tools_without_its_token_and_none_after_its_end",
    ),
    "49": (
        "edit the tests and checks by which it is judged",
        "tests/e2e/test_fleet.py::test_m8_edited_tests_are_told_and_the_agreed_checks_still_run",
    ),
    "49b": (
        "edit the rules of other agents, or what builds run",
        "tests/e2e/test_steering.py::test_attack_49b_a_change_that_steers_others_waits_for_a_person",
    ),
    "56": (
        "change what was approved",
        "tests/e2e/test_fleet.py::test_p1_an_approval_of_another_digest_is_refused",
    ),
}
"""Attacks on the whole of Heddle, with the tests that play them."""

OWED: dict[str, tuple[str, str]] = {}
"""Attacks for which there is no guard yet, and what is missing."""


PREFACE = """# Attacks

What a hostile session tries, as the tests in `tests/attacks` play it, and what each tier does about it. Every attack is
seen to get through somewhere, or its being stopped would prove nothing: at tier 0, where nothing encloses a session, or,
where plain Linux or Heddle itself stops it there too, in a box from which just that guard was taken. An empty cell: it
is not played there.
"""


def table() -> str:
    """The page of the reference."""
    tiers = [tier for tier in TIERS if tier > 0]
    head = ["#", "a session tries", "tier 0", *(f"tier {tier}" for tier in tiers), "is seen to get through"]
    played = [_cells(attack, tiers) for attack in ATTACKS]
    elsewhere = [[row, name, f"`{test}`"] for row, (name, test) in ELSEWHERE.items()]
    owed = [[row, *what] for row, what in OWED.items()]
    parts = (
        *(PREFACE, _lines(head, played), "\n## Played against the whole of Heddle\n"),
        _lines(["#", "a session tries", "test"], elsewhere),
    )
    if owed:
        parts += ("\n## Not guarded yet\n", _lines(["#", "a session tries", "what is missing"], owed))
    return "\n".join(parts) + "\n"


def _cells(attack: Attack, tiers: list[int]) -> list[str]:
    where = attack.control + (", by the administrator" if attack.root else "")
    stops = ["gets through" if tier in attack.passes else "stopped" for tier in tiers]
    return [attack.row, attack.name, "gets through" if attack.control == TIER_0 else "", *stops, where]


def _lines(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
