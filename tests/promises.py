"""The promises of the product: a kept one names the tests that prove it, an unkept one what is still owed.

Each kept promise has a deliberate break in tests/breaks/<ID>.py; tests/test_promises.py runs the proving tests under
it and sees them fail. The words in full are the project's; here is the gist of each.
"""

from dataclasses import dataclass

TRACKER = "tests/e2e/test_tracker.py"
FLEET = "tests/e2e/test_fleet.py"
BOXED = "tests/e2e/test_box_fleet.py"
WATCHED = "tests/e2e/test_watchdog.py"
YARD = "tests/integration/test_workspace_promises.py"
HOLDER = "tests/integration/test_holder.py"
CORE = "tests/core"
NOTING = "tests/integration/test_noting.py"
GIT = "tests/integration"
ATTACKS = "tests/attacks"
CONTRACT = "tests/contract/test_workspaces.py"


@dataclass(frozen=True)
class Promise:
    """Its gist, the tests that prove it (under its break each of them fails), and what is owed while there are none."""

    gist: str
    tests: tuple[str, ...] = ()
    owed: str = ""


PROMISES: dict[str, Promise] = {
    "W1": Promise(
        "a removed workspace comes back whole",
        (f"{YARD}::test_w1_all_that_a_workspace_held_comes_back",),
    ),
    "W2": Promise(
        "only what is provably ours is removed",
        (
            f"{YARD}::test_w2_what_cannot_be_proved_ours_is_never_removed",
            f"{YARD}::test_w2_workspaces_inside_a_checkout_are_refused",
        ),
    ),
    "W3": Promise(
        "removal is rename to trash, any doubt keeps it",
        (
            f"{YARD}::test_w3_removal_is_a_rename_to_the_trash_with_everything_in_it",
            f"{YARD}::test_w3_work_that_comes_during_a_removal_is_kept_too",
        ),
    ),
    "W4": Promise(
        "a workspace in use is never removed",
        (
            f"{YARD}::test_w4_a_workspace_with_a_live_process_stays",
            f"{CONTRACT}::test_w4_a_workspace_with_a_person_in_it_stays",
        ),
    ),
    "W5": Promise(
        "gc and prune beside commits lose nothing",
        (
            f"{GIT}/test_git_objects.py::test_pruning_between_any_two_steps_loses_no_object",
            f"{CONTRACT}::test_w5_housekeeping_in_the_repository_takes_nothing_from_a_session",
        ),
    ),
    "W6": Promise(
        "a crash between any two steps is idempotent after restart",
        (f"{FLEET}::test_w6_the_next_daemon_goes_on_with_the_session_that_lives",),
    ),
    "W7": Promise(
        "a stall is judged by progress, and a kill keeps the work first",
        (
            f"{FLEET}::test_w7_an_agent_that_makes_no_progress_is_ended_and_its_work_is_kept",
            f"{WATCHED}::test_w7_a_frozen_session_that_is_stopped_fails_its_attempt_and_its_work_comes_back",
        ),
    ),
    "W8": Promise(
        "auto-commits add nothing ignored, huge or foreign",
        (f"{YARD}::test_w8_a_result_holds_nothing_ignored_huge_or_foreign",),
    ),
    "W9": Promise(
        "unreadable or newer state is kept aside and reported",
        (
            f"{GIT}/test_journal_sqlite.py::test_one_unreadable_record_is_told_and_hides_no_other",
            f"{GIT}/test_journal_sqlite.py::test_a_journal_of_a_newer_heddle_is_refused_and_left_as_it_is",
            f"{GIT}/test_journal_sqlite.py::test_a_damaged_file_is_refused_and_never_replaced_by_an_empty_one",
        ),
    ),
    "W10": Promise(
        "a full disk stops new work and corrupts nothing",
        (
            f"{GIT}/test_journal_full_disk.py::test_a_full_disk_stops_an_append_whole_and_work_resumes_with_room",
            f"{GIT}/test_journal_full_disk.py::test_a_full_disk_stops_new_work_in_clear_words_and_the_work_goes_on_when_there_is_room",
            f"{WATCHED}::test_w10_sessions_freeze_while_the_disk_is_nearly_full_and_go_on_by_themselves",
        ),
    ),
    "W11": Promise(
        "the person's own checkout is never changed but by a safe two-tree update",
        (
            f"{GIT}/test_git_landing.py::test_landings_leave_unsaved_work_as_it_is",
            f"{GIT}/test_git_landing.py::test_unsaved_work_in_the_way_holds_the_landing",
            "tests/e2e/test_rules.py::test_w11_what_is_uncommitted_is_refused_and_nothing_is_written",
        ),
    ),
    "C1": Promise(
        "exactly one winner per claim, fenced",
        (
            f"{TRACKER}::test_c1_a_late_writer_is_refused_also_under_the_same_name",
            f"{TRACKER}::test_c1_what_a_claimant_made_lands_under_the_newest_token_alone",
        ),
    ),
    "C2": Promise(
        "contention is an error or a wait, never an empty answer",
        (
            f"{GIT}/test_journal_sqlite.py::test_contention_is_an_error_and_never_an_empty_answer",
            f"{GIT}/test_journal_sqlite.py::test_a_locked_file_is_not_an_empty_journal",
        ),
    ),
    "C3": Promise(
        "one function tells the state of a task",
        (f"{FLEET}::test_c3_every_door_tells_the_same_state",),
    ),
    "C4": Promise(
        "unknown is a state of its own, with a reason",
        (f"{FLEET}::test_c4_what_was_not_looked_at_is_unknown_and_says_so",),
    ),
    "C5": Promise(
        "every finished stage has a successor or a named reason for waiting",
        (f"{FLEET}::test_c5_a_waiting_task_names_what_it_waits_for",),
    ),
    "C6": Promise(
        "status reads take no lock and touch no index",
        (f"{GIT}/test_git_reads.py::test_reads_neither_need_nor_take_a_lock_and_leave_every_index_alone",),
    ),
    "C7": Promise("a merged task closes exactly once", (f"{TRACKER}::test_c7_a_task_closes_once",)),
    "S1": Promise("admission reserves before launch", owed="budgets and reservations"),
    "S2": Promise("budgets per task, stage, role, day and fleet", owed="budgets"),
    "S3": Promise(
        "an idle fleet makes no model call and costs under 1 % of a core", owed="the measurement with 20 sessions"
    ),
    "S4": Promise("throttle, quota, billing and outage are told apart", owed="accounts and their clocks"),
    "S5": Promise("one clock per account", owed="accounts"),
    "S6": Promise("a dead environment opens a breaker", owed="the breaker"),
    "S7": Promise("an unknown price is unknown, never zero", owed="the ledger"),
    "D1": Promise(
        "a message reaches an agent once, and never a dead one's shell",
        (
            f"{HOLDER}::test_a_message_is_written_once_also_when_the_next_daemon_sends_it_again",
            f"{HOLDER}::test_a_message_never_reaches_what_a_dead_agent_left_at_its_input",
            f"{NOTING}::test_d1_what_a_session_that_was_let_go_did_not_hear_is_not_said_to_be_given_to_it",
            f"{NOTING}::test_d1_a_conversation_that_goes_on_is_given_again_only_what_nothing_tells_that_it_had",
            "tests/e2e/test_session_questions.py::"
            "test_d1_an_answer_that_comes_after_the_turn_ended_is_the_sessions_next_turn_once",
        ),
    ),
    "D2": Promise(
        "isolation asked for but not obtained: no start",
        (
            f"{BOXED}::test_d2_a_sandbox_that_was_asked_for_and_cannot_be_had_starts_nothing",
            f"{GIT}/test_landlock.py::test_d2_what_cannot_be_confined_does_not_start",
        ),
    ),
    "D3": Promise(
        "resuming never starts a second agent on a session that lives",
        (f"{HOLDER}::test_a_killed_daemon_leaves_the_turn_running_and_the_next_one_attaches_without_a_second_start",),
    ),
    "D4": Promise(
        "after a stop no process, port, lock or socket is left",
        (
            f"{GIT}/test_box.py::test_d4_after_a_stop_nothing_of_it_is_left",
            f"{GIT}/test_landlock.py::test_d4_a_stop_leaves_nothing_of_a_confined_process",
            f"{HOLDER}::test_a_stop_leaves_no_process_port_lock_or_socket",
            f"{HOLDER}::test_nothing_is_left_either_when_the_parent_left_first",
            f"{CONTRACT}::test_d4_sealing_ends_the_visit_of_a_person_with_all_they_started",
        ),
    ),
    "D5": Promise(
        "done without evidence is not done",
        (f"{FLEET}::test_d5_done_without_a_change_is_not_done",),
    ),
    "D6": Promise("a deleted directory fails the run", (f"{YARD}::test_d6_a_deleted_tree_is_lost_whatever_is_asked",)),
    "M1": Promise(
        "only the validated tree lands, by compare-and-swap",
        (f"{GIT}/test_git_landing.py::test_only_the_validated_tree_lands_and_only_from_where_it_was_validated",),
    ),
    "M2": Promise(
        "what breaks together is held with the culprit named",
        (f"{FLEET}::test_m2_what_breaks_together_is_held_with_the_culprit",),
    ),
    "M3": Promise(
        "a git error is unknown, never an answer",
        (
            f"{GIT}/test_git_merge.py::test_a_missing_blob_is_neither_a_merge_nor_a_conflict",
            f"{GIT}/test_git_merge.py::test_a_missing_tree_is_neither_a_merge_nor_a_conflict",
            f"{GIT}/test_git_merge.py::test_a_merge_program_that_breaks_down_is_an_error",
        ),
    ),
    "M4": Promise(
        "the oldest clean change lands within a bound",
        (f"{CORE}/test_train.py::test_m4_a_risky_change_lands_while_newer_and_safer_ones_keep_arriving",),
    ),
    "M5": Promise("no resolution drops either side's lines", owed="resolutions"),
    "M6": Promise(
        "no push; identity and signing as configured; commit hooks run, in the sandbox alone",
        (
            f"{BOXED}::test_m6_commit_hooks_judge_what_would_land_and_only_in_a_box",
            f"{GIT}/test_git_commits.py::test_a_signature_is_made_as_configured",
            f"{GIT}/test_git_commits.py::test_an_identity_that_is_not_set_is_never_guessed",
            f"{GIT}/test_git_commits.py::test_no_hook_of_the_repository_runs_on_the_host",
            f"{GIT}/test_git_commits.py::test_nothing_is_pushed_or_fetched",
        ),
    ),
    "M7": Promise(
        "a red main produces one repair task, and the others wait",
        ("tests/e2e/test_trains.py::test_m7_a_red_main_produces_one_repair_task_and_the_others_wait",),
    ),
    "M8": Promise(
        "edited tests are shown, and the agreed checks still run",
        (f"{FLEET}::test_m8_edited_tests_are_told_and_the_agreed_checks_still_run",),
    ),
    "P1": Promise(
        "an approval is bound to the digest of plan, scope, checks and base",
        (f"{FLEET}::test_p1_an_approval_of_another_digest_is_refused",),
    ),
    "P2": Promise(
        "no write before approval, by force (boxes; tier 0 discards and reports)",
        (f"{BOXED}::test_p2_nothing_that_research_or_plan_write_is_there_afterwards",),
    ),
    "P3": Promise(
        "writes outside the scope are raised while the agent works, and stopped at the result",
        (
            f"{FLEET}::test_p3_a_shell_write_outside_the_scope_is_raised_while_the_agent_works",
            f"{FLEET}::test_p3_a_write_outside_the_scope_is_raised_and_goes_back",
            "tests/core/test_words.py::test_an_undeclared_scope_meets_everything",
        ),
    ),
    "P4": Promise(
        "outside text is data; an agent's command waits for a person",
        (f"{FLEET}::test_p4_a_command_that_an_agent_wrote_waits_for_a_person",),
    ),
    "X1": Promise("API, web and MCP refuse what has no token", owed="the web and MCP"),
    "X2": Promise(
        "an agent cannot write outside its workspace, read secrets, reach other sessions",
        (
            f"{ATTACKS}/test_attacks.py::test_x2_no_attack_gets_out",
            f"{ATTACKS}/test_routes.py::test_x2_no_route_leads_out",
        ),
    ),
    "X3": Promise(
        "sessions wait when the machine has no room; flat memory",
        (
            f"{BOXED}::test_x3_ten_launches_against_room_for_three_start_three",
            f"{BOXED}::test_x3_a_disk_without_room_starts_nothing",
            f"{GIT}/test_flat_memory.py::test_x3_a_hundred_thousand_facts_leave_memory_flat",
        ),
    ),
    "X4": Promise(
        "validations are limited; no two sessions share a port, temp dir or database name",
        (
            f"{BOXED}::test_x4_two_sessions_use_one_port_and_one_temporary_file_at_once",
            f"{BOXED}::test_x4_without_boxes_ports_and_names_are_leased",
            f"{BOXED}::test_x4_validations_run_in_no_greater_number_than_allowed",
        ),
    ),
    "X5": Promise(
        "commands of the repository run only after a person allowed them",
        (
            f"{FLEET}::test_x5_commands_of_the_repository_wait_for_a_person",
            f"{GIT}/test_agent_brands.py::test_claude_gets_the_credentials_of_its_own_account_and_nothing_else",
            f"{GIT}/test_agent_brands.py::test_claude_is_kept_from_loading_what_the_repository_brought",
            f"{GIT}/test_agent_brands.py::test_codex_gets_the_credentials_of_its_own_account_and_nothing_else",
            f"{GIT}/test_agent_brands.py::test_codex_is_told_not_to_trust_the_folder_that_it_works_in",
            f"{GIT}/test_agent_brands.py::test_gemini_is_kept_from_loading_what_the_repository_brought",
            f"{GIT}/test_agent_brands.py::test_opencode_gets_the_credentials_of_its_own_accounts_and_nothing_else",
            f"{GIT}/test_agent_brands.py::test_opencode_is_kept_from_loading_what_the_repository_brought",
        ),
    ),
    "X6": Promise(
        "no error message contains a runnable destructive command",
        ("tests/test_architecture.py::test_x6_no_error_text_holds_a_runnable_destructive_command",),
    ),
    "X7": Promise(
        "secrets are redacted where shown and refused in diffs",
        (f"{FLEET}::test_x7_no_journal_line_holds_a_secret_that_an_agent_said",),
    ),
}
