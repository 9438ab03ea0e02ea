/**
 * The catalogue of log events: every line of the log carries one as `event`, and alerts and runbooks quote them. So a name is
 * stable: a changed one is a breaking change, and stands in CHANGELOG.md. The level that an event is listed under is the level
 * it is logged at. Each text says what the line means and, where an operator can do something, what to do; a title in quotes is one
 * of docs/operations.md. `docs/log-events.md` prints the catalogue (`npm run docs:events`).
 */
export const logEvents = {
  fatal: {
    configuration_refused:
      'The process ends: its environment variables are bad, `problems` names all of them. Mend them.',
    event_loop_stood_still:
      'The watchdog ends the process: its event loop stood still for `stoodMs`. See "A process that hangs".',
    job_failed: 'A Job ended with 1, for the reason in `error`. Mend that; Kubernetes starts it again.',
    job_interrupted: 'A Job was asked to end, by `signal`, before it was done. Kubernetes starts it again.',
    start_failed:
      'The process ends: it could not start, for the reason in `error`. Mend that; a supervisor starts it again.',
    watchdog_powerless:
      'A process that hangs cannot be ended from inside its container. Run it under an init; restart it.',
  },
  error: {
    batch_sink_failed: 'A part threw while it took records, and gets them again. A defect: report it with `error`.',
    broker_refused:
      'A broker is too old, or speaks none of the versions that are needed. Upgrade it, or take it out of the list.',
    close_failed: 'A part threw while the process drained; the others are closed all the same. A defect: report it.',
    command_log_truncated:
      'A command partition was cut by an unclean leader election: commands are taken up from `from`. See "A truncated log".',
    command_position_past_end:
      'A command partition ends before what was taken up: is it another topic of that name? Its commands wait.',
    command_refused_internally:
      'The app threw over a command, whose verdict is `internal error`. Mend the app: see `error`.',
    command_topic_recreated: 'The topic of commands was deleted and made again: it is taken up from its beginning.',
    command_uncommittable:
      'A command cannot be committed: its verdict is `internal error`, or it goes to the dead-letter topic. See the line before.',
    commands_expired:
      "Retention deleted commands before they were taken up. Raise the topic's retention; add handlers.",
    commands_unreadable:
      'A command partition cannot be read at `offset`, for `fault`; it is tried again. See "Batches that cannot be read".',
    dead_letter_lost: 'A record is skipped and its dead letter could not be written. Mend the topic `<topic>-dlt`.',
    dead_letter_waits:
      'The dead-letter topic takes nothing; the handler goes on, the letter is still tried. Mend `<topic>-dlt`.',
    event_too_large: 'An event is larger than its topic takes: a stub is in its place. Raise `max.message.bytes`.',
    feedback_misfit:
      'Feedback does not fit its type in the schema; its client gets an error. Mend what writes it, or the schema.',
    ledger_went_back: 'PostgreSQL lacks what it had confirmed: all commands stop. See "PostgreSQL that goes back".',
    listening_socket_failed: 'A listening socket of the router failed. Restart the router if clients cannot connect.',
    live_tail_listener_failed: 'A stream threw over a live record. A defect: report it with `error`.',
    operation_failed:
      "A GraphQL operation failed; its client got `INTERNAL`. A defect, or a dependency's answer: see `error`.",
    partitions_unread:
      'A topic has partitions that nobody reads: it was given them by other means. See growing-topics.md.',
    replay_consumer_failed: 'The stream that a replay is for threw; it ends. A defect: report it with `error`.',
    request_failed:
      'An HTTP request met an error that nobody expected; its client got `INTERNAL`. A defect: report it.',
    route_token_check_failed: 'A route token could not be checked, for another reason than the token: see `error`.',
    tenure_listener_failed: 'A part threw over a change of ownership. A defect: report it with `error`.',
    token_check_failed:
      "An access token could not be checked, for another reason than the token. Check the issuer's JWKS.",
    upgrade_failed: 'A WebSocket upgrade met an error that nobody expected; its client connects again. See `error`.',
    upgrade_refusal_failed: 'A WebSocket upgrade could not even be refused; its socket is closed. See `reason`.',
    view_batch_failed: 'A batch could not be applied to the views, and is tried again: views stand still. See `error`.',
    watchdog_ended: "The watchdog's thread has ended: nobody notices a hang of this process. Restart it when it suits.",
    websocket_close_failed: 'The end of a WebSocket could not be dealt with. A defect: report it with `error`.',
    websocket_message_failed:
      'A WebSocket message could not be dealt with; the socket is closed with 4500. A defect: report it.',
  },
  warn: {
    broker_throttles: 'A broker holds this process back by a quota. Raise the quota that the message names.',
    claim_not_written:
      "Redis did not take a claim of a partition: it is owned by the group's word until it does. Check Redis.",
    claim_stale: 'Another gateway holds a partition under a newer claim; `verdict` is what the group says of this one.',
    clients_cut_off: 'The drain time is over, and `connections` clients were still there: they reconnect and resume.',
    command_batch_failed: 'A batch of commands was not committed, and is tried again. Check PostgreSQL if it lasts.',
    command_claim_failed:
      'The handler could not claim partitions, and tries again. Check PostgreSQL and Kafka if it lasts.',
    command_log_cut_unknown: 'It is not known yet where a command partition was cut; Kafka is asked again.',
    command_unanswered:
      'A command got no verdict in time, or failed. The client may send it again; check the handlers.',
    command_write_unsure: 'Kafka did not say whether a command was written; the client gets its verdict if it was.',
    database_replaced: 'PostgreSQL was restarted or replaced by another: the handler claims its partitions anew.',
    dead_letter_written: 'A record that is no command went to the dead-letter topic. Look at it there.',
    drain_timed_out:
      'The process ends with 1: not everything drained in time. Raise `PENSTOCK_DRAIN_TIMEOUT_MS` if it recurs.',
    event_not_written: 'Kafka refuses an event; it stays in the outbox and is tried again. Do what `reason` says.',
    fetch_failed: 'A broker did not answer a fetch; it is asked again. Check the broker if it lasts.',
    fleet_topic_missing:
      'The topic for the console cannot be used: this process is not shown there. `reason` says what to do.',
    gateway_answer_lost: 'A gateway went away within an answer; the client got 502. Check whether it was restarted.',
    gateway_refused_upgrade:
      'A gateway refused a WebSocket that the router brought; the client comes again. See `reason`.',
    group_join_failed: 'The process is not in its consumer group, and tries again. Check Kafka if it lasts.',
    group_leave_failed: 'The group was not told that this process leaves: others take over after the session time-out.',
    group_membership_doubted: 'The group does not answer, other brokers do: the process serves on for half a session.',
    group_membership_lost: 'The process has lost its partitions, for `reason`; it joins again.',
    handler_fenced:
      'Another handler has claimed partitions of a batch: it was rolled back, and the other one executes it.',
    jwks_away: "The issuer's keys could not be fetched: known keys are used on. Check `url`.",
    job_step_waits: 'A Job cannot do something yet, for `reason`, and tries again.',
    kafka_away: 'Kafka does not answer; it is asked again. Check the brokers.',
    kafka_client_warning: 'A warning of the library kafkajs, in its words. Lines of our own say what it means.',
    live_tail_restarted:
      'A live stream of a partition had to begin anew, for `fault`; clients resume from their cursors.',
    live_tail_waits: 'A live stream of a partition cannot begin yet, and is tried again. Check Kafka if it lasts.',
    log_end_unread:
      'The end of an event partition cannot be read: commands of that partition wait. Bring its leader back.',
    log_end_unreadable: 'The end of a topic cannot be read, and says nothing about the ledger. See `reason`.',
    metadata_unavailable: "No broker gave the cluster's metadata; it is asked for again. Check Kafka if it lasts.",
    no_owner: 'No gateway owned a partition in time; the client was told to come again. Check that gateways are ready.',
    node_warning: 'A warning of Node.js, in its words. Report it.',
    offsets_skipped: 'Offsets that cannot be read are skipped, as an operator recorded by `npm run skip`.',
    open_transaction_blocks: 'An open transaction of a producer holds up a partition. See "Transactions that hang".',
    outbox_cleaning_failed: 'Rows that are published could not be deleted, and are tried again. Check PostgreSQL.',
    outbox_left_unpublished:
      'The handler ends with events that Kafka has not acknowledged; who takes over publishes them.',
    outbox_notify_failed: 'Other handlers could not be notified of events; they find them by polling.',
    outbox_unreadable: 'The outbox could not be read, and is tried again: events are late. Check PostgreSQL.',
    owner_message_unreadable: "A message on Redis' owners channel is not ours. Check who else writes to that Redis.",
    owner_table_unavailable: 'The router knows no owners yet, and tries again. Check Redis and Kafka.',
    partition_reading_ended:
      'A partition is not read any more at `offset`, for `fault`; its reader decides how to go on.',
    partition_unreadable: 'A partition could not be read several times. Check its leader.',
    peer_dead: 'A process is dead by its connections: it is put out of the group, and others take over at once.',
    peer_eviction_failed:
      'A dead process could not be put out of the group, and is tried again. Check Kafka if it lasts.',
    peer_eviction_withheld:
      'A process seems dead again too soon: the session time-out decides. Check the network to `peer`.',
    peer_silent: 'A gateway cannot be reached from this router: other gateways serve its clients. Check the network.',
    postgres_away: 'PostgreSQL does not answer; it is asked again. Check it.',
    postgres_connection_failed: 'A pooled connection of the handler to PostgreSQL failed; another one is opened.',
    postgres_settings: 'PostgreSQL may forget commits when it crashes: set what `settings` names to `on`.',
    process_stood_still:
      'The process stood still for `forMs`: it sends nothing until the group confirms it. Give it more CPU.',
    produce_batch_unacknowledged:
      'Kafka did not acknowledge records several times; they are sent again. Do what `reason` says.',
    produce_postponed: 'Where records have to go is not known now; they wait. Check Kafka if it lasts.',
    projector_fenced: 'The group does not know this projector any more: it waits for its next assignment.',
    record_misplaced:
      "A record lies in another partition than its key's. Give its producer Kafka's default partitioner.",
    redis_away: 'Redis does not answer, for `reason`: ownership and replays go on without it. Check it.',
    replay_buffer_away:
      'Redis does not take the replay buffer of `partitions` partitions: replays are read from Kafka. Check Redis.',
    replay_partition_silent: 'A partition does not answer: replays of it wait. Check its leader.',
    replay_scan_failed: 'A replay could not read on from Kafka, and is tried again where that helps. See `reason`.',
    secret_unreadable: 'The file of a secret cannot be used: the secret stays as it was. Mend the file.',
    signing_keys_stale: 'The signing keys could not be read anew: known keys are used on. Check PostgreSQL.',
    skips_unreadable:
      'What `npm run skip` recorded cannot be read: unreadable batches are not skipped now. Check Kafka.',
    start_waits: 'A step of the start is not possible yet, for `reason`, and is tried again.',
    state_not_published:
      'The state of this process could not be published for the console, and is tried again. Check Kafka if it lasts.',
    stream_open_failed: 'A stream could not be opened; its client got `UNAVAILABLE`. Check Kafka.',
    stream_record_skipped: 'A stream left out a record that does not fit its type. Mend what writes it, or the schema.',
    traces_dropped:
      'The collector takes no traces, for `reason`: spans are dropped until it does. Nothing else is held up.',
    traces_lost: 'The process ended before the collector had taken the last `spans`. Look at the collector.',
    view_batch_waits: 'A batch could not be applied to the views because PostgreSQL is away; it is tried again.',
    view_build_failed: "A new version of a view's table could not be built, and is tried again. See `reason`.",
    view_claim_failed: 'The projector could not claim partitions, and tries again. Check PostgreSQL if it lasts.',
    view_letter_skipped: 'A record feeds no table, and its dead letter is skipped by configuration.',
    view_letter_written: 'A record feeds no table: it went to the dead-letter topic. Look at it there.',
    view_partition_waits: 'The projector cannot go on with a partition, for `reason`. Do what that says.',
    view_record_left_out: 'A record feeds no table that is being built. Mend what writes it, or the schema.',
    view_records_expired:
      'Retention deleted records before the projector read them: views lack them. Raise the retention.',
  },
  info: {
    admin_listening: 'The admin port is open, at `admin`.',
    drain_finished: 'The process ends with 0: everything is drained.',
    drain_started: 'The process was asked to end, by `signal`, and drains.',
    gateway_listening: 'The gateway listens, at `listening`; it serves when it is ready.',
    group_assigned: 'The consumer group gave this process its partitions.',
    instance_silent: 'A process said nothing for long, and leaves the console. Look at it where it should be running.',
    jwks_back: "The issuer's keys are fetched again.",
    kafka_back: 'Kafka answers again.',
    open_transaction_over: 'The transaction that held up a partition was committed or aborted.',
    owner_table_opened: 'The router knows the owners of the partitions.',
    peer_back: 'A gateway can be reached again.',
    postgres_back: 'PostgreSQL answers.',
    redis_back: 'Redis answers again.',
    replay_buffer_back: 'Redis takes the replay buffer again.',
    secret_reloaded: 'A secret was read anew from its file.',
    service_ready: 'The service serves.',
    tables_ready: 'The tables of a service are there: a Job made what was missing.',
    topics_ready: 'The topics are there: a Job made those that were missing.',
    traces_sent: 'Traces go to the collector at `url`.',
    traces_sent_again: 'The collector takes traces again.',
    view_build_live: "The new version of a view's table is in use.",
    view_build_started: "A new version of a view's table is being built.",
    view_partitions_claimed: 'The projector has claimed its partitions.',
    view_positions_moved_on: 'Another projector has gone on with partitions of a batch: it is left to that one.',
    view_versions_kept: "Old versions of a view's table could not be dropped yet; it is tried again.",
  },
  debug: {
    claim_not_released: 'Redis was not told that a partition is released; its next owner claims it all the same.',
    command_batch_retried: 'A batch of commands met a conflict or a lost connection, and is tried again at once.',
    command_ended: 'A command was answered, or its client has gone; `seconds` is how long it took.',
    fleet_not_swept: 'Processes that were killed could not be taken out of the console; it is tried again.',
    kafka_client_line: 'A line of the library kafkajs, in its words.',
    log_bounds_unknown: "The bounds of a partition's log could not be asked for a replay.",
    login_attempts_kept: 'Old login attempts could not be deleted from PostgreSQL; it is tried again.',
    node_deprecation: 'Node.js says that a library uses something deprecated or experimental.',
    outbox_uncounted: 'The outbox could not be counted: its gauges stand still. It is counted again.',
    owner_channel_failed: "The subscription to Redis' owners channel failed; it is opened again.",
    owners_not_compared: 'The gateway could not compare its partitions with Redis.',
    owners_unread_from_kafka: 'The owners could not be asked of the consumer group.',
    owners_unread_from_redis: 'The owners could not be read from Redis.',
    partition_count_unknown: 'The partitions of a topic could not be counted.',
    partition_not_warm: 'A partition is claimed before its live streams are ready.',
    partition_read_postponed:
      'A partition could not be read: its leader has moved, or does not know yet that it leads.',
    placement_unwatched: 'Records of a partition are not checked for their place now.',
    positions_not_committed: 'Positions were not committed to Kafka: its consumer lag is out of date.',
    postgres_connection_broke: 'A connection to PostgreSQL broke; another one is opened.',
    produce_batch_retried:
      'Kafka did not acknowledge records at once: a leader has moved, or does not know yet that it leads.',
    redis_error: 'A connection to Redis failed once.',
    replay_buffer_read_failed: 'The replay buffer could not be read: the replay is read from Kafka.',
    replay_buffer_write_failed: 'Redis did not take one write of the replay buffer.',
    tenure_changed: "The state of this gateway's hold on a partition changed.",
    views_closed: 'The pool of the views is closed.',
    websocket_failed: 'A WebSocket failed; its close says the rest.',
  },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

export type LogLevel = keyof typeof logEvents;

/** The events that are logged at a level. */
export type LogEvent<Level extends LogLevel = LogLevel> = { [L in Level]: keyof (typeof logEvents)[L] }[Level];
