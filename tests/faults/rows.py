"""The faults to survive, each with the tests that prove it, and what is not proved yet.

One line a fault. A test is named by its node id without parameters, and ``test_table.py`` checks that each exists.
``missing`` is what no test shows: with tests beside it the row is proved in part, without any it is open.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, what must happen, where that is proved (files under ``tests/``), and what is missing."""

    fault: str
    must: str
    tests: tuple[str, ...] = ()
    missing: str = ""


def tests(file: str, *names: str) -> tuple[str, ...]:
    """Node ids of one file under ``tests/``."""
    return tuple(f"tests/{file}.py::test_{name}" for name in names)


KILL: Final = "faults/test_kill"
DATABASE: Final = "faults/test_database"
ANSWERS: Final = "faults/test_answers"
DAEMONS: Final = "faults/test_daemons"
CLIENT: Final = "calldock/test_client"
CLASSIFY: Final = "calldock/test_classify"
APPLY: Final = "engine/test_apply"
GATE: Final = "engine/test_gate"
RESCUE: Final = "engine/test_rescue"
SETTLE: Final = "engine/test_settle"
BREAKER: Final = "engine/test_breaker"
RELOAD: Final = "journeys/test_reload"
RUN: Final = "journeys/test_run"
DOOR: Final = "web/test_webhook"

ROWS: Final[dict[int, Row]] = {
    1: Row(
        "kill -9 before the claim commits",
        "the contact waits, nothing was sent",
        tests(KILL, "row_01_killed_before_the_claim_commits_the_contact_waits_and_nothing_was_sent"),
    ),
    2: Row(
        "kill -9 after the gate's commit, before the first byte",
        "unknown, held, then called once, marked",
        tests(
            KILL, "row_02_killed_between_gate_and_request_nobody_is_called_before_the_hold_and_then_marked"
        ),
    ),
    3: Row(
        "kill -9 in the middle of the request",
        "unknown, held",
        tests(KILL, "row_03_killed_in_the_middle_of_the_request_its_number_is_held"),
    ),
    4: Row(
        "kill -9 after the request, before the answer",
        "unknown; the report closes it",
        tests(KILL, "row_04_killed_before_the_answer_the_report_closes_it"),
    ),
    5: Row(
        "kill -9 after the answer, before it is stored",
        "unknown; the report is matched by number and time",
        tests(KILL, "row_05_killed_before_the_answer_is_stored_the_report_is_matched_by_number_and_time"),
    ),
    6: Row(
        "kill -9 after the answer is stored",
        "nothing is lost; the report closes it",
        tests(KILL, "row_06_and_78_killed_after_the_answer_is_stored_nothing_is_lost"),
    ),
    7: Row(
        "kill -9 in the webhook's handler, before the commit",
        "no 200; the redelivery is taken",
        tests(KILL, "row_07_killed_before_a_report_is_stored_it_is_not_acknowledged_and_comes_again"),
    ),
    8: Row(
        "kill -9 after the commit, before the 200",
        "the redelivery is a duplicate",
        tests(KILL, "row_08_killed_before_the_200_the_report_that_comes_again_is_counted_once"),
    ),
    9: Row(
        "kill -9 between storing a report and applying it",
        "both or neither: they are one transaction",
        tests(KILL, "row_09_killed_while_a_report_is_applied_all_of_it_is_done_again"),
    ),
    10: Row(
        "kill -9 in the middle of an import",
        "its chunks stay, the next import adds the rest once",
        tests(KILL, "row_10_killed_in_the_middle_of_an_import_the_next_adds_the_rest_once")
        + tests(
            "intake/test_importing", "an_import_that_is_killed_keeps_its_chunks_and_the_next_adds_the_rest"
        ),
    ),
    11: Row(
        "kill -9 during a migration",
        "whole after the next run",
        tests(
            "database/test_migrations", "killed_in_the_middle_of_a_migration_it_is_whole_after_the_next_run"
        ),
    ),
    12: Row(
        "SIGTERM with requests in flight",
        "nothing more is begun; answers are awaited, the rest is unknown; the door shuts last; exit 0",
        tests(
            RUN,
            "sigterm_waits_for_answers_and_records_the_rest_as_unknown",
            "a_report_that_comes_during_the_end_is_still_taken",
        ),
    ),
    13: Row(
        "a second SIGTERM or SIGINT",
        "ends at once, as row 4",
        tests(KILL, "row_13_a_second_signal_ends_at_once_and_what_was_sent_is_unknown"),
    ),
    14: Row(
        "SIGHUP with a wrong file",
        "the old settings stay",
        tests(RELOAD, "a_wrong_file_changes_nothing_and_is_told"),
    ),
    15: Row(
        "a reload lowers the rate or closes the window",
        "the next gate obeys",
        tests("engine/test_steer", "a_new_version_makes_the_gate_look_again_at_whom_a_rule_had_deferred")
        + tests(RELOAD, "a_lower_rate_holds_from_the_next_gate_on_and_the_rest_waits_for_a_restart"),
    ),
    16: Row(
        "Postgres restarts, again and again",
        "reconnects; nothing is sent without a confirmed gate",
        tests(DAEMONS, "row_16_a_server_that_is_killed_again_and_again_costs_no_call_and_no_report")
        + tests("database/embedded/test_life", "a_server_killed_again_and_again_is_started_again_and_again"),
    ),
    17: Row(
        "Postgres is away",
        "no dialling; reports are kept on disk, acknowledged, and stored in order",
        tests(
            "web/test_spool",
            "reports_are_acknowledged_while_postgres_is_away_and_stored_in_order_when_it_is_back",
            "a_server_that_is_stopped_and_started_loses_no_report",
            "nobody_is_called_again_while_reports_wait_to_be_read",
        )
        + tests(SETTLE, "an_answer_is_written_when_the_database_is_back"),
    ),
    18: Row(
        "the connection is cut during COMMIT",
        "read again by id; committed and unsent: aborted",
        tests(DATABASE, "row_18_a_commit_whose_confirmation_is_lost_is_read_again_and_aborted_if_it_stands")
        + tests(SETTLE, "the_same_answer_written_again_changes_nothing"),
    ),
    19: Row(
        "40001 and 40P01",
        "the transaction is run again, never the request",
        tests(
            DATABASE, "row_19_a_transaction_that_postgres_takes_back_is_run_again_and_its_request_sent_once"
        )
        + tests(SETTLE, "refusals_are_counted_once_though_their_write_was_tried_thrice"),
    ),
    20: Row(
        "failover to a stale replica",
        "refuses to dial",
        tests(
            "engine/test_restore",
            "a_restored_backup_is_held_and_rings_nobody",
            "a_database_on_another_server_is_held",
            "a_daemon_that_runs_looks_again_after_the_connection_was_lost",
        ),
        "a replica that lags less than the journal (5 s) is not told from the primary",
    ),
    21: Row(
        "the disk of the database is full",
        "told, and recovers with space",
        tests(
            "database/embedded/test_place",
            "a_disk_that_fills_at_the_first_start_is_told_and_recovers_with_space",
        ),
        "at the first start only; a disk that fills under load is not run",
    ),
    22: Row(
        "the disk of the log or the spool is full",
        "the log loses lines; a report that cannot be stored is 503",
        tests("test_log", "a_pipe_that_nobody_reads_blocks_nothing_and_what_is_lost_is_counted")
        + tests(
            "web/test_spool",
            "503_when_neither_postgres_nor_the_disk_takes_it",
            "a_write_that_the_disk_breaks_off_leaves_only_what_was_acknowledged",
            "an_fsync_that_fails_is_no_acknowledgement",
        ),
    ),
    23: Row(
        "Postgres is slow",
        "a gate that lasts too long sends nothing; the loop turns",
        tests(DATABASE, "row_23_a_gate_that_lasted_longer_than_a_request_may_wait_sends_nothing"),
    ),
    24: Row(
        "dialling holds all its connections",
        "the door has its own",
        tests(DATABASE, "row_24_dialling_that_holds_all_its_connections_keeps_no_report_waiting"),
    ),
    25: Row(
        "a session idle in its transaction holds a contact",
        "that one waits, the others are called",
        tests(DATABASE, "row_25_a_session_that_holds_a_contact_keeps_only_that_one_from_being_called"),
        "a session that holds an uncommitted attempt of the number stops the agent's gate until it ends",
    ),
    26: Row(
        "DNS fails or is slow",
        "not placed, again later",
        tests(CLIENT, "a_name_that_does_not_resolve_is_not_sent", "a_slow_name_server_is_not_sent")
        + tests(BREAKER, "when_most_requests_fail_the_breaker_opens_and_a_probe_that_is_placed_closes_it"),
    ),
    27: Row(
        "refused, TLS error, expired certificate",
        "not placed; TLS is never given up",
        tests(
            CLIENT,
            "a_refused_connection_is_not_sent",
            "tls_is_checked_and_never_given_up",
            "a_tls_handshake_that_hangs_is_not_sent",
            "a_server_that_speaks_no_tls_is_not_sent",
        ),
    ),
    28: Row(
        "cut before any byte of the request",
        "not placed, again later",
        tests(
            CLIENT,
            "a_kept_connection_is_not_written_to_after_the_deadline",
            "a_cancelled_call_tells_whether_a_byte_may_have_left",
        ),
    ),
    29: Row(
        "cut in the middle of the request",
        "unknown",
        tests(ANSWERS, "row_29_cut_in_the_middle_of_the_request_its_number_is_held_and_called_once_more")
        + tests(CLIENT, "a_request_cut_after_any_byte_is_unconfirmed_and_not_repeated"),
    ),
    30: Row(
        "cut after the request; the call was placed",
        "unknown, then reported; no second request",
        tests(ANSWERS, "row_30_cut_after_the_request_the_report_of_the_call_closes_it"),
    ),
    31: Row(
        "cut after the request; the call was not placed",
        "after the hold one call more, marked",
        tests(ANSWERS, "row_31_cut_and_not_placed_there_is_one_more_call_after_the_hold_and_it_is_marked"),
    ),
    32: Row(
        "a kept connection is reset on its next use",
        "unknown, not repeated",
        tests(
            CLIENT,
            "a_kept_connection_that_dies_on_the_second_request_is_not_retried",
            "a_connection_closed_while_idle_is_not_used_again",
        ),
    ),
    33: Row(
        "a storm of 429 without Retry-After",
        "the agent rests; no attempt is consumed",
        tests(SETTLE, "429_of_one_number_lets_the_agent_go_on_and_of_three_blocks_it")
        + tests("engine/test_verdict", "an_unnamed_wait_doubles_up_to_an_hour")
        + tests(
            BREAKER,
            "a_storm_of_ten_minutes_wastes_little_and_full_speed_is_back_within_a_minute",
            "the_rate_is_halved_and_grows_back",
            "while_it_rests_one_probe_goes_out_at_a_time",
        ),
    ),
    34: Row(
        "Retry-After of 0, −5, 1e9, abc",
        "clamped or ignored",
        tests(CLASSIFY, "retry_after_is_read_clamped_or_ignored"),
    ),
    35: Row(
        "Retry-After as a date, with a skewed clock",
        "measured against their own Date",
        tests(CLASSIFY, "only_the_difference_to_their_own_clock_counts"),
    ),
    36: Row(
        "429 for one number",
        "the others keep their speed",
        tests(RUN, "a_429_waits_as_told_and_costs_no_attempt")
        + tests(SETTLE, "429_of_one_number_lets_the_agent_go_on_and_of_three_blocks_it")
        + tests(BREAKER, "one_number_that_is_limited_lets_the_others_keep_their_speed"),
    ),
    37: Row(
        "429 for the address: all agents",
        "all rest, then each probes with one call",
        tests(BREAKER, "two_agents_refused_at_once_are_refused_for_their_address"),
    ),
    38: Row(
        "500 though the call was placed",
        "the report closes it and cancels the retry",
        tests(ANSWERS, "row_38_a_500_for_a_call_that_rang_is_closed_by_its_report_and_not_retried"),
    ),
    39: Row(
        "500 and not placed",
        "retried after the wait, marked",
        tests(ANSWERS, "row_39_a_500_for_a_call_that_did_not_ring_is_retried_after_the_wait_and_marked")
        + tests(RESCUE, "500_is_tried_again_after_2_6_18_and_54_minutes_and_then_failed"),
    ),
    40: Row(
        "a storm of 500",
        "breaker; the unknown are bounded by the lines",
        tests(GATE, "an_agents_lines_bound_its_campaigns_together")
        + tests(BREAKER, "when_most_requests_fail_the_breaker_opens_and_a_probe_that_is_placed_closes_it"),
    ),
    41: Row(
        "502, 503, 504 in HTML, 3xx, oddities",
        "as the table of answers says; no redirect is followed",
        tests(CLASSIFY, "every_status_has_one_meaning")
        + tests(CLIENT, "an_answer_is_read_for_what_it_is_and_asked_for_once"),
    ),
    42: Row(
        "401 in the middle of a run",
        "the agent pauses, contacts keep their attempts",
        tests(RUN, "a_refused_key_pauses_the_agent_and_a_new_key_lets_it_go_on")
        + tests(SETTLE, "401_pauses_the_agent_and_its_contacts_keep_their_attempts"),
    ),
    43: Row(
        "400 for one, 400 for all",
        "closed for one; the campaign pauses for all",
        tests(SETTLE, "ten_refusals_in_a_row_pause_the_campaign_and_no_other")
        + tests(CLASSIFY, "a_400_says_whether_the_number_is_to_blame"),
    ),
    44: Row(
        "200 that is empty, HTML, cut, of wrong types, huge, dripping",
        "placed, unidentified; reading is bounded",
        tests(
            CLASSIFY,
            "a_200_that_cannot_be_read_is_placed_and_never_dialled_again",
            "no_bytes_under_a_200_ever_free_the_number",
        )
        + tests(
            CLIENT,
            "a_hundred_megabytes_are_not_read",
            "a_dripping_answer_ends_with_the_timeout_and_counts_by_its_status",
        ),
    ),
    45: Row(
        "success: false, no data, null or doubled callId",
        "as the table of answers says",
        tests(
            CLASSIFY, "success_false_is_rejected_with_its_reason", "a_call_id_counts_unless_success_is_false"
        )
        + tests("domain/test_correlation", "an_id_that_two_attempts_bear_tells_nothing"),
    ),
    46: Row(
        "the report before the answer",
        "applied; the answer does not undo it",
        tests(
            APPLY,
            "the_report_before_the_answer_is_applied_and_the_answer_does_not_regress_it",
            "no_answer_that_comes_after_the_report_calls_the_person_again",
        ),
    ),
    47: Row(
        "a report a hundred times at once",
        "counted once",
        tests(DOOR, "a_hundred_deliveries_at_once_are_each_acknowledged_and_counted_once")
        + tests(APPLY, "one_report_fifty_times_at_once_is_counted_once"),
    ),
    48: Row(
        "the same report with other credits",
        "the first stands; a revision, flagged",
        tests(APPLY, "the_same_call_with_another_body_is_a_revision_and_books_nothing"),
    ),
    49: Row(
        "reports in any order",
        "the same end as in order",
        tests(
            "engine/test_order",
            "any_order_and_any_doubles_end_alike",
            "the_end_in_order_is_what_it_should_be",
        ),
    ),
    50: Row(
        "no report ever",
        "unreported at the horizon; the cadence decides; its price is told as contingent",
        tests(RESCUE, "a_placed_attempt_without_a_report_follows_the_cadence")
        + tests(RUN, "a_campaign_with_early_missing_and_reordered_reports_books_what_was_reported")
        + tests("cli/test_spend", "each_campaign_and_the_suspense_account_are_summed_exactly"),
    ),
    51: Row(
        "a report three days late",
        "upgrades the attempt, books, cancels what has not begun",
        tests(
            APPLY,
            "a_late_report_upgrades_and_cancels_the_re_attempt_that_has_not_begun",
            "a_late_report_of_an_older_attempt_does_not_undo_what_the_newer_one_said",
        ),
    ),
    52: Row(
        "the door is shut for half an hour",
        "the waits stand still; nobody is called again",
        tests(
            "engine/test_pulse",
            "a_wait_lasts_longer_by_the_time_that_no_daemon_was_alive",
            "a_wait_that_was_nearly_over_leaves_time_for_redelivery",
            "while_the_door_is_not_reached_a_living_daemon_lets_no_wait_run",
        )
        + tests(
            "web/test_probe",
            "a_door_that_no_longer_answers_is_not_reachable_after_a_while_and_is_again",
            "a_report_says_that_reports_come",
        ),
    ),
    53: Row(
        "forged, unsigned, another's secret",
        "401, one generic sentence, nothing stored",
        tests(DOOR, "who_cannot_sign_is_told_one_generic_sentence_and_nothing_is_stored")
        + tests("calldock/test_signature", "no_bit_may_be_changed", "no_bytes_and_no_header_can_hurt"),
    ),
    54: Row(
        "a valid report again after a year",
        "a duplicate: the key has no age",
        tests(APPLY, "the_key_has_no_age"),
    ),
    55: Row(
        "signed over Node's, Python's or the raw form",
        "accepted",
        tests(DOOR, "each_form_of_the_signature_is_taken_and_noted")
        + tests("calldock/test_canonical", "thousands_of_random_payloads_are_written_as_node_writes_them")
        + tests(
            "calldock/test_signature", "whatever_a_python_signer_sends_however_it_was_written_is_accepted"
        ),
    ),
    56: Row(
        "huge, bombs, deep JSON, no UTF-8, doubled keys, NaN",
        "413 or 400, bounded; never 500",
        tests(
            DOOR,
            "a_body_past_the_limit_is_413_and_one_at_the_limit_is_read",
            "what_is_signed_and_is_no_report_is_400",
        )
        + tests("calldock/test_signature", "a_hostile_body_that_nobody_signed_is_bad_and_nothing_else")
        + tests("calldock/test_report", "no_bytes_can_hurt"),
    ),
    57: Row(
        "slow headers and bodies, many idle sockets",
        "cut at a deadline; real reports are not slowed",
        tests(
            "web/test_wall",
            "a_head_that_drips_is_cut_at_its_deadline",
            "a_body_that_drips_is_answered_408_at_its_deadline",
            "a_connection_that_says_nothing_is_cut",
            "at_the_cap_who_sent_no_whole_request_makes_room",
            "two_hundred_slow_sockets_make_no_real_report_slow",
            "five_thousand_idle_sockets_make_no_real_report_slow",
        ),
    ),
    58: Row(
        "a report of an unknown agent or another tool",
        "kept, its credits in suspense; no contact touched",
        tests(
            DOOR,
            "an_agent_id_that_nobody_knows_is_believed_only_by_its_signature",
            "a_report_that_matches_nothing_is_acknowledged_and_kept",
        )
        + tests(APPLY, "a_report_of_nobody_of_ours_is_kept_with_its_credits_in_suspense"),
    ),
    59: Row(
        "two candidates in the window",
        "nobody guesses",
        tests(APPLY, "two_attempts_that_both_fit_are_never_guessed_between")
        + tests("domain/test_correlation", "between_attempts_at_two_contacts_nobody_guesses"),
    ),
    60: Row(
        "odd or swapped numbers",
        "normalised; swapped: put right where the agent's own number is known, else quarantined",
        tests("calldock/test_report", "a_phone_number_is_put_in_one_form_or_named")
        + tests(
            "engine/test_ladder",
            "swapped_numbers_are_put_right_where_the_agents_own_number_is_known",
            "swapped_numbers_that_tell_no_call_are_quarantined_and_their_wish_is_heeded",
        ),
    ),
    61: Row(
        "the wall clock jumps",
        "the database's time counts; no burst",
        tests("engine/test_pace", "what_was_not_used_is_not_made_up_for")
        + tests("test_scheduler", "a_machine_that_slept_for_hours_makes_up_for_what_it_missed")
        + tests(
            "faults/test_clock", "row_61_a_wall_clock_that_jumps_makes_no_burst_no_pause_and_no_second_call"
        ),
    ),
    62: Row(
        "the hours of a clock change",
        "windows and caps are read in local time from the instant",
        tests("domain/test_window", "a_skipped_hour_rings_nobody_and_a_repeated_hour_counts_twice")
        + tests("domain/test_screening", "a_cap_over_the_night_of_a_clock_change_ends_at_the_local_midnight"),
    ),
    63: Row(
        "zone unknown, several, never open together",
        "all must be open; none known: not called",
        tests(
            "domain/test_window",
            "every_zone_that_a_number_may_be_in_must_be_open",
            "zones_that_are_never_open_together_are_never_called",
            "a_contact_of_unknown_zone_is_never_called_without_a_fallback",
        )
        + tests(GATE, "a_number_of_no_known_zone_is_never_due_and_says_why"),
    ),
    64: Row(
        "old time zone data",
        "the newer of machine and package is used; old data is told at the start and by dialer check",
        tests(
            "test_timezones",
            "the_newer_of_machine_and_package_is_used",
            "data_older_than_eighteen_months_is_told",
        ),
    ),
    65: Row(
        "two daemons, one database",
        "the rate is not doubled, nobody is called twice",
        tests(RUN, "the_rate_is_kept_through_a_restart_and_by_two_daemons_together")
        + tests(
            "engine/test_contention",
            "two_gates_of_one_agent_claim_nobody_twice_and_share_its_slots_and_lines",
            "two_agents_never_ring_one_number_at_once",
        )
        + tests("engine/test_storm", "a_storm_loses_and_doubles_nothing"),
    ),
    66: Row(
        "SIGSTOP between gate and request, SIGCONT after the rescue",
        "not sent; the rescue's word stands",
        tests(DAEMONS, "row_66_a_daemon_stopped_between_gate_and_request_does_not_send_when_it_goes_on"),
    ),
    67: Row(
        "SIGSTOP inside the request",
        "that one request at most; the number stays locked",
        tests(DAEMONS, "row_67_a_daemon_stopped_inside_its_request_sends_that_one_late_and_nobody_another"),
    ),
    68: Row(
        "two daemons cut off from the database, one returns before the other",
        "stale writes change nothing",
        tests(DAEMONS, "row_68_a_daemon_cut_off_from_the_database_and_back_writes_over_nobody")
        + tests(RESCUE, "an_answer_after_the_hold_changes_no_state_and_keeps_its_id"),
    ),
    69: Row(
        "a suppression between claim and gate",
        "refused",
        tests(DATABASE, "row_69_a_suppression_that_commits_while_the_gate_waits_is_obeyed")
        + tests(
            "engine/test_suppression",
            "a_suppression_that_was_committed_before_a_gate_is_honoured_in_ten_thousand_races",
        ),
    ),
    70: Row(
        "a wish not to be called, while another campaign waits with the number",
        "suppressed and closed in the report's transaction",
        tests(
            "engine/test_suppression",
            "a_report_of_a_wish_not_to_be_called_closes_every_waiting_contact_of_the_number",
            "the_suppression_and_the_report_are_one_transaction",
        )
        + tests(APPLY, "a_wish_not_to_be_called_holds_though_its_report_matches_no_attempt"),
    ),
    71: Row(
        "a campaign paused or stopped with calls in flight",
        "reports are booked; no further gate",
        tests("engine/test_steer", "a_stop_closes_what_waits_and_what_comes_back_and_books_what_is_live")
        + tests("engine/test_contention", "after_a_pause_has_committed_nobody_passes_a_gate_that_was_waiting")
        + tests(APPLY, "a_report_for_a_contact_of_a_stopped_campaign_books_and_closes_and_calls_nobody"),
    ),
    72: Row(
        "the budget is reached with calls in flight",
        "spent + reserved ≤ budget at every gate",
        tests("engine/test_contention", "no_credit_is_lent_twice_while_reports_move_reservations_into_spend")
        + tests(GATE, "spent_reserved_and_estimates_stay_within_the_budget"),
    ),
    73: Row(
        "one number in several campaigns, twice in one list in other formats",
        "one live call, one cap, the double refused with its line",
        tests("engine/test_contention", "the_schema_itself_refuses_a_second_live_attempt")
        + tests(GATE, "the_daily_cap_counts_the_contacts_own_day_over_all_campaigns")
        + tests(
            "intake/test_importing",
            "one_number_in_two_formats_is_a_duplicate_of_its_first_line_even_chunks_later",
        ),
    ),
    74: Row(
        "lists of every encoding, quote and size, with bad rows",
        "bounded memory; bad rows told with line and reason",
        tests(
            "intake/test_delimited",
            "every_encoding_delimiter_and_line_end_reads_alike",
            "nul_bytes_and_ragged_rows_are_refused_with_their_line",
            "a_field_of_ten_megabytes_is_refused_in_little_memory_and_the_rest_is_read",
        )
        + tests("intake/test_importing", "rows_of_the_longest_kind_are_taken_in_bounded_chunks"),
        "a million rows are not read in the tests",
    ),
    75: Row(
        "cells that are formulas",
        "kept as they are, disarmed where they are written",
        tests("cli/test_export", "a_cell_that_would_be_a_formula_is_a_text_and_a_phone_stays_a_phone")
        + tests("intake/test_importing", "formulas_are_disarmed_in_the_reject_file"),
    ),
    76: Row(
        "a migration while an old daemon runs",
        "a newer database is refused",
        tests("cli/test_run", "a_database_that_is_newer_is_refused")
        + tests("database/test_migrations", "a_database_ahead_of_the_files_is_refused")
        + tests(RELOAD, "a_daemon_ends_when_a_newer_one_has_moved_the_schema_on"),
    ),
    77: Row(
        "the loop stands still for five seconds",
        "no burst, nothing lost",
        tests(DAEMONS, "row_77_a_loop_that_stood_still_for_five_seconds_makes_up_for_nothing"),
    ),
    78: Row(
        "out of memory",
        "as kill -9",
        tests(KILL, "row_06_and_78_killed_after_the_answer_is_stored_nothing_is_lost"),
    ),
    79: Row(
        "no file descriptor is left",
        "nobody is called; recovers, and costs no attempt",
        tests(DAEMONS, "row_79_without_descriptors_nobody_is_called_and_with_them_everybody_once"),
    ),
    80: Row(
        "nobody reads the log",
        "the loop is never blocked",
        tests(
            "test_log",
            "a_pipe_that_nobody_reads_blocks_nothing_and_what_is_lost_is_counted",
            "a_process_whose_log_nobody_reads_still_ends_cleanly",
        ),
    ),
    81: Row(
        "late, overlapping and failing jobs",
        "one at a time; a failure ticks on",
        tests(
            "test_scheduler",
            "a_job_that_fails_is_logged_and_ticks_on",
            "a_job_that_is_slow_is_not_run_twice_at_once",
            "of_many_starts_that_were_missed_one_is_made_up_for",
        ),
    ),
    82: Row(
        "a new API key, a new webhook secret",
        "both secrets count during the change",
        tests("calldock/test_signature", "both_secrets_count_during_a_rotation_and_no_other")
        + tests("web/test_wall", "both_secrets_are_taken_during_a_rotation")
        + tests(RUN, "a_refused_key_pauses_the_agent_and_a_new_key_lets_it_go_on")
        + tests(RELOAD, "a_new_secret_and_a_new_key_are_taken_without_a_restart"),
    ),
    83: Row(
        "yesterday's backup is restored",
        "starts held until a person accepts it; reports are taken all the while",
        tests(
            "engine/test_restore",
            "a_restored_backup_is_held_and_rings_nobody",
            "an_accepted_restore_leaves_other_pauses_alone",
            "another_key_does_not_lift_the_hold",
        ),
    ),
    84: Row(
        "a task is cancelled during its request",
        "unknown if a byte has left",
        tests(
            CLIENT,
            "a_cancelled_call_tells_whether_a_byte_may_have_left",
            "closing_the_client_leaves_a_waiting_call_unconfirmed",
        )
        + tests(RUN, "sigterm_waits_for_answers_and_records_the_rest_as_unknown"),
    ),
}
